"""Payload formats: pictures of real encoders through packets and back, and what strangers send."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import get_args

import av
import pytest
from aiortc.codecs import h264 as aiortc_h264
from aiortc.codecs import vpx as aiortc_vpx
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import payload as payloads
from ringback.bots.media.payload import (
    Codec,
    Picture,
    assemble,
    begins,
    h264,
    packetise,
    sound,
    vp9,
)
from tests.marked import SIZE, number_of

from .coded import coded_pictures, decoded, video_encoder

VIDEO: tuple[Codec, ...] = ("VP8", "VP9", "H264")
SOUND: tuple[Codec, ...] = ("opus", "PCMU", "PCMA")
KEYS = (0, 5)


def coded(codec: Codec) -> tuple[bytes, ...]:
    return coded_pictures(codec, 12, KEYS)


def busy(codec: Codec) -> bytes:
    """A keyframe of some kilobytes."""
    [data] = coded_pictures(codec, 1, (0,), (1282, 722))
    return data


def blank(width: int, height: int, form: str) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, form)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = 0
    return frame


def annex_b(data: bytes) -> bytes:
    """H.264 with every start code of four bytes, as `assemble` gives it."""
    return b"".join(h264.START + unit for unit in h264.units(data))


# --- there and back -----------------------------------------------------------------------


@pytest.mark.parametrize("codec", VIDEO)
@pytest.mark.parametrize("most", [64, 200, 1200, 100_000])
def test_pictures_come_through_packets(codec: Codec, most: int) -> None:
    back = []
    for number, data in enumerate(coded(codec)):
        packets = packetise(codec, data, most)
        assert all(0 < len(packet) <= most for packet in packets)
        whole = assemble(codec, packets)
        assert whole.data == (annex_b(data) if codec == "H264" else data)
        assert whole.keyframe == (number in KEYS)
        assert whole.size == (SIZE if number in KEYS else None)
        back.append(whole.data)
    assert [number_of(frame) for frame in decoded(codec, back)] == list(range(12))


@pytest.mark.parametrize("codec", VIDEO)
def test_views_of_a_buffer_serve_as_well(codec: Codec) -> None:
    data = coded(codec)[0]
    packets = packetise(codec, data, 100)
    views = [memoryview(packet) for packet in packets]
    assert assemble(codec, views) == assemble(codec, packets)
    assert begins(codec, views[0])


@pytest.mark.parametrize("codec", VIDEO)
@pytest.mark.parametrize("size", [(160, 128), (162, 130), (642, 362), (1282, 722)])
def test_the_size_of_a_keyframe_is_told(codec: Codec, size: tuple[int, int]) -> None:
    [data] = coded_pictures(codec, 1, (0,), size)
    assert assemble(codec, packetise(codec, data)).size == size


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_only_the_first_packet_begins_a_picture(codec: Codec) -> None:
    for data in coded(codec):
        packets = packetise(codec, data, 64)
        assert [begins(codec, packet) for packet in packets] == [True] + [False] * (
            len(packets) - 1
        )


def test_what_may_begin_an_h264_picture() -> None:
    def kinds(first: bytes) -> bool:
        return begins("H264", first)

    assert all(map(kinds, (b"\x67\x42", b"\x68\xce", b"\x06\x05", b"\x09\xf0", b"\x65\x88")))
    assert all(map(kinds, (b"\x78\0\2\x67\x42", b"\x7c\x85\x88", b"\x61\x9a")))
    # A slice that is not the first, fragments after the first, and what nobody opens with.
    assert not any(map(kinds, (b"\x65\x40", b"\x7c\x85\x40", b"\x7c\x05\x88", b"\x7c\x45\x88")))
    assert not any(map(kinds, (b"\x78\0\2\x65\x40", b"\x6c\x80", b"\x7c\x85", b"\x65")))


@pytest.mark.parametrize("codec", VIDEO)
@given(choice=st.randoms(use_true_random=False))
def test_a_missing_packet_is_noticed_at_either_end(codec: Codec, choice: random.Random) -> None:
    packets = packetise(codec, busy(codec), 80)
    assert len(packets) > 6
    # The last packet of VP8 is marked by RTP alone; H.264 has whole units before the large one.
    if codec != "VP8":
        with pytest.raises(ValueError, match="missing"):
            assemble(codec, packets[:-1])
    start = choice.randrange(1, len(packets)) if codec != "H264" else len(packets) - 1
    with pytest.raises(ValueError, match="missing"):
        assemble(codec, packets[start:])


@pytest.mark.parametrize("codec", VIDEO)
def test_two_pictures_are_not_one(codec: Codec) -> None:
    first = packetise(codec, busy(codec), 80)
    # Those of H.264 might be slices of one picture; but not if the first is cut off.
    first = first[:-1] if codec == "H264" else first
    with pytest.raises(ValueError, match="."):
        assemble(codec, first + first)


@pytest.mark.parametrize("codec", VIDEO + SOUND)
def test_nothing_is_no_picture(codec: Codec) -> None:
    for packets in ([], [b""], [memoryview(b"")]):
        with pytest.raises(ValueError, match="."):
            assemble(codec, packets)
    with pytest.raises(ValueError, match="."):
        packetise(codec, b"")
    assert not begins(codec, b"")


@pytest.mark.parametrize("codec", VIDEO + SOUND)
def test_packets_must_hold_something(codec: Codec) -> None:
    with pytest.raises(ValueError, match="too small"):
        packetise(codec, b"\x90" * 10, payloads.SMALLEST - 1)


# --- as aiortc writes and reads them ------------------------------------------------------


def test_vp8_as_aiortc_packs_it() -> None:
    for number, data in enumerate(coded("VP8")):
        packets = aiortc_vpx.Vp8Encoder._packetize(data, number + 32_760)
        assert [begins("VP8", packet) for packet in packets] == [True] + [False] * (
            len(packets) - 1
        )
        assert assemble("VP8", packets).data == data


def test_aiortc_reads_our_vp8() -> None:
    for data in coded("VP8"):
        assert b"".join(map(aiortc_vpx.vp8_depayload, packetise("VP8", data, 99))) == data


def test_h264_as_aiortc_packs_it() -> None:
    for data in coded("H264"):
        units = aiortc_h264.H264Encoder._split_bitstream(data)
        packets = aiortc_h264.H264Encoder._packetize(units)
        assert begins("H264", packets[0])
        assert assemble("H264", packets).data == annex_b(data)


def test_aiortc_reads_our_h264() -> None:
    for data in coded("H264"):
        packets = packetise("H264", data, 99)
        assert b"".join(map(aiortc_h264.h264_depayload, packets)) == annex_b(data)


# --- descriptors --------------------------------------------------------------------------


def vp8_descriptor(extended: str, start: bool) -> bytes:
    """A descriptor of RFC 7741, section 4.2, with the fields named in `extended`."""
    first = 0x10 if start else 0
    if not extended:
        return bytes([first])
    flags = sum({"I": 0x80, "i": 0x80, "L": 0x40, "T": 0x20, "K": 0x10}[f] for f in extended)
    fields = {"I": b"\x81\x02", "i": b"\x11", "L": b"\x07"}
    body = b"".join(fields.get(f, b"") for f in extended)
    if {"T", "K"} & set(extended):
        body += b"\x25"
    return bytes([first | 0x80, flags]) + body


@pytest.mark.parametrize("extended", ["", "i", "I", "L", "T", "K", "IL", "ILTK", "iTK", "LK"])
def test_every_vp8_descriptor_is_passed_over(extended: str) -> None:
    data = coded("VP8")[0]
    packets = [
        vp8_descriptor(extended, True) + data[:50],
        vp8_descriptor(extended, False) + data[50:],
    ]
    assert assemble("VP8", packets) == Picture(data, True, SIZE)
    for length in range(len(vp8_descriptor(extended, True)) + 1):
        assert not begins("VP8", packets[0][:length])


def test_a_vp8_partition_is_no_beginning() -> None:
    assert not begins("VP8", b"\x11data")
    data = coded("VP8")[0]
    assert assemble("VP8", [b"\x10" + data[:60], b"\x11" + data[60:]]).data == data


@pytest.mark.parametrize(
    "data", [b"\0", b"\0" * 12, b"\0\0\0\x9d\x01\x2a\0\0\0", b"\0\0\0\x9d\x01\x2a\0\0\0\0"]
)
def test_a_vp8_keyframe_must_be_one(data: bytes) -> None:
    with pytest.raises(ValueError, match="VP8"):
        assemble("VP8", [b"\x10" + data])


def vp9_packets(
    frames: Sequence[bytes], structure: bytes = b"", *, flexible: bool = False
) -> list[bytes]:
    """Layer frames as a browser sends them: each in two packets, with a 15-bit picture id."""
    packets = []
    for layer, data in enumerate(frames):
        first = 0xA0 | (0x10 if flexible else 0) | (0x40 if layer else 0)
        middle = b"\x81\x23" + bytes([layer << 1 | (layer > 0)]) + (b"" if flexible else b"\x07")
        if flexible and layer:
            middle += b"\x03\x04"
        told = structure if not layer else b""
        half = len(data) // 2
        packets.append(bytes([first | 0x08 | (0x02 if told else 0)]) + middle + told + data[:half])
        packets.append(bytes([first | 0x04]) + middle + data[half:])
    return packets


STRUCTURE = b"\x38\0\xa0\0\x80\x01\x40\x01\0" + b"\x02\x04\x01\x20"


@pytest.mark.parametrize("flexible", [False, True])
def test_vp9_layers_of_one_timestamp_are_one_superframe(flexible: bool) -> None:
    frames = coded("VP9")[:2]
    packets = vp9_packets(frames, STRUCTURE, flexible=flexible)
    assert [begins("VP9", packet) for packet in packets] == [True, False, False, False]
    whole = assemble("VP9", packets)
    assert whole.keyframe
    assert whole.size == (320, 256), "that of the highest layer"
    # Both are pictures of their own here, so the decoder shows what it was given.
    assert [number_of(frame) for frame in decoded("VP9", [whole.data])] == [0, 1]
    again = assemble("VP9", packetise("VP9", whole.data, 100))
    assert again.data == whole.data
    assert again.keyframe


def still() -> list[bytes]:
    """Pictures of a few bytes."""
    encoder = video_encoder("VP9", 64, 48)
    frames = [blank(64, 48, "yuv420p") for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.pts = number
    return [bytes(packet) for frame in frames for packet in encoder.encode(frame)]


@pytest.mark.parametrize("width", [1, 2])
def test_a_vp9_superframe_ends_in_an_index(width: int) -> None:
    frames = still() if width == 1 else coded("VP9")[:3]
    data = assemble("VP9", vp9_packets(frames)).data
    marker = bytes([0xC0 | (width - 1) << 3 | 2])
    lengths = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    assert data == b"".join(frames) + marker + lengths + marker


def test_vp9_layers_that_are_left_out_above_change_nothing() -> None:
    frames = coded("VP9")[:2]
    whole = assemble("VP9", vp9_packets(frames, STRUCTURE)[:2])
    assert whole == Picture(frames[0], True, (160, 128))


def test_vp9_layers_must_be_in_order() -> None:
    packets = vp9_packets(coded("VP9")[:2])
    for wrong in itertools.permutations(packets):
        if list(wrong) != packets:
            with pytest.raises(ValueError, match="VP9"):
                assemble("VP9", wrong)


def test_vp9_layers_are_at_most_eight() -> None:
    with pytest.raises(ValueError, match="VP9"):
        assemble("VP9", [b"\xa8\x01\x02\x03" + coded("VP9")[1]] * 2)


@pytest.mark.parametrize(
    ("descriptor", "length"),
    [
        (b"\x8c\x01", 2),
        (b"\x8c\x81\x01", 3),
        (b"\x2c\x00\x05", 3),
        (b"\x3c\x00", 2),
        (b"\x5c\x02", 2),
        (b"\x5c\x03\x05\x02", 4),
        (b"\xfc\x81\x01\x00\x03\x02", 6),
        (b"\x0e\x00", 2),
        (b"\x0e\x10\0\xa0\0\x80", 6),
        (b"\x0e\x08\x02\x00\x08\x01\x02", 7),
    ],
)
def test_every_vp9_descriptor_is_passed_over(descriptor: bytes, length: int) -> None:
    data = coded("VP9")[0]
    assert vp9.read_descriptor(descriptor + data).length == length == len(descriptor)
    assert assemble("VP9", [descriptor + data]).data == data
    for cut in range(len(descriptor) + 1):
        assert not begins("VP9", descriptor[:cut])


@pytest.mark.parametrize("descriptor", [b"\x5c\x03\x03\x03", b"\x5c\x01\x01\x01\x00"])
def test_a_vp9_frame_has_at_most_three_references(descriptor: bytes) -> None:
    with pytest.raises(ValueError, match="references"):
        vp9.read_descriptor(descriptor + b"data")


def test_vp9_in_full_colour_is_measured_too() -> None:
    encoder = video_encoder("VP9", 98, 66)
    encoder.pix_fmt = "yuv444p"
    frame = blank(98, 66, "yuv444p")
    packets = [bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))]
    assert assemble("VP9", packetise("VP9", packets[0])).size == (98, 66)


@pytest.mark.parametrize(
    "data", [b"\0" * 20, b"\x80" + b"\0" * 20, b"\x82\x49\x83\x42\xe0\0\0\0\0"]
)
def test_a_vp9_keyframe_must_be_one(data: bytes) -> None:
    with pytest.raises(ValueError, match="VP9"):
        assemble("VP9", [b"\x0c" + data])


# --- H.264 --------------------------------------------------------------------------------


def test_h264_units_travel_together_or_in_pieces() -> None:
    packets = packetise("H264", coded("H264")[0], 200)
    kinds = [packet[0] & 31 for packet in packets]
    assert kinds[0] in (h264.STAP_A, h264.SEI, h264.SPS, h264.FU_A)
    assert h264.FU_A in kinds
    small = h264.START + b"\x67\x42" + h264.START + b"\x68\xce" + b"\0\0\1\x65\x88\x80\x10"
    [packet] = packetise("H264", small)
    assert packet == b"\x78\0\2\x67\x42\0\2\x68\xce\0\4\x65\x88\x80\x10"


@pytest.mark.parametrize(
    ("profile", "interlaced"),
    # The baseline knows no fields.
    [
        ("baseline", False),
        *itertools.product(("main", "high", "high10", "high422", "high444"), (False, True)),
    ],
)
def test_h264_sizes_of_every_profile(profile: str, interlaced: bool) -> None:
    form = {"high10": "yuv420p10le", "high422": "yuv422p", "high444": "yuv444p"}
    encoder = video_encoder("H264", 182, 124)
    encoder.pix_fmt = form.get(profile, "yuv420p")
    matrices = ":cqm=jvt" if profile.startswith("high") else ""
    encoder.options = {
        "preset": "ultrafast",
        "profile": profile,
        "x264-params": f"interlaced={int(interlaced)}{matrices}",
    }
    frame = blank(182, 124, encoder.pix_fmt)
    data = b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
    assert assemble("H264", packetise("H264", data)).size == (182, 124)


@pytest.mark.parametrize(
    "packets",
    [
        [b"\x79\0"],
        [b"\x78"],
        [b"\x78\0\0"],
        [b"\x78\0\5\x67"],
        [b"\x78\0\1\x67\0"],
        [b"\x78\0\1\x78"],
        [b"\x7c\x85"],
        [b"\x7c\xc5\0"],
        [b"\x7c\x80\0"],
        [b"\x7c\x05\0"],
        [b"\x7c\x85\0", b"\x7c\x85\0"],
        [b"\x7c\x85\0", b"\x65\0"],
        [b"\x7c\x85\0"],
        [b"\x60\0"],
        [b"\x67\x42\0", b"\x65\x80"],
    ],
)
def test_h264_that_is_malformed_is_refused(packets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="."):
        assemble("H264", packets)


@pytest.mark.parametrize("data", [b"abc", b"x\0\0\1\x65", b"\0\0\1", b"\0\0\0\1", b"\0\0\1\x78\1"])
def test_what_is_no_annex_b_is_not_sent(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"H\.264"):
        packetise("H264", data)


# --- sound --------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", SOUND)
def test_sound_is_one_packet(codec: Codec) -> None:
    assert assemble(codec, [b"sound"]) == Picture(b"sound", True, None)
    assert packetise(codec, b"sound") == [b"sound"]
    assert begins(codec, b"s")
    with pytest.raises(ValueError, match="one packet"):
        assemble(codec, [b"a", b"b"])
    with pytest.raises(ValueError, match="fits"):
        packetise(codec, b"\0" * 100, 64)


@pytest.mark.parametrize("duration", ["2.5", "5", "10", "20", "40", "60"])
@pytest.mark.parametrize("application", ["voip", "lowdelay"])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_the_length_of_opus_is_read(duration: str, application: str, layout: str) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48000, layout, "s16"
    encoder.options = {"frame_duration": duration, "application": application}
    ticks = int(float(duration) * 48)
    if application == "lowdelay" and ticks > 960:
        ticks_of_packets = {960 * (ticks // 960), ticks}
    else:
        ticks_of_packets = {ticks}
    frame = av.AudioFrame(format="s16", layout=layout, samples=ticks)
    frame.sample_rate = 48000
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    packets = []
    for number in range(4):
        frame.pts = number * ticks
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    assert packets
    for packet in packets:
        assert sound.opus_ticks(packet) in ticks_of_packets
        assert sound.opus_channels(packet) in (1, 2 if layout == "stereo" else 1)


@pytest.mark.parametrize("data", [b"", b"\x03", b"\x03\x00", b"\x1b\x3f"])
def test_what_is_no_opus_has_no_length(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        sound.opus_ticks(data)


# --- what strangers send ------------------------------------------------------------------


@given(
    codec=st.sampled_from(get_args(Codec)),
    packets=st.lists(st.binary(max_size=40), max_size=5),
    views=st.booleans(),
)
def test_nothing_but_value_error_is_raised(codec: Codec, packets: list[bytes], views: bool) -> None:
    given_ = [memoryview(packet) for packet in packets] if views else packets
    for packet in given_:
        assert begins(codec, packet) in (True, False)
    try:
        whole = assemble(codec, given_)
    except ValueError:
        return
    assert whole.data
    if codec in SOUND or codec == "H264":
        return
    # What was put together can be sent on, and arrives the same.
    assert assemble(codec, packetise(codec, whole.data, 64)).data == whole.data


@given(codec=st.sampled_from(VIDEO), choice=st.randoms(use_true_random=False))
def test_real_packets_with_flipped_bits(codec: Codec, choice: random.Random) -> None:
    packets = [bytearray(p) for p in packetise(codec, choice.choice(coded(codec)), 120)]
    for _ in range(choice.randrange(1, 4)):
        packet = choice.choice(packets)
        packet[choice.randrange(min(len(packet), 24))] ^= 1 << choice.randrange(8)
    try:
        whole = assemble(codec, [bytes(packet) for packet in packets])
    except ValueError:
        return
    assert whole.data
    assert whole.size is None or all(0 < side <= 65536 for side in whole.size)


@given(codec=st.sampled_from(VIDEO), data=st.binary(max_size=300))
def test_packetising_anything(codec: Codec, data: bytes) -> None:
    try:
        packets = packetise(codec, data, 64)
    except ValueError:
        return
    assert all(len(packet) <= 64 for packet in packets)


@given(units=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
def test_any_h264_units_come_back(units: list[bytes]) -> None:
    # Without zeros nothing in them looks like a start code; type 1 has no parameters to read.
    sent = [bytes([0x61]) + unit.replace(b"\0", b"\1") for unit in units]
    data = b"".join(h264.START + unit for unit in sent)
    assert assemble("H264", packetise("H264", data, 64)).data == data


@given(unit=st.binary(max_size=64))
def test_any_parameter_set_is_a_size_or_refused(unit: bytes) -> None:
    try:
        width, height = h264.size_of(b"\x67" + unit)
    except ValueError:
        return
    assert 0 < width <= 16384
    assert 0 < height <= 16384
