"""What a peer hears: coded sound decoded in a worker thread, its chirps timed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from ringback.bots.media.decoding import SoundDecoder
from ringback.bots.media.frames import Frame

from .chirps import Ear, Heard
from .observed import HeardChirp, Sound
from .speech import Comparison
from .strand import Strand

RATE = 48_000
REMEMBERED = 512
"""Pieces whose arrival is known: ten seconds, and a chirp is found within one."""
SILENCE = -100.0
PAUSE = 0.05
"""Seconds between two batches: when a sound came is known whenever it is listened to."""


class _Piece(NamedTuple):
    start: int
    arrived: float


class Listener:
    """Listens to one track: `take` its frames. The chirps are added to `heard`, every piece to
    `sounds`, in order; `on_heard` is called after each batch with the chirps in it, if any. What
    is heard is given to `speech`, too, if that is to be judged."""

    def __init__(
        self, pool: Executor, heard: list[HeardChirp], sounds: list[Sound],
        on_heard: Callable[[list[HeardChirp]], None], speech: Comparison | None = None,
    ) -> None:  # fmt: skip
        self.heard = heard
        self.sounds = sounds
        self._on_heard = on_heard
        self._speech = speech
        self._decoder = SoundDecoder(RATE, 1)
        self._ear = Ear()
        self._samples = 0
        self._pieces: deque[_Piece] = deque(maxlen=REMEMBERED)
        self._strand = Strand(pool, self._listen, self._done, PAUSE)

    @property
    def refused(self) -> int:
        """How many packets came too fast to be decoded: nobody knows what was in them."""
        return self._strand.refused

    def take(self, frame: Frame) -> None:
        """Have a frame listened to."""
        self._strand.put(frame)

    async def finish(self) -> None:
        """Wait until everything was listened to."""
        await self._strand.finish()

    def _done(self, made: list[tuple[Sound, list[HeardChirp]]]) -> None:
        self.sounds += [sound for sound, _ in made]
        chirps = [chirp for _, heard in made for chirp in heard]
        self.heard += chirps
        if chirps:
            self._on_heard(chirps)

    def _listen(self, frames: list[Frame]) -> list[tuple[Sound, list[HeardChirp]]]:
        return [self._piece(frame, data) for frame, data in self._decoder.decode(frames)]

    def _piece(self, frame: Frame, data: bytes) -> tuple[Sound, list[HeardChirp]]:
        pcm = np.frombuffer(data, np.int16)
        # Silence for what is missing stands before the packet's own sound.
        own = min(len(pcm), round(RATE * 0.02)) if frame.gap else len(pcm)
        self._pieces.append(_Piece(self._samples + len(pcm) - own, frame.arrived))
        self._samples += len(pcm)
        sound = Sound(frame.arrived, own / RATE, level(pcm[len(pcm) - own :]), frame.gap)
        found = self._ear.hear(pcm)
        if self._speech is not None:
            self._speech.take(pcm, found)
        return sound, [self._chirp(heard) for heard in found]

    def _chirp(self, heard: Heard) -> HeardChirp:
        piece = self._pieces[0]
        for later in reversed(self._pieces):
            if later.start <= heard.sample:
                piece = later
                break
        at = piece.arrived + (heard.sample - piece.start) / RATE
        return HeardChirp(at, heard.stream, heard.number, heard.level)


def level(pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
    """The mean power in dB below that of a full square wave, `SILENCE` for none."""
    if not len(pcm):
        return SILENCE
    power = float(np.mean(np.square(pcm.astype(np.float32) / 32768)))
    return max(SILENCE, 10 * math.log10(power)) if power > 0 else SILENCE
