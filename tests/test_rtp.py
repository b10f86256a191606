"""Headers of RTP and RTCP, and how a packet is turned round."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
    unpack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import rtp

THEIRS, THEIRS_RTX, OURS, OURS_RTX, STRANGER = 11, 12, 1_000_001, 1_000_002, 77


@pytest.fixture
def sources() -> rtp.Sources:
    return paired()


def paired() -> rtp.Sources:
    both = rtp.Sources()
    both.pair(THEIRS, OURS)
    both.pair(THEIRS_RTX, OURS_RTX)
    return both


def turn(sources: rtp.Sources, *packets: AnyRtcpPacket) -> list[AnyRtcpPacket]:
    """What comes out when a compound of packets goes in, read by aiortc's own parser."""
    data = bytearray(b"".join(bytes(p) for p in packets))
    length = rtp.mirror_rtcp(data, len(data), sources)
    return RtcpPacket.parse(bytes(data[:length]))


def report(ssrc: int) -> RtcpReceiverInfo:
    return RtcpReceiverInfo(
        ssrc=ssrc, fraction_lost=3, packets_lost=4, highest_sequence=5, jitter=6, lsr=7, dlsr=8
    )


SENDER = RtcpSenderInfo(ntp_timestamp=1 << 40, rtp_timestamp=9, packet_count=2, octet_count=3)


# --- RTP ----------------------------------------------------------------------------------


def test_header_is_read_as_aiortc_wrote_it() -> None:
    packet = RtpPacket(
        payload_type=96, marker=1, sequence_number=65535, timestamp=4_000_000_000, ssrc=THEIRS,
        payload=b"frame",
    )  # fmt: skip
    assert rtp.read_header(packet.serialize()) == (True, 96, 65535, 4_000_000_000, THEIRS)


def test_writing_a_source_changes_nothing_else() -> None:
    packet = RtpPacket(payload_type=0, sequence_number=1, ssrc=THEIRS, payload=b"sound")
    packet.csrc = [5, 6]
    data = bytearray(packet.serialize())
    rtp.write_ssrc(data, OURS)
    turned = RtpPacket.parse(bytes(data))
    assert (turned.ssrc, turned.csrc, turned.payload) == (OURS, [5, 6], b"sound")
    rtp.write_ssrc(data, THEIRS)
    assert bytes(data) == packet.serialize()


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x40" + b"\0" * 11, b"\xc0" + b"\0" * 20])
def test_what_is_no_rtp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="RTP"):
        rtp.read_header(data)


def test_rtcp_is_told_from_rtp_by_the_second_byte() -> None:
    assert [n for n in range(256) if rtp.is_rtcp(bytes([0x80, n]))] == list(range(192, 224))


# --- sources ------------------------------------------------------------------------------


def test_a_source_keeps_its_counterpart(sources: rtp.Sources) -> None:
    sources.pair(THEIRS, OURS)
    with pytest.raises(ValueError, match="counterpart"):
        sources.pair(THEIRS, 5)
    with pytest.raises(ValueError, match="counterpart"):
        sources.pair(5, OURS)
    assert sources.ours == {THEIRS: OURS, THEIRS_RTX: OURS_RTX}
    assert sources.theirs == {OURS: THEIRS, OURS_RTX: THEIRS_RTX}
    assert sources.own == OURS


def test_sources_are_bounded() -> None:
    sources = rtp.Sources()
    for number in range(rtp.STREAMS):
        sources.pair(number, 1000 + number)
    with pytest.raises(ValueError, match="too many"):
        sources.pair(500, 1500)


# --- RTCP, kind by kind -------------------------------------------------------------------


def test_sender_report(sources: rtp.Sources) -> None:
    [turned] = turn(sources, RtcpSrPacket(THEIRS, SENDER, [report(OURS), report(OURS_RTX)]))
    assert turned == RtcpSrPacket(OURS, SENDER, [report(THEIRS), report(THEIRS_RTX)])


def test_receiver_report(sources: rtp.Sources) -> None:
    [turned] = turn(sources, RtcpRrPacket(THEIRS, [report(OURS)]))
    assert turned == RtcpRrPacket(OURS, [report(THEIRS)])


def test_report_of_a_peer_that_only_receives_comes_from_a_source_of_ours(
    sources: rtp.Sources,
) -> None:
    [turned] = turn(sources, RtcpRrPacket(1, [report(OURS)]))
    assert turned == RtcpRrPacket(OURS, [report(THEIRS)])


def test_source_description(sources: rtp.Sources) -> None:
    items: list[tuple[object, bytes]] = [(1, b"name"), (2, b"x")]
    chunk = RtcpSourceInfo(THEIRS, items)
    [turned] = turn(sources, RtcpSdesPacket([chunk]))
    assert turned == RtcpSdesPacket([RtcpSourceInfo(OURS, items)])


def test_source_description_of_several_sources_with_their_padding(sources: rtp.Sources) -> None:
    def chunk(ssrc: int, name: bytes) -> bytes:
        body = struct.pack("!LBB", ssrc, 1, len(name)) + name + b"\0"
        return body + bytes(-len(body) % 4)

    for name in (b"", b"a", b"ab", b"abc", b"abcd"):
        body = chunk(THEIRS, name) + chunk(THEIRS_RTX, b"zz")
        data = bytearray(struct.pack("!BBH", 0x82, rtp.SDES, len(body) // 4) + body)
        assert rtp.mirror_rtcp(data, len(data), sources) == len(data)
        assert bytes(data[4:]) == chunk(OURS, name) + chunk(OURS_RTX, b"zz")


def test_goodbye(sources: rtp.Sources) -> None:
    [turned] = turn(sources, RtcpByePacket([THEIRS, THEIRS_RTX]))
    assert turned == RtcpByePacket([OURS, OURS_RTX])


def test_nack_keeps_what_is_missing(sources: rtp.Sources) -> None:
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=THEIRS, media_ssrc=OURS, lost=[7, 9, 40])
    [turned] = turn(sources, nack)
    assert turned == RtcpRtpfbPacket(RTCP_RTPFB_NACK, OURS, THEIRS, [7, 9, 40])


def test_picture_loss(sources: rtp.Sources) -> None:
    [turned] = turn(sources, RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, OURS))
    assert turned == RtcpPsfbPacket(RTCP_PSFB_PLI, OURS, THEIRS)


def test_full_intra_request_names_the_source_in_its_entries(sources: rtp.Sources) -> None:
    entry = struct.pack("!LB3x", OURS, 5)
    [turned] = turn(sources, RtcpPsfbPacket(RTCP_PSFB_FIR, THEIRS, 0, entry))
    assert turned == RtcpPsfbPacket(RTCP_PSFB_FIR, OURS, 0, struct.pack("!LB3x", THEIRS, 5))


def test_bitrate_estimate_speaks_of_the_peers_sources(sources: rtp.Sources) -> None:
    fci = pack_remb_fci(800_000, [OURS, OURS_RTX])
    [turned] = turn(sources, RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, 0, fci))
    assert isinstance(turned, RtcpPsfbPacket)
    bitrate, ssrcs = unpack_remb_fci(turned.fci)
    assert (turned.ssrc, turned.media_ssrc, ssrcs) == (OURS, 0, [THEIRS, THEIRS_RTX])
    assert bitrate == unpack_remb_fci(fci)[0]


def test_bitrate_estimates_are_capped(sources: rtp.Sources) -> None:
    sources.cap = 300_000
    for bits, expected in ((200_000, 200_000), (800_000, 300_000), (2**60, 300_000)):
        [turned] = turn(sources, RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, 0, _remb(bits)))
        assert isinstance(turned, RtcpPsfbPacket)
        bitrate, ssrcs = unpack_remb_fci(turned.fci)
        assert bitrate == pytest.approx(expected, rel=1e-4)
        assert bitrate <= expected
        assert ssrcs == [THEIRS]


def _remb(bits: int) -> bytes:
    return b"REMB\x01" + rtp.write_bitrate(bits) + OURS.to_bytes(4, "big")


@given(st.integers(0, rtp.MAX_BITRATE))
def test_bitrates_are_written_as_aiortc_reads_them(bits: int) -> None:
    written = rtp.write_bitrate(bits)
    read = rtp.read_bitrate(written, 0)
    assert unpack_remb_fci(b"REMB\x00" + written) == (read, [])
    assert bits * (1 - 2**-17) <= read <= bits


def test_bitrate_request(sources: rtp.Sources) -> None:
    data = bytearray(struct.pack("!BBHLLLL", 0x83, rtp.RTPFB, 4, THEIRS, 0, OURS, 0xABCDEF01))
    assert rtp.mirror_rtcp(data, len(data), sources) == 20
    assert struct.unpack("!LLLL", data[4:]) == (OURS, 0, THEIRS, 0xABCDEF01)


def test_bitrate_estimate_without_the_sources_it_announces_is_refused(sources: rtp.Sources) -> None:
    fci = bytearray(pack_remb_fci(800_000, [OURS]))
    fci[4] = 9
    with pytest.raises(ValueError, match="cut off"):
        turn(sources, RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, 0, bytes(fci)))


# --- RTCP, what is dropped ----------------------------------------------------------------


def test_transport_wide_feedback_is_dropped_and_the_rest_of_the_compound_kept(
    sources: rtp.Sources,
) -> None:
    before = RtcpRrPacket(THEIRS, [report(OURS)])
    feedback = RtcpRtpfbPacket(15, THEIRS, OURS, [1, 2])
    after = RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, OURS)
    assert turn(sources, before, feedback, after) == [
        RtcpRrPacket(OURS, [report(THEIRS)]),
        RtcpPsfbPacket(RTCP_PSFB_PLI, OURS, THEIRS),
    ]


@pytest.mark.parametrize(
    "packet",
    [
        RtcpRtpfbPacket(15, THEIRS, OURS),
        RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, OURS, b"LNTF"),
        RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, STRANGER),
        RtcpRtpfbPacket(RTCP_RTPFB_NACK, THEIRS, STRANGER, [1]),
        RtcpRrPacket(THEIRS, [report(OURS), report(STRANGER)]),
        RtcpSrPacket(STRANGER, SENDER),
        RtcpByePacket([STRANGER]),
        RtcpByePacket([]),
        RtcpSdesPacket([RtcpSourceInfo(STRANGER, [(1, b"x")])]),
    ],
    ids=str,
)
def test_what_cannot_be_turned_is_dropped(sources: rtp.Sources, packet: AnyRtcpPacket) -> None:
    kept = RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, OURS)
    assert turn(sources, packet) == []
    assert turn(sources, packet, kept) == [RtcpPsfbPacket(RTCP_PSFB_PLI, OURS, THEIRS)]


def test_an_unknown_kind_is_dropped(sources: rtp.Sources) -> None:
    for kind in (192, 204, 207, 210):
        data = bytearray(struct.pack("!BBHL", 0x80, kind, 1, THEIRS))
        assert rtp.mirror_rtcp(data, len(data), sources) == 0


def test_nothing_is_sent_while_there_is_no_source_of_ours() -> None:
    assert turn(rtp.Sources(), RtcpRrPacket(THEIRS, [])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        b"\x80\xc9\x00",
        b"\x40\xc9\x00\x01\0\0\0\x0b",
        b"\x80\xc9\x00\x02\0\0\0\x0b",
        b"\x81\xc9\x00\x01\0\0\0\x0b",
        b"\x81\xc8\x00\x06" + bytes([0, 0, 0, THEIRS]) + b"\0" * 20,
        b"\x82\xcb\x00\x01\0\0\0\x0b",
        b"\x81\xcd\x00\x01\0\0\0\x0b",
        b"\x81\xca\x00\x02\0\0\0\x0b\x01\xff\x00\x00",
        b"\x82\xca\x00\x01\0\0\0\x0b",
    ],
)
def test_rtcp_that_is_cut_off_is_refused(sources: rtp.Sources, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|RTCP"):
        rtp.mirror_rtcp(bytearray(data), len(data), sources)


# --- whatever comes -----------------------------------------------------------------------


def kinds(
    senders: st.SearchStrategy[int], targets: st.SearchStrategy[int]
) -> st.SearchStrategy[AnyRtcpPacket]:
    """RTCP of every kind, from one of `senders` about some of `targets`."""
    reports = st.lists(targets.map(report), max_size=3)
    lost = st.lists(st.integers(0, 999), min_size=1, unique=True).map(sorted)
    entries = targets.map(lambda ssrc: struct.pack("!LL", ssrc, 7))
    return st.one_of(
        st.builds(RtcpRrPacket, senders, reports),
        st.builds(RtcpSrPacket, senders, st.just(SENDER), reports),
        st.builds(RtcpByePacket, st.lists(senders, min_size=1, max_size=3)),
        st.builds(RtcpPsfbPacket, st.just(RTCP_PSFB_PLI), senders, targets),
        st.builds(RtcpPsfbPacket, st.just(RTCP_PSFB_FIR), senders, st.just(0), entries),
        st.builds(
            RtcpPsfbPacket, st.just(RTCP_PSFB_APP), senders, st.just(0),
            targets.map(lambda ssrc: pack_remb_fci(5000, [ssrc])),
        ),
        st.builds(RtcpRtpfbPacket, st.just(RTCP_RTPFB_NACK), senders, targets, lost),
    )  # fmt: skip


anything = st.sampled_from([THEIRS, THEIRS_RTX, OURS, OURS_RTX, STRANGER, 0])


@given(st.lists(kinds(anything, anything), max_size=4))
def test_turning_never_lengthens_and_leaves_rtcp(compound: list[AnyRtcpPacket]) -> None:
    data = bytearray(b"".join(bytes(p) for p in compound))
    length = rtp.mirror_rtcp(data, len(data), paired())
    assert 0 <= length <= len(data)
    turned = RtcpPacket.parse(bytes(data[:length]))
    assert len(turned) <= len(compound)
    assert not any(getattr(p, "ssrc", OURS) in (THEIRS, THEIRS_RTX) for p in turned)


@given(kinds(st.sampled_from([THEIRS, THEIRS_RTX]), st.sampled_from([OURS, OURS_RTX])))
def test_turned_twice_it_is_as_it_was(packet: AnyRtcpPacket) -> None:
    back = rtp.Sources()
    back.pair(OURS, THEIRS)
    back.pair(OURS_RTX, THEIRS_RTX)
    [once] = turn(paired(), packet)
    assert once != packet
    assert turn(back, once) == [packet]


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_anything_but_raise_value_error(data: bytes, opened: bool) -> None:
    data = b"\x81\xc8" + data if opened else data
    try:
        length = rtp.mirror_rtcp(bytearray(data), len(data), paired())
    except ValueError:
        return
    assert 0 <= length <= len(data)


@given(st.binary(max_size=40))
def test_header_is_read_or_refused(data: bytes) -> None:
    try:
        header = rtp.read_header(data)
    except ValueError:
        assert len(data) < 12 or data[0] >> 6 != 2
        return
    assert header.payload_type == data[1] & 127
