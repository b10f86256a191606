"""Coded frames of one call into a file, as they are. Blocking, for a worker thread.

Small beside `record`, which keeps recordings of several people with consent and a sidecar: this
is for a bot that wants a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import avc, matroska
from .frames import Frame, Kind
from .matroska import Block, MatroskaFile, Track
from .payload import Codec

CLUSTER_MS = 1_000


class CannotRecord(ValueError):
    """A file that cannot be written; `str()` is a sentence that says why."""


class FileWriter:
    """Writes the frames of a call into a WebM or Matroska file, which must not exist yet.

    A kind or a codec that comes later joins as one more track. Pictures begin with a keyframe;
    what cannot be in the file (before one, or in a ninth track) is counted in `left_out`. Times
    are the senders' own, each kind from the arrival of its first frame.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in (".webm", ".mkv"):
            raise CannotRecord(f"{path}: a recording ends in .webm or .mkv.")
        self.left_out = 0
        self._path = path
        self._file: MatroskaFile | None = None
        self._tracks: dict[Codec, Track] = {}
        self._starts: dict[Kind, tuple[int, int, float]] = {}
        self._last: dict[Kind, int] = {}
        self._began = 0.0
        self._floor = 0
        self._waiting: list[Block] = []

    def write(self, frames: Sequence[Frame]) -> None:
        """Write frames in the order they came. Raises `CannotRecord`."""
        try:
            for frame in frames:
                self._write(frame)
        except OSError as error:
            why = error.strerror or error
            raise CannotRecord(f"{self._path} cannot be written: {why}.") from error

    def close(self) -> None:
        """Finish the file; without a single frame there is none. Raises `CannotRecord`."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.write(self._cluster())
            file.finish()
        except OSError as error:
            why = error.strerror or error
            raise CannotRecord(f"{self._path} cannot be finished: {why}.") from error

    def _write(self, frame: Frame) -> None:
        if self._file is None:
            if not frame.keyframe:
                self.left_out += 1
                return
            self._file, self._began = MatroskaFile(self._path), frame.arrived
        track = self._tracks.get(frame.codec) or self._add(self._file, frame)
        if track is None:
            self.left_out += 1
            return
        at = self._time(frame)
        opens = frame.keyframe and track.video
        if self._waiting and (opens or at - self._waiting[0].at >= CLUSTER_MS):
            self._file.write(self._cluster())
        data = avc.picture(frame.data) if frame.codec == "H264" else frame.data
        self._waiting.append(Block(track.number, at, frame.keyframe, data))

    def _add(self, file: MatroskaFile, frame: Frame) -> Track | None:
        if not frame.keyframe or len(self._tracks) >= matroska.MAX_TRACKS:
            return None
        if self._path.suffix == ".webm" and matroska.suffix([frame.codec]) != ".webm":
            raise CannotRecord(f"{self._path}: WebM holds no {frame.codec}; call it .mkv.")
        private = avc.private(frame.data) if frame.codec == "H264" else b""
        track = self._tracks[frame.codec] = file.add(frame.codec, frame.size, private)
        return track

    def _time(self, frame: Frame) -> int:
        """Where a frame stands in the file, in ms."""
        start = self._starts.get(frame.kind)
        if start is None or start[1] != frame.clock_rate:
            start = frame.timestamp, frame.clock_rate, frame.arrived - self._began
            self._starts[frame.kind] = start
        ticks, rate, offset = start
        at = round(1000 * (offset + (frame.timestamp - ticks) / rate))
        at = max(at, self._floor, self._last.get(frame.kind, -1) + 1)
        self._last[frame.kind] = at
        return at

    def _cluster(self) -> list[Block]:
        """What waits, in order; nothing that follows stands before it."""
        blocks, self._waiting = sorted(self._waiting, key=lambda block: block.at), []
        if blocks:
            self._floor = blocks[0].at
        return blocks
