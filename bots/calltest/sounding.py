"""Marked sounds on their way out: chirps in Opus, in step with the pictures."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from concurrent.futures import Executor
from dataclasses import replace
from functools import lru_cache

from ringback.bots.media.encoding import PACKET, SoundEncoder
from ringback.bots.media.outgoing import Outgoing

from .chirps import PERIOD, WORDS, Chirps, beside
from .hearing import LENGTH
from .marked import Find
from .observed import SentChirp
from .options import SOUND
from .speech import Spoken

RATE = 48_000
SAMPLES = round(RATE * PACKET)
AHEAD = 10
"""Packets coded at once: a fifth of a second."""
CYCLE = round(WORDS * PERIOD / PACKET)
"""Packets (16 s) after which the sound of a word is the same again."""
SEAM = 12
"""The packet to which it goes back: in the quiet after the first mark, where nothing is heard of
it."""


class Reel:
    """The marked sound of one stream, coded once for all who send it: as far as it was wanted by
    now, at most `CYCLE + SEAM` packets. Threads may share it."""

    def __init__(self, chirps: Chirps) -> None:
        self._chirps = chirps
        self._encoder = SoundEncoder(SOUND)
        self._coded: list[bytes] = []
        self._lock = threading.Lock()

    def knows(self, number: int) -> bool:
        """Whether packet `number` is coded: `packet` then does not block."""
        return _place(number) < len(self._coded)

    def packet(self, number: int) -> bytes:
        """Packet `number`, counted from the first mark of the stream."""
        place = _place(number)
        if place >= len(self._coded):
            with self._lock:
                while place >= len(self._coded):
                    pcm = self._chirps.pcm(len(self._coded) * SAMPLES, SAMPLES)
                    coded = self._encoder.encode(pcm.tobytes(), RATE, 1)
                    self._coded += [packet.data for packet in coded]
        return self._coded[place]


def _place(number: int) -> int:
    return number if number < SEAM else SEAM + (number - SEAM) % CYCLE


@lru_cache(maxsize=2 * WORDS)
def reel(word: int, *, spoken: bool) -> Reel:
    """The one of a word, with speech in its pauses or without."""
    return Reel(Spoken(word) if spoken else Chirps(word))


class MarkedSounds:
    """Sends `chirps`, those of one stream. What went out is added to `sent`.

    A packet leaves when its first sample is due, not when its last one is, as a microphone's
    would: how late a chirp is heard is then the network's doing alone. `picture_rate`: chirps
    that begin together with a picture say so.
    """

    def __init__(
        self, reel: Reel, pool: Executor, picture_rate: float | None, sent: list[SentChirp]
    ) -> None:
        self.sent = sent
        self._reel = reel
        self._pool = pool
        self._picture_rate = picture_rate
        self._picture = 0
        self._next = 0
        self._going = False

    async def run(self, find: Find, start: float, picture: int = 0) -> None:
        """Send by the track that `find` gives, the first chirp at `start` (monotonic seconds),
        when that `picture` is taken, until cancelled."""
        self._picture = picture
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            last = number + AHEAD - 1
            if not self._reel.knows(last):
                await loop.run_in_executor(self._pool, self._reel.packet, last)
            while number <= last:
                await asyncio.sleep(start + number * PACKET - time.monotonic())
                self._send(find(), number)
                number += 1

    def _send(self, track: Outgoing | None, number: int) -> None:
        if track is None:
            self._note(number, None)
            return
        if track.codec != SOUND:
            track.select(SOUND)
        at = time.monotonic()
        sent = track.send(self._reel.packet(number), number * SAMPLES, keyframe=True)
        self._note(number, at if sent else None)

    def _note(self, number: int, at: float | None) -> None:
        """Whether a chirp begins in this packet, and so has gone out, or ends in it."""
        self._end(number, at)
        begins = self._next * PERIOD
        if begins >= (number + 1) * PACKET - 1e-9:
            return
        if at is not None:
            rate = self._picture_rate
            after = beside(self._next, rate) if rate is not None else None
            sequence = self._picture + after if after is not None else None
            begun = at + begins - number * PACKET
            self.sent.append(SentChirp(self._next, begun, sequence, math.inf))
            self._going = True
        self._next += 1

    def _end(self, number: int, at: float | None) -> None:
        """Take note of when the last chirp has gone out whole: on a busy machine that is later
        than its length says."""
        if not self.sent or not self._going:
            return
        left = self.sent[-1].number * PERIOD + LENGTH - number * PACKET
        if at is None or left <= PACKET + 1e-9:
            self._going = False
            if at is not None:
                self.sent[-1] = replace(self.sent[-1], ended=at + left)
