"""Coding and decoding: what goes in comes out, in every codec, at every rate and size."""

from __future__ import annotations

import random

import pytest
from av import AudioFrame, AudioResampler, VideoFrame

from ringback.bots.media.decoding import PictureDecoder, PixelFormat, SoundDecoder, pixels
from ringback.bots.media.encoding import (
    FASTEST,
    MORE_EVERY,
    SLOWEST,
    VIDEO_CLOCK,
    PictureEncoder,
    SoundEncoder,
    picture_of,
)
from ringback.bots.media.frames import Frame
from ringback.bots.media.payload import Codec, packetise
from ringback.bots.media.payload.h264 import IDR, SLICE, units
from tests.marked import HEIGHT, STREAM, WIDTH, heard, number_of, picture, sound


def sounds(rate: int, channels: int, seconds: float = 1.0) -> bytes:
    """Marked sound, the same in each channel."""
    layout = "stereo" if channels == 2 else "mono"
    resampler = AudioResampler("s16", layout, rate)
    frames = [*resampler.resample(sound(0, round(48_000 * seconds))), *resampler.resample(None)]
    data = b"".join(bytes(made.planes[0])[: 2 * channels * made.samples] for made in frames)
    return data[: 2 * channels * round(rate * seconds)]


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
@pytest.mark.parametrize(("rate", "channels"), [(48_000, 2), (44_100, 1), (8_000, 1)])
def test_sound_there_and_back(codec: Codec, rate: int, channels: int) -> None:
    encoder = SoundEncoder(codec)
    data = sounds(rate, channels)
    size = 2 * channels * (rate // 30)
    packets = [
        packet
        for at in range(0, len(data), size)
        for packet in encoder.encode(data[at : at + size], rate, channels)
    ]
    packets += encoder.flush()
    assert encoder.flush() == []
    clock = encoder.clock_rate
    assert [packet.ticks for packet in packets] == [n * clock // 50 for n in range(len(packets))]
    assert len(packets) == pytest.approx(50, abs=2)
    frames = [
        Frame("audio", codec, p.data, p.ticks, clock, True, None, 0.0, 0, False) for p in packets
    ]
    decoder = SoundDecoder(16_000, 1)
    back = b"".join(sound for _, sound in decoder.decode(frames))
    assert len(back) / 2 == pytest.approx(16_000, rel=0.05)
    played = AudioFrame("s16", "mono", len(back) // 2)
    played.planes[0].update(back)
    played.sample_rate = 16_000
    found = heard([played])
    assert [(one.stream, one.number) for one in found] == [(STREAM, 0), (STREAM, 1)]
    # The coder of Opus looks 6.5 ms ahead, and resampling takes some, too.
    assert [one.time for one in found] == pytest.approx([0.0, 0.5], abs=0.015)


def test_sound_changes_its_rate_on_the_way() -> None:
    encoder = SoundEncoder("opus")
    packets = encoder.encode(sounds(48_000, 2, 0.5), 48_000, 2)
    packets += encoder.encode(sounds(8_000, 1, 0.5), 8_000, 1)
    assert len(packets) == pytest.approx(50, abs=2)
    assert encoder.encode(b"", 8_000, 1) == []


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
def test_pictures_there_and_back_with_keyframes_on_demand(codec: Codec) -> None:
    encoder, decoder = PictureEncoder(codec, 1_000_000), PictureDecoder()
    seen, keys = [], []
    for number in range(12):
        coded = encoder.encode(picture(number), number * 6000, number in (0, 7))
        assert coded is not None
        assert coded.ticks == number * 6000
        keys.append(coded.keyframe)
        frame = Frame(
            "video", codec, coded.data, coded.ticks, 90_000, coded.keyframe, None, 0, 0, False
        )
        seen += [number_of(made) for _, made in decoder.decode([frame])]
    assert seen == list(range(12))
    assert [number for number, key in enumerate(keys) if key] == [0, 7]
    assert decoder.damaged == 0


def test_another_size_begins_with_a_keyframe_and_odd_sizes_are_made_even() -> None:
    encoder, decoder = PictureEncoder("VP8", 1_000_000), PictureDecoder()
    for size in ((160, 128), (81, 61), (160, 128)):
        coded = encoder.encode(picture(1).reformat(*size, "rgb24"), 0, False)
        assert coded is not None
        assert coded.keyframe
        frame = Frame("video", "VP8", coded.data, 0, 90_000, True, None, 0, 0, False)
        [(_, made)] = decoder.decode([frame])
        assert (made.width, made.height) == (size[0] & ~1, size[1] & ~1)


@pytest.mark.parametrize("form", ["rgb24", "bgr24", "rgba", "gray", "yuv420p"])
@pytest.mark.parametrize("width", [None, 128, 100, 301])
def test_pixels_have_no_padding_and_become_the_same_picture(
    form: PixelFormat, width: int | None
) -> None:
    data, wide, high = pixels(picture(0xA5C3), width, form)
    depth = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray": 1, "yuv420p": 1.5}[form]
    assert len(data) == wide * high * depth
    assert high == pytest.approx(wide * HEIGHT / WIDTH, abs=2)
    again = picture_of(data, wide, high, form)
    assert number_of(again.reformat(format="gray")) == 0xA5C3


def test_pixels_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="another number of bytes"):
        picture_of(bytes(10), 2, 2, "rgb24")


def test_colours_keep_their_order() -> None:
    red = picture_of(bytes([255, 0, 0] * 4), 2, 2, "rgb24")
    assert isinstance(red, VideoFrame)
    assert pixels(red, None, "bgr24")[0] == bytes([0, 0, 255] * 4)


def busy(number: int) -> VideoFrame:
    """A picture that is never still: what it takes is what it may take."""
    dice = random.Random(number % 10)
    small = [[100 + dice.randrange(40) for _ in range(80)] for _ in range(60)]
    rows = (bytes(v for v in row for _ in range(4)) for row in small for _ in range(4))
    data = b"".join(rows) + bytes([128]) * (320 * 240 // 2)
    return picture_of(data, 320, 240, "yuv420p")


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
def test_another_bit_rate_is_kept_to(codec: Codec) -> None:
    encoder = PictureEncoder(codec, 1_500_000)
    taken = []
    for second, rate in enumerate((1_500_000, 500_000, 1_500_000)):
        encoder.adapt(rate, second * MORE_EVERY)
        sizes = []
        for number in range(60):
            coded = encoder.encode(busy(number), (60 * second + number) * 3000, False)
            sizes.append(len(coded.data) if coded is not None else 0)
            if not number:
                assert coded is not None
                assert coded.keyframe
        taken.append(8 * sum(sizes) / 2)
    assert taken[0] == pytest.approx(1_500_000, rel=0.4)
    assert taken[1] == pytest.approx(500_000, rel=0.4)
    assert taken[2] == pytest.approx(1_500_000, rel=0.4)


def test_a_little_more_or_less_takes_no_new_keyframe() -> None:
    encoder = PictureEncoder("VP8", 1_000_000)
    assert encoder.encode(picture(0), 0, False) is not None
    rates = []
    for number, (rate, now) in enumerate(
        [(900_000, 0.0), (1_200_000, 1.0), (700_000, 2.0), (900_000, 3.0), (900_000, 5.1)], 1
    ):
        encoder.adapt(rate, now)
        rates.append(encoder.bit_rate)
        coded = encoder.encode(picture(number), number * 3000, False)
        assert coded is not None
        assert coded.keyframe == (number in (3, 5))
    assert rates == [1_000_000, 1_000_000, 700_000, 700_000, 900_000]


@pytest.mark.parametrize("told", [15.0, 30.0])
def test_h264_shares_its_bits_out_by_the_pictures_there_are(told: float) -> None:
    encoder = PictureEncoder("H264", 500_000, rate=told)
    sizes, keys = [], []
    for number in range(120):
        coded = encoder.encode(busy(number), number * VIDEO_CLOCK // 15, False)
        assert coded is not None
        sizes.append(len(coded.data))
        if coded.keyframe:
            keys.append(number)
    assert 8 * sum(sizes[60:]) / 4 == pytest.approx(500_000, rel=0.3)
    # What it was told wrongly it has learned once.
    assert keys == ([0] if told == 15.0 else [0, int(15 * MORE_EVERY)])
    assert encoder.rate == pytest.approx(15.0, abs=0.5)


def test_pictures_that_hardly_come_or_come_at_once_are_no_rate() -> None:
    encoder = PictureEncoder("H264", 500_000)
    for number in range(3):
        assert encoder.encode(busy(number), number * 40 * VIDEO_CLOCK, False) is not None
    assert encoder.rate == SLOWEST
    for number in range(700):
        assert encoder.encode(busy(number), number * VIDEO_CLOCK // 200, False) is not None
    assert encoder.rate == FASTEST


def test_h264_in_slices_that_each_fit_into_a_packet() -> None:
    encoder, decoder = PictureEncoder("H264", 1_500_000, 500), PictureDecoder()
    for number in range(10):
        coded = encoder.encode(busy(number), number * 3000, number == 0)
        assert coded is not None
        slices = [unit for unit in units(coded.data) if unit[0] & 31 in (SLICE, IDR)]
        assert len(slices) > 5
        assert max(map(len, slices)) <= 500
        assert packetise("H264", coded.data, 700, singly=True) == list(units(coded.data))
        frame = Frame(
            "video", "H264", coded.data, coded.ticks, 90_000, coded.keyframe, None, 0, 0, False
        )
        assert len(list(decoder.decode([frame]))) == 1
    assert decoder.damaged == 0
