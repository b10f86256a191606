"""A file's sound and pictures, coded as they are where the peer can take that. Blocking.

For worker threads; a reader is read, begun again and closed by one at a time.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import av
from av import AudioFrame, AudioResampler, AudioStream, Packet, VideoFrame, VideoStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from .frames import Kind
from .payload import Codec

RATE, CHANNELS = 48_000, 2
# How far apart in a file sound and picture of one moment may lie, in seconds.
SPAN = 1.0
MOST = 512

AnyStream = AudioStream | VideoStream
AnyPacket: TypeAlias = "Packet[Stream]"

_CODECS: dict[str, Codec] = {"opus": "opus", "vp8": "VP8", "vp9": "VP9", "h264": "H264"}


class CannotPlay(ValueError):
    """A file that cannot be played; `str()` is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a file at `time` (seconds from its start): one of `coded`, in `codec`, `sound`
    (16-bit, `RATE`, `CHANNELS`) and `picture`."""

    kind: Kind
    time: float
    codec: Codec | None = None
    coded: bytes = b""
    keyframe: bool = False
    sound: bytes = b""
    picture: VideoFrame | None = None


class Source:
    """One stream of a file. `codec`: what it is handed out in as it is; None: decoded."""

    def __init__(self, stream: AnyStream, taken: Collection[Codec]) -> None:
        self.stream = stream
        self.kind: Kind = "audio" if isinstance(stream, AudioStream) else "video"
        codec = _CODECS.get(stream.codec_context.codec.canonical_name)
        # Pictures that refer to later ones are sent out of order, which no browser shows.
        plain = self.kind == "audio" or not cast(VideoStream, stream).codec_context.has_b_frames
        self.codec = codec if codec in taken and plain else None
        self._filter = self._annex_b() if self.codec == "H264" else None
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
        self._start = float((stream.start_time or 0) * (stream.time_base or 0))

    def _annex_b(self) -> BitStreamFilterContext:
        return BitStreamFilterContext("h264_mp4toannexb", self.stream)

    def pieces(self, packet: AnyPacket) -> Iterator[Piece]:
        """What a packet of the file holds. Raises `FFmpegError`."""
        if self.codec is not None:
            for part in [packet] if self._filter is None else self._filter.filter(packet):
                if part.size and part.pts is not None:
                    time = self._time(part)
                    yield Piece(self.kind, time, self.codec, bytes(part), part.is_keyframe)
            return
        for frame in self.stream.decode(packet):
            time = self._time(frame)
            if isinstance(frame, VideoFrame):
                yield Piece(self.kind, time, picture=frame)
            elif isinstance(frame, AudioFrame):
                frame.pts = None
                made = self._resampler.resample(frame)
                sound = b"".join(bytes(f.planes[0])[: f.samples * 4] for f in made)
                if sound:
                    yield Piece(self.kind, time, sound=sound)

    def _time(self, item: AnyPacket | AudioFrame | VideoFrame) -> float:
        return max(0.0, float((item.pts or 0) * (item.time_base or 0)) - self._start)


class FileReader:
    """Opens a file for a peer that takes the codecs given for each kind (none: not wanted).

    The first stream of each kind is read; `length` is how long it is as far as it was read, in
    seconds. Whoever gives up a read that runs in a thread may close at once: it waits for the
    read, and what is read later is the end. Raises `CannotPlay`.
    """

    def __init__(self, path: Path, codecs: Mapping[Kind, Collection[Codec]]) -> None:
        self._path = path
        self._codecs = codecs
        self._order = itertools.count()
        self.length = 0.0
        # FFmpeg frees what another thread reads from: that is no exception, but the end of all.
        self._lock = threading.RLock()
        self._closed = False
        self._open()

    def _open(self) -> None:
        try:
            self._container: InputContainer = av.open(str(self._path))
        except (FFmpegError, OSError) as error:
            raise CannotPlay(f"{self._path} cannot be played: {_words(error)}.") from error
        found = self._container.streams
        streams: list[AnyStream] = [*found.audio[:1], *found.video[:1]]
        if not streams:
            self.close()
            raise CannotPlay(f"{self._path} holds neither sound nor pictures.")
        taken = [(s, self._codecs.get(_kind(s), ())) for s in streams]
        self.sources = {s.index: Source(s, codecs) for s, codecs in taken if codecs}
        self._heap: list[tuple[float, int, Piece]] = []
        self._newest = 0.0
        self._packets = self._demux()
        self._ended = not self.sources

    def read(self, seconds: float = 0.25) -> list[Piece]:
        """The next pieces, some `seconds` long, in the order of their times; none at the end.

        Raises `CannotPlay` where the file is damaged.
        """
        with self._lock:
            return [] if self._closed else self._read(seconds)

    def _read(self, seconds: float) -> list[Piece]:
        try:
            while not self._ended and not self._spans(SPAN + seconds):
                self._more()
        except (FFmpegError, OSError) as error:
            raise CannotPlay(f"{self._path} is damaged: {_words(error)}.") from error
        if not self._heap:
            return []
        until = self._heap[0][0] + seconds
        pieces = []
        while self._heap and self._heap[0][0] <= until:
            pieces.append(heapq.heappop(self._heap)[2])
        return pieces

    def rewind(self) -> None:
        """Begin again."""
        # Not by seeking: what lies before the time 0, or in a pipe, would be lost.
        with self._lock:
            if not self._closed:
                self._container.close()
                self._open()

    def close(self) -> None:
        """Close the file, once nothing is read from it. Blocks until then."""
        with self._lock:
            self._closed = True
            self._container.close()

    def _demux(self) -> Iterator[AnyPacket]:
        return self._container.demux([source.stream for source in self.sources.values()])

    def _spans(self, seconds: float) -> bool:
        if len(self._heap) >= MOST:
            return True
        return bool(self._heap) and self._newest - self._heap[0][0] >= seconds

    def _more(self) -> None:
        packet = next(self._packets, None)
        if packet is None:
            self._ended = True
            return
        source = self.sources[packet.stream.index]
        for piece in source.pieces(packet):
            long = float((packet.duration or 0) * (packet.time_base or 0))
            self.length = max(self.length, piece.time + long)
            self._newest = max(self._newest, piece.time)
            heapq.heappush(self._heap, (piece.time, next(self._order), piece))


def _kind(stream: AnyStream) -> Kind:
    return "audio" if isinstance(stream, AudioStream) else "video"


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
