"""What we send: numbers, history, retransmission and reports, in virtual time."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtpPacket, unwrap_rtx

from ringback.bots.media import rtcp, sending
from ringback.bots.media.rtcp import Block
from ringback.bots.media.sending import Again, Seeds, Transmission

SSRC, RTX_SSRC = 7, 8


def stream(sequence: int = 65535) -> Transmission:
    return Transmission(SSRC, RTX_SSRC, Seeds(sequence, 10, 2**32 - 1000))


def frame(made: Transmission, count: int = 1, timestamp: int = 0) -> list[RtpPacket]:
    payloads = [b"payload %d" % n for n in range(count)]
    packets = made.number(payloads, 96, timestamp, marker=True, extensions=b"")
    for packet in packets:
        made.keep(packet, packet[2] << 8 | packet[3], 0.0, sealed=False)
    return [RtpPacket.parse(packet) for packet in packets]


def block(*, fraction: int = 0, last: int = 0, delay: int = 0) -> Block:
    return Block(SSRC, fraction, 0, 0, 0, last, delay)


def test_packets_are_numbered_over_wraps_and_the_last_is_marked() -> None:
    packets = frame(stream(), 3, timestamp=3000)
    assert [p.sequence_number for p in packets] == [65535, 0, 1]
    assert [p.marker for p in packets] == [0, 0, 1]
    assert {p.timestamp for p in packets} == {2000}
    assert {(p.ssrc, p.payload_type) for p in packets} == {(SSRC, 96)}
    assert packets[2].payload == b"payload 2"


def test_a_packet_is_sent_again_in_its_own_stream() -> None:
    made = stream()
    packets = frame(made, 3)
    again = made.again([0, 1], 97, 0.1)
    assert [a.sealed for a in again] == [False, False]
    wrapped = [RtpPacket.parse(a.data) for a in again]
    assert [(p.ssrc, p.payload_type, p.sequence_number) for p in wrapped] == [
        (RTX_SSRC, 97, 10),
        (RTX_SSRC, 97, 11),
    ]
    for packet, original in zip(wrapped, packets[1:], strict=True):
        assert unwrap_rtx(packet, 96, SSRC).serialize() == original.serialize()


def test_without_a_stream_for_it_a_sealed_packet_is_sent_again_as_it_was() -> None:
    made = stream()
    made.keep(b"sealed", 5, 0.0, sealed=True)
    assert made.again([5], None, 0.1) == [Again(b"sealed", True)]


def test_nothing_is_sent_again_twice_within_a_round_trip() -> None:
    made = stream()
    frame(made)
    assert len(made.again([65535, 65535], 97, 0.1)) == 1
    assert made.again([65535], 97, 0.11) == []
    assert len(made.again([65535], 97, 0.121)) == 1
    made.round_trip = 0.5
    assert made.again([65535], 97, 0.4) == []
    assert len(made.again([65535], 97, 0.6)) == 1


def test_what_is_old_or_unknown_is_not_sent_again() -> None:
    made = stream()
    frame(made)
    assert made.again([65534, 4], 97, 0.1) == []
    assert made.again([65535], 97, sending.KEEP + 0.1) == []
    frame(made, sending.HISTORY)
    assert made.again([65535], 97, 0.1) == []
    assert len(made.again([0], 97, 0.1)) == 1


def test_a_report_holds_one_moment_in_both_clocks() -> None:
    made = stream()
    assert made.report(1.0, 1000.0) is None
    frame(made, 2, timestamp=90000)
    made.moment(90000, 90000, 5.0)
    report = made.report(5.5, 1000.5)
    assert report is not None
    assert report.ntp == rtcp.ntp(1000.5)
    assert report.timestamp == (90000 + 45000 - 1000) % 2**32
    assert (report.ssrc, report.packets, report.octets) == (SSRC, 2, 18)


def test_the_clock_follows_what_is_early_and_not_what_is_late() -> None:
    made = stream()
    for number in range(100):
        late = 0.03 if number % 3 else 0.0
        made.moment(number * 3000, 90000, number / 30 + late)
    report = made.report(10.0, 0.0)
    assert report is not None
    assert report.timestamp == pytest.approx(10 * 90000 - 1000, abs=90)


def test_a_pause_in_the_timestamps_moves_the_clock() -> None:
    made = stream()
    made.moment(0, 90000, 0.0)
    made.moment(3000, 90000, 60.0)
    report = made.report(60.0, 0.0)
    assert report is not None
    assert report.timestamp == (3000 - 1000) % 2**32


def test_what_the_peer_reports() -> None:
    made = stream()
    made.reported(block(fraction=64), 100.0)
    assert (made.loss, made.round_trip) == (0.25, None)
    sent = rtcp.ntp(100.0) >> 16 & 0xFFFFFFFF
    made.reported(block(last=sent, delay=65536), 101.25)
    assert made.loss == 0.0
    assert made.round_trip == pytest.approx(0.25, abs=1e-3)
    made.reported(block(last=sent, delay=5 * 65536), 101.25)
    assert made.round_trip == pytest.approx(0.25, abs=1e-3)
