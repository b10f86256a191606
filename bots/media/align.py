"""When things happened: the frames of everybody on one clock, ours. Pure.

A sender's RTP ticks say how far frames of one track are apart. Its sender reports say which
moment of its own clock a tick means, so that its tracks can be put in step. Its clock and ours
run apart, and a report is under way for a while; the shortest way of late tells how far they
are apart now. So two people who are recorded stay in step, over hours too. At the beginning
little is known: nothing may have come by a short way yet on a busy machine. What is found then
to have been wrong was so from the first frame on, and is told, so that all of it can be moved.

Times are seconds; ours are those of `time.monotonic()`, theirs are NTP's.
"""

from __future__ import annotations

import math
from collections import deque

from .frames import Frame

WINDOW = 30.0
"""How long (s) a short way is remembered. Clocks drift apart 3 ms meanwhile at 100 ppm."""
SLEW = 0.002
"""The most that the difference of two clocks is corrected in a second: no jump is to be seen."""
SETTLING = WINDOW
"""Seconds from the first report on in which a shorter way says that all before were late."""
SUDDEN = 0.25
"""A report that contradicts the others by more is believed when it is repeated."""
REPEATED = 3


class Shortest:
    """The least of what was measured within the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._measured: deque[tuple[float, float]] = deque()

    def put(self, value: float, now: float) -> float:
        """One more value; the least one now."""
        while self._measured and self._measured[-1][1] >= value:
            self._measured.pop()
        self._measured.append((now, value))
        while self._measured[0][0] < now - WINDOW:
            self._measured.popleft()
        return self._measured[0][1]

    def clear(self) -> None:
        """Forget everything."""
        self._measured.clear()


class Offset:
    """How far our clock is ahead of one person's, as their reports show."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._shortest = Shortest()
        self._settled: float | None = None
        self._at = 0.0

    def put(self, ntp: float, arrived: float, most: float = math.inf) -> float:
        """A report of theirs has come; `most`: what the offset is at most, by their frames.

        By how much (s, at most 0) all that was placed until now is to be moved.
        """
        late = arrived - ntp
        if self.seconds is None:
            # A report may have waited where frames did not: none arrives before it is made.
            self.seconds = self._shortest.put(min(late, most), arrived)
            self._at = arrived
            if self._settled is None:
                self._settled = arrived + SETTLING
            return 0.0
        assert self._settled is not None
        least, before = self._shortest.put(late, arrived), self.seconds
        if least < before and arrived < self._settled:
            self.seconds, self._at = least, max(self._at, arrived)
            return least - before
        if least < before - SUDDEN:
            self.seconds = least
        else:
            step = SLEW * max(0.0, arrived - self._at)
            self.seconds += min(step, max(-step, least - before))
        self._at = max(self._at, arrived)
        return 0.0

    def restart(self) -> None:
        """Their clock was set: what was known of it is wrong now, but was right before."""
        self.seconds, self._settled = None, -math.inf
        self._shortest.clear()


class TrackClock:
    """One track of a person, whose other tracks share `offset`."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset
        self._report: tuple[int, float] | None = None
        self._source = -1
        self._odd = 0
        self._arrival = math.inf
        self._shortest = Shortest()
        self._came = (-1, math.inf)

    @property
    def known(self) -> bool:
        """Whether the sender has said what its ticks mean."""
        return self._report is not None and self._offset.seconds is not None

    def came(self, frame: Frame) -> None:
        """A frame has come; to be said of each before it is placed."""
        late = frame.arrived - frame.timestamp / frame.clock_rate
        self._arrival = min(self._arrival, late)
        if frame.source != self._came[0]:
            self._shortest.clear()
        self._came = frame.source, self._shortest.put(late, frame.arrived)

    def report(self, source: int, timestamp: int, ntp: float, arrived: float, rate: int) -> float:
        """The sender's report: tick `timestamp` of `source` is its moment `ntp`. By how much
        (s) all frames that were placed until now are to be moved."""
        if self._report is not None and source == self._source:
            expected = self._report[1] + (timestamp - self._report[0]) / rate
            if abs(ntp - expected) > SUDDEN:
                self._odd += 1
                if self._odd < REPEATED:
                    return 0.0
                self._offset.restart()
        self._odd = 0
        self._source, self._report = source, (timestamp, ntp)
        most = math.inf
        if self._came[0] == source:
            most = self._came[1] + timestamp / rate - ntp
        return self._offset.put(ntp, arrived, most)

    def place(self, frame: Frame) -> float:
        """When a frame was made, on our clock. Before the first report: as if it had come by
        the shortest way that any did that has come until now, also after it."""
        if self._report is None or self._offset.seconds is None:
            return self._arrival + frame.timestamp / frame.clock_rate
        timestamp, ntp = self._report
        return ntp + (frame.timestamp - timestamp) / frame.clock_rate + self._offset.seconds
