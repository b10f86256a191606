"""RTP packets: where the payload lies, header extensions, retransmission."""

from __future__ import annotations

import pytest
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx, wrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import packet, rtp

MAPPED = HeaderExtensionsMap()
MAPPED.configure(
    type("P", (), {"headerExtensions": [type("E", (), {"id": 4, "uri": packet.MID})]})()
)


def span(data: bytes) -> tuple[int, int]:
    return packet.payload_span(data, len(data))


def test_the_payload_of_a_plain_packet() -> None:
    data = packet.build(96, 7, 9, 5, b"payload", marker=True)
    assert data[slice(*span(data))] == b"payload"
    assert rtp.read_header(data) == rtp.Header(True, 96, 7, 9, 5)


def test_contributors_extension_and_padding_are_left_out() -> None:
    theirs = RtpPacket(payload_type=96, sequence_number=1, ssrc=2, payload=b"payload")
    theirs.csrc = [1, 2, 3]
    theirs.padding_size = 5
    theirs.extensions.mid = "video"
    data = theirs.serialize(MAPPED)
    assert data[slice(*span(data))] == b"payload"
    assert packet.extension(data, len(data), 4) == b"video"
    assert packet.extension(data, len(data), 5) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x90" + bytes(11),
        b"\x90" + bytes(13) + b"\x00\x01",
        b"\xa0" + bytes(12),
        b"\xa0" + bytes(11) + b"\x02",
        b"\x8f" + bytes(60),
    ],
    ids=["no extension", "extension cut off", "padding of 0", "too much padding", "contributors"],
)
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off|padding|shorter"):
        span(data)


@given(st.binary(min_size=12, max_size=80), st.integers(1, 255))
def test_any_bytes_are_read_or_refused(data: bytes, number: int) -> None:
    try:
        start, end = span(data)
    except ValueError:
        return
    assert 12 <= start <= end <= len(data)
    try:
        found = packet.extension(data, len(data), number)
    except ValueError:
        return
    assert found is None or found in data


def test_both_forms_of_extensions_are_read() -> None:
    two = b"\x90\x60" + bytes(10) + b"\x10\x00\x00\x02" + b"\x00\x07\x03abc" + bytes(2) + b"x"
    assert packet.extension(two, len(two), 7) == b"abc"
    assert two[slice(*span(two))] == b"x"
    one = packet.build(96, 1, 2, 3, b"x", extensions=packet.one_byte_extension(4, b"mid"))
    assert packet.extension(one, len(one), 4) == b"mid"
    assert RtpPacket.parse(one, MAPPED).extensions.mid == "mid"
    other = b"\x90\x60" + bytes(10) + b"\x12\x34\x00\x01" + b"\x10abc" + b"x"
    assert packet.extension(other, len(other), 1) is None


@pytest.mark.parametrize(("number", "value"), [(15, b"x"), (0, b"x"), (1, b""), (1, bytes(17))])
def test_what_does_not_fit_the_one_byte_form_is_left_out(number: int, value: bytes) -> None:
    assert packet.one_byte_extension(number, value) == b""


@pytest.mark.parametrize("extensions", [b"", packet.one_byte_extension(4, b"0")])
def test_retransmission_is_what_aiortc_wraps_and_unwraps(extensions: bytes) -> None:
    data = packet.build(96, 65535, 2**32 - 1, 5, b"payload", marker=True, extensions=extensions)
    wrapped = packet.retransmission(data, 97, 3, 6)
    theirs = wrap_rtx(RtpPacket.parse(data, MAPPED), 97, 3, 6)
    assert wrapped == theirs.serialize(MAPPED)
    assert unwrap_rtx(RtpPacket.parse(wrapped, MAPPED), 96, 5).serialize(MAPPED) == data
