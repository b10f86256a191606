"""How values lie: percentiles by nearest rank. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .units import about


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of a hundred are not above: of N values in
    order the one at ceil(percent / 100 * N), counted from 1 (nearest rank). It is always one
    that was measured. Raises `ValueError` without values or outside of 0 < percent <= 100."""
    if not ordered or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percentage above 0 and up to 100")
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def median(values: Iterable[float]) -> float | None:
    """The value in the middle (the lower of two); None without values."""
    ordered = sorted(values)
    return percentile(ordered, 50) if ordered else None


@dataclass(frozen=True, slots=True)
class Latency:
    """How long marks took from the sender to the receiver; against an echo there and back.

    Measured from when a picture was taken, or a sound begun, to when it was decoded, or its
    first sample arrived. What the receiver itself adds is in it, and stated as `bias`.
    """

    count: int = field(default=0, metadata=about("count", "how many were timed"))
    least: float | None = field(default=None, metadata=about("time", "the shortest"))
    median: float | None = field(default=None, metadata=about("time", "the median"))
    p95: float | None = field(
        default=None, metadata=about("time", "95 of 100 took no longer (nearest rank)")
    )
    worst: float | None = field(default=None, metadata=about("time", "the longest"))
    error: float = field(
        default=0.0,
        metadata=about("time", "how wrong all of these may be: clocks and resolution"),
    )
    bias: float | None = field(
        default=None, metadata=about("time", "what this receiver is known to add, as measured")
    )


def spread(values: Iterable[float], error: float, bias: float | None) -> Latency:
    """Latencies in seconds as one figure."""
    ordered = sorted(values)
    if not ordered:
        return Latency(error=error, bias=bias)
    return Latency(
        count=len(ordered),
        least=ordered[0],
        median=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        worst=ordered[-1],
        error=error,
        bias=bias,
    )
