"""What somebody says to voicemail: recorded, said again, kept or let go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from . import leftovers
from .media.frames import Frame
from .media.record import Part, Recording, RecordLimits
from .media.sidecar import Reason, Sidecar
from .media.writer import Full, Writer

logger = logging.getLogger(__name__)


class Message:
    """One message (or greeting), in a folder of its own; each take replaces the one before."""

    def __init__(
        self, folder: Path, call: str, name: str, writer: Writer, limits: RecordLimits
    ) -> None:
        self.seconds = 0.0
        """How much sound the take has, also while it goes on."""
        self.folder = folder
        self._call = call
        self._name = name
        self._writer = writer
        self._limits = limits
        self._recording: Recording | None = None

    @property
    def path(self) -> Path:
        """Where the sound of the take is."""
        assert self._recording is not None
        return self.folder / self._recording.about.participants[0].file

    @property
    def said(self) -> bool:
        """Whether there is something to be kept."""
        return self.seconds >= leftovers.LEAST

    @property
    def broken(self) -> bool:
        """Whether the disk, the end of our process or a fault of ours has ended the take."""
        return self._recording is not None and leftovers.broken(self._recording.reason)

    async def take(self, frames: AsyncIterator[Frame], more: Callable[[], None]) -> None:
        """Record until there are no more frames, the limit is reached, or this is cancelled;
        then `end`. `more` is called once it records, and whenever `seconds` has grown. Raises
        `OSError` or `Full` when nothing can be written."""
        await self.discard()
        about = Sidecar(self.folder.name, self._call, round(time.time() * 1000))
        full = asyncio.Event()
        recording = Recording(
            self.folder, about, self._writer, self._limits, on_end=lambda reason: full.set()
        )
        part = recording.part(self._name)
        self._recording = recording
        await recording.start()
        await self._writer.do(partial(leftovers.mark, self.folder))
        more()
        reading = asyncio.create_task(self._read(frames, recording, part, more))
        ended = asyncio.create_task(full.wait())
        try:
            await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, ended):
                task.cancel()
            await asyncio.gather(reading, ended, return_exceptions=True)

    async def _read(
        self, frames: AsyncIterator[Frame], recording: Recording, part: Part,
        more: Callable[[], None],
    ) -> None:  # fmt: skip
        first: float | None = None
        async for frame in frames:
            if not recording.keeps:
                return
            part.put(frame)
            at = frame.timestamp / frame.clock_rate
            first = at if first is None else first
            self.seconds = at - first
            more()

    async def end(self, reason: Reason = "stopped") -> None:
        """Complete the take; `reason` where nothing has ended it yet."""
        if self._recording is None:
            return
        await self._recording.close(reason)
        if self.broken:
            # Not all that came is in the file.
            [part] = self._recording.about.participants
            self.seconds = min(self.seconds, part.duration_ms / 1000)

    async def settle(self) -> None:
        """The exchange knows what became of it."""
        await self._tidy(leftovers.settle)

    async def discard(self) -> None:
        """Let go of what was said."""
        if self._recording is None:
            return
        await self.end()
        self.seconds, self._recording = 0.0, None
        # After what the writer was asked for before, by a take that was given up at once, too.
        await self._tidy(leftovers.remove)

    async def _tidy(self, work: Callable[[Path], None]) -> None:
        try:
            await self._writer.do(partial(work, self.folder))
        except Full as error:
            # A mark that stays is told of once more, a folder that nobody knows is swept.
            logger.warning("%s is left as it is: %s", self.folder, error)
