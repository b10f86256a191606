"""What leaves a call: in its turn, with timestamps that only grow, at its pace."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import cast

import pytest

from ringback.bots.media.frames import Frame
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.payload import Codec
from ringback.bots.out import Out
from ringback.bots.sounds import LATE, Pace


@dataclass
class Wire:
    """A track that notes what is sent."""

    codec: Codec = "opus"
    clock_rate: int = 48_000
    carried: float = math.inf
    on_keyframe_request: object = None
    sent: list[tuple[Codec, int]] = field(default_factory=list)

    def select(self, codec: Codec) -> None:
        if codec == "VP9":
            raise ValueError("the peer does not take VP9")
        self.codec, self.clock_rate = codec, {"opus": 48_000, "PCMU": 8_000, "VP8": 90_000}[codec]

    def send(self, data: bytes, timestamp: int, *, keyframe: bool) -> bool:
        self.sent.append((self.codec, timestamp))
        return True


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def out(wire: Wire) -> Out:
    return Out("audio", lambda _: cast(Outgoing, wire))


def frame(ticks: int, *, source: int = 0, codec: Codec = "opus", rate: int = 48_000) -> Frame:
    return Frame("audio", codec, b"x", ticks, rate, True, None, 0.0, source, False)


def test_frames_keep_their_distances(out: Out, wire: Wire) -> None:
    for ticks in (5_000, 5_960, 8_000):
        assert out.pass_on(frame(ticks))
    times = [at for _, at in wire.sent]
    assert [at - times[0] for at in times] == [0, 960, 3_000]


def test_another_source_follows_and_never_goes_back(out: Out, wire: Wire) -> None:
    out.pass_on(frame(5_000))
    out.pass_on(frame(5_000 + 9 * 48_000))
    out.pass_on(frame(0, source=1))
    out.pass_on(frame(10**9, source=1))
    times = [at for _, at in wire.sent]
    assert times == sorted(set(times))
    assert times[3] - times[2] < 48_000, "a jump of hours is none of ours"


def test_another_codec_goes_on_in_its_own_ticks(out: Out, wire: Wire) -> None:
    out.send("opus", b"x", 48_000 * 5, keyframe=True)
    out.send("PCMU", b"x", 0, keyframe=True)
    assert wire.sent == [("opus", 240_000), ("PCMU", 40_001)]
    with pytest.raises(ValueError, match="does not take VP9"):
        out.send("VP9", b"x", 0, keyframe=True)


def test_nobody_wants_it() -> None:
    out = Out("audio", lambda _: None)
    assert not out.send("opus", b"x", 0, keyframe=True)
    assert not out.pass_on(frame(0))


def test_one_hand_at_a_time(out: Out) -> None:
    with out.taken():
        with pytest.raises(RuntimeError, match="audio is being sent already"), out.taken():
            pass
        assert out._busy
    with out.taken():
        pass


def test_pictures_that_are_passed_on_are_thinned_where_the_path_carries_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    wire = Wire("VP8", 90_000)
    out = Out("video", lambda _: cast(Outgoing, wire))
    out.request = lambda: asked.append(now[0])

    def passes(seconds: float, *, key: bool = False) -> int:
        before = len(wire.sent)
        for _ in range(round(seconds * 30)):
            now[0] += 1 / 30
            ticks = round(now[0] * 90_000)
            out.pass_on(
                Frame("video", "VP8", bytes(4_000), ticks, 90_000, key, None, 0.0, 0, False)
            )
            key = False
        return len(wire.sent) - before

    assert passes(2, key=True) == 60
    wire.carried = 300_000.0  # less than a third of it
    assert passes(2) < 20
    assert out.thinned
    assert 1 <= len(asked) <= 2, "for a keyframe, when there is room for one, and not often"
    assert passes(1, key=True) >= 1
    wire.carried = math.inf
    assert passes(1, key=True) == 30
    assert not out.thinned


def test_requests_go_to_who_sends_now(out: Out, wire: Wire) -> None:
    asked: list[str] = []
    out.send("opus", b"x", 0, keyframe=True)
    assert callable(wire.on_keyframe_request)
    wire.on_keyframe_request()
    out.request = lambda: asked.append("first")
    wire.on_keyframe_request()
    out.request = lambda: asked.append("second")
    wire.on_keyframe_request()
    assert asked == ["first", "second"]


async def test_a_pace_waits_for_what_is_early_and_does_not_hurry_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    pace = Pace()
    assert await pace.wait(0.0) == 100.0
    assert await pace.wait(0.5) == 100.5
    assert await pace.wait(1.0, ahead=0.04) == 101.0
    assert slept == pytest.approx([0.5, 0.46])
    now[0] += LATE / 2
    assert await pace.wait(1.02) == pytest.approx(101.02), "a little late is made up for"
    now[0] += 10
    assert await pace.wait(1.04) == pytest.approx(now[0]), "a long pause is not"
    assert await pace.wait(1.06) == pytest.approx(now[0])
    assert len(slept) == 3
