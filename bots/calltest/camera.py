"""Marked pictures as they are made: drawn and coded in a worker thread, at a steady pace."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

from av import VideoFrame

from ringback.bots.media.encoding import VIDEO_CLOCK, Coded, PictureEncoder

from .marks import Mark
from .options import Options
from .scene import Scene
from .watching import plane


class Shot(NamedTuple):
    """A picture that was taken: which one, when (monotonic seconds), and how it was coded; None
    where the encoder left it out."""

    number: int
    at: float
    coded: Coded | None


class Screen(Protocol):
    """Where the pictures of a camera go."""

    @property
    def on(self) -> bool:
        """Whether pictures are of use there now."""

    @property
    def wants_keyframe(self) -> bool:
        """Whether the next one must be a keyframe."""

    def take(self, shot: Shot) -> None:
        """Here is the next one, whether it is on or not."""


class Camera:
    """Takes the pictures of a `scene` for all who `show` them, and codes each once for all.

    Each is stamped with `time.monotonic()` (in ms) when it is taken. One that would come late is
    left out, number and all, so that those that follow are in time. A keyframe that one screen
    wants all get. Nothing is taken while no screen is on. `slow`: the longest until one was drawn
    and coded, in seconds.
    """

    def __init__(self, scene: Scene, options: Options, pool: Executor) -> None:
        self.scene = scene
        self.slow = 0.0
        self._rate = options.rate
        self._encoder = PictureEncoder(options.codec, options.bit_rate, rate=options.rate)
        # Only brightness changes, so one frame is drawn on again and again: coders keep none.
        self._frame: VideoFrame | None = None
        self._pool = pool
        self._start: float | None = None
        self._screens: list[Screen] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def stream(self) -> int:
        """The identity in its pictures."""
        return self.scene.stream

    def begin(self, at: float) -> tuple[int, float]:
        """Have the first picture taken at `at` (monotonic seconds), unless it runs already: the
        number of the next picture from then on, and when it is taken."""
        if self._start is None:
            self._start = at
        number = max(0, math.ceil((at - self._start) * self._rate))
        return number, self._start + number / self._rate

    async def show(self, screen: Screen) -> None:
        """Give each picture to the screen, until cancelled. Raises what ended the camera."""
        self._screens.append(screen)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="camera")
        running = self._running
        try:
            await asyncio.shield(running)
        finally:
            self._screens.remove(screen)
            if not self._screens:
                self._running = None
                running.cancel()
                await asyncio.wait((running,))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start, number = self._start or time.monotonic(), -1
        while True:
            number = max(number + 1, int((time.monotonic() - start) * self._rate))
            await asyncio.sleep(start + number / self._rate - time.monotonic())
            # Each is asked, as each then looks after its track.
            if on := [screen for screen in self._screens if screen.on]:
                keyframe = any(screen.wants_keyframe for screen in on)
                asked = time.monotonic()
                shot = await loop.run_in_executor(self._pool, self._take, number, keyframe)
                self.slow = max(self.slow, time.monotonic() - asked)
                for screen in self._screens:
                    screen.take(shot)

    def _take(self, number: int, keyframe: bool) -> Shot:
        at = time.monotonic()
        mark = Mark(self.stream, number & 0xFFFF, int(at * 1000) & 0xFFFF)
        if self._frame is None:
            self._frame = VideoFrame.from_ndarray(self.scene.picture(mark), "yuv420p")
        self.scene.draw(plane(self._frame), mark)
        ticks = round(number / self._rate * VIDEO_CLOCK)
        return Shot(number, at, self._encoder.encode(self._frame, ticks, keyframe))
