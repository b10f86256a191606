"""Sound that a bot makes, on its way out: coded, and paced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from .media.encoding import Coded, SoundEncoder
from .media.payload import Codec
from .out import Out

LATE = 0.2
"""Seconds of delay after which what follows is not hurried, but sent later too."""
PIECE = 0.25
AHEAD = 0.04


class Pace:
    """Turns the time of what is sent, from 0, into moments, and waits for them.

    After a pause of the source what follows is sent from then on, not hurried after.
    """

    def __init__(self) -> None:
        self._start: float | None = None

    def moment(self, at: float) -> float:
        """When (monotonic seconds) what has the time `at` is due."""
        now = time.monotonic()
        if self._start is None or now - (self._start + at) > LATE:
            self._start = now - at
        return self._start + at

    async def wait(self, at: float, ahead: float = 0.0) -> float:
        """Wait until then, less `ahead` seconds; the moment."""
        due = self.moment(at)
        left = due - ahead - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        return due


class SoundOut:
    """One run of sound: pieces of any length and rate, one right after the other."""

    def __init__(self, out: Out, pool: Executor, pace: Pace | None = None) -> None:
        self._out = out
        self._pool = pool
        self._pace = pace or Pace()
        self._encoder: SoundEncoder | None = None
        self._codec: Codec | None = None
        self._before = 0.0
        self._seconds = 0.0

    async def put(self, data: bytes, rate: int, channels: int) -> None:
        """Send a piece; returns when the next one is wanted. Raises `ValueError`."""
        if channels not in (1, 2) or not 1000 <= rate <= 192_000:
            raise ValueError("Sound has one channel or two, and 1,000 to 192,000 samples a second.")
        if len(data) % (2 * channels):
            raise ValueError("Sound has two bytes for each sample of each channel.")
        size = 2 * channels * max(1, round(PIECE * rate))
        for at in range(0, len(data), size):
            await self._put(data[at : at + size], rate, channels)

    def skip(self, at: float) -> None:
        """Let the next piece be heard at a time of its own, where that is later."""
        if at - self._seconds > AHEAD:
            self._seconds = at
            self._encoder = None

    async def _put(self, data: bytes, rate: int, channels: int) -> None:
        seconds = len(data) / (2 * channels * rate)
        track = self._out.track()
        if track is None or track.codec is None:
            # Nobody listens just now; the time passes all the same.
            self._encoder = None
            self._seconds += seconds
            await self._pace.wait(self._seconds, AHEAD)
            return
        if self._encoder is None or track.codec != self._codec:
            self._codec, self._encoder = track.codec, SoundEncoder(track.codec)
            self._before = self._seconds
        loop = asyncio.get_running_loop()
        encode = self._encoder.encode
        coded = await loop.run_in_executor(self._pool, encode, data, rate, channels)
        self._seconds += seconds
        await self._send(coded)

    async def finish(self) -> None:
        """Send what is left, and wait until all was heard."""
        if self._encoder is not None:
            coded = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._encoder.flush
            )
            await self._send(coded)
        if self._seconds:
            await self._pace.wait(self._seconds)

    async def _send(self, coded: Sequence[Coded]) -> None:
        assert self._encoder is not None
        assert self._codec is not None
        rate = self._encoder.clock_rate
        for packet in coded:
            at = self._before + packet.ticks / rate
            due = await self._pace.wait(at, AHEAD)
            # Whole ticks from one packet to the next, wherever the clock stands.
            start = self._out.ticks(due - packet.ticks / rate, rate)
            self._out.send(self._codec, packet.data, start + packet.ticks, keyframe=True)
