"""What tests of calls say of media, and why it is not so: `await media.proved(a, b, within=2)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from .counting import Frames
from .figures import Figures, Similarity
from .freezes import Freezes
from .hearing import Sounds
from .observed import Direction
from .page_side import PageSide
from .proof import LEAST_PICTURES, LEAST_SOUNDS
from .side import Side
from .spread import Latency
from .stage import Stage
from .timing import Skew
from .verified import Call, proves


class _Measured(Protocol):
    @property
    def count(self) -> int: ...


_T = TypeVar("_T", bound=_Measured)


class Media:
    """The media of a test's calls, while they go on and after.

    Each figure is that of what a peer receives, as it stands when it is asked for; against an
    echo it is of the way there and back. Where nothing was measured, asking is a failed
    assertion, so that no comparison is made with nothing.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def proved(
        self, a: Side | PageSide, b: Side | PageSide | None = None, within: float = 2.0
    ) -> None:
        """Picture and sound of each arrive at the other, whole and theirs, within so many seconds.
        Raises `AssertionError` that says what arrived instead. `b` is left out where `a` called
        an echo."""
        call = self._stage.call_of(a, b) if b is not None else self._stage.call_of(a)
        before = [(len(d.seen), len(d.heard)) for d in call.directions()]
        if not await call.proved(within):
            raise AssertionError(self._unproved(call, within, before))

    def figures(self, receiver: Side | PageSide) -> Figures:
        """All figures of what a peer receives."""
        call = self._stage.call_of(receiver)
        found = self._stage.judge(call).figures
        return next(figures for figures in found if figures.receiver == receiver.name)

    def frames(self, receiver: Side | PageSide) -> Frames:
        """Pictures as counts: `delivered`, `lost`, `repeated`, `reordered`, `damaged`..."""
        found = self.figures(receiver)
        if not found.frames.due:
            raise AssertionError(f"{found.name}: no picture was due yet.")
        return found.frames

    def sound(self, receiver: Side | PageSide) -> Sounds:
        """Sound: marked sounds as counts, gaps, silence, level and their latency."""
        found = self.figures(receiver)
        if not found.sound.seconds:
            raise AssertionError(f"{found.name}: no sound has arrived.")
        return found.sound

    def latency(self, receiver: Side | PageSide) -> Latency:
        """How old pictures are when they are seen (marked sounds, in a call without pictures);
        seconds."""
        found = self.figures(receiver)
        latency = found.latency if "video" in found.kinds else found.sound.latency
        return _measured(latency, found, "nothing that arrived could be timed")

    def freezes(self, receiver: Side | PageSide) -> Freezes:
        """How often and how long the picture stood still, as W3C's `webrtc-stats` counts it."""
        found = self.figures(receiver)
        if not found.frames.identified:
            raise AssertionError(f"{found.name}: no picture was seen that could stand still.")
        return found.freezes

    def skew(self, receiver: Side | PageSide) -> Skew:
        """How far sound is ahead of the picture; seconds."""
        found = self.figures(receiver)
        return _measured(found.skew, found, "no sound was heard with a picture to compare it to")

    def similarity(self, receiver: Side | PageSide) -> Similarity:
        """How like the pictures sent those are that arrived (SSIM, 0 to 1)."""
        found = self.figures(receiver)
        return _measured(found.similarity, found, "no picture was compared")

    async def speech(self, receiver: Side | PageSide) -> float:
        """How intelligible the voice that `rtc_speech` asks for has stayed by now (STOI, 0 to
        1)."""
        await self._stage.call_of(receiver).judge_speech()
        found = self.figures(receiver)
        if found.speech is None:
            raise AssertionError(
                f"{found.name}: no speech was heard to judge; the marker rtc_speech asks for it."
            )
        return found.speech

    def _unproved(self, call: Call, within: float, before: Sequence[tuple[int, int]]) -> str:
        judged = self._stage.judge(call)
        lines = [f"Not proved in {within:g} s."]
        for direction, (seen, heard) in zip(judged.observed.directions, before, strict=True):
            if not proves(direction, seen, heard):
                lines.append(_arrived(direction, seen, heard))
        told = (f"{r.direction}: {r.sentence}" if r.direction else r.sentence
                for r in judged.verdict.reasons)  # fmt: skip
        return "\n".join([*lines, *(f"The call so far: {line}" for line in told)])


def _measured(value: _T, found: Figures, why: str) -> _T:
    if not value.count:
        raise AssertionError(f"{found.name}: {why}.")
    return value


def _arrived(direction: Direction, seen: int, heard: int) -> str:
    """What came in a direction after the first `seen` pictures and `heard` sounds."""
    pictures, sounds = direction.seen[seen:], direction.heard[heard:]
    ours = len({p.sequence for p in pictures if p.stream == direction.stream})
    right = sum(h.stream == direction.word for h in sounds)
    parts = [
        f"{ours} of {LEAST_PICTURES} pictures that are needed ({len(pictures)} came)"
        if "video" in direction.kinds else "",
        f"{right} of {LEAST_SOUNDS} marked sounds ({len(sounds)} came)"
        if "audio" in direction.kinds else "",
    ]  # fmt: skip
    return f"{direction.name}: {', '.join(filter(None, parts))}."
