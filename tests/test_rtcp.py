"""RTCP: what we write aiortc reads, what it writes we read, and any bytes do no harm."""

from __future__ import annotations

import pytest
from aiortc import rtp as theirs
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import rtcp

WORD = st.integers(0, 2**32 - 1)
BLOCK = st.builds(
    rtcp.Block, WORD, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), WORD, WORD, WORD, WORD
)
SEQUENCE = st.integers(0, 65535)


def read(data: bytes) -> list[rtcp.Item]:
    return rtcp.read(data, len(data))


@given(st.builds(rtcp.SenderReport, WORD, st.integers(0, 2**64 - 1), WORD, WORD, WORD), BLOCK)
def test_sender_reports(report: rtcp.SenderReport, block: rtcp.Block) -> None:
    data = rtcp.write_sender_report(report, [block])
    assert read(data) == [report, rtcp.Reports((block,))]
    [parsed] = theirs.RtcpPacket.parse(data)
    assert isinstance(parsed, theirs.RtcpSrPacket)
    assert parsed.ssrc == report.ssrc
    info = parsed.sender_info
    assert (info.ntp_timestamp, info.rtp_timestamp) == (report.ntp, report.timestamp)
    assert (info.packet_count, info.octet_count) == (report.packets, report.octets)
    assert parsed.reports[0].packets_lost == block.lost
    assert bytes(parsed) == data


@given(WORD, st.lists(BLOCK, max_size=31))
def test_receiver_reports(ssrc: int, blocks: list[rtcp.Block]) -> None:
    data = rtcp.write_receiver_report(ssrc, blocks)
    assert read(data) == [rtcp.Reports(tuple(blocks))]
    assert bytes(theirs.RtcpPacket.parse(data)[0]) == data


@pytest.mark.parametrize("name", ["", "a", "abc", "ringback", "ä" * 200])
def test_descriptions(name: str) -> None:
    data = rtcp.write_description(5, name)
    assert len(data) % 4 == 0
    [parsed] = theirs.RtcpPacket.parse(data)
    assert isinstance(parsed, theirs.RtcpSdesPacket)
    assert parsed.chunks[0].ssrc == 5
    assert parsed.chunks[0].items == [(1, name.encode()[:255])]
    assert read(data) == []


@given(WORD, SEQUENCE, st.sets(st.integers(0, 300), min_size=1, max_size=128))
def test_nacks(ssrc: int, first: int, offsets: set[int]) -> None:
    lost = [(first + offset) & 0xFFFF for offset in sorted(offsets)]
    data = rtcp.write_nack(1, rtcp.Nack(ssrc, lost))
    assert read(data) == [rtcp.Nack(ssrc, lost)]
    [parsed] = theirs.RtcpPacket.parse(data)
    assert isinstance(parsed, theirs.RtcpRtpfbPacket)
    assert parsed.lost == lost
    assert parsed.media_ssrc == ssrc


def test_keyframe_requests() -> None:
    for request in (rtcp.KeyframeRequest(7), rtcp.KeyframeRequest(7, 200)):
        data = rtcp.write_keyframe_request(1, request)
        assert read(data) == [request]
        [parsed] = theirs.RtcpPacket.parse(data)
        assert isinstance(parsed, theirs.RtcpPsfbPacket)
        assert parsed.fmt == (1 if request.number is None else 4)


@given(st.integers(0, 2**40), st.lists(WORD, max_size=3))
def test_bitrates(bitrate: int, ssrcs: list[int]) -> None:
    data = rtcp.write_remb(1, rtcp.Remb(bitrate, tuple(ssrcs)))
    [remb] = read(data)
    assert isinstance(remb, rtcp.Remb)
    assert remb.ssrcs == tuple(ssrcs)
    assert bitrate * (1 - 2**-17) <= remb.bitrate <= bitrate
    [parsed] = theirs.RtcpPacket.parse(data)
    assert isinstance(parsed, theirs.RtcpPsfbPacket)
    assert theirs.unpack_remb_fci(parsed.fci) == (remb.bitrate, ssrcs)


def test_byes() -> None:
    data = rtcp.write_bye(9)
    assert read(data) == [rtcp.Bye((9,))]
    assert bytes(theirs.RtcpPacket.parse(data)[0]) == data


def test_a_compound_is_read_in_order_and_what_is_unknown_is_passed_over() -> None:
    unknown = b"\x80\xcc\x00\x01" + bytes(4)
    data = rtcp.write_receiver_report(1) + unknown + rtcp.write_bye(2)
    assert read(data) == [rtcp.Reports(()), rtcp.Bye((2,))]


def test_only_so_many_things_are_read() -> None:
    assert len(read(rtcp.write_bye(1) * 200)) == rtcp.MAX_ITEMS


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\xc8\x00",
        b"\x40\xc8\x00\x01" + bytes(4),
        b"\x80\xc8\x00\x02" + bytes(4),
        b"\x80\xc8\x00\x01" + bytes(4),
        b"\x81\xc9\x00\x01" + bytes(4),
        b"\x82\xcb\x00\x01" + bytes(4),
        b"\x81\xce\x00\x01" + bytes(4),
        b"\x8f\xce\x00\x03" + bytes(8) + b"REMB",
        b"\x8f\xce\x00\x04" + bytes(8) + b"REMB\x01\x00\x00\x00",
    ],
)
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off|shorter"):
        read(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        items = read(data)
    except ValueError:
        return
    assert len(items) <= rtcp.MAX_ITEMS + rtcp.MAX_ITEMS


@given(st.binary(max_size=120), st.sampled_from([200, 201, 203, 205, 206]), st.integers(0, 31))
def test_any_body_is_read_or_refused(body: bytes, kind: int, count: int) -> None:
    body += bytes(-len(body) % 4)
    data = bytes([0x80 | count, kind]) + (len(body) // 4).to_bytes(2, "big") + body
    try:
        read(data)
    except ValueError:
        return


def test_ntp_time_counts_from_1900() -> None:
    assert rtcp.ntp(0) == 2208988800 << 32
    assert rtcp.ntp(0.5) - rtcp.ntp(0) == 1 << 31
