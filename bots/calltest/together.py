"""Calls of one test that go on at the same time: what they share, and when they begin."""

from __future__ import annotations

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .camera import Camera
from .chirps import WORDS
from .options import Options
from .scene import Scene

SETTING_UP = 4
"""Calls that connect at a time: more would be in each other's way."""


class Meeting:
    """A point at which `count` calls wait for each other; who will not come says so."""

    def __init__(self, count: int) -> None:
        self._missing = set(range(count))
        self._all_here = asyncio.Event()

    async def wait(self, number: int) -> None:
        """Be here, and wait for the others."""
        self.leave(number)
        await self._all_here.wait()

    def leave(self, number: int) -> None:
        """Be waited for no longer."""
        self._missing.discard(number)
        if not self._missing:
            self._all_here.set()


class Together:
    """What `count` calls have in common. Enter it.

    One camera makes the pictures of all who call, another those of all who are called: each
    picture is coded once, however many send it. Sounds are everybody's own. A call alone has no
    such `camera`. All `begin` to send when each is connected, or will never be; `turn` is for
    setting one up.
    """

    def __init__(self, options: Options, dice: random.Random, count: int = 1) -> None:
        self.begin = Meeting(count)
        self.turn = asyncio.Semaphore(SETTING_UP)
        self.pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "calltest")
        self._words = dice.sample(range(WORDS), WORDS)
        self._dice = dice
        self._cameras: list[Camera] = []
        if count > 1:
            pictures = streams(dice, 2)
            scenes = [Scene(stream, *options.size) for stream in pictures]
            self._cameras = [Camera(scene, options, self.pool) for scene in scenes]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the worker threads."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def camera(self, side: int) -> Camera | None:
        """That of the side that calls (0), or is called (1); None: one of its own."""
        return self._cameras[side] if self._cameras else None

    def stream(self, number: int, side: int) -> int:
        """The identity of a side of call `number`: those of sixteen calls sound otherwise."""
        low = self._words[(2 * number + side) % WORDS]
        return low + WORDS * self._dice.randrange(1, 4096 // WORDS)


def streams(dice: random.Random, count: int) -> list[int]:
    """Streams of 12 bits, at most `WORDS`, that a word of sound, which says them modulo `WORDS`,
    tells apart."""
    lowest = dice.sample(range(WORDS), count)
    return [low + WORDS * dice.randrange(1, 4096 // WORDS) for low in lowest]
