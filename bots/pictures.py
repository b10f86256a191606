"""Pictures that a bot makes, on their way out: coded, paced, and again when one was missed."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from av import VideoFrame

from .media.encoding import VIDEO_CLOCK, PictureEncoder, picture_of
from .media.payload import Codec
from .out import Out
from .sounds import Pace
from .values import Picture

BIT_RATE = 1_500_000
# How long the next picture is waited for, before the last one is sent again as a keyframe.
AGAIN = 0.2


class PictureOut:
    """The pictures of a call, in as many bits as the peer wants and the path carries.

    The last one is kept: whoever misses it gets it again.
    """

    def __init__(self, out: Out, pool: Executor) -> None:
        self._out = out
        self._pool = pool
        self._pace = Pace()
        self._first: float | None = None
        self._encoder: PictureEncoder | None = None
        self._codec: Codec | None = None
        self._last: VideoFrame | None = None
        self._turn = asyncio.Lock()
        self._needs_keyframe = True
        self._again: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """What follows has times of its own."""
        self._pace = Pace()
        self._first = None

    async def put(self, picture: Picture) -> None:
        """Send a picture, at its time where it has one. Raises `ValueError`."""
        frame = picture_of(picture.data, picture.width, picture.height, picture.format)
        due = time.monotonic()
        if picture.time is not None:
            self._first = picture.time if self._first is None else self._first
            due = await self._pace.wait(picture.time - self._first)
        await self.show(frame, due)

    async def show(self, frame: VideoFrame, due: float) -> None:
        """Send a picture now, with the timestamp of the moment `due`."""
        self._out.request = self._requested
        self._last = frame
        track = self._out.track()
        if track is None or track.codec is None:
            self._needs_keyframe = True
            return
        async with self._turn:
            bits = min(BIT_RATE, track.bits)
            encoder, codec = self._encoder, track.codec
            if encoder is None or (codec, track.slices) != (self._codec, encoder.slices):
                self._codec = codec
                self._encoder = encoder = PictureEncoder(codec, bits, track.slices)
            else:
                encoder.adapt(bits, time.monotonic())
            keyframe, self._needs_keyframe = self._needs_keyframe, False
            ticks = self._out.ticks(due, VIDEO_CLOCK)
            coded = await asyncio.get_running_loop().run_in_executor(
                self._pool, encoder.encode, frame, ticks, keyframe
            )
            sent = coded is not None and self._out.send(
                codec, coded.data, coded.ticks, coded.keyframe
            )
            self._needs_keyframe = self._needs_keyframe or (keyframe and not sent)

    def forget(self) -> None:
        """Others send pictures now."""
        self._last = None
        self._encoder = None

    def _requested(self) -> None:
        self._needs_keyframe = True
        if self._again is None or self._again.done():
            self._again = asyncio.create_task(self._show_again(), name="picture again")

    async def _show_again(self) -> None:
        await asyncio.sleep(AGAIN)
        if self._needs_keyframe and self._last is not None:
            await self.show(self._last, time.monotonic())

    async def close(self) -> None:
        """Send nothing more."""
        self.forget()
        if self._again is not None:
            self._again.cancel()
            await asyncio.wait((self._again,))
