"""Coded frames into a file, as they are. Blocking, for a worker thread."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, cast

import av
from av import AudioStream, Packet, VideoStream
from av.container import OutputContainer
from av.error import FFmpegError

from .frames import Frame, Kind
from .payload import Codec

# How long the other kind is waited for before the file is begun without it, in seconds.
WAIT = 1.5
MOST_WAITING = 2_048
CLOCK = Fraction(1, 1_000)

_SOUND = {"opus": "libopus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
_PICTURE = {"VP8": "vp8", "VP9": "vp9"}
AnyStream: TypeAlias = AudioStream | VideoStream


class CannotRecord(ValueError):
    """A file that cannot be written; `str()` is a sentence that says why."""


class FileWriter:
    """Writes one track of sound and one of pictures into a WebM or Matroska file.

    The kinds that have come within `WAIT` seconds are in the file; it begins, for pictures,
    with a keyframe. What cannot be in it is counted in `left_out`: a kind that came later, or
    another codec. Times are the senders' own, from the arrival of the first frame of each.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix not in (".webm", ".mkv"):
            raise CannotRecord(f"{path}: a recording ends in .webm or .mkv.")
        self.left_out = 0
        self._path = path
        self._container: OutputContainer | None = None
        self._streams: dict[Kind, tuple[Codec, AnyStream]] = {}
        self._starts: dict[Kind, tuple[int, float]] = {}
        self._last: dict[Kind, int] = {}
        self._began: float | None = None
        self._waiting: list[Frame] = []

    def write(self, frames: Sequence[Frame]) -> None:
        """Write frames in the order they came. Raises `CannotRecord`."""
        try:
            for frame in frames:
                self._write(frame)
        except (FFmpegError, OSError) as error:
            raise CannotRecord(f"{self._path} cannot be written: {_words(error)}.") from error

    def close(self) -> None:
        """Finish the file. Raises `CannotRecord`."""
        try:
            if self._container is None and self._waiting:
                self._begin()
            if self._container is not None:
                self._container.close()
        except (FFmpegError, OSError) as error:
            raise CannotRecord(f"{self._path} cannot be finished: {_words(error)}.") from error

    def _write(self, frame: Frame) -> None:
        if self._container is not None:
            self._put(frame)
            return
        first = not any(f.kind == frame.kind for f in self._waiting)
        if first and frame.kind == "video" and not frame.keyframe:
            self.left_out += 1
            return
        self._waiting.append(frame)
        waited = frame.arrived - self._waiting[0].arrived
        if (
            len({f.kind for f in self._waiting}) == 2
            or waited > WAIT
            or (len(self._waiting) >= MOST_WAITING)
        ):
            self._begin()

    def _begin(self) -> None:
        container = av.open(
            str(self._path), "w", format="webm" if self._path.suffix == ".webm" else "matroska",
            container_options={"cluster_time_limit": "1000", "flush_packets": "1"},
        )  # fmt: skip
        self._container = container
        self._began = self._waiting[0].arrived
        for kind in ("audio", "video"):
            frame = next((f for f in self._waiting if f.kind == kind), None)
            if frame is not None:
                self._streams[frame.kind] = frame.codec, self._add(container, frame)
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._put(frame)

    def _add(self, container: OutputContainer, frame: Frame) -> AnyStream:
        if frame.kind == "audio":
            sound = cast(
                AudioStream, container.add_stream(_SOUND[frame.codec], rate=frame.clock_rate)
            )
            sound.codec_context.layout = "stereo" if frame.codec == "opus" else "mono"
            return sound
        if frame.codec == "H264":
            # The parameter sets stand before the first picture; a reader finds them there.
            with av.open(io.BytesIO(frame.data), format="h264") as parsed:
                return container.add_stream_from_template(parsed.streams.video[0])
        wide, high = frame.size or (640, 480)
        name = _PICTURE[frame.codec]
        return cast(VideoStream, container.add_mux_stream(name, width=wide, height=high))

    def _put(self, frame: Frame) -> None:
        codec, stream = self._streams.get(frame.kind, (None, None))
        if stream is None or codec != frame.codec:
            self.left_out += 1
            return
        assert self._container is not None
        assert self._began is not None
        if frame.kind not in self._starts:
            self._starts[frame.kind] = frame.timestamp, frame.arrived - self._began
        start, offset = self._starts[frame.kind]
        at = round(1_000 * (offset + (frame.timestamp - start) / frame.clock_rate))
        at = max(at, self._last.get(frame.kind, -1) + 1)
        self._last[frame.kind] = at
        packet = Packet(frame.data)
        packet.stream = stream
        packet.time_base = CLOCK
        packet.pts = packet.dts = at
        packet.is_keyframe = frame.keyframe
        self._container.mux(packet)


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
