"""A recording of coded frames, written beside the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from .media.frames import Frame
from .media.writing import FileWriter

MAX_WAITING = 2_048


class Recording:
    """A WebM or Matroska file (by its ending) of what a call sends, without decoding it.

        async with bots.Recording("call.webm") as file:
            async for frame in call.frames():
                file.write(frame)

    WebM holds VP8, VP9 and Opus; Matroska everything. The file must not exist before. It is
    played while it grows, and up to its last second after a crash. `dropped` counts frames for
    which the disk was too slow (more than 2,048 waited), `left_out` those that the file cannot
    hold: pictures before the first keyframe, a ninth codec.
    """

    def __init__(self, path: str | Path) -> None:
        self.dropped = 0
        self._writer = FileWriter(Path(path))
        self._waiting: list[Frame] = []
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, "recording")
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def left_out(self) -> int:
        """How many frames the file cannot hold."""
        return self._writer.left_out

    def write(self, frame: Frame) -> None:
        """Have a frame written. Raises `CannotRecord` when an earlier one could not be."""
        if self._task is not None and self._task.done():
            self._task.result()
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(frame)
        self._wake.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._write(), name="recording")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits and finish the file. Raises `CannotRecord`."""
        assert self._task is not None
        self._ended = True
        self._wake.set()
        try:
            await self._task
        finally:
            self._pool.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._ended or self._waiting:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                frames, self._waiting = self._waiting, []
                await loop.run_in_executor(self._pool, self._writer.write, frames)
        finally:
            await loop.run_in_executor(self._pool, self._writer.close)
