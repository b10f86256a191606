"""Time on the wire: RTP ticks that only grow, and what the sender's clock said of them.

Pure: arrival times come in as arguments (seconds, any steady clock).
"""

from __future__ import annotations

from collections.abc import Callable

from .rtcp import NTP_EPOCH

# Seconds by which timestamps may run ahead of arrivals, and may lag: what stood in a queue on
# the way comes late and then all at once, and that is no new source.
JUMP, PAUSE = 2.0, 5.0
SOURCES = 8

OnReport = Callable[[int, int, float, float], None]


def ahead(timestamp: int, other: int) -> int:
    """How far an RTP timestamp is ahead of another, over wraps; negative when behind."""
    return ((timestamp - other + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Timeline:
    """One track's RTP timestamps, of whatever sources, on one line of ticks without end.

    Within a source the ticks are the sender's. Where another source begins (a new SSRC,
    another clock rate, timestamps that leap by `JUMP` seconds against the arrival times, or
    stood still for `PAUSE` seconds) `source` is one more, and the line goes on by as much time
    as passed between arrivals.
    """

    def __init__(self) -> None:
        self.source = 0
        self.rate = 0
        self._last = -1
        self._raw = 0
        self._base = 0
        self._arrived = 0.0
        self._anew = True

    def begin(self) -> None:
        """The next timestamp is of another source."""
        self._anew = True

    def place(self, timestamp: int, rate: int, arrived: float) -> int:
        """The place of the next frame; always later than that of the one before."""
        if self._anew or rate != self.rate:
            self._start(timestamp, rate, arrived)
        else:
            # As `ahead`: this is done for each frame.
            step = ((timestamp - self._raw + 0x80000000) & 0xFFFFFFFF) - 0x80000000
            early = step / rate - (arrived - self._arrived)
            if early > JUMP or early < -PAUSE or step < -JUMP * rate:
                self._start(timestamp, rate, arrived)
            elif step > 0:
                self._base += step
                self._raw = timestamp
        self._arrived = arrived
        self._last = last = self._base if self._base > self._last else self._last + 1
        return last

    def find(self, timestamp: int) -> int:
        """Where a timestamp of the present source lies, before or after the last frame."""
        return self._base + ahead(timestamp, self._raw)

    def _start(self, timestamp: int, rate: int, arrived: float) -> None:
        if self._last < 0:
            # As if it were the sender's own, with room below for reports on earlier moments.
            self._base = timestamp + 2**32
        else:
            passed = max(0.0, arrived - self._arrived)
            # Ticks of another length count anew; only seconds can be compared then.
            last = self._last * rate // self.rate
            self._base = last + max(1, round(passed * rate))
            self._last = last
            self.source += 1
        self.rate, self._raw, self._anew = rate, timestamp, False


class SenderClock:
    """Which moment of the sender's own clock an RTP timestamp means, by its sender reports.

    Two tracks of one sender are in step where their NTP times are equal. `on_report` is called
    with each report: source, RTP timestamp (as in frames), NTP time (seconds since 1900) and
    when it arrived (monotonic seconds).
    """

    def __init__(self) -> None:
        self.on_report: OnReport | None = None
        self._reports: dict[int, tuple[int, float, int]] = {}

    def report(self, source: int, timestamp: int, ntp: int, arrived: float, rate: int) -> None:
        """Take note of a sender report; `ntp` in 64 bits as on the wire."""
        seconds = ntp / 2**32
        self._reports.pop(source, None)
        self._reports[source] = (timestamp, seconds, rate)
        while len(self._reports) > SOURCES:
            del self._reports[next(iter(self._reports))]
        if self.on_report is not None:
            self.on_report(source, timestamp, seconds, arrived)

    def ntp(self, source: int, timestamp: int) -> float | None:
        """The sender's NTP time in seconds since 1900; None before its first report."""
        known = self._reports.get(source)
        if known is None:
            return None
        at, seconds, rate = known
        return seconds + (timestamp - at) / rate

    def wall(self, source: int, timestamp: int) -> float | None:
        """As `ntp`, but in seconds since 1970."""
        seconds = self.ntp(source, timestamp)
        return None if seconds is None else seconds - NTP_EPOCH
