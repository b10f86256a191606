"""Which part of a call is judged, and how the clocks of its sides stand to each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .observed import Direction, Observed

# How long something sent may be under way before it counts as lost: at least, by what was seen
# of the way, and at most; and where nothing was seen of it.
LEAST_ALLOWANCE = 0.3
MOST_ALLOWANCE = 2.0
BLIND_ALLOWANCE = 0.5
_SPARE = 1.5
WARM_UP = 1.0


@dataclass(frozen=True, slots=True)
class Span:
    """The measured part of a call, by the sender's clock of a direction, in seconds."""

    begin: float
    end: float

    def opened(self, came: Iterable[float]) -> Span:
        """The same from the first mark on that `came` through (when each was made), or from
        `WARM_UP` seconds on, whichever is earlier.

        One side of a call is ready before the other, and what it sends until the other has its
        keys is lost (RFC 5764, section 5.1.2, lets it be dropped). How long that took is a
        figure of its own, the time to the first picture and sound.
        """
        first = min(came, default=None)
        if first is None:
            return self
        return replace(self, begin=max(self.begin, min(first, self.begin + WARM_UP)))

    def due(self, at: float, worst: float | None) -> bool:
        """Whether what was sent at `at` should have arrived by the end, when the way took
        `worst` seconds at most."""
        allowed = BLIND_ALLOWANCE if worst is None else max(LEAST_ALLOWANCE, _SPARE * worst)
        return self.begin <= at <= self.end - min(allowed, MOST_ALLOWANCE)


def span(direction: Direction, observed: Observed) -> Span:
    """The measured part by the sender's clock.

    `Observed.began` is by the clock of the process that judges, and one of the two sides lives
    there. Which one: whose clock puts the first picture or sound nearer to it.
    """
    begin = observed.began
    starts = [s.at for s in direction.sent[:1]] + [s.at for s in direction.sent_chirps[:1]]
    first = min(starts, default=begin)
    offset = direction.clocks.offset
    if abs(first + offset - begin) < abs(first - begin):
        begin -= offset
    return Span(begin, begin + observed.seconds)


def offsets(observed: Observed) -> dict[str, float]:
    """What to take from each side's clock to have the caller's (the side that placed the call,
    or of the first step), as far as directions tie them together."""
    placed = [step.side for step in observed.steps if step.name == "placed"]
    sides = placed or [step.side for step in observed.steps[:1]]
    if not sides:
        return {}
    known = {sides[0]: 0.0}
    for _ in observed.directions:
        for way in observed.directions:
            if way.sender in known and way.receiver not in known:
                known[way.receiver] = known[way.sender] + way.clocks.offset
            elif way.receiver in known and way.sender not in known:
                known[way.sender] = known[way.receiver] - way.clocks.offset
    return known
