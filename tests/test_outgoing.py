"""A track of ours on a wire that may be blocked: what is sent when, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import time

import pytest

from ringback.bots.media import outgoing, packet, rtp
from ringback.bots.media.frames import Kind
from ringback.bots.media.outgoing import Outgoing
from tests.tracks import section, vp8


class FakeWire:
    """Keeps what it carries; sealing is putting `sealed:` behind the header."""

    def __init__(self) -> None:
        self.ready = True
        self.blocked = False
        self.carried: list[bytes] = []
        self.nudges = 0

    def carry(self, data: bytes, *, sealed: bool) -> bytes | None:
        if self.blocked:
            return None
        out = data if sealed else data + b" sealed"
        self.carried.append(out)
        return out

    def nudge(self) -> None:
        self.nudges += 1

    @property
    def sequences(self) -> list[int]:
        """The sequence numbers of what was carried."""
        return [rtp.read_header(data).sequence for data in self.carried]


def track(wire: FakeWire, kind: Kind = "video") -> Outgoing:
    return Outgoing(section(kind), wire)


@pytest.fixture
def wire() -> FakeWire:
    return FakeWire()


def test_a_frame_leaves_at_once(wire: FakeWire) -> None:
    sent = track(wire)
    assert (sent.codec, sent.codecs, sent.clock_rate) == ("VP8", ("VP8", "VP9"), 90000)
    assert sent.send(vp8(0, key=True), 0, keyframe=True)
    [data] = wire.carried
    assert rtp.read_header(data)[:2] == (True, 96)
    assert rtp.read_header(data).ssrc == 1
    assert sent.due == math.inf
    assert wire.nudges == 0


def test_the_mid_is_in_every_packet_where_it_was_negotiated(wire: FakeWire) -> None:
    made = dataclasses.replace(section(), extensions={packet.MID: 4})
    sent = Outgoing(made, wire)
    sent.send(vp8(0, key=True, length=3000), 0)
    assert len(wire.carried) == 3
    assert [packet.extension(data, len(data), 4) for data in wire.carried] == [b"0"] * 3


def test_a_large_frame_leaves_in_parts(wire: FakeWire) -> None:
    sent = track(wire)
    sent.send(vp8(0, key=True, length=100_000), 0)
    assert len(wire.carried) == outgoing.BURST
    assert wire.nudges == 1
    first = sent.due
    assert sent.send(vp8(1), 3000)
    assert len(wire.carried) == outgoing.BURST
    for _ in range(2):
        sent.poll(sent.due)
    assert sent.due == math.inf > first
    assert len(wire.carried) == 85 + 1
    start = wire.sequences[0]
    assert wire.sequences == [(start + n) & 0xFFFF for n in range(86)]


def test_a_blocked_wire_is_waited_for(wire: FakeWire) -> None:
    sent = track(wire)
    wire.blocked = True
    assert sent.send(vp8(0, key=True), 0)
    assert wire.carried == []
    sent.poll(sent.due)
    wire.blocked = False
    sent.poll(sent.due)
    assert len(wire.carried) == 1


def test_more_than_can_wait_is_refused_up_to_a_keyframe(wire: FakeWire) -> None:
    sent = track(wire)
    asked: list[int] = []
    sent.on_keyframe_request = lambda: asked.append(1)
    wire.blocked = True
    while sent.send(vp8(0, key=True, length=100_000), 0):
        pass
    assert len(sent._queue) <= outgoing.MAX_QUEUE
    assert (sent.dropped, asked) == (1, [1])
    wire.blocked = False
    while sent.due < math.inf:
        sent.poll(sent.due)
    assert not sent.send(vp8(1), 3000)
    assert sent.send(vp8(2, key=True), 6000, keyframe=True)
    assert sent.send(vp8(3), 9000)
    assert sent.dropped == 2


@pytest.mark.parametrize("why", ["inactive", "not connected"])
def test_nothing_is_sent_that_nobody_gets(wire: FakeWire, why: str) -> None:
    sent = track(wire)
    if why == "inactive":
        sent.configure(dataclasses.replace(section(), returns=False))
    else:
        wire.ready = False
    assert not sent.send(vp8(0, key=True), 0)
    assert wire.carried == []


def test_what_is_no_frame_is_refused(wire: FakeWire) -> None:
    with pytest.raises(ValueError, match="VP8"):
        track(wire).send(b"", 0)


def test_a_nack_is_answered_by_retransmission(wire: FakeWire) -> None:
    sent = track(wire)
    sent.send(vp8(0, key=True), 0)
    lost = wire.sequences
    sent.resend(lost, time.monotonic())
    header = rtp.read_header(wire.carried[1])
    assert (header.payload_type, header.ssrc) == (97, 2)
    assert wire.carried[1][12:14] == lost[0].to_bytes(2, "big")
    assert sent.resent == 1


def test_a_nack_is_answered_by_the_sealed_packet_where_there_is_no_retransmission(
    wire: FakeWire,
) -> None:
    sent = track(wire)
    sent.select("VP9")
    sent.send(bytes.fromhex("8249834200") + b"\x13\xf0\x0e\xf0" + bytes(30), 0, keyframe=True)
    sent.resend(wire.sequences, time.monotonic())
    assert wire.carried[1] == wire.carried[0]


def test_a_codec_that_was_not_negotiated_cannot_be_selected(wire: FakeWire) -> None:
    sent = track(wire)
    with pytest.raises(ValueError, match="H264"):
        sent.select("H264")


def test_what_the_peer_no_longer_takes_is_no_longer_used(wire: FakeWire) -> None:
    sent = track(wire)
    sent.select("VP9")
    made = section()
    left = {number: form for number, form in made.formats.items() if form.name != "vp9"}
    sent.configure(dataclasses.replace(made, formats=left))
    assert (sent.codec, sent.codecs) == ("VP8", ("VP8",))
    sent.configure(dataclasses.replace(made, formats={}))
    assert (sent.codec, sent.active, sent.clock_rate) == (None, False, 0)
    sent.resend([1], 0.0)


def test_requests_for_keyframes_are_told_once(wire: FakeWire) -> None:
    sent = track(wire)
    sent.keyframe_requested(1.0)
    asked: list[int] = []
    sent.on_keyframe_request = lambda: asked.append(1)
    for now in (1.0, 1.01, 1.05, 1.2):
        sent.keyframe_requested(now)
    assert asked == [1, 1]


def test_sound_is_marked_where_it_begins(wire: FakeWire) -> None:
    sent = track(wire, "audio")
    assert (sent.codec, sent.clock_rate) == ("opus", 48000)
    for number in range(3):
        sent.send(b"\xfcsound", number * 960, keyframe=True)
    assert [rtp.read_header(data).marker for data in wire.carried] == [True, False, False]
