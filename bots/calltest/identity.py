"""Whose each picture is that arrived, and which one. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .observed import Direction, SeenPicture

SEQUENCES = 1 << 16
STAMPS = 1 << 16
# A stamp that is further from when the picture was taken belongs to another picture.
STALE = 1.0
# So many in a row with the same difference, after some without, and it is the clock.
JUMPED = 5
_SAME = 0.1


@dataclass(slots=True)
class Identified:
    """What came of looking at every picture that arrived.

    `first`: the first time each picture of this direction was seen, by its sequence, in order of
    arrival. `order`: the same sequences, with None where a picture could not be read. `repeats`:
    which were seen again, and how many seconds after the first time; `behind`: how many of these
    came after newer ones. `strange`: how many of which other stream. `jump`: by how many seconds
    the sender's clock jumped, as its stamps show.
    """

    first: dict[int, SeenPicture] = field(default_factory=dict)
    order: list[int | None] = field(default_factory=list)
    repeats: list[tuple[int, float]] = field(default_factory=list)
    behind: int = 0
    reordered: int = 0
    erased: int = 0
    torn: int = 0
    stale: int = 0
    strange: Counter[int] = field(default_factory=Counter)
    jump: float | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """A picture with the identity of this direction: where in the order of arrival it stands, and
    by how many seconds its stamp is later than when that picture was taken."""

    place: int
    sequence: int
    late: float

    @property
    def wrong(self) -> bool:
        return abs(self.late) > STALE


def unwrap(value: int, near: int, size: int = SEQUENCES) -> int:
    """The number that is `value` modulo `size` and nearest to `near`."""
    return near + (value - near + size // 2) % size - size // 2


def identify(direction: Direction) -> Identified:
    """Name each picture that arrived.

    - erased: its marks could not be read; torn: its top and bottom are of two pictures;
    - strange: it carries the identity of another stream;
    - stale: it was never sent in this call, or not when its stamp says, as one from an earlier
      call would be;
    - repeated: seen before; reordered: new, but one that was sent after it came before it
      (RFC 4737, section 3.3).
    """
    found = Identified()
    named = _named(direction, found)
    found.jump = _jump(named)
    by_place = {n.place: n for n in named}
    highest = -1
    for place, seen in enumerate(direction.seen):
        if seen.torn or seen.stream is None or seen.sequence is None:
            found.torn += seen.torn
            found.erased += not seen.torn
            found.order.append(None)
        elif seen.stream != direction.stream:
            found.strange[seen.stream] += 1
        elif (n := by_place.get(place)) is None or (n.wrong and found.jump is None):
            found.stale += 1
        elif n.sequence in found.first:
            found.repeats.append((n.sequence, seen.shown - found.first[n.sequence].shown))
            found.behind += n.sequence < highest
        else:
            found.first[n.sequence] = seen
            found.order.append(n.sequence)
            found.reordered += n.sequence < highest
            highest = max(highest, n.sequence)
    return found


def _named(direction: Direction, found: Identified) -> list[_Named]:
    """The pictures that bear a number that was sent in this call."""
    sent = {picture.sequence: picture.at for picture in direction.sent}
    named = []
    near = direction.sent[0].sequence if direction.sent else 0
    for place, seen in enumerate(direction.seen):
        if seen.torn or seen.sequence is None or seen.stream != direction.stream:
            continue
        sequence = unwrap(seen.sequence, near)
        if sequence in sent:
            n = _Named(place, sequence, _late(seen.stamp, sent[sequence]))
            near = near if n.wrong else max(near, sequence)
            named.append(n)
    return named


def _late(stamp: int | None, at: float) -> float:
    return 0.0 if stamp is None else unwrap(stamp, round(1000 * at), STAMPS) / 1000 - at


def _jump(named: Sequence[_Named]) -> float | None:
    """After a jump of the sender's clock all stamps are wrong, by the same, on new pictures.
    Stale pictures are wrong from the first on, or single, or numbers that had been."""
    start = next((place for place, n in enumerate(named) if n.wrong), len(named))
    right, tail = named[:start], named[start:]
    if not right or len(tail) < JUMPED:
        return None
    same = all(abs(n.late - tail[0].late) < _SAME for n in tail)
    fresh = min(n.sequence for n in tail) > max(n.sequence for n in right)
    return tail[0].late if same and fresh else None


def unread(order: Sequence[int | None]) -> Iterator[tuple[int, float, float]]:
    """Runs of pictures that could not be read: how many, and the sequences seen around them
    (without end where there is none)."""
    before, run = -math.inf, 0
    for sequence in order:
        if sequence is None:
            run += 1
            continue
        if run:
            yield run, min(before, sequence), max(before, sequence)
        before, run = sequence, 0
    if run:
        yield run, before, math.inf
