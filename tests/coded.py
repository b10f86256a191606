"""Pictures and sounds from real encoders, for tests that move or file what they do not decode."""

from __future__ import annotations

import fractions
from collections.abc import Iterable, Iterator
from functools import cache

import av
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from ringback.bots.media.payload import Codec
from tests.marked import PACKET, RATE, SIZE, STREAM, picture, sound

ENCODERS = {"VP8": "libvpx", "VP9": "libvpx-vp9", "H264": "libx264"}
DECODERS = {"VP8": "vp8", "VP9": "vp9", "H264": "h264"}
SOUND_ENCODERS = {
    "opus": ("libopus", 48_000), "PCMU": ("pcm_mulaw", 8_000), "PCMA": ("pcm_alaw", 8_000),
}  # fmt: skip
OPTIONS = {
    "VP8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "VP9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "H264": {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=1000"},
}


def video_encoder(codec: str, width: int, height: int) -> VideoCodecContext:
    """An encoder as a caller has one: no picture waits for another."""
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = fractions.Fraction(1, 90000)
    encoder.framerate = fractions.Fraction(RATE)
    encoder.bit_rate = 400_000
    encoder.options = OPTIONS[codec]
    return encoder


@cache
def coded_pictures(
    codec: str,
    count: int = 12,
    keys: tuple[int, ...] = (0,),
    size: tuple[int, int] = SIZE,
    first: int = 0,
    stream: int = STREAM,
) -> tuple[bytes, ...]:
    """`count` pictures of a stream from the `first` on, coded; those in `keys` as keyframes."""
    encoder = video_encoder(codec, *size)
    coded = []
    for number in range(count):
        frame = picture(first + number, stream, size=size)
        frame.pts = number * 90000 // RATE
        frame.time_base = fractions.Fraction(1, 90000)
        if number in keys:
            frame.pict_type = av.video.frame.PictureType.I
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    assert len(coded) == count
    return tuple(coded)


@cache
def coded_sounds(seconds: float, codec: Codec = "opus", stream: int = STREAM) -> tuple[bytes, ...]:
    """The first seconds of a stream's sound, in packets of 20 ms."""
    name, rate = SOUND_ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    resampler = av.AudioResampler("s16", "mono", rate, rate // 50)
    frames: list[av.AudioFrame | None] = [
        sound(first, stream=stream) for first in range(0, round(seconds * 48_000), PACKET)
    ]
    plain = [made for frame in [*frames, None] for made in resampler.resample(frame)]
    return tuple(bytes(packet) for frame in plain for packet in encoder.encode(frame))


def decoded(codec: str, data: Iterable[bytes]) -> Iterator[VideoFrame]:
    """What a decoder makes of coded pictures."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, VideoCodecContext)
    for coded in data:
        yield from decoder.decode(av.Packet(coded))
    yield from decoder.decode(None)
