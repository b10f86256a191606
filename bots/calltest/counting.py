"""Pictures as counts: delivered, lost, repeated, reordered, damaged, wrong, stale. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from .identity import Identified, unread
from .observed import Direction
from .span import Span
from .spread import median
from .units import about


@dataclass(frozen=True, slots=True)
class Frames:
    """The pictures of one direction as counts.

    `due` are those sent within the measured part that should have arrived by its end: what was
    under way then is not counted, unless it did arrive. Each of them was `delivered`, arrived but
    could not be read (one of the `damaged`), or is `lost`.
    """

    sent: int = field(default=0, metadata=about("count", "sent at all"))
    due: int = field(default=0, metadata=about("count", "sent, and should have arrived by the end"))
    seen: int = field(default=0, metadata=about("count", "arrived and decoded, whatever they were"))
    identified: int = field(
        default=0, metadata=about("count", "different pictures of this call whose marks were read")
    )
    delivered: int = field(default=0, metadata=about("count", "of those due, identified"))
    lost: int = field(default=0, metadata=about("count", "of those due, never arrived"))
    loss: float = field(default=0.0, metadata=about("share", "lost, of those due"))
    repeated: int = field(default=0, metadata=about("count", "arrived again"))
    reordered: int = field(default=0, metadata=about("count", "came after one sent later"))
    erased: int = field(default=0, metadata=about("count", "arrived with marks nobody can read"))
    torn: int = field(default=0, metadata=about("count", "top and bottom of two pictures"))
    damaged: int = field(default=0, metadata=about("count", "erased or torn"))
    damage: float = field(default=0.0, metadata=about("share", "damaged, of all seen"))
    wrong: int = field(default=0, metadata=about("count", "of another stream"))
    stale: int = field(default=0, metadata=about("count", "of another time: an earlier call"))
    keyframes: int = field(default=0, metadata=about("count", "seen that were keyframes"))
    gaps: int = field(default=0, metadata=about("count", "times packets were lost for good"))
    rate: float | None = field(
        default=None,
        metadata=about("pictures", "new pictures a second, first to last"),
    )
    width: int | None = field(default=None, metadata=about("pixels", "width most of the time"))
    height: int | None = field(default=None, metadata=about("pixels", "height most of the time"))
    scale: float | None = field(
        default=None, metadata=about("share", "height received, of the height sent (median)")
    )


def frames(direction: Direction, found: Identified, span: Span, worst: float | None) -> Frames:
    """Count the pictures of a direction. `worst`: the longest that any took, in seconds."""
    due = expected(direction, found, span, worst)
    delivered = sum(sequence in found.first for sequence in due)
    lost = len(due) - delivered
    lost -= _spoilt({s for s in due if s not in found.first}, found.order)
    damaged = found.erased + found.torn
    seen = [s for s in direction.seen if s.stream in (None, direction.stream)]
    sizes = Counter((s.width, s.height) for s in seen)
    width, height = sizes.most_common(1)[0][0] if sizes else (None, None)
    middle = median(s.height for s in seen)
    return Frames(
        sent=len(direction.sent),
        due=len(due),
        seen=len(direction.seen),
        identified=len(found.first),
        delivered=delivered,
        lost=lost,
        loss=lost / len(due) if due else 0.0,
        repeated=len(found.repeats),
        reordered=found.reordered,
        erased=found.erased,
        torn=found.torn,
        damaged=damaged,
        damage=damaged / len(direction.seen) if direction.seen else 0.0,
        wrong=found.strange.total(),
        stale=found.stale,
        keyframes=sum(s.keyframe for s in direction.seen),
        gaps=sum(s.gap for s in direction.seen),
        rate=_rate(found),
        width=width,
        height=height,
        scale=None if middle is None else middle / direction.size[1],
    )


def expected(direction: Direction, found: Identified, span: Span, worst: float | None) -> list[int]:
    """The sequences of the pictures that were due: of the call as `span` says, from the first
    that came through on (see `Span.opened`)."""
    span = span.opened(p.at for p in direction.sent if p.sequence in found.first)
    return [
        picture.sequence
        for picture in direction.sent
        if span.due(picture.at, worst)
        or (picture.sequence in found.first and span.begin <= picture.at <= span.end)
    ]


def _spoilt(missing: Collection[int], order: list[int | None]) -> int:
    """How many of those missing did arrive, but damaged: for each run of unreadable pictures no
    more than were missing between its neighbours."""
    total = 0
    for run, before, after in unread(order):
        total += min(run, sum(before < sequence < after for sequence in missing))
    return total


def _rate(found: Identified) -> float | None:
    shown = sorted(seen.shown for seen in found.first.values())
    if len(shown) < 2 or shown[-1] == shown[0]:
        return None
    return (len(shown) - 1) / (shown[-1] - shown[0])
