"""Pictures of several people side by side in one. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from av import VideoFrame
from av.filter import Graph

MOST_WIDE, MOST_HIGH = 1280, 720
_BLACK = (16, 128, 128)

Size = tuple[int, int]


class Empty:
    """A cell in which there is nothing."""


EMPTY = Empty()


def cell_size(sizes: Sequence[Size]) -> Size:
    """The size in which everybody fits who sends pictures of these sizes; even numbers."""
    high = min(MOST_HIGH, max(height for _, height in sizes))
    wide = min(MOST_WIDE, max(width * high / height for width, height in sizes))
    return max(2, round(wide / 2) * 2), max(2, high // 2 * 2)


class Cell:
    """What one participant shows: the pictures of `frames`, with the time (seconds) of each,
    one after the other, and nothing after `end`."""

    def __init__(self, frames: Iterator[tuple[float, VideoFrame]], end: float, size: Size) -> None:
        self._frames = frames
        self._next = next(frames, None)
        self._end = end
        self._size = size
        self._fitting: tuple[tuple[int, int, str], Graph] | None = None
        self._showing = False

    def at(self, moment: float) -> VideoFrame | Empty | None:
        """What is to be shown from a moment on, None when it is still what was before. Ask with
        later and later moments."""
        latest: VideoFrame | None = None
        while self._next is not None and self._next[0] <= moment:
            latest = self._next[1]
            self._next = next(self._frames, None)
        if latest is not None:
            self._showing = True
            return self._fit(latest)
        if moment > self._end and self._next is None:
            shown, self._showing = self._showing, False
            return EMPTY if shown else None
        return None

    def _fit(self, frame: VideoFrame) -> VideoFrame:
        """The picture in the size of the cell, with its own proportions."""
        form = frame.width, frame.height, frame.format.name
        if self._fitting is None or self._fitting[0] != form:
            self._fitting = form, self._graph(frame)
        frame.pts, frame.time_base = None, Fraction(1, 1000)
        graph = self._fitting[1]
        graph.push(frame)
        fitted = graph.pull()
        assert isinstance(fitted, VideoFrame)
        return fitted

    def _graph(self, frame: VideoFrame) -> Graph:
        wide, high = self._size
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format,
                time_base=Fraction(1, 1000),
            ),
            graph.add(
                "scale", f"{wide}:{high}:force_original_aspect_ratio=decrease:force_divisible_by=2"
            ),
            graph.add("pad", f"{wide}:{high}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("format", "yuv420p"),
            graph.add("buffersink"),
        ).configure()  # fmt: skip
        return graph


class Canvas:
    """Cells of one size in a row. `advance` to a moment, then `draw` the whole."""

    def __init__(self, cells: Sequence[Cell], size: Size) -> None:
        self._cells = cells
        self._size = size
        self.width, self.height = size[0] * len(cells), size[1]
        frame = VideoFrame(self.width, self.height, "yuv420p")
        self._lines = [plane.line_size for plane in frame.planes]
        self._planes = [
            bytearray([black]) * plane.buffer_size
            for plane, black in zip(frame.planes, _BLACK, strict=True)
        ]

    def advance(self, moment: float) -> bool:
        """Go on to a later moment; whether anything looks different now."""
        changed = False
        for column, cell in enumerate(self._cells):
            shown = cell.at(moment)
            if shown is not None:
                self._put(column, shown)
                changed = True
        return changed

    def draw(self) -> VideoFrame:
        """Everybody's picture now."""
        frame = VideoFrame(self.width, self.height, "yuv420p")
        for plane, pixels in zip(frame.planes, self._planes, strict=True):
            plane.update(bytes(pixels))
        return frame

    def _put(self, column: int, frame: VideoFrame | Empty) -> None:
        for number, (pixels, line) in enumerate(zip(self._planes, self._lines, strict=True)):
            half = 2 if number else 1
            wide, high = self._size[0] // half, self._size[1] // half
            source = memoryview(bytes([_BLACK[number]]) * wide)
            step = 0
            if isinstance(frame, VideoFrame):
                source = memoryview(frame.planes[number])
                step = frame.planes[number].line_size
            for row in range(high):
                at = row * line + column * wide
                pixels[at : at + wide] = source[row * step : row * step + wide]
