"""Sound and pictures into coded frames. Blocking work without I/O, for a worker thread.

An encoder belongs to one outgoing track and is used by one thread at a time.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple, cast

import av
from av import (
    AudioCodecContext,
    AudioFifo,
    AudioFrame,
    AudioResampler,
    VideoCodecContext,
    VideoFrame,
)
from av.video.frame import PictureType

from .decoding import _DEPTH, PixelFormat
from .payload import Codec

VIDEO_CLOCK = 90_000
PACKET = 0.02
BIT_RATE_SOUND = 64_000
# Another bit rate takes a new encoder, which begins with a keyframe: not for little, nor often.
LESS, MORE, MORE_EVERY = 0.85, 1.25, 3.0
SLOWEST, FASTEST = 5.0, 60.0
"""Pictures a second between which bits are shared out."""

_SOUND = {"opus": ("libopus", 48000), "PCMU": ("pcm_mulaw", 8000), "PCMA": ("pcm_alaw", 8000)}
_REALTIME = {"deadline": "realtime", "lag-in-frames": "0", "error-resilient": "1"}
_PICTURE: dict[str, tuple[str, dict[str, str]]] = {
    # Below 0 the speed is fixed. Above, VP8 takes whatever time it finds: two and a half times
    # as much for pictures that are hardly better, and others on each machine.
    "VP8": ("libvpx", _REALTIME | {"cpu-used": "-8"}),
    "VP9": ("libvpx-vp9", _REALTIME | {"cpu-used": "8", "row-mt": "1"}),
    # The profile and level that every browser has to take (RFC 7742, section 6.2).
    "H264": (
        "libx264",
        {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "level": "31",
         "forced-idr": "1"},
    ),
}  # fmt: skip


class Coded(NamedTuple):
    """What goes out: `ticks` of the codec's clock since the track's first."""

    data: bytes
    ticks: int
    keyframe: bool


class SoundEncoder:
    """Any 16-bit sound in, packets of 20 ms out. `clock_rate`: ticks a second."""

    def __init__(self, codec: Codec) -> None:
        self._name, self.clock_rate = _SOUND[codec]
        self._stereo = codec == "opus"
        self._context: AudioCodecContext | None = None
        self._resampler: AudioResampler | None = None
        self._source: tuple[int, int] | None = None
        self._fifo = AudioFifo()
        self._ticks = 0

    def encode(self, data: bytes, rate: int, channels: int) -> list[Coded]:
        """The packets that are full now; what is left waits for more."""
        if (rate, channels) != self._source:
            self._source = rate, channels
            layout = "stereo" if self._stereo else "mono"
            self._resampler = AudioResampler(format="s16", layout=layout, rate=self.clock_rate)
        samples = len(data) // (2 * channels)
        if not samples:
            return []
        frame = AudioFrame(
            format="s16", layout="stereo" if channels == 2 else "mono", samples=samples
        )
        frame.planes[0].update(data[: samples * 2 * channels])
        frame.sample_rate = rate
        assert self._resampler is not None
        for made in self._resampler.resample(frame):
            made.pts = None
            self._fifo.write(made)
        return self._packets()

    def flush(self) -> list[Coded]:
        """What is left, made a whole packet with silence."""
        left = self._fifo.samples
        if not left:
            return []
        missing = self._size - left
        silence = AudioFrame(
            format="s16", layout="stereo" if self._stereo else "mono", samples=missing
        )
        silence.planes[0].update(bytes(silence.planes[0].buffer_size))
        silence.sample_rate = self.clock_rate
        silence.pts = None
        self._fifo.write(silence)
        return self._packets()

    @property
    def _size(self) -> int:
        return round(self.clock_rate * PACKET)

    def _packets(self) -> list[Coded]:
        packets = []
        while (frame := self._fifo.read(self._size)) is not None:
            frame.pts = self._ticks
            frame.time_base = Fraction(1, self.clock_rate)
            for packet in self._open().encode(frame):
                packets.append(Coded(bytes(packet), self._ticks, True))
            self._ticks += self._size
        return packets

    def _open(self) -> AudioCodecContext:
        if self._context is None:
            context = cast(AudioCodecContext, av.CodecContext.create(self._name, "w"))
            context.sample_rate = self.clock_rate
            context.layout = "stereo" if self._stereo else "mono"
            context.format = "s16"
            if self._stereo:
                context.bit_rate = BIT_RATE_SOUND
            self._context = context
        return self._context


class PictureEncoder:
    """Any pictures in, coded pictures out; another size begins anew with a keyframe.

    `bit_rate`: how many bits a second of them may take. `slices`: the most bytes of each unit, for
    H.264 that must not be fragmented. `rate`: how many pictures a second there will be, as far as
    that is known beforehand. H.264 shares its bits out by it, and learns a wrong one from the
    times of the pictures; the others go by these times alone.
    """

    def __init__(
        self, codec: Codec, bit_rate: int, slices: int | None = None, rate: float = 30.0
    ) -> None:
        self.bit_rate = bit_rate
        self.slices = slices
        self.rate = rate
        self._counted: tuple[int, int] | None = None
        self._codec = codec
        self._context: VideoCodecContext | None = None
        self._changed_at = -math.inf

    def adapt(self, bit_rate: int, now: float) -> None:
        """Take about so many bits a second, of now (monotonic seconds). What differs too little
        to be worth a keyframe is left as it is, and what is more waits its turn."""
        less = bit_rate < LESS * self.bit_rate
        more = bit_rate > MORE * self.bit_rate and now - self._changed_at >= MORE_EVERY
        if less or more:
            self.bit_rate, self._changed_at = bit_rate, now
            self._context = None

    def encode(self, picture: VideoFrame, ticks: int, keyframe: bool) -> Coded | None:
        """A picture, at `ticks` of 90,000 a second; None when the encoder leaves it out."""
        if self._codec == "H264":
            self._count(ticks)
        wide, high = picture.width & ~1, picture.height & ~1
        if self._context is None or (self._context.width, self._context.height) != (wide, high):
            self._context = self._make(wide, high)
        picture = picture.reformat(wide, high, "yuv420p")
        picture.pts = ticks
        picture.time_base = Fraction(1, VIDEO_CLOCK)
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(picture)
        if not packets:
            return None
        whole = b"".join(bytes(packet) for packet in packets)
        return Coded(whole, ticks, any(packet.is_keyframe for packet in packets))

    def _count(self, ticks: int) -> None:
        """Take note of a picture, and now and then of how many there were in a second."""
        since, count = self._counted or (ticks, 0)
        passed = ticks - since
        if passed < 0:
            since, count, passed = ticks, 0, 0
        if passed >= MORE_EVERY * VIDEO_CLOCK:
            rate = min(FASTEST, max(SLOWEST, count * VIDEO_CLOCK / passed))
            if not LESS <= rate / self.rate <= MORE:
                self.rate = rate
                self._context = None
            since, count = ticks, 0
        self._counted = since, count + 1

    def _make(self, width: int, height: int) -> VideoCodecContext:
        name, options = _PICTURE[self._codec]
        context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, VIDEO_CLOCK)
        context.framerate = Fraction(self.rate).limit_denominator(1000)
        context.bit_rate = self.bit_rate
        # Keyframes are made when somebody asks for one.
        context.gop_size = 100_000
        context.thread_count = 1
        # At no moment much more than that: a keyframe that is too large is a queue on the way.
        rate = str(self.bit_rate)
        if self.slices is not None:
            options = options | {"slice-max-size": str(self.slices)}
        context.options = options | {
            "minrate": rate, "maxrate": rate, "bufsize": str(self.bit_rate // 2),
        }  # fmt: skip
        return context


def picture_of(data: bytes, width: int, height: int, form: PixelFormat) -> VideoFrame:
    """A picture out of its pixels, without padding. Raises `ValueError` for a wrong size."""
    frame = VideoFrame(width, height, form)
    planes = _planes(width, height, form)
    if len(data) != sum(size * rows for size, rows in planes):
        raise ValueError(f"A {form} picture of {width}x{height} has another number of bytes.")
    at = 0
    for plane, (size, rows) in zip(frame.planes, planes, strict=True):
        line = plane.line_size
        part = data[at : at + size * rows]
        at += size * rows
        if line != size:
            pad = bytes(line - size)
            part = b"".join(part[n * size : (n + 1) * size] + pad for n in range(rows))
        plane.update(part)
    return frame


def _planes(width: int, height: int, form: PixelFormat) -> list[tuple[int, int]]:
    """The bytes of a row, and the rows, of each plane."""
    if form != "yuv420p":
        return [(width * _DEPTH[form], height)]
    return [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
