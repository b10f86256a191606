"""A file on its way out: as it is coded where the peer takes that, else coded anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from .media.encoding import VIDEO_CLOCK
from .media.frames import Kind
from .media.payload import Codec
from .media.reading import CHANNELS, RATE, CannotPlay, FileReader, Piece
from .out import Out
from .pictures import PictureOut
from .sounds import AHEAD, Pace, SoundOut

# What is kept since the last keyframe, to be sent again to whoever missed it.
MOST_KEPT = 512 * 1024
AGAIN_EVERY = 0.5

Result = TypeVar("Result")


class Kept:
    """The coded pictures since the last keyframe, for a peer that has lost the thread.

    A file's pictures cannot be coded otherwise on demand, so what led to the present one is
    sent again at once; where that is too much, the peer waits for the next keyframe.
    """

    def __init__(self, out: Out) -> None:
        self.wanted = False
        self._out = out
        self._codec: Codec | None = None
        self._pictures: list[tuple[bytes, bool]] = []
        self._bytes = 0
        self._at = 0.0
        self._skipping = False

    def request(self) -> None:
        """The peer needs a keyframe."""
        self.wanted = True

    def repeat(self) -> None:
        """The peer needs a keyframe after the end: what led to the last picture is sent again."""
        now = time.monotonic()
        if self._codec is not None and now - self._at >= AGAIN_EVERY:
            self._again(self._codec, self._out.ticks(now, VIDEO_CLOCK))

    def send(self, codec: Codec, data: bytes, ticks: int, keyframe: bool) -> None:
        """Send a picture, and before it what the peer misses."""
        self._codec = codec
        if keyframe:
            self._pictures, self._bytes = [], 0
            self.wanted = self._skipping = False
        elif self.wanted and not self._out.thinned and time.monotonic() - self._at >= AGAIN_EVERY:
            self._again(codec, ticks)
        if self._bytes <= MOST_KEPT:
            self._pictures.append((data, keyframe))
            self._bytes += len(data)
        if not self._skipping:
            self._out.send_coded(codec, data, ticks, keyframe)

    def _again(self, codec: Codec, ticks: int) -> None:
        self.wanted = False
        self._at = time.monotonic()
        if self._bytes > MOST_KEPT:
            # Nothing could be made of what follows.
            self._skipping = True
            return
        first = ticks - len(self._pictures)
        for number, (data, keyframe) in enumerate(self._pictures):
            self._out.send(codec, data, first + number, keyframe)


class Player:
    """Plays one file: `open`, then `run`, which closes it. Raises `CannotPlay`."""

    def __init__(
        self, path: Path, outs: Mapping[Kind, Out], pictures: PictureOut, pool: Executor
    ) -> None:
        self._path = path
        self._outs = outs
        self._pictures = pictures
        self._pool = pool
        self._pace = Pace()
        self._sound = SoundOut(outs["audio"], pool, self._pace)
        self._kept = Kept(outs["video"])
        self._reader: FileReader | None = None

    async def open(self, codecs: Mapping[Kind, Collection[Codec]]) -> list[Kind]:
        """Open the file for a peer that takes these codecs of each kind; the kinds in it."""
        loop = asyncio.get_running_loop()
        reader = await loop.run_in_executor(self._pool, FileReader, self._path, codecs)
        self._reader = reader
        kinds = [source.kind for source in reader.sources.values()]
        if not kinds:
            await self._close()
            raise CannotPlay(f"The other side takes nothing of what {self._path} holds.")
        if any(s.kind == "video" and s.codec is not None for s in reader.sources.values()):
            self._pictures.forget()
            self._outs["video"].request = self._kept.request
        return kinds

    async def run(self, loop: bool) -> None:
        """Play it to its end, or for ever."""
        assert self._reader is not None
        offset = 0.0
        try:
            while True:
                pieces = await self._play_once(self._reader, offset)
                if not loop:
                    break
                if not pieces:
                    raise CannotPlay(f"{self._path} is empty.")
                offset += self._reader.length
                await self._run(self._reader.rewind)
            await self._sound.finish()
            if self._outs["video"].request == self._kept.request:
                self._outs["video"].request = self._kept.repeat
        finally:
            await self._close()

    async def _play_once(self, reader: FileReader, offset: float) -> int:
        """How many pieces there were."""
        count = 0
        pieces = await self._run(reader.read)
        while pieces:
            # Read on meanwhile: a slow disk is not to be heard.
            following = asyncio.ensure_future(self._run(reader.read))
            try:
                for piece in pieces:
                    await self._send(piece, offset)
                count += len(pieces)
            except BaseException:
                await asyncio.wait((following,))
                following.exception()
                raise
            pieces = await following
        return count

    async def _send(self, piece: Piece, offset: float) -> None:
        at = offset + piece.time
        if piece.sound:
            self._sound.skip(at)
            await self._sound.put(piece.sound, RATE, CHANNELS)
            return
        due = await self._pace.wait(at, AHEAD if piece.kind == "audio" else 0.0)
        if piece.picture is not None:
            await self._pictures.show(piece.picture, due)
        elif piece.codec is not None:
            out = self._outs[piece.kind]
            track = out.track()
            if track is None:
                return
            ticks = out.ticks(due, VIDEO_CLOCK if piece.kind == "video" else RATE)
            if piece.kind == "video":
                self._kept.send(piece.codec, piece.coded, ticks, piece.keyframe)
            else:
                out.send(piece.codec, piece.coded, ticks, keyframe=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        """Do something that blocks, in a worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _close(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await self._run(reader.close)
