"""Token buckets: how often something may be done."""

from __future__ import annotations


class Bucket:
    """Allows `burst` at once and `rate` a second over time.

    `take` is given the time in seconds by a clock that never runs backwards far: a jump
    back gives nothing, a jump forward fills the bucket.
    """

    __slots__ = ("_burst", "_left", "_rate", "_when")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._when = now

    def take(self, now: float) -> bool:
        """Whether it may be done once more at `now`."""
        gained = max(0.0, now - self._when) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._when = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
