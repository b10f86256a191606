"""Marked sounds on their way out: chirps in Opus, in step with the pictures."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import Executor
from dataclasses import replace

from ringback.bots.media.encoding import PACKET, Coded, SoundEncoder

from .chirps import PERIOD, Chirps, beside
from .hearing import LENGTH
from .marked import Find
from .observed import SentChirp
from .options import SOUND

RATE = 48_000
SAMPLES = round(RATE * PACKET)
AHEAD = 10
"""Packets coded at once: a fifth of a second."""


class MarkedSounds:
    """Sends `chirps`, those of one stream. What went out is added to `sent`.

    A packet leaves when its first sample is due, not when its last one is, as a microphone's
    would: how late a chirp is heard is then the network's doing alone. `picture_rate`: chirps
    that begin together with a picture say so.
    """

    def __init__(
        self, chirps: Chirps, pool: Executor, picture_rate: float | None, sent: list[SentChirp]
    ) -> None:
        self.sent = sent
        self._chirps = chirps
        self._encoder = SoundEncoder(SOUND)
        self._pool = pool
        self._picture_rate = picture_rate
        self._next = 0
        self._going = False

    async def run(self, find: Find, start: float) -> None:
        """Send by the track that `find` gives, the first chirp at `start` (monotonic seconds),
        until cancelled."""
        loop = asyncio.get_running_loop()
        first = 0
        made = loop.run_in_executor(self._pool, self._make, first)
        while True:
            packets = await made
            made = loop.run_in_executor(self._pool, self._make, first + AHEAD)
            try:
                await self._send(find, packets, first, start)
            finally:
                # Whoever stops must not leave the encoder at work behind.
                await asyncio.wait((made,))
            first += AHEAD

    async def _send(self, find: Find, packets: list[Coded], first: int, start: float) -> None:
        for number, coded in enumerate(packets, first):
            await asyncio.sleep(start + number * PACKET - time.monotonic())
            track = find()
            if track is None:
                self._note(number, None)
                continue
            if track.codec != SOUND:
                track.select(SOUND)
            at = time.monotonic()
            sent = track.send(coded.data, coded.ticks, keyframe=True)
            self._note(number, at if sent else None)

    def _note(self, number: int, at: float | None) -> None:
        """Whether a chirp begins in this packet, and so has gone out, or ends in it."""
        self._end(number, at)
        begins = self._next * PERIOD
        if begins >= (number + 1) * PACKET - 1e-9:
            return
        if at is not None:
            rate = self._picture_rate
            sequence = beside(self._next, rate) if rate is not None else None
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

    def _make(self, first: int) -> list[Coded]:
        packets: list[Coded] = []
        for number in range(first, first + AHEAD):
            pcm = self._chirps.pcm(number * SAMPLES, SAMPLES)
            packets += self._encoder.encode(pcm.tobytes(), RATE, 1)
        return packets
