"""Coded frames into sound and pictures. Blocking work without I/O, for a worker thread.

A decoder belongs to one reader and is used by one thread at a time. What cannot be decoded is
counted in `damaged` and passed over: it comes from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, cast

import av
from av import AudioCodecContext, AudioFrame, AudioResampler, Packet, VideoCodecContext, VideoFrame
from av.error import FFmpegError
from av.stream import Stream

from .frames import Frame
from .payload import Codec

# Sound that is missing for longer is a pause, which a time tells of better than silence does.
MOST_SILENCE = 1.0

_SOUND = {"opus": ("libopus", 48000, "stereo"), "PCMU": ("pcm_mulaw", 8000, "mono"),
          "PCMA": ("pcm_alaw", 8000, "mono")}  # fmt: skip
_PICTURE = {"VP8": "vp8", "VP9": "vp9", "H264": "h264"}


class SoundDecoder:
    """One track's sound as signed 16-bit samples of one rate, `channels` interleaved."""

    def __init__(self, rate: int, channels: int) -> None:
        if channels not in (1, 2):
            raise ValueError("Sound has one channel or two.")
        if not 1000 <= rate <= 192_000:
            raise ValueError("The rate of sound is between 1,000 and 192,000 samples a second.")
        self.damaged = 0
        self._rate = rate
        self._channels = channels
        self._layout = "stereo" if channels == 2 else "mono"
        self._codec: Codec | None = None
        self._context: AudioCodecContext | None = None
        self._resampler: AudioResampler | None = None
        self._next: tuple[int, int] | None = None

    def decode(self, frames: Sequence[Frame]) -> Iterator[tuple[Frame, bytes]]:
        """The sound of each frame, with silence before it where something was missing."""
        for frame in frames:
            data = self._silence(frame)
            try:
                decoded = self._open(frame.codec).decode(_packet(frame))
                samples = sum(f.samples for f in decoded)
                data += b"".join(self._resample(f) for f in decoded)
            except (FFmpegError, ValueError):
                self.damaged += 1
                continue
            assert self._context is not None
            ticks = samples * frame.clock_rate // self._context.sample_rate
            self._next = frame.source, frame.timestamp + ticks
            yield frame, data

    def _silence(self, frame: Frame) -> bytes:
        if self._next is None or self._next[0] != frame.source:
            return b""
        missing = (frame.timestamp - self._next[1]) / frame.clock_rate
        if not 0 < missing <= MOST_SILENCE:
            return b""
        return bytes(round(missing * self._rate) * 2 * self._channels)

    def _open(self, codec: Codec) -> AudioCodecContext:
        if self._context is None or codec != self._codec:
            name, rate, layout = _SOUND[codec]
            context = cast(AudioCodecContext, av.CodecContext.create(name, "r"))
            context.sample_rate = rate
            context.layout = layout
            self._context, self._codec = context, codec
            self._resampler = AudioResampler(format="s16", layout=self._layout, rate=self._rate)
        return self._context

    def _resample(self, frame: AudioFrame) -> bytes:
        assert self._resampler is not None
        frame.pts = None
        size = 2 * self._channels
        made = self._resampler.resample(frame)
        return b"".join(bytes(f.planes[0])[: f.samples * size] for f in made)


class PictureDecoder:
    """One track's pictures. Feed it every frame in order; convert only what is wanted."""

    def __init__(self) -> None:
        self.damaged = 0
        self._codec: Codec | None = None
        self._context: VideoCodecContext | None = None

    def decode(self, frames: Sequence[Frame]) -> list[tuple[Frame, VideoFrame]]:
        """The decoded pictures and the frames they came of, in order."""
        made: list[tuple[Frame, VideoFrame]] = []
        for frame in frames:
            try:
                made += [(frame, p) for p in self._open(frame.codec).decode(_packet(frame))]
            except (FFmpegError, ValueError):
                self.damaged += 1
        return made

    def _open(self, codec: Codec) -> VideoCodecContext:
        if self._context is None or codec != self._codec:
            context = cast(VideoCodecContext, av.CodecContext.create(_PICTURE[codec], "r"))
            # More threads would each hold a picture back.
            context.thread_count = 1
            self._context, self._codec = context, codec
        return self._context


def _packet(frame: Frame) -> Packet[Stream]:
    """What a decoder takes. Raises `ValueError` for an empty one, which would end it."""
    if not frame.data:
        raise ValueError("an empty frame")
    return Packet(frame.data)


PixelFormat = Literal["rgb24", "bgr24", "rgba", "gray", "yuv420p"]
_DEPTH = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray": 1}


def pixels(picture: VideoFrame, width: int | None, form: PixelFormat) -> tuple[bytes, int, int]:
    """A picture's pixels without padding, and its width and height.

    `width` scales it, with the proportions kept; for `yuv420p` both are made even.
    """
    wide, high = picture.width, picture.height
    if width is not None:
        wide, high = width, max(1, round(picture.height * width / picture.width))
    if form == "yuv420p":
        wide, high = max(2, wide & ~1), max(2, high & ~1)
    made = picture.reformat(wide, high, form)
    if form != "yuv420p":
        return _rows(made, 0, wide * _DEPTH[form], high), wide, high
    data = _rows(made, 0, wide, high)
    return data + b"".join(_rows(made, n, wide // 2, high // 2) for n in (1, 2)), wide, high


def _rows(picture: VideoFrame, plane: int, size: int, rows: int) -> bytes:
    """The rows of a plane without what pads them."""
    line = picture.planes[plane].line_size
    data = bytes(picture.planes[plane])
    if line == size:
        return data[: size * rows]
    return b"".join(data[n * line : n * line + size] for n in range(rows))
