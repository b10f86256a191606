"""Calls at the same time: what they share, when they begin, and what each still proves."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from ringback.bots.calltest import camera
from ringback.bots.calltest.checking import Plan
from ringback.bots.calltest.chirps import WORDS
from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.options import Options
from ringback.bots.calltest.reasons import Code
from ringback.bots.calltest.run import Check, run
from ringback.bots.calltest.together import Meeting, Together, streams
from ringback.bots.calltest.verdict import judge
from ringback.bots.calltest.verified import proves
from ringback.bots.media.encoding import PictureEncoder
from ringback.bots.media.payload import Codec
from tests.callers import needs_address
from tests.lines import Start, start
from tests.observations import ANN, BOB, direction, observed

__all__ = ["start"]


def test_two_streams_sound_otherwise() -> None:
    for seed in range(2000):
        one, other = streams(random.Random(seed), 2)
        assert 0 < one < 4096
        assert 0 < other < 4096
        assert one % WORDS != other % WORDS


async def test_those_who_meet_wait_for_all_but_who_left() -> None:
    meeting, came = Meeting(3), list[int]()

    async def come(number: int) -> None:
        await meeting.wait(number)
        came.append(number)

    waiting = [asyncio.create_task(come(number)) for number in (0, 1)]
    await asyncio.sleep(0)
    assert came == []
    meeting.leave(2)
    meeting.leave(2)
    await asyncio.gather(*waiting)
    assert sorted(came) == [0, 1]
    await Meeting(1).wait(0)


async def test_sixteen_calls_sound_otherwise_on_both_sides() -> None:
    async with Together(Options(), random.Random(3), 16) as together:
        sides = [together.stream(number, side) for number in range(16) for side in (0, 1)]
        assert len({stream % WORDS for stream in sides}) == WORDS
        assert all(0 < stream < 4096 for stream in sides)
        shared = together.camera(0), together.camera(1)
        assert shared[0] is not None
        assert shared[1] is not None
        assert shared[0].stream != shared[1].stream
        assert together.camera(0) is shared[0]
    async with Together(Options(), random.Random(3)) as alone:
        assert alone.camera(0) is alone.camera(1) is None


def verdict_of(call: Observed) -> tuple[str, list[Code]]:
    told = judge(call, [figures(way, call) for way in call.directions])
    return told.state, list(told.codes)


def test_sounds_tell_calls_apart_whose_pictures_are_the_same() -> None:
    there, back = direction("ann", "bob", ANN), direction("bob", "ann", BOB)
    for way, voice in ((there, 7), (back, 9)):
        way.voice = voice
        way.heard = [replace(heard, stream=voice) for heard in way.heard]
    assert verdict_of(observed(there, back)) == ("passed", [])
    # The sound of another call, with pictures that all calls have.
    there.heard = [replace(heard, stream=11) for heard in there.heard]
    state, codes = verdict_of(observed(there, back))
    assert state == "failed"
    assert Code.WRONG_STREAM in codes
    assert not proves(there)
    assert proves(back)


def test_sounds_that_are_swapped_are_so_by_their_own_identity() -> None:
    there, back = direction("ann", "bob", ANN), direction("bob", "ann", BOB)
    there.voice, back.voice = 7, 9
    there.heard = [replace(heard, stream=9) for heard in there.heard]
    back.heard = [replace(heard, stream=9) for heard in back.heard]
    state, codes = verdict_of(observed(there, back))
    assert state == "failed"
    assert Code.SWAPPED_TRACKS in codes


@needs_address
async def test_pictures_are_coded_once_for_all_and_sounds_are_everybodys_own(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, made = await start(), list[Codec]()

    class Noted(PictureEncoder):
        def __init__(self, codec: Codec, bit_rate: int, rate: float) -> None:
            made.append(codec)
            super().__init__(codec, bit_rate, rate=rate)

    monkeypatch.setattr(camera, "PictureEncoder", Noted)
    checks = [Check(line.server.url, between=True, seconds=1.5, seed=n) for n in range(3)]
    async with Together(checks[0].options, random.Random(1), 3) as together:
        found = await asyncio.gather(*(run(c, None, together, n) for n, c in enumerate(checks)))
    assert made == ["VP8"] * 2
    ways_of_all = [way for call in found for way in call.directions]
    assert len({way.stream for way in ways_of_all}) == 2
    assert len({way.word for way in ways_of_all}) == 6
    for call in found:
        assert (call.ending, call.troubles) == ("hung up", [])
        for way in call.directions:
            assert {heard.stream for heard in way.heard} == {way.word}
            assert {seen.stream for seen in way.seen} == {way.stream}
            assert {seen.sequence for seen in way.seen} <= {sent.sequence for sent in way.sent}
            assert way.sent[0].keyframe
        # None began before all were connected.
        connected = [s.at for other in found for s in other.steps if s.name == "dtls"]
        assert call.began >= max(connected)
    await line.idle()


@needs_address
async def test_a_call_that_does_not_come_about_is_not_waited_for(start: Start) -> None:
    line = await start()
    checks = [Check(line.server.url, to=to, seconds=1.0) for to in ("echo", "nobody")]
    async with Together(checks[0].options, random.Random(1), 2) as together:
        one, other = await asyncio.gather(
            *(run(check, None, together, n) for n, check in enumerate(checks))
        )
    assert one.ending == "hung up"
    assert one.directions[0].seen
    assert other.ending != "hung up"
    assert not other.directions[0].sent
    await line.idle()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"partner": "browser"}, "one at a time"), ({"tokens": ("a", "b")}, "second token")],
)
def test_what_cannot_be_at_once(options: dict[str, object], words: str) -> None:
    asked = Check("http://localhost", **options)  # type: ignore[arg-type]
    assert Plan(asked).single
    with pytest.raises(ValueError, match=words):
        Plan(asked, calls=2)
