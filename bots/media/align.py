"""When things happened: the frames of everybody on one clock, ours. Pure.

A sender's RTP ticks say how far frames of one track are apart. Its sender reports say which
moment of its own clock a tick means, so that its tracks can be put in step. Its clock and ours
run apart, and a report is under way for a while; the shortest way of late tells how far they
are apart now. So two people who are recorded stay in step, over hours too.

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
        self._at = 0.0

    def put(self, ntp: float, arrived: float) -> None:
        """A report of theirs has come."""
        least = self._shortest.put(arrived - ntp, arrived)
        if self.seconds is None or least < self.seconds - SUDDEN:
            self.seconds = least
        else:
            most = SLEW * max(0.0, arrived - self._at)
            self.seconds += min(most, max(-most, least - self.seconds))
        self._at = max(self._at, arrived)

    def restart(self) -> None:
        """Their clock was set: what was known of it is wrong."""
        self.seconds = None
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

    @property
    def known(self) -> bool:
        """Whether the sender has said what its ticks mean."""
        return self._report is not None and self._offset.seconds is not None

    def report(self, source: int, timestamp: int, ntp: float, arrived: float, rate: int) -> None:
        """The sender's report: tick `timestamp` of `source` is its moment `ntp`."""
        if self._report is not None and source == self._source:
            expected = self._report[1] + (timestamp - self._report[0]) / rate
            if abs(ntp - expected) > SUDDEN:
                self._odd += 1
                if self._odd < REPEATED:
                    return
                self._offset.restart()
        self._odd = 0
        self._source, self._report = source, (timestamp, ntp)
        self._offset.put(ntp, arrived)

    def came(self, frame: Frame) -> None:
        """A frame has come; to be said of each before it is placed."""
        way = frame.arrived - frame.timestamp / frame.clock_rate
        least = self._shortest.put(way, frame.arrived)
        if not self.known:
            self._arrival = min(self._arrival, least)

    def place(self, frame: Frame) -> float:
        """When a frame was made, on our clock. Before the first report: as if it had come by
        the shortest way that any did that has come until now, also after it."""
        if self._report is None or self._offset.seconds is None:
            return self._arrival + frame.timestamp / frame.clock_rate
        timestamp, ntp = self._report
        return ntp + (frame.timestamp - timestamp) / frame.clock_rate + self._offset.seconds
