"""What a peer sees: coded pictures decoded in a worker thread, their marks read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from ringback.bots.media.decoding import PictureDecoder
from ringback.bots.media.frames import Frame

from . import marks
from .marks import Mark
from .observed import SeenPicture
from .scene import Scene
from .similarity import similarity
from .strand import Strand

COMPARE_EVERY = 1.0
"""Seconds between two pictures that are compared to what was sent: it takes 10 ms."""


class Watcher:
    """Reads every picture of one track: `take` its frames.

    What there was is added to `seen`, in order. `scene`: what should be shown, for comparing;
    None where that is not known. `stamped`: whether stamps mean something. `on_seen` is called
    with each batch. `slow`: the longest from the arrival of a picture until it was decoded, in
    seconds. `first` and `worst`: the first picture that was identified and the one least
    like what was sent.
    """

    def __init__(
        self,
        pool: Executor,
        scene: Scene | None,
        seen: list[SeenPicture],
        on_seen: Callable[[list[SeenPicture]], None],
        *,
        stamped: bool = True,
    ) -> None:
        self._stamped = stamped
        self.seen = seen
        self.slow = 0.0
        self.first: VideoFrame | None = None
        self.worst: VideoFrame | None = None
        self._scene = scene
        self._on_seen = on_seen
        self._decoder = PictureDecoder()
        self._size = (0, 0)
        self._near = 0
        self._compared = -math.inf
        self._least = math.inf
        self._strand = Strand(pool, self._look, self._done)

    @property
    def refused(self) -> int:
        """How many pictures came too fast to be decoded: nobody knows what was in them."""
        return self._strand.refused

    def take(self, frame: Frame) -> None:
        """Have a frame looked at."""
        self._strand.put(frame)

    async def finish(self) -> None:
        """Wait until everything was looked at."""
        await self._strand.finish()

    def _done(self, seen: list[SeenPicture]) -> None:
        self.seen += seen
        self.slow = max([self.slow, *(picture.shown - picture.arrived for picture in seen)])
        self._on_seen(seen)

    def _look(self, frames: list[Frame]) -> list[SeenPicture]:
        return [picture for frame in frames for picture in self._pictures(frame)]

    def _pictures(self, frame: Frame) -> list[SeenPicture]:
        decoded = self._decoder.decode([frame])
        shown = time.monotonic()
        if not decoded:
            # It came, and nothing can be told of it.
            wide, high = frame.size or self._size
            return [_seen(frame, shown, None, wide, high)]
        return [self._read(frame, picture, shown) for _, picture in decoded]

    def _read(self, frame: Frame, picture: VideoFrame, shown: float) -> SeenPicture:
        self._size = picture.width, picture.height
        luma = plane(picture)
        reading = marks.read(luma)
        mark = reading.mark
        if mark is None:
            return _seen(frame, shown, None, *self._size, torn=reading.torn)
        alike = self._compare(luma, picture, mark, frame.arrived)
        number = marks.unwrap(mark.sequence, self._near)
        if self._scene is None or mark.stream == self._scene.stream:
            self._near = number
        return _seen(
            frame, shown, mark, *self._size, number=number, similarity=alike,
            stamp=mark.stamp if self._stamped else None,
        )  # fmt: skip

    def _compare(
        self, luma: NDArray[np.uint8], picture: VideoFrame, mark: Mark, arrived: float
    ) -> float | None:
        scene = self._scene
        if scene is None or mark.stream != scene.stream:
            return None
        if luma.shape != (scene.height, scene.width):
            return None
        if self.first is None:
            self.first = picture
        if arrived - self._compared < COMPARE_EVERY:
            return None
        self._compared = arrived
        alike = similarity(scene.luma(mark), luma)
        if alike < self._least:
            self._least, self.worst = alike, picture
        return alike


def plane(picture: VideoFrame) -> NDArray[np.uint8]:
    """The luma plane, (height, width), without copying."""
    luma = picture.planes[0]
    rows = np.frombuffer(memoryview(luma), np.uint8).reshape(-1, luma.line_size)
    return rows[: picture.height, : picture.width]


def _seen(
    frame: Frame,
    shown: float,
    mark: Mark | None,
    width: int,
    height: int,
    *,
    number: int | None = None,
    stamp: int | None = None,
    torn: bool = False,
    similarity: float | None = None,
) -> SeenPicture:
    return SeenPicture(
        arrived=frame.arrived,
        shown=shown,
        stream=mark.stream if mark is not None else None,
        sequence=number,
        stamp=stamp,
        width=width,
        height=height,
        bytes=len(frame.data),
        keyframe=frame.keyframe,
        torn=torn,
        gap=frame.gap,
        similarity=similarity,
    )
