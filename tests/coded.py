"""Pictures and sounds from real encoders, for tests that move or file what they do not decode."""

from __future__ import annotations

import fractions
from collections.abc import Iterable, Iterator
from functools import cache

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from tests.callers import picture

ENCODERS = {"VP8": "libvpx", "VP9": "libvpx-vp9", "H264": "libx264"}
DECODERS = {"VP8": "vp8", "VP9": "vp9", "H264": "h264"}
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
    encoder.framerate = fractions.Fraction(15)
    encoder.bit_rate = 400_000
    encoder.options = OPTIONS[codec]
    return encoder


@cache
def coded_pictures(
    codec: str,
    count: int = 12,
    keys: tuple[int, ...] = (0,),
    size: tuple[int, int] = (160, 128),
    first: int = 0,
) -> tuple[bytes, ...]:
    """`count` numbered pictures, coded; those in `keys` as keyframes."""
    encoder = video_encoder(codec, *size)
    coded = []
    for number in range(count):
        frame = picture(first + number)
        if (frame.width, frame.height) != size:
            frame = frame.reformat(width=size[0], height=size[1])
        frame.pts = number * 6000
        frame.time_base = fractions.Fraction(1, 90000)
        if number in keys:
            frame.pict_type = av.video.frame.PictureType.I
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    assert len(coded) == count
    return tuple(coded)


def decoded(codec: str, data: Iterable[bytes]) -> Iterator[VideoFrame]:
    """What a decoder makes of coded pictures."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, VideoCodecContext)
    for coded in data:
        yield from decoder.decode(av.Packet(coded))
    yield from decoder.decode(None)
