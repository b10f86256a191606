"""A direction of a call as figures. Pure.

Times are seconds, shares fractions, bitrates bits a second. A figure that could not be measured
is None. Every one has a name with dots, by which thresholds call it: `latency.p95` is the field
`p95` of `Figures.latency`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints

from . import counting, freezes, hearing, timing
from .counting import Frames
from .flow import Flow, flow
from .freezes import Freezes
from .hearing import Sounds
from .identity import Identified, identify
from .observed import Direction, Observed
from .span import span
from .spread import Latency, percentile, spread
from .steps import Setup, setup
from .timing import RESOLUTION, Skew
from .units import About, Value, about


@dataclass(frozen=True, slots=True)
class Similarity:
    """How like the pictures that arrived were to those sent: structural similarity (Wang et al.,
    2004), 1 for the same, of those that were compared."""

    count: int = field(default=0, metadata=about("count", "pictures compared"))
    median: float | None = field(default=None, metadata=about("index", "the median"))
    p5: float | None = field(
        default=None, metadata=about("index", "95 of 100 were at least as like (nearest rank)")
    )
    worst: float | None = field(default=None, metadata=about("index", "the least like"))


@dataclass(frozen=True, slots=True)
class Clock:
    """How the clocks of the two sides stand to each other."""

    offset: float = field(
        default=0.0, metadata=about("time", "what to add to the sender's to have the receiver's")
    )
    error: float = field(
        default=0.0, metadata=about("time", "half of the shortest round trip (RFC 5905)")
    )
    jump: float | None = field(
        default=None, metadata=about("time", "by how much one of them was set during the call")
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """One direction. `name`: like `ann to bob`, or `ann and back` against an echo, where times
    are there and back. `kinds`: what was promised."""

    name: str
    sender: str
    receiver: str
    kinds: tuple[str, ...]
    round_trip: bool
    frames: Frames = field(default_factory=Frames)
    freezes: Freezes = field(default_factory=Freezes)
    latency: Latency = field(default_factory=Latency)
    sound: Sounds = field(default_factory=Sounds)
    skew: Skew = field(default_factory=Skew)
    similarity: Similarity = field(default_factory=Similarity)
    video: Flow = field(default_factory=Flow)
    audio: Flow = field(default_factory=Flow)
    setup: Setup = field(default_factory=Setup)
    clock: Clock = field(default_factory=Clock)
    speech: float | None = field(
        default=None, metadata=about("index", "how intelligible speech stayed (STOI)")
    )
    looped: int = field(
        default=0, metadata=about("count", "pictures that came again after newer ones")
    )
    strange: dict[int, int] = field(default_factory=dict)
    """Which other streams were seen in pictures, and how many pictures of each."""
    strange_sounds: dict[int, int] = field(default_factory=dict)
    """The same of sounds, modulo what their word holds."""

    def flow(self, kind: str) -> Flow:
        """The packets of `video` or `audio`."""
        return self.video if kind == "video" else self.audio


def figures(direction: Direction, observed: Observed) -> Figures:
    """What one direction of a call came to."""
    judged = span(direction, observed)
    found, told = identify(direction), hearing.tell(direction)
    pictures = timing.picture_times(direction, found)
    error = direction.clocks.error + RESOLUTION
    latency = spread((took for _, took in pictures), error, direction.bias.get("video"))
    heard = spread((chirp.took for chirp in told.chirps), error, direction.bias.get("audio"))
    fresh = sorted(seen.shown for seen in found.first.values())
    return Figures(
        name=direction.name,
        sender=direction.sender,
        receiver=direction.receiver,
        kinds=tuple(direction.kinds),
        round_trip=direction.round_trip,
        frames=counting.frames(direction, found, judged, latency.worst),
        freezes=freezes.freezes(
            sorted(seen.shown for seen in direction.seen),
            fresh,
            judged.end + direction.clocks.offset,
        ),
        latency=latency,
        sound=hearing.sounds(direction, told, judged, heard),
        skew=timing.skew(direction, found, told.chirps),
        similarity=_similarity(found),
        video=flow(direction, "video"),
        audio=flow(direction, "audio"),
        setup=setup(
            direction,
            observed,
            fresh[0] if fresh else None,
            min((chirp.heard.at for chirp in told.chirps), default=None),
        ),
        clock=Clock(direction.clocks.offset, direction.clocks.error, timing.jump(direction, found)),
        speech=direction.speech,
        looped=found.behind,
        strange=dict(found.strange),
        strange_sounds={stream: told.strange.count(stream) for stream in set(told.strange)},
    )


def _similarity(found: Identified) -> Similarity:
    values = sorted(s.similarity for s in found.first.values() if s.similarity is not None)
    if not values:
        return Similarity()
    return Similarity(len(values), percentile(values, 50), percentile(values, 5), values[0])


def _names(kind: type[Any], before: str = "") -> Iterator[tuple[str, About]]:
    types = get_type_hints(kind)
    for entry in fields(kind):
        if "about" in entry.metadata:
            yield before + entry.name, entry.metadata["about"]
        elif isinstance(inner := types[entry.name], type) and is_dataclass(inner):
            yield from _names(inner, f"{before}{entry.name}.")


NAMES: dict[str, About] = dict(_names(Figures))
"""Every figure by its name with dots: its unit and what it is."""


def value(figures: Figures, name: str) -> Value:
    """A figure by its name with dots. Raises `KeyError` for one that there is not."""
    if name not in NAMES:
        raise KeyError(name)
    found: Any = figures
    for part in name.split("."):
        found = getattr(found, part)
    result: Value = found
    return result
