"""One track in virtual time: scripts of packets, and what frames and requests come of them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.bots.media import incoming
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.payload import packetise
from ringback.bots.media.rtcp import Nack, SenderReport
from tests.tracks import STEP, Path, Receiver, Sender, Sent, section, vp8


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_frames_come_as_soon_as_they_are_whole(receiver: Receiver) -> None:
    sender = Sender()
    first, *rest = sender.picture(key=True, packets=3, size=(320, 240))
    receiver.take(first, rest[0])
    assert receiver.frames == []
    receiver.now = 0.5
    receiver.take(rest[1])
    [frame] = receiver.frames
    assert (frame.kind, frame.codec, frame.clock_rate) == ("video", "VP8", 90000)
    assert (frame.keyframe, frame.size, frame.gap) == (True, (320, 240), False)
    assert (frame.arrived, frame.source) == (0.5, 0)
    assert frame.data == vp8(0, key=True, size=(320, 240), length=270)
    receiver.take(*sender.picture())
    assert receiver.frames[1].timestamp - frame.timestamp == STEP
    assert not receiver.frames[1].keyframe


def test_nothing_is_due_while_all_is_well(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True), *sender.picture())
    receiver.poll()
    assert receiver.track.due == math.inf


def test_a_picture_without_marker_ends_where_the_next_begins(receiver: Receiver) -> None:
    sender = Sender()
    first = sender.picture(key=True, packets=2)
    receiver.take(*(Sent(p.sequence, False, p.timestamp, p.payload) for p in first))
    assert receiver.numbers == []
    receiver.take(*sender.picture())
    assert receiver.numbers == [0, 1]


def test_a_keyframe_is_asked_for_every_200_ms_until_it_comes(receiver: Receiver) -> None:
    sender = Sender()
    for _ in range(20):
        receiver.take(*sender.picture())
        receiver.until(receiver.now + 0.05)
    assert receiver.frames == []
    assert receiver.keyframe_requests == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert receiver.track.stats.keyframes_asked == 6
    receiver.take(*sender.picture(key=True))
    receiver.until(5.0)
    assert len(receiver.keyframe_requests) == 6
    assert receiver.numbers == [20]
    assert receiver.track.stats.skipped == 20


def test_nobody_is_asked_while_nothing_is_sent(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture())
    receiver.until(60.0)
    assert len(receiver.keyframe_requests) == 1
    assert receiver.track.due == math.inf


def test_a_keyframe_on_demand(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    receiver.track.ask_keyframe()
    receiver.until(0.1)
    assert receiver.keyframe_requests == [0.0]
    receiver.take(*sender.picture(), *sender.picture(key=True))
    receiver.until(1.0)
    assert receiver.keyframe_requests == [0.0]
    assert receiver.numbers == [0, 1, 2]
    assert not any(f.gap for f in receiver.frames)


def test_what_is_lost_is_repaired_by_retransmission(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    lost = sender.picture(packets=4)
    receiver.take(lost[0], lost[3])
    [(_, nack)] = receiver.asked
    assert nack == Nack(lost[0].ssrc, [lost[1].sequence, lost[2].sequence])
    receiver.take(*sender.picture())
    assert receiver.numbers == [0]
    for packet in lost[1:3]:
        receiver.take(Sent(packet.sequence, False, packet.timestamp, packet.payload, again=True))
    assert receiver.numbers == [0, 1, 2]
    assert not any(f.gap for f in receiver.frames)
    arrivals = receiver.track.stats.arrivals
    assert (arrivals.repaired, arrivals.lost) == (2, 0)


def test_retransmission_in_the_stream_itself_repairs_too(receiver: Receiver) -> None:
    sender = Sender()
    first, lost, last = (sender.picture(key=key) for key in (True, False, False))
    receiver.take(*first, *last, *lost)
    assert receiver.numbers == [0, 1, 2]


def test_what_cannot_be_repaired_costs_everything_up_to_a_keyframe(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    asked = len(receiver.keyframe_requests)
    sender.picture()
    for _ in range(3):
        receiver.take(*sender.picture())
    receiver.until(incoming.PATIENCE + 0.1)
    nacks = [at for at, item in receiver.asked if isinstance(item, Nack)]
    assert nacks[0] == 0.0
    assert len(nacks) >= 10
    assert nacks[-1] < incoming.PATIENCE
    assert receiver.numbers == [0]
    assert len(receiver.keyframe_requests) == asked + 1
    receiver.take(*sender.picture(), *sender.picture(key=True), *sender.picture())
    assert receiver.numbers == [0, 6, 7]
    assert [f.gap for f in receiver.frames] == [False, True, False]
    assert receiver.track.stats.skipped == 4
    assert receiver.track.stats.arrivals.lost == 1


def test_the_rest_of_a_picture_whose_beginning_is_lost_is_not_taken_for_one(
    receiver: Receiver,
) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True, packets=3)[1:])
    receiver.take(*sender.picture(), *sender.picture(key=True))
    assert receiver.numbers == [2]


def test_a_picture_that_never_ends_is_not_kept(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    payload = packetise("VP8", vp8(1))[0][:1] + bytes(50)
    sequence = sender.sequence
    for n in range(5000):
        payload = b"\x10" + bytes(50) if n == 0 else b"\x00" + bytes(50)
        receiver.take(Sent(sequence + n, False, 99999, payload))
    assert len(receiver.track._assembler._payloads) < 2048
    assert receiver.track.stats.malformed >= 1


def test_padding_is_no_picture_and_no_loss(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    receiver.take(*sender.send([b""]), *sender.picture())
    assert receiver.numbers == [0, 2]
    assert not receiver.frames[1].gap


def test_an_unknown_payload_type_is_no_loss(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    receiver.take(*sender.send([b"fec"], 35), *sender.picture())
    assert receiver.numbers == [0, 2]
    assert receiver.track.stats.unknown == 1


def test_probing_with_old_packets_is_passed_over(receiver: Receiver) -> None:
    sender = Sender()
    first = sender.picture(key=True)
    receiver.take(*first, *sender.picture())
    receiver.take(*(Sent(p.sequence, True, p.timestamp, p.payload, again=True) for p in first))
    receiver.track.receive_again(97, False, 0, b"", 0.0)
    receiver.track.receive_again(97, False, 0, b"\x00", 0.0)
    receiver.track.receive_again(96, False, 0, b"\x00\x00\x00", 0.0)
    assert receiver.numbers == [0, 1]
    assert receiver.track.stats.arrivals.duplicates == 1


def test_wrapping_numbers_and_timestamps(receiver: Receiver) -> None:
    sender = Sender(65530, 2**32 - 5 * STEP)
    for number in range(20):
        receiver.take(*sender.picture(key=number == 0))
        receiver.now += STEP / 90000
    assert receiver.numbers == list(range(20))
    steps = [
        b.timestamp - a.timestamp
        for a, b in zip(receiver.frames, receiver.frames[1:], strict=False)
    ]
    assert set(steps) == {STEP}


def test_another_source_takes_over_with_a_keyframe(receiver: Receiver) -> None:
    one, two = Sender(), Sender(50, 77, ssrc=3333)
    receiver.take(*one.picture(key=True), *one.picture())
    receiver.now = 1.0
    asked = len(receiver.keyframe_requests)
    receiver.take(*two.picture(), *two.picture(key=True, size=(640, 480)))
    assert [f.source for f in receiver.frames] == [0, 0, 1]
    assert receiver.frames[2].size == (640, 480)
    assert not receiver.frames[2].gap
    assert receiver.frames[2].timestamp - receiver.frames[1].timestamp == 90000
    assert len(receiver.keyframe_requests) == asked + 1


def test_two_sources_at_once_do_not_alternate(receiver: Receiver) -> None:
    one, two = Sender(), Sender(ssrc=3333)
    receiver.take(*one.picture(key=True), *two.picture(key=True))
    receiver.take(*one.picture(), *two.picture(), *one.picture(), *two.picture())
    assert [f.source for f in receiver.frames] == [0, 1, 1, 1]
    receiver.now += 2.0
    receiver.take(*one.picture(key=True))
    assert receiver.frames[-1].source == 2


def test_the_same_source_may_count_anew(receiver: Receiver) -> None:
    sender = Sender(20000)
    receiver.take(*sender.picture(key=True))
    sender.sequence, sender.timestamp = 7, 123
    receiver.now = 0.5
    receiver.take(*sender.picture(), *sender.picture(), *sender.picture(key=True))
    assert receiver.numbers == [0, 3]
    assert receiver.frames[1].source == 1
    assert receiver.frames[1].gap
    source = receiver.track.source
    assert source is not None
    assert source.block(0.6).lost == 0


def test_another_codec_in_the_middle_begins_with_a_keyframe(receiver: Receiver) -> None:
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    vp9_key = bytes.fromhex("8249834200") + b"\x13\xf0\x0e\xf0" + bytes(30)
    payloads = packetise("VP9", vp9_key)
    asked = len(receiver.keyframe_requests)
    receiver.take(*sender.send(payloads, 98), *sender.picture(), *sender.picture(key=True))
    assert [f.codec for f in receiver.frames] == ["VP8", "VP9", "VP8"]
    assert receiver.numbers[2] == 3
    assert len(receiver.keyframe_requests) == asked + 1


# --- sound --------------------------------------------------------------------------------


def sound(sender: Sender, count: int = 1, payload_type: int = 111) -> list[Sent]:
    return [packet for _ in range(count) for packet in sender.send([b"\xfcsound"], payload_type)]


def test_sound_is_one_frame_a_packet() -> None:
    receiver = Receiver("audio")
    receiver.take(*sound(Sender(), 3))
    assert [f.data for f in receiver.frames] == [b"\xfcsound"] * 3
    assert all(f.keyframe and f.kind == "audio" and f.codec == "opus" for f in receiver.frames)
    assert receiver.asked == []


def test_lost_sound_is_waited_for_briefly_where_it_cannot_be_asked_for() -> None:
    receiver = Receiver("audio")
    packets = sound(Sender(), 4)
    receiver.take(packets[0], packets[2], packets[3])
    assert len(receiver.frames) == 1
    receiver.until(incoming.BRIEF_PATIENCE + 0.02)
    assert [f.gap for f in receiver.frames] == [False, True, False]
    assert receiver.asked == []


def test_another_clock_rate_is_another_source() -> None:
    receiver = Receiver("audio")
    sender = Sender()
    receiver.take(*sound(sender))
    receiver.now = 0.02
    receiver.take(*sound(sender, 1, 0))
    assert [(f.codec, f.clock_rate, f.source) for f in receiver.frames] == [
        ("opus", 48000, 0),
        ("PCMU", 8000, 1),
    ]


def test_keys_come_between_sounds() -> None:
    receiver = Receiver("audio")
    keys: list[str] = []
    receiver.track.digits.on_digit = keys.append
    sender = Sender()
    receiver.take(*sound(sender))
    for _ in range(3):
        receiver.take(*sender.send([b"\x05\x0a\x00\xa0"], 110))
        sender.timestamp -= STEP
    receiver.take(*sender.send([b"\x05"], 110), *sound(sender))
    assert keys == ["5"]
    assert len(receiver.frames) == 2
    assert not receiver.frames[1].gap
    assert receiver.track.stats.malformed == 1


# --- reports ------------------------------------------------------------------------------


def test_what_is_reported_of_a_source(receiver: Receiver) -> None:
    sender = Sender(65535)
    packets = [p for n in range(8) for p in sender.picture(key=n == 0)]
    receiver.take(packets[0], *packets[2:4], *packets[6:])
    source = receiver.track.source
    assert source is not None
    block = source.block(0.1)
    assert (block.ssrc, block.lost, block.fraction) == (1111, 3, 3 * 256 // 8)
    assert block.highest & 0xFFFF == 6
    assert block.highest >> 16 == 2
    assert (block.last, block.delay) == (0, 0)
    receiver.track.report(SenderReport(1111, 5 << 32 | 7 << 16, 0, 0, 0), 1.0)
    receiver.take(*sender.picture())
    block = source.block(1.5)
    assert block.fraction == 0
    assert block.lost == 3
    assert (block.last, block.delay) == (5 << 16 | 7, 32768)


def test_jitter_is_that_of_the_rfc(receiver: Receiver) -> None:
    sender = Sender()
    expected = 0.0
    for number in range(50):
        late = 0.004 if number % 2 else 0.0
        receiver.now = number * STEP / 90000 + late
        receiver.take(*sender.picture(key=number == 0))
        if number:
            expected += (0.004 * 90000 - expected) / 16
    source = receiver.track.source
    assert source is not None
    assert source.block(2.0).jitter == pytest.approx(expected, abs=2)


def test_a_report_before_the_first_frame_is_not_forgotten(receiver: Receiver) -> None:
    receiver.track.report(SenderReport(1111, 100 << 32, 5000, 0, 0), 0.0)
    sender = Sender()
    receiver.take(*sender.picture(key=True))
    [frame] = receiver.frames
    assert receiver.track.clock.ntp(0, frame.timestamp) == 100.0
    receiver.track.report(SenderReport(9999, 500 << 32, 5000, 0, 0), 0.0)
    assert receiver.track.clock.ntp(0, frame.timestamp + 90000) == 101.0


def test_a_track_that_nobody_listens_to_costs_nothing() -> None:
    track = Incoming("0", "video")
    track.configure(section())
    [packet] = Sender().picture(key=True)
    track.receive(1, 96, packet.sequence, True, 0, packet.payload, 0.0)
    assert track.stats.frames == 1
    assert track.codec == "VP8"


# --- a bad path ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.10, 0.30])
def test_a_lossy_path_loses_no_picture_where_there_is_time_to_repair(loss: float) -> None:
    luck = random.Random(loss)
    path = Path(Sender(64000), Receiver(), lambda sent: () if luck.random() < loss else (0.03,))
    path.stream(400)
    path.until(path.receiver.now + 3.0)
    frames = path.receiver.frames
    shown = path.receiver.numbers
    if not any(f.gap for f in frames):
        assert shown == list(range(shown[0], 400))
    assert len(shown) >= (390 if loss < 0.2 else 200)
    assert shown == sorted(set(shown))
    # Whatever follows a gap is a keyframe, and so can be decoded.
    assert all(f.keyframe for f in frames if f.gap)


@settings(max_examples=30, deadline=None)
@given(st.integers())
def test_any_mixture_of_loss_disorder_and_duplicates(seed: int) -> None:
    luck = random.Random(seed)

    def fate(sent: Sent) -> list[float]:
        if luck.random() < 0.1:
            return []
        times = [0.02 + luck.random() * 0.08]
        return times * 2 if luck.random() < 0.1 else times

    path = Path(Sender(65400, 2**32 - 50000), Receiver(), fate)
    path.stream(100)
    path.until(path.receiver.now + 3.0)
    frames, shown = path.receiver.frames, path.receiver.numbers
    assert shown == sorted(set(shown))
    for before, frame in zip(frames, frames[1:], strict=False):
        step = shown[frames.index(frame)] - shown[frames.index(before)]
        assert frame.timestamp - before.timestamp == step * STEP
        assert frame.gap == (step > 1)
        assert step == 1 or frame.keyframe
    assert len(shown) > 60
    assert path.receiver.track.due == math.inf


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([96, 98, 35]),
            st.integers(0, 65535) | st.integers(0, 20),
            st.booleans(),
            st.integers(0, 3) | st.integers(0, 2**32 - 1),
            st.binary(max_size=40),
            st.floats(0, 1),
            st.booleans(),
        ),
        max_size=80,
    )
)
def test_any_packets_are_taken_without_a_fault(
    packets: list[tuple[int, int, int, bool, int, bytes, float, bool]],
) -> None:
    receiver = Receiver()
    for ssrc, kind, sequence, marker, timestamp, payload, pause, again in packets:
        receiver.until(receiver.now + pause)
        receiver.take(Sent(sequence, marker, timestamp, payload, ssrc, kind, again))
    receiver.until(receiver.now + 5)
    assert receiver.track.due == math.inf
    last = -1
    for frame in receiver.frames:
        assert frame.timestamp > last
        last = frame.timestamp
