"""Freezes of a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .units import about

AVERAGED = 30
LEAST_SAMPLES = 5
LEAST_INCREASE = 0.150
FACTOR = 3


@dataclass(frozen=True, slots=True)
class Freezes:
    """How often and how long the picture stood.

    `count` and `seconds` are `freezeCount` and `totalFreezesDuration` of W3C's Identifiers for
    WebRTC's Statistics API: an interval between two pictures shown is a freeze if it is at least
    max(3 * a, a + 150 ms), where a is the average of the last 30 intervals; its whole length
    counts. As in browsers the interval itself is one of the 30, and there is no freeze before
    there are five. That definition knows neither a picture that stands until the end nor the same
    picture again and again: `still` is the longest time without a new picture, until the end of
    the call included.
    """

    count: int = field(default=0, metadata=about("count", "freezes (W3C `freezeCount`)"))
    seconds: float = field(
        default=0.0, metadata=about("time", "their length together (W3C `totalFreezesDuration`)")
    )
    longest: float = field(default=0.0, metadata=about("time", "the longest freeze"))
    share: float = field(default=0.0, metadata=about("share", "of the time with a picture"))
    still: float | None = field(
        default=None,
        metadata=about("time", "the longest without a new picture, until the end included"),
    )


def intervals(shown: Sequence[float]) -> list[tuple[float, float]]:
    """The freezes among the times at which pictures were shown, in order: when each began and
    how long it was, in seconds."""
    found, recent = [], list[float]()
    for before, after in zip(shown, shown[1:], strict=False):
        recent.append(after - before)
        del recent[:-AVERAGED]
        average = sum(recent) / len(recent)
        if len(recent) >= LEAST_SAMPLES and after - before >= max(
            FACTOR * average, average + LEAST_INCREASE
        ):
            found.append((before, after - before))
    return found


def freezes(shown: Sequence[float], fresh: Sequence[float], end: float) -> Freezes:
    """`shown`: when any picture was shown; `fresh`: when one that had not been shown before;
    `end`: when watching ended. All by the receiver's clock, in order."""
    found = [length for _, length in intervals(shown)]
    whole = shown[-1] - shown[0] if len(shown) > 1 else 0.0
    times = [*fresh, max(end, fresh[-1])] if fresh else []
    return Freezes(
        count=len(found),
        seconds=sum(found),
        longest=max(found, default=0.0),
        share=sum(found) / whole if whole > 0 else 0.0,
        still=max((b - a for a, b in zip(times, times[1:], strict=False)), default=None),
    )
