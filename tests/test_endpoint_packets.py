"""An endpoint packet by packet: which goes to which track, what goes back, and any bytes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import time
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error

from ringback.bots.media import feedback, packet, rtcp, rtp
from ringback.bots.media.congestion import ReceiveRate
from ringback.bots.media.endpoint import CAP, Endpoint
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.outgoing import MOST
from ringback.bots.media.payload import packetise
from ringback.bots.media.plane import MAX_EARLY, Section
from tests.planes import Wired
from tests.tracks import section, vp8

MID = packet.MID


class Ended(Wired):
    """An endpoint without a network, and its frames by mid."""

    plane: Endpoint

    def __init__(self, *sections: Section) -> None:
        self.frames: dict[str, list[Frame]] = {}
        self.digits: list[str] = []
        self.faults: list[Exception] = []
        super().__init__(
            partial(
                Endpoint,
                sends=("audio", "video"),
                on_incoming=self._add,
                on_digit=self.digits.append,
                on_fault=self.faults.append,
            )
        )
        self.plane.configure(sections)

    def _add(self, track: Incoming) -> None:
        frames = self.frames[track.mid] = []
        track.on_frame = frames.append


def named(mid: str, *theirs: int, ours: tuple[int, int] = (1, 2)) -> Section:
    return dataclasses.replace(
        section("video"), mid=mid, theirs=theirs, ours=ours, extensions={MID: 4}
    )


def build(ssrc: int, sequence: int = 1, *, mid: str | None = None, kind: int = 96) -> bytes:
    extensions = packet.one_byte_extension(4, mid.encode()) if mid is not None else b""
    [payload] = packetise("VP8", vp8(sequence, key=True))
    return packet.build(
        kind, sequence, sequence * 3000, ssrc, payload, marker=True, extensions=extensions
    )


@pytest.fixture
async def end() -> AsyncIterator[Ended]:
    made = Ended(named("a", 11, 12), named("b", ours=(3, 4)))
    yield made
    made.plane.close()


async def test_packets_go_where_the_description_says(end: Ended) -> None:
    end.rtp(build(11))
    assert (len(end.frames["a"]), len(end.frames["b"])) == (1, 0)
    assert end.plane.counts.packets == end.plane.guard.heard == 1
    assert end.plane.counts.first is not None


async def test_the_mid_in_the_packet_says_where_an_unnamed_source_belongs(end: Ended) -> None:
    end.rtp(build(77, mid="a"))
    end.rtp(build(78, mid="b"))
    assert [f.source for f in end.frames["a"]] == [0]
    assert len(end.frames["b"]) == 1


async def test_without_any_name_it_belongs_where_nothing_came_yet(end: Ended) -> None:
    end.rtp(build(11))
    end.rtp(build(77))
    assert (len(end.frames["a"]), len(end.frames["b"])) == (1, 1)


async def test_what_nobody_negotiated_is_dropped_unopened(end: Ended) -> None:
    end.rtp(build(77, kind=50))
    assert end.plane.counts.dropped == {"unknown": 1}
    assert end.plane.counts.packets == 0


async def test_only_so_many_sources_are_opened(end: Ended) -> None:
    for ssrc in range(100, 130):
        end.rtp(build(ssrc))
    assert len(end.plane._routes) == rtp.STREAMS
    assert end.plane.counts.dropped["unknown"] == 30 - (rtp.STREAMS - 2)


async def test_what_is_not_genuine_is_dropped(end: Ended) -> None:
    end.plane.receive(build(11) + bytes(10), time.monotonic())
    end.plane.receive(rtcp.write_bye(11) + bytes(14), time.monotonic())
    assert end.plane.counts.dropped == {"not genuine": 2}


async def test_a_packet_that_is_cut_off_is_dropped(end: Ended) -> None:
    end.rtp(b"\xa0\x60" + bytes(6) + (11).to_bytes(4, "big") + b"\x09")
    assert end.plane.counts.dropped == {"malformed": 1}


async def test_what_comes_before_the_keys_is_opened_with_them(end: Ended) -> None:
    end.dtls._rx_srtp, keys = None, end.dtls._rx_srtp
    for number in range(1, MAX_EARLY + 2):
        end.rtp(build(11, number))
    assert end.plane.counts.packets == 0
    assert end.plane.counts.dropped == {"early": 1}
    end.dtls._rx_srtp = keys
    end.rtp(build(11, MAX_EARLY + 2))
    assert end.plane.counts.packets == MAX_EARLY + 1


async def test_a_hole_is_asked_for_at_once(end: Ended) -> None:
    end.rtp(build(11, 1))
    end.rtp(build(11, 4))
    assert rtcp.Nack(11, [2, 3]) in end.items
    [compound] = [d for d in end.sent if rtp.is_rtcp(d) and d[1] == rtp.RR][-1:]
    # RFC 3550: a report and a name first, then the rest.
    assert compound[9] == rtp.SDES


async def test_a_retransmission_repairs(end: Ended) -> None:
    end.rtp(build(11, 1))
    end.rtp(build(11, 3))
    end.rtp(packet.retransmission(build(11, 2), 97, 500, 12))
    assert len(end.frames["a"]) == 3


async def test_a_picture_that_cannot_be_decoded_makes_for_a_request(end: Ended) -> None:
    [payload] = packetise("VP8", vp8(1))
    end.rtp(packet.build(96, 1, 0, 11, payload, marker=True))
    assert end.items == [rtcp.Reports(()), rtcp.KeyframeRequest(11)]


async def test_reports_go_out_while_something_comes_and_then_end(
    end: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "REPORT_FIRST", 0.0)
    monkeypatch.setattr(feedback, "REPORT_EVERY", 0.01)
    end.rtp(build(11))
    await end.until(lambda: end.sent)
    end.rtp(build(11, 2))
    await end.until(lambda: len(end.sent) == 2)
    reports = [i for i in end.items if isinstance(i, rtcp.Reports)]
    assert [[b.ssrc for b in r.blocks] for r in reports] == [[11], [11]]
    rembs = [i for i in end.items if isinstance(i, rtcp.Remb)]
    assert [r.ssrcs for r in rembs] == [(11,), (11,)]
    assert rembs[0].bitrate == pytest.approx(CAP, rel=1e-4)
    while end.plane._feedback._timer is not None:
        # The one timer there is: when it has run with nothing new, there is none.
        done = asyncio.Event()
        asyncio.get_running_loop().call_at(end.plane._feedback._timer.when() + 0.001, done.set)
        await done.wait()
    assert end.plane._feedback.due == math.inf
    assert len(end.sent) == 2


async def test_what_is_sent_is_reported(end: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "REPORT_FIRST", 0.0)
    assert end.plane.outgoing["a"].send(vp8(0, key=True), 0, keyframe=True)
    assert end.plane.ready
    await end.until(lambda: end.items)
    [report, blocks] = end.items
    assert isinstance(report, rtcp.SenderReport)
    assert blocks == rtcp.Reports(())
    assert (report.ssrc, report.packets) == (1, 1)
    [sent] = end.media
    assert packet.extension(sent, len(sent), 4) == b"a"


class Narrow(ReceiveRate):
    """A way here on which a queue grows with the third picture."""

    bits = 400_000
    pictures = 0

    def picture(self, timestamp: int, rate: int, octets: int, now: float) -> None:
        assert (rate, timestamp) == (90_000, 3000 * (self.pictures + 1))
        assert octets > 0
        self.pictures += 1
        self.hurry = self.pictures == 3


async def test_a_path_that_carries_less_is_told_of_at_once(
    end: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "REPORT_FIRST", 0.0)
    monkeypatch.setattr(feedback, "REPORT_EVERY", 600.0)
    track = end.plane.incoming["a"]
    assert isinstance(track.path, ReceiveRate)
    narrow = track.path = Narrow(CAP)
    end.rtp(build(11))
    await end.until(lambda: end.sent)
    end.rtp(build(11, 2))
    assert len(end.sent) == 1
    end.rtp(build(11, 3))
    await end.until(lambda: len(end.sent) == 2)
    assert not narrow.hurry
    rembs = [i for i in end.items if isinstance(i, rtcp.Remb)]
    assert [r.bitrate for r in rembs] == [pytest.approx(400_000, rel=1e-4)] * 2


async def test_sound_says_nothing_of_the_path() -> None:
    made = Ended(section("audio"))
    [track] = made.plane.incoming.values()
    assert track.path is None
    made.plane.close()


async def test_what_the_peer_reports_and_asks_reaches_the_track(end: Ended) -> None:
    track = end.plane.outgoing["b"]
    asked, bitrates = list[str](), list[int]()
    track.on_keyframe_request = lambda: asked.append("keyframe")
    track.on_bitrate = bitrates.append
    assert track.bits == MOST
    track.send(vp8(0, key=True), 0, keyframe=True)
    [sent] = end.media
    sequence = rtp.read_header(sent).sequence
    block = rtcp.Block(3, 128, 0, 0, 0, 0, 0)
    end.rtcp(rtcp.write_receiver_report(9, [block]) + rtcp.write_nack(9, rtcp.Nack(3, [sequence])))
    end.rtcp(rtcp.write_keyframe_request(9, rtcp.KeyframeRequest(3)))
    end.rtcp(rtcp.write_keyframe_request(9, rtcp.KeyframeRequest(3, 1)))
    end.rtcp(rtcp.write_remb(9, rtcp.Remb(100_000, (3,))))
    end.rtcp(rtcp.write_remb(9, rtcp.Remb(1, (1,))) + rtcp.write_nack(9, rtcp.Nack(99, [1])))
    assert track.loss == 0.5
    assert track.resent == 1
    assert rtp.read_header(end.media[1]).ssrc == 4
    assert asked == ["keyframe"]
    assert bitrates == [100_000]
    assert track.bits == 100_000
    # The first report is one to count from; the next says what was lost of how many.
    for _ in range(30):
        track.send(vp8(1), 3000)
    for highest, fraction in ((sequence, 0), (sequence + 30, 128)):
        block = rtcp.Block(3, fraction, 0, highest, 0, 0, 0)
        end.rtcp(rtcp.write_receiver_report(9, [block]))
    assert bitrates == [100_000, 75_000]
    # What was never sent cannot have been lost.
    block = rtcp.Block(3, 255, 0, sequence + 9000, 0, 0, 0)
    end.rtcp(rtcp.write_receiver_report(9, [block]))
    assert track.bits == 75_000


async def test_a_blocked_socket_keeps_what_is_sent_back(end: Ended) -> None:
    end.plane.guard.blocked = True
    assert end.plane.outgoing["a"].send(vp8(0, key=True), 0, keyframe=True)
    assert end.media == []
    end.plane.guard.blocked = False
    await end.until(lambda: end.media)


async def test_without_a_connection_nothing_can_be_sent(end: Ended) -> None:
    end.connection._nominated.clear()
    assert not end.plane.ready
    assert not end.plane.outgoing["a"].send(vp8(0, key=True), 0, keyframe=True)


async def test_a_sender_report_sets_the_clock(end: Ended) -> None:
    end.rtp(build(11))
    report = rtcp.SenderReport(11, 50 << 32, 3000, 1, 1)
    end.rtcp(rtcp.write_sender_report(report))
    [frame] = end.frames["a"]
    assert end.plane.incoming["a"].clock.ntp(0, frame.timestamp) == 50.0


async def test_a_callback_that_fails_is_told_and_not_called_again(
    end: Ended, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Frame] = []

    def fail(frame: Frame) -> None:
        calls.append(frame)
        raise RuntimeError("mine")

    end.plane.incoming["a"].on_frame = fail
    with caplog.at_level(logging.ERROR):
        end.rtp(build(11, 1))
        end.rtp(build(11, 2))
    assert [str(f) for f in end.faults] == ["mine"]
    assert len(calls) == 1
    assert "mine" in caplog.text


async def test_a_callback_that_fails_when_its_time_comes_is_told_too(
    end: Ended, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame may also be given by the timer, when what is missing before it is given up."""
    monkeypatch.setattr("ringback.bots.media.incoming.PATIENCE", 0.0)
    failed = asyncio.Event()

    def fail(frame: Frame) -> None:
        failed.set()
        raise RuntimeError("mine")

    end.rtp(build(11, 1))
    end.plane.incoming["a"].on_frame = fail
    with caplog.at_level(logging.ERROR):
        end.rtp(build(11, 3))
        async with asyncio.timeout(5):
            await failed.wait()
    assert [str(f) for f in end.faults] == ["mine"]
    end.rtp(build(11, 4))
    assert len(end.faults) == 1


async def test_a_keyframe_that_a_bot_asks_for_is_asked_for_soon(end: Ended) -> None:
    end.rtp(build(11))
    end.sent.clear()
    end.plane.incoming["a"].ask_keyframe()
    assert end.sent == []
    await end.until(lambda: rtcp.KeyframeRequest(11) in end.items)


async def test_reports_that_cannot_be_read_are_dropped(end: Ended) -> None:
    end.rtcp(b"\x81\xc9\x00\x01" + bytes(4))
    assert end.plane.counts.dropped == {"malformed": 1}


async def test_reports_of_too_many_strangers_are_not_opened(end: Ended) -> None:
    for ssrc in range(500, 520):
        end.rtcp(rtcp.write_receiver_report(ssrc))
    assert end.plane.counts.dropped == {"unknown": 4}


async def test_a_channel_that_nobody_wants_is_closed(end: Ended) -> None:
    closed: list[str] = []
    channel: Any = SimpleNamespace(close=lambda: closed.append("closed"))
    end.plane.take_channel(channel)
    assert closed == ["closed"]


async def test_a_request_that_fails_is_told(end: Ended, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    end.plane.outgoing["a"].on_keyframe_request = fail
    with caplog.at_level(logging.ERROR):
        end.rtcp(rtcp.write_keyframe_request(9, rtcp.KeyframeRequest(1)))
    assert [str(f) for f in end.faults] == ["mine"]


async def test_keys_are_told() -> None:
    end = Ended(dataclasses.replace(section("audio"), mid="a", theirs=(11,)))
    for sequence in range(3):
        end.rtp(packet.build(110, sequence, 5, 11, b"\x0b\x0a\x00\xa0"))
    assert end.digits == ["#"]
    end.plane.close()


async def test_after_its_end_an_endpoint_does_nothing(end: Ended) -> None:
    end.rtp(build(11, 1))
    end.plane.close()
    end.sent.clear()
    end.rtp(build(11, 5))
    end.plane.incoming["a"].ask_keyframe()
    assert not end.plane.ready
    assert end.plane._feedback._timer is None
    assert end.sent == []


async def test_the_loss_of_a_call(end: Ended) -> None:
    assert end.plane.loss is None
    for sequence in (1, 2, 4):
        end.rtp(build(11, sequence))
    assert end.plane.loss == pytest.approx(0.25)


async def test_a_track_whose_camera_is_switched_off_stays(end: Ended) -> None:
    track = end.plane.incoming["a"]
    off = dataclasses.replace(named("a", 11, 12), receives=False, returns=False)
    end.plane.configure([off, named("b")])
    assert end.plane.incoming["a"] is track
    states = [track.active]
    end.plane.configure([named("a", 21, 22), named("b"), named("c", 31)])
    states.append(track.active)
    assert states == [False, True]
    end.rtp(build(21))
    end.rtp(build(31))
    assert (len(end.frames["a"]), len(end.frames["c"])) == (1, 1)


async def test_sources_come_and_go_as_often_as_they_like(end: Ended) -> None:
    for number in range(100, 140):
        end.plane.configure([named("a", number, number + 1000), named("b")])
        end.rtp(build(number))
        end.rtp(build(number, 3))
        end.rtp(packet.retransmission(build(number, 2), 97, 1, number + 1000))
        assert len(end.plane._routes) <= 4
    assert len(end.frames["a"]) == 3 * 40
    assert end.plane.counts.dropped == {}


async def test_a_source_that_was_never_named_is_not_forgotten(end: Ended) -> None:
    end.rtp(build(77, 1, mid="b"))
    end.rtp(build(77, 3, mid="b"))
    end.rtp(packet.retransmission(build(77, 2), 97, 1, 78))
    routes = dict(end.plane._routes)
    end.plane.configure([named("a", 11, 12), named("b")])
    assert end.plane._routes == routes


async def test_the_peer_is_asked_for_no_more_than_the_network_gives(end: Ended) -> None:
    end.plane.limit(10 * CAP)
    caps = [end.plane._feedback.cap]
    end.plane.limit(CAP // 2)
    caps.append(end.plane._feedback.cap)
    assert caps == [CAP, CAP // 2]


# --- any bytes ----------------------------------------------------------------------------

BODY = st.binary(max_size=120)


@st.composite
def datagrams(draw: st.DrawFn) -> tuple[str, bytes]:
    """Something that its sender sealed properly, whatever is in it."""
    kind = draw(st.sampled_from(["rtp", "rtp", "rtcp", "raw"]))
    body = draw(BODY)
    ssrc = draw(st.sampled_from([11, 12, 77, 78]) | st.integers(0, 2**32 - 1)).to_bytes(4, "big")
    if kind == "rtp":
        first = 0x80 | draw(st.sampled_from([0, 0, 0x10, 0x20, 0x01, 0x3F]))
        second = draw(st.sampled_from([96, 97, 98, 224, 225, 226, 50]))
        sequence = draw(st.integers(0, 30) | st.integers(0, 65535)).to_bytes(2, "big")
        stamp = draw(st.integers(0, 3) | st.integers(0, 2**32 - 1)).to_bytes(4, "big")
        return kind, bytes([first, second]) + sequence + stamp + ssrc + body
    if kind == "rtcp":
        body += bytes(-len(body) % 4)
        count = draw(st.integers(0, 31))
        number = draw(st.sampled_from([200, 201, 202, 203, 205, 206, 207]))
        size = (len(body) // 4 + 1).to_bytes(2, "big")
        return kind, bytes([0x80 | count, number]) + size + ssrc + body
    return kind, bytes([draw(st.integers(128, 191))]) + bytes(11) + body


@settings(max_examples=150)
@given(st.lists(datagrams(), max_size=40))
def test_nothing_that_comes_raises_or_grows(events: list[tuple[str, bytes]]) -> None:
    async def run() -> None:
        end = Ended(named("a", 11, 12), named("b", ours=(3, 4)))
        for kind, data in events:
            try:
                sealed = (
                    end.sealer.protect(data)
                    if kind == "rtp"
                    else end.sealer.protect_rtcp(data)
                    if kind == "rtcp"
                    else data
                )
            except Error:
                # Not even its sender could seal it.
                continue
            end.plane.receive(sealed, time.monotonic())
        assert end.faults == []
        assert len(end.plane._routes) <= rtp.STREAMS
        assert len(end.plane._strangers) <= rtp.STREAMS
        for track in end.plane.incoming.values():
            assert len(track._receptions) <= 8
            assert len(track._early) <= 1
        end.plane.close()

    asyncio.run(run())
