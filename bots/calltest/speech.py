"""Speech between the marks of a call test's sound, and how intelligible it stayed.

The clip is cut into pieces of 300 ms. Piece n stands between mark n and the next, so that the marks
say where it begins, however late or stretched the sound is; put together again, the pieces are the
clip without a break. What arrived is compared to what was sent by the short-time objective
intelligibility of Taal, Hendriks, Heusdens and Jensen (2011), in `pystoi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from importlib import import_module, resources
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from .chirps import LENGTH, PERIOD, RATE, WORDS, Chirps, Heard
from .options import CannotCheck

Pcm = NDArray[np.int16]

GUARD = 480
"""Samples (10 ms) left between a mark and speech: a codec smears both."""
STEP = round(PERIOD * RATE)
PIECE = STEP - LENGTH - 2 * GUARD
MOST = 60.0
"""Seconds of sound that are kept: of a longer call the first minute is judged."""
LEAST = 4
"""Pieces (1.2 s) without which nothing is said."""
_SLACK = 240
"""Samples by which two marks may lie otherwise than sent, and what is between them is in place."""
_FADE = 96
_PEAK = 0.5
_CLIPS = ("greeting.webm", "too-short.webm")


async def ready() -> None:
    """Have all that speech takes at hand, in a thread. Raises `CannotCheck` without pystoi."""
    try:
        await asyncio.to_thread(import_module, "pystoi")
    except ModuleNotFoundError as error:
        raise CannotCheck(
            "extra_missing",
            f"How intelligible speech stays is judged with {error.name}: "
            "pip install 'ringback[speech]'.",
        ) from error
    await asyncio.to_thread(clip)


@lru_cache(maxsize=1)
def clip() -> Pcm:
    """The clip as it is sent: `WORDS` pieces below one another, (32, `PIECE`), each of which
    swells and fades for 2 ms."""
    folder = Path(str(resources.files("ringback"))) / "bots" / "prompts"
    whole = np.concatenate([_decoded(folder / name) for name in _CLIPS])[: WORDS * PIECE]
    pieces = (whole * (_PEAK / np.abs(whole).max())).reshape(WORDS, PIECE)
    edge = np.minimum(np.arange(PIECE), np.arange(PIECE)[::-1])
    made: Pcm = np.rint(32767 * pieces * np.minimum(1.0, (edge + 0.5) / _FADE)).astype(np.int16)
    made.flags.writeable = False
    return made


def _decoded(path: Path) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as file:
        frames = [made for frame in file.decode(audio=0) for made in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


class Spoken(Chirps):
    """The marked sound of one stream with speech in its pauses."""

    def pcm(self, start: int, count: int) -> Pcm:
        """As of `Chirps`."""
        made = super().pcm(start, count)
        for number in range(max(0, start // STEP), (start + count) // STEP + 1):
            begin = number * STEP + LENGTH + GUARD - start
            first, last = max(0, begin), min(count, begin + PIECE)
            if first < last:
                made[first:last] = clip()[number % WORDS][first - begin : last - begin]
        return made


class Comparison:
    """Compares the speech of one stream to what was sent: `take` all sound, then ask for its
    `score`."""

    def __init__(self, stream: int) -> None:
        self._stream = stream % WORDS
        self._sound: list[Pcm] = []
        self._samples = 0
        self._marks: list[tuple[int, int]] = []

    def take(self, pcm: Pcm, heard: Sequence[Heard]) -> None:
        """More sound, and the marks that were found with it, whose samples count from the first
        that was taken."""
        if self._samples < MOST * RATE:
            self._sound.append(pcm)
            self._samples += len(pcm)
        for mark in heard:
            if mark.stream == self._stream and mark.number is not None:
                self._marks.append((round(mark.sample), mark.number))

    def score(self) -> float | None:
        """How intelligible it stayed, from 0 to 1; None where too little was heard to say."""
        came = np.concatenate([*self._sound, np.zeros(0, np.int16)])
        pieces = [
            (clip()[place.number], _heard(came, place))
            for place in self._places()
            if place.at is None or place.at + PIECE <= len(came)
        ]
        if len(pieces) < LEAST:
            return None
        # With scipy, which it stands on, it takes a second to be imported.
        stoi = import_module("pystoi").stoi
        sent, heard = (
            np.concatenate(part).astype(np.float64) for part in zip(*pieces, strict=True)
        )
        return min(1.0, max(0.0, float(stoi(sent, heard, RATE))))

    def _places(self) -> Iterator[_Place]:
        """Where each piece that was sent since the first mark is in what came."""
        lead = LENGTH + GUARD
        for (at, number), (later, following) in pairwise(self._marks):
            steps = (following - number) % WORDS
            drift = later - at - steps * STEP
            if steps == 1 and abs(drift) < GUARD + PIECE // 2:
                yield _Place(number, at + lead, drift)
                continue
            yield _Place(number, at + lead)
            for step in range(1, steps):
                place = at + step * STEP + lead if abs(drift) <= _SLACK else None
                yield _Place((number + step) % WORDS, place)
        for at, number in self._marks[-1:]:
            yield _Place(number, at + lead)


class _Place(NamedTuple):
    """Where a piece begins; None where nobody knows, as marks are missing and time was lost or
    gained. `drift`: by how many samples it ends later than it should."""

    number: int
    at: int | None
    drift: int = 0


def _heard(came: Pcm, place: _Place) -> Pcm:
    """A piece as it came. A jitter buffer leaves sound out, or draws it out: where it did, is
    where both parts are most like what was sent."""
    number, at, drift = place
    if at is None:
        return np.zeros(PIECE, np.int16)
    before, sent = came[at : at + PIECE], clip()[number].astype(np.float64)
    after = came[at + drift : at + drift + PIECE]
    if not drift or len(after) < PIECE:
        return before
    fits = np.concatenate([[0.0], np.cumsum(sent * before - sent * after)])
    best = int(fits.argmax())
    return np.concatenate([before[:best], after[best:]])


async def judge(comparison: Comparison | None, pool: Executor) -> float | None:
    """The score of a comparison, worked out in a worker thread."""
    if comparison is None:
        return None
    return await asyncio.get_running_loop().run_in_executor(pool, comparison.score)
