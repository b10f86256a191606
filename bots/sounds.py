"""Sound that a bot makes, on its way out: coded, and paced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from .media.encoding import Coded, SoundEncoder
from .media.payload import Codec
from .out import Out
from .values import Sound

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


class Cue:
    """A sound that is sent again and again, in many calls: it is coded once for each codec."""

    def __init__(self, sound: Sound) -> None:
        self.sound = sound
        self._coded: dict[Codec, tuple[int, list[Coded]]] = {}

    def known(self, codec: Codec) -> bool:
        """Whether it was coded already: `coded` then does not block."""
        return codec in self._coded

    def coded(self, codec: Codec) -> tuple[int, list[Coded]]:
        """Its ticks a second, and its packets. Blocks the first time."""
        if codec not in self._coded:
            encoder, sound = SoundEncoder(codec), self.sound
            packets = encoder.encode(sound.data, sound.rate, sound.channels) + encoder.flush()
            self._coded[codec] = encoder.clock_rate, packets
        return self._coded[codec]


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

    async def put_cue(self, cue: Cue) -> None:
        """Send such a sound after what was put; returns when the next piece is wanted."""
        await self._flush()
        self._encoder = None
        track = self._out.track()
        codec = track.codec if track is not None else None
        if codec is None:
            await self._pass(cue.sound.seconds)
            return
        before = self._seconds
        self._seconds += cue.sound.seconds
        if not cue.known(codec):
            await asyncio.get_running_loop().run_in_executor(self._pool, cue.coded, codec)
        rate, packets = cue.coded(codec)
        await self._send(packets, codec, rate, before)

    def skip(self, at: float) -> None:
        """Let the next piece be heard at a time of its own, where that is later."""
        if at - self._seconds > AHEAD:
            self._seconds = at
            self._encoder = None

    async def _put(self, data: bytes, rate: int, channels: int) -> None:
        seconds = len(data) / (2 * channels * rate)
        track = self._out.track()
        if track is None or track.codec is None:
            self._encoder = None
            await self._pass(seconds)
            return
        if self._encoder is None or track.codec != self._codec:
            self._codec, self._encoder = track.codec, SoundEncoder(track.codec)
            self._before = self._seconds
        loop = asyncio.get_running_loop()
        encode = self._encoder.encode
        coded = await loop.run_in_executor(self._pool, encode, data, rate, channels)
        self._seconds += seconds
        await self._send(coded, track.codec, self._encoder.clock_rate, self._before)

    async def _pass(self, seconds: float) -> None:
        """Nobody listens just now; the time passes all the same."""
        self._pace.moment(self._seconds)
        self._seconds += seconds
        await self._pace.wait(self._seconds, AHEAD)

    async def finish(self) -> None:
        """Send what is left, and wait until all was heard."""
        await self._flush()
        if self._seconds:
            await self._pace.wait(self._seconds)

    async def _flush(self) -> None:
        """Send what is too little for a packet, filled up with silence."""
        if self._encoder is None or self._codec is None:
            return
        flush = self._encoder.flush
        coded = await asyncio.get_running_loop().run_in_executor(self._pool, flush)
        await self._send(coded, self._codec, self._encoder.clock_rate, self._before)

    async def _send(self, coded: Sequence[Coded], codec: Codec, rate: int, before: float) -> None:
        for packet in coded:
            at = before + packet.ticks / rate
            due = await self._pace.wait(at, AHEAD)
            # Whole ticks from one packet to the next, wherever the clock stands.
            start = self._out.ticks(due - packet.ticks / rate, rate)
            self._out.send(codec, packet.data, start + packet.ticks, keyframe=True)
