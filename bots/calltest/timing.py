"""How long pictures and sounds took, how they stand to each other, and jumps of clocks. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .hearing import Chirped
from .identity import Identified
from .observed import Direction, SeenPicture
from .spread import median
from .units import about

# Stamps are in ms, and a chirp is timed to better than that.
RESOLUTION = 0.001
# ITU-R BT.1359-1: from where most people notice, and from where they object. Sound before the
# picture is positive.
NOTICED_EARLY, NOTICED_LATE = 0.045, -0.125
ACCEPTED_EARLY, ACCEPTED_LATE = 0.090, -0.185
# A picture this close to a sound will do where its own was not seen.
_NEAR = 0.25
# Clocks that differ at once by more than this, with so many pictures on both sides, were set.
JUMP = 0.5
_EACH_SIDE = 3
_AROUND = 15


@dataclass(frozen=True, slots=True)
class Skew:
    """How far sound is ahead of the picture, as ITU-R BT.1359-1 counts: positive when the sound
    is early, negative when it is late, less what the receiver itself adds to either.

    That recommendation finds +45 ms to -125 ms unnoticed and +90 ms to -185 ms acceptable.
    """

    count: int = field(default=0, metadata=about("count", "sounds compared with their pictures"))
    median: float | None = field(default=None, metadata=about("time", "the median"))
    earliest: float | None = field(default=None, metadata=about("time", "sound furthest ahead"))
    latest: float | None = field(default=None, metadata=about("time", "sound furthest behind"))
    verdict: str | None = field(
        default=None,
        metadata=about("word", "by ITU-R BT.1359-1: unnoticed, acceptable or unacceptable"),
    )


def picture_times(direction: Direction, found: Identified) -> list[tuple[float, float]]:
    """When each identified picture was taken, by the sender's clock, and how long it took until
    it was shown; in the order in which they were taken."""
    return sorted(_ways(direction, found, lambda seen: seen.shown))


def _ways(
    direction: Direction, found: Identified, until: Callable[[SeenPicture], float]
) -> list[tuple[float, float]]:
    """When each identified picture was taken and how long it took, in the order of sequences."""
    taken = {picture.sequence: picture.at for picture in direction.sent}
    offset = direction.clocks.offset
    return [(taken[s], until(found.first[s]) - taken[s] - offset) for s in sorted(found.first)]


def skew(direction: Direction, found: Identified, sounds: Sequence[Chirped]) -> Skew:
    """How long each sound took against the picture taken with it, or the nearest one within a
    quarter of a second. Both from when they went out until they arrived: how long this machine
    took to code the one, and to decode either, is nothing of the call."""
    biases = direction.bias.get("video", 0.0) - direction.bias.get("audio", 0.0)
    coding = {picture.at: picture.coding for picture in direction.sent}
    taken = {picture.sequence: picture.at for picture in direction.sent}
    ways = _ways(direction, found, lambda seen: seen.arrived)
    pictures = sorted((at, took - coding[at]) for at, took in ways)
    values = []
    for chirp in sounds:
        at = chirp.sent.at
        if chirp.sent.sequence is not None:
            at = taken.get(chirp.sent.sequence, at)
        took = _nearest(pictures, at)
        if took is not None:
            values.append(took - chirp.took - biases)
    middle = median(values)
    if middle is None:
        return Skew()
    return Skew(len(values), middle, max(values), min(values), judged(middle))


def judged(value: float) -> str:
    """What ITU-R BT.1359-1 says of a skew."""
    if NOTICED_LATE <= value <= NOTICED_EARLY:
        return "unnoticed"
    return "acceptable" if ACCEPTED_LATE <= value <= ACCEPTED_EARLY else "unacceptable"


def _nearest(pictures: Sequence[tuple[float, float]], at: float) -> float | None:
    place = bisect_left(pictures, (at, float("-inf")))
    near = [(abs(t - at), took) for t, took in pictures[max(0, place - 1) : place + 1]]
    distance, took = min(near, default=(_NEAR, 0.0))
    return took if distance < _NEAR else None


def jump(direction: Direction, found: Identified) -> float | None:
    """By how many seconds the way became shorter (negative) or longer at once because a clock was
    set, or None.

    It was if the sender's stamps say so, if it took a picture before the one before it, or if
    pictures suddenly arrive before they were taken. A way that becomes longer, or a sender that
    pauses, looks like none of these.
    """
    if found.jump is not None:
        return found.jump
    ways = _ways(direction, found, lambda seen: seen.shown)
    for place in range(_EACH_SIDE, len(ways) - _EACH_SIDE + 1):
        (before, took), (after, takes) = ways[place - 1], ways[place]
        # By the least of several on each side: one that is late alone is no jump.
        level = min(t for _, t in ways[place : place + _AROUND]) - min(
            t for _, t in ways[max(0, place - _AROUND) : place]
        )
        impossible = after < before or takes < -direction.clocks.error - RESOLUTION
        if impossible and abs(takes - took) > JUMP and abs(level) > JUMP:
            return takes - took
    return None
