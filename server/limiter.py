"""Token buckets: how often something may be done."""

from __future__ import annotations

import ipaddress

FEW = 1024


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
        if self.empty(now):
            return False
        self._left -= 1.0
        return True

    def empty(self, now: float) -> bool:
        """Whether `take` would refuse at `now`."""
        self._fill(now)
        return self._left < 1.0

    def full(self, now: float) -> bool:
        """Whether it is at `now` as if nothing had ever been done."""
        self._fill(now)
        return self._left >= self._burst

    def _fill(self, now: float) -> None:
        gained = max(0.0, now - self._when) * self._rate
        self._left = min(self._burst, self._left + gained)
        self._when = now


class Buckets:
    """A bucket for each key. Full ones are forgotten: there are about as many as keys that
    did something while a bucket fills."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, Bucket] = {}
        self._sweep_at = FEW

    def __len__(self) -> int:
        return len(self._buckets)

    def empty(self, key: str, now: float) -> bool:
        """Whether `take` would refuse `key` at `now`."""
        bucket = self._buckets.get(key)
        return bucket is not None and bucket.empty(now)

    def take(self, key: str, now: float) -> bool:
        """Whether `key` may do it once more at `now`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._buckets = {k: b for k, b in self._buckets.items() if not b.full(now)}
                self._sweep_at = max(FEW, 2 * len(self._buckets))
            bucket = self._buckets[key] = Bucket(self._rate, self._burst, now)
        return bucket.take(now)


def one_place(address: str) -> str:
    """What counts as one address: with IPv6 the /64 that one subscriber has (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(ip) >> 64 << 64))
