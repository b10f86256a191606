"""When things happened: the frames of everybody on one clock, ours. Pure.

A sender's RTP ticks say how far frames of one track are apart. Its sender reports say which moment
of its own clock a tick means, so that its tracks can be put in step. Its clock and ours run apart,
and a report is under way for a while; the shortest way of late tells how far they are apart now. A
report may be wrong, too: some senders name a tick with the moment at which it was sent, which on a
busy machine is late, now more and now less. The earliest moment that they name counts, so that
such a track does not jump with each report. So two people who are recorded stay in step, over
hours too. At the beginning little is known: nothing may have come by a short way yet on a busy
machine. What is found then to have been wrong was so from the first frame on, and is told, so that
all of it can be moved.

Times are seconds; ours are those of `time.monotonic()`, theirs are NTP's.
"""

from __future__ import annotations

import math
from collections import deque

from .frames import Frame

WINDOW = 30.0
"""How long (s) a short way is remembered. Clocks drift apart 3 ms meanwhile at 100 ppm."""
PAIRED = 10.0
"""How long (s) the earliest moment of a tick is remembered: a few reports of each track. A sound
card that is 100 ppm slow is 1 ms off by it."""
SLEW = 0.002
"""The most that the difference of two clocks is corrected in a second: no jump is to be seen."""
SETTLING = WINDOW
"""Seconds from the first report on in which a shorter way says that all before were late."""
SUDDEN = 0.25
"""A report that contradicts the others by more is believed when it is repeated."""
REPEATED = 3
LATE = 2.0
"""The most (s) by which a first report is taken to have named its tick late."""


class Shortest:
    """The least of what was measured within the last seconds, `window` of them."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._measured: deque[tuple[float, float]] = deque()

    def put(self, value: float, now: float) -> float:
        """One more value; the least one now."""
        while self._measured and self._measured[-1][1] >= value:
            self._measured.pop()
        self._measured.append((now, value))
        while self._measured[0][0] < now - self._window:
            self._measured.popleft()
        return self._measured[0][1]

    def clear(self) -> None:
        """Forget everything."""
        self._measured.clear()


class Offset:
    """How far our clock is ahead of one person's, as their reports show."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._told: float | None = None
        self._most: dict[object, float] = {}
        self._shortest = Shortest()
        self._settled: float | None = None
        self._at = 0.0

    def put(self, track: object, ntp: float, arrived: float, most: float = math.inf) -> float:
        """A report of one of their tracks has come; `most`: what the offset is at most, by the
        frames of that track. A report may have waited where frames did not: none arrives before
        it is made. What a track says takes the place of what it said before, as a report that
        named a tick late made its frames seem early.

        By how much (s, at most 0) all that was placed until now is to be moved.
        """
        late, before = arrived - ntp, self.seconds
        settling = self.settling(arrived)
        if self._settled is None:
            self._settled = arrived + SETTLING
        if settling:
            self._most[track] = most
        elif self._most:
            self._told, self._most = before, {}
        if self._told is None:
            self._told = self._shortest.put(late if settling else min(late, most), arrived)
            self._at = arrived
        else:
            self._told = self._followed(self._told, late, arrived, settling)
        self.seconds = min(self._told, *self._most.values()) if self._most else self._told
        return min(0.0, self.seconds - before) if settling and before is not None else 0.0

    def settling(self, now: float) -> bool:
        """Whether little is known yet, so that what was said may be wrong."""
        return self._settled is None or now < self._settled

    def _followed(self, told: float, late: float, arrived: float, settling: bool) -> float:
        """What is said of the offset, from what was and one more report."""
        least = self._shortest.put(late, arrived)
        step = SLEW * max(0.0, arrived - self._at)
        self._at = max(self._at, arrived)
        if least < told and (settling or least < told - SUDDEN):
            return least
        return told + min(step, max(-step, least - told))

    def restart(self) -> None:
        """Their clock was set: what was known of it is wrong now, but was right before."""
        self.seconds, self._told, self._settled = None, None, -math.inf
        self._most.clear()
        self._shortest.clear()


class TrackClock:
    """One track of a person, whose other tracks share `offset`."""

    def __init__(self, offset: Offset) -> None:
        self._offset = offset
        self._zero: float | None = None
        self._earliest = Shortest(PAIRED)
        self._reported = -math.inf
        self._source = -1
        self._odd = 0
        self._arrival = math.inf
        self._shortest = Shortest()
        self._came = (-1, math.inf)

    @property
    def known(self) -> bool:
        """Whether the sender has said what its ticks mean."""
        return self._zero is not None and self._offset.seconds is not None

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
        zero = ntp - timestamp / rate
        if self._zero is not None and source == self._source:
            early = self._zero - zero
            late = 0 < early < LATE and self._offset.settling(arrived)
            if abs(early) > SUDDEN and not late:
                self._odd += 1
                if self._odd < REPEATED:
                    return 0.0
                self._offset.restart()
                self._zero = None
        else:
            self._source, self._zero = source, None
        self._odd = 0
        self._zero = self._paired(zero, arrived)
        most = self._came[1] - self._zero if self._came[0] == source else math.inf
        return self._offset.put(self, ntp, arrived, most)

    def _paired(self, zero: float, arrived: float) -> float:
        """The moment of tick 0 on their clock, of which a report says that it was `zero`: at once
        when it is earlier than all knew, and slowly later."""
        if self._zero is None:
            self._earliest.clear()
            self._reported = arrived
        earliest = self._earliest.put(zero, arrived)
        step = SLEW * max(0.0, arrived - self._reported)
        self._reported = max(self._reported, arrived)
        return earliest if self._zero is None else min(earliest, self._zero + step)

    def place(self, frame: Frame) -> float:
        """When a frame was made, on our clock. Before the first report: as if it had come by
        the shortest way that any did that has come until now, also after it."""
        if self._zero is None or self._offset.seconds is None:
            return self._arrival + frame.timestamp / frame.clock_rate
        return self._zero + frame.timestamp / frame.clock_rate + self._offset.seconds
