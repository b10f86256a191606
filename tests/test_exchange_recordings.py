"""Recordings through the exchange, as scripts on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringback.server import protocol as p
from ringback.server import recording
from ringback.server.config import RecordingLimits
from ringback.server.engine.base import EngineError
from ringback.server.protocol import ErrorCode
from tests.playbook import OFFER, START, Board, Player, make_board, talk

VERSION = recording.VERSION
NOW = round(START * 1000)


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    made = await make_board()
    yield made
    await made.close()


async def record(player: Player, do: Any = "start", call: str = "k") -> None:
    """Ask for something to be done with the recording of a call."""
    await player.says(p.ControlRecording(call=call, do=do, version=VERSION))


async def agree(player: Player, yes: bool = True, call: str = "k") -> None:
    """Agree to be recorded, or not."""
    await player.says(p.GiveConsent(call=call, yes=yes, version=VERSION))


def leg(call: str, id: str) -> p.Call:
    """A leg of the recording `id`."""
    return p.Call(call=call, to="recorder", media=p.Media(), description=OFFER, recording=id)


async def agreed(board: Board) -> tuple[Player, Player, Player, str]:
    """Alice and Bob talk in call `k` and agreed to be recorded; the recorder; the id."""
    alice, bob = await talk(board)
    bot = await board.bot("recorder")
    await record(alice)
    alice.hears("recording", call="k", state="asked")
    bob.hears("record_asked")
    await agree(bob)
    id = str(alice.hears("recording", state="starting")["recording"])
    bob.hears("recording", state="starting", recording=id)
    return alice, bob, bot, id


async def place_leg(player: Player, bot: Player, call: str, id: str) -> dict[str, Any]:
    """Place a leg, which the recorder answers; returns its ring."""
    await player.says(leg(call, id))
    ring = bot.hears("ring", call=call)
    player.hears("ringing", call=call)
    await bot.answer(call)
    player.hears("answered", call=call)
    await player.progress(call, "connected")
    return ring


async def running(board: Board) -> tuple[Player, Player, Player, str]:
    """The same, with both legs at the recorder (`a` and `b`) and the recording on."""
    alice, bob, bot, id = await agreed(board)
    await place_leg(alice, bot, "a", id)
    await place_leg(bob, bot, "b", id)
    await bot.says(p.TellRecording(recording=id, state="on"))
    for player in (alice, bob):
        player.hears("recording", call="k", state="on", recording=id)
    return alice, bob, bot, id


# --- asking


async def test_both_agree_and_are_recorded_until_one_stops(board: Board) -> None:
    alice, bob = await talk(board)
    bot = await board.bot("recorder")
    await board.passes(10)
    await record(alice)
    alice.hears(
        "recording", call="k", state="asked", message="Waiting for bob to agree.", recording=None
    )
    bob.hears("record_asked", call="k", from_="alice", version=VERSION, text=recording.TEXT)
    await board.passes(5)
    await agree(bob)
    id = alice.hears("recording", call="k", state="starting")["recording"]
    bob.hears("recording", call="k", state="starting", recording=id)
    ring = await place_leg(alice, bot, "a", id)
    consents = [
        {"name": "alice", "time": NOW + 10_000, "version": VERSION},
        {"name": "bob", "time": NOW + 15_000, "version": VERSION},
    ]
    order = {"id": id, "call": "k", "participants": consents}
    assert ring["recording"] == order | {"name": "alice"}
    ring = await place_leg(bob, bot, "b", id)
    assert ring["recording"] == order | {"name": "bob"}
    await bot.says(p.TellRecording(recording=id, state="on"))
    for player in (alice, bob):
        player.hears("recording", state="on", message="This call is being recorded.")
    await board.passes(3600)
    await record(bob, "stop")
    alice.hears("recording", state="off", reason="stopped", message="bob stopped the recording.")
    bob.hears("recording", state="off", reason="stopped", message="You stopped the recording.")
    for call, player in (("a", alice), ("b", bob)):
        bot.hears("recording", call=call, recording=id, state="off", reason="stopped")
        player.hears("ended", call=call)
    bot.hears("ended", call="a")
    bot.hears("ended", call="b")
    await bot.says(p.TellRecording(recording=id, state="off"))
    assert await board.live() == ["connected"]
    for player in (alice, bob, bot):
        player.silent()
    [kept] = await board.engine.recordings("guest of bob", None, 10)
    assert (kept.started, kept.ended) == (NOW + 15_000, NOW + 3_615_000)
    assert [person.consent for person in kept.people] == msgspec.convert(consents, list[p.Consent])


async def test_who_is_asked_declines(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    await agree(bob, yes=False)
    words = "bob does not want to be recorded. Nothing is recorded."
    alice.hears("recording", state="off", reason="declined", message=words, recording=None)
    bob.hears("recording", state="off", reason="declined")
    await bob.refused(
        ErrorCode.NO_SUCH_RECORDING, p.GiveConsent(call="k", yes=True, version=VERSION)
    )
    assert await board.engine.count_recordings("guest of alice") == 0


async def test_who_is_asked_says_nothing(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    await board.passes(recording.ANSWER_WITHIN - 0.1)
    alice.silent()
    await board.passes(0.2)
    alice.hears("recording", state="off", reason="no_answer")
    bob.hears(
        "recording", reason="no_answer", message=p.RECORDING_ENDS[p.RecordingEnd.NO_ANSWER][1]
    )
    await record(alice)
    bob.hears("record_asked")


@pytest.mark.parametrize("how", ["stop", "no"])
async def test_who_asked_takes_it_back(board: Board, how: str) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    await (record(alice, "stop") if how == "stop" else agree(alice, yes=False))
    words = "alice no longer asks to record this call."
    bob.hears("recording", state="off", reason="cancelled", message=words)
    alice.hears("recording", state="off", reason="cancelled")


async def test_asking_oneself_is_agreeing(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    await record(bob)
    bob.hears("recording", state="starting")
    alice.hears("recording", state="starting")


async def test_the_question_ends_with_the_call(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    await bob.hangup("k")
    bob.hears("ended", call="k")
    bob.hears("recording", state="off", reason="call_ended")
    assert await board.engine.live_recordings() == []


async def test_asking_twice_is_refused(board: Board) -> None:
    alice, _, _, _ = await agreed(board)
    again = p.ControlRecording(call="k", do="start")
    await alice.refused(ErrorCode.BEING_RECORDED, again)


async def test_an_older_text_is_not_agreed_to(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    old = p.ControlRecording(call="k", do="start", version="0")
    await alice.refused(ErrorCode.OLD_TEXT, old)
    await record(alice)
    bob.hears("record_asked")
    await bob.refused(ErrorCode.OLD_TEXT, p.GiveConsent(call="k", yes=True, version="0"))
    call = p.Call(call="s", to="recorder", media=p.Media(), description=OFFER, consent="0")
    carol = await board.come("carol")
    await carol.refused(ErrorCode.OLD_TEXT, call)


async def test_only_calls_that_can_be_recorded_are(board: Board) -> None:
    alice, _ = await talk(board)
    start = p.ControlRecording(call="k", do="start")
    await alice.refused(ErrorCode.CANNOT_RECORD, start)  # there is no recorder
    await board.bot("recorder")
    echo = await board.bot("echo")
    carol = await board.come("carol")
    await carol.refused(ErrorCode.NOT_YOUR_CALL, start)
    await carol.refused(ErrorCode.NO_SUCH_CALL, p.ControlRecording(call="x", do="start"))
    await carol.call("e", "echo")
    await carol.refused(ErrorCode.WRONG_STATE, p.ControlRecording(call="e", do="start"))
    echo.hears("ring")
    await echo.answer("e")
    await carol.refused(ErrorCode.CANNOT_RECORD, p.ControlRecording(call="e", do="start"))


async def test_a_plain_client_cannot_be_asked(board: Board) -> None:
    alice, bob = await talk(board, plain=True)
    await board.bot("recorder")
    heard = await alice.refused(ErrorCode.CANNOT_RECORD, p.ControlRecording(call="k", do="start"))
    assert heard == "bob calls from a program that cannot ask for consent."
    bob.silent()


async def test_asking_over_and_over_is_too_fast(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    for _ in range(board.config.limits.calls_per_minute - 1):
        await record(alice)
        await agree(bob, yes=False)
    await alice.refused(ErrorCode.TOO_FAST, p.ControlRecording(call="k", do="start"))


async def test_one_may_keep_so_many(board: Board) -> None:
    few = await make_board(recordings=RecordingLimits(each=1))
    alice, _, bot, id = await running(few)
    await few.passes(1)
    await bot.says(p.TellRecording(recording=id, state="off", reason="too_long"))
    full = await alice.refused(ErrorCode.CANNOT_RECORD, p.ControlRecording(call="k", do="start"))
    assert full == "You have 1 recordings, as many as one may keep. Delete one first."
    await alice.hangup("k")
    call = p.Call(call="s", to="recorder", media=p.Media(), description=OFFER)
    await alice.refused(ErrorCode.CANNOT_RECORD, call)
    # Whose list is full is not recorded by others either.
    carol = await few.come("carol")
    await carol.call("c", "alice")
    await alice.answer("c")
    words = await carol.refused(ErrorCode.CANNOT_RECORD, p.ControlRecording(call="c", do="start"))
    assert words.startswith("alice has 1 recordings")
    await few.close()


# --- while it runs


async def test_withdrawing_stops_it(board: Board) -> None:
    alice, bob, bot, _ = await running(board)
    await agree(bob, yes=False)
    words = "bob no longer agrees to being recorded. The recording has stopped."
    alice.hears("recording", state="off", reason="withdrawn", message=words)
    bob.hears("recording", state="off", reason="withdrawn")
    bot.hears("recording", call="a", state="off")
    bot.hears("recording", call="b", state="off")
    assert await board.live() == ["connected"]


async def test_either_pauses_and_goes_on(board: Board) -> None:
    alice, bob, bot, id = await running(board)
    await record(bob, "pause")
    alice.hears("recording", state="paused", message="bob paused the recording.")
    bob.hears("recording", state="paused", message="You paused the recording.")
    for call in ("a", "b"):
        bot.hears("recording", call=call, recording=id, state="paused")
    await alice.refused(ErrorCode.WRONG_STATE, p.ControlRecording(call="k", do="pause"))
    await bot.says(p.TellRecording(recording=id, state="on"))
    alice.silent()
    await record(alice, "resume")
    for player in (alice, bob):
        player.hears("recording", state="on", message="This call is being recorded.")
    for call in ("a", "b"):
        bot.hears("recording", call=call, recording=id, state="on")
    await alice.refused(ErrorCode.WRONG_STATE, p.ControlRecording(call="k", do="resume"))
    await board.passes(60)
    await record(bob, "pause")
    await record(bob, "stop")
    assert await board.live() == ["connected"]


async def test_paused_before_it_began(board: Board) -> None:
    alice, bob, bot, id = await agreed(board)
    await record(alice, "pause")
    bob.hears("recording", state="paused")
    alice.hears("recording", state="paused")
    ring = await place_leg(bob, bot, "b", id)
    assert ring["recording"]["paused"] is True
    await record(alice, "resume")
    bob.hears("recording", state="starting")
    bot.hears("recording", call="b", state="on")


@pytest.mark.parametrize("reason", ["too_long", "too_large", "disk_full", "stopping", "failed"])
async def test_the_recorder_ends_it_by_itself(board: Board, reason: Any) -> None:
    alice, bob, bot, id = await running(board)
    await bot.says(p.TellRecording(recording=id, state="off", reason=reason))
    words = p.RECORDING_ENDS[p.RecordingEnd(reason)][0]
    for player in (alice, bob):
        player.hears("recording", state="off", reason=reason, message=words)
    bot.hears("recording", call="a", state="off", reason=reason)
    await alice.refused(ErrorCode.NO_SUCH_RECORDING, p.ControlRecording(call="k", do="stop"))


async def test_the_end_of_the_call_ends_recording_and_legs(board: Board) -> None:
    alice, bob, bot, _ = await running(board)
    await alice.hangup("k")
    alice.hears("ended", call="k")
    alice.hears("recording", call="k", state="off", reason="call_ended")
    alice.hears("ended", call="a")
    bob.hears("ended", call="k")
    bob.hears("recording", call="k", state="off", reason="call_ended")
    bob.hears("ended", call="b")
    assert await board.live() == []


async def test_a_leg_is_placed_again_after_a_reload(board: Board) -> None:
    alice, bob, bot, id = await running(board)
    await alice.drops()
    await board.passes(2)
    await alice.returns()
    told = {info["call"]: info for info in alice.welcome["calls"]}
    assert told["a"]["leg"] is True
    assert "leg" not in told["k"]
    assert told["k"]["recording"] == {
        "state": "on",
        "message": "This call is being recorded.",
        "from": "alice",
        "version": VERSION,
        "text": recording.TEXT,
        "recording": id,
    }
    await alice.says(leg("a2", id))
    # The one before gives way first, so that the recorder has one leg of each.
    alice.hears("ended", call="a")
    bot.hears("ended", call="a")
    bot.hears("ring", call="a2")
    bob.silent()
    assert sorted(call.id for call in await board.engine.live_calls()) == ["a2", "b", "k"]
    await board.passes(recording.BEGIN_WITHIN + 1)
    bob.silent()


async def test_one_asked_is_told_again_after_a_reload(board: Board) -> None:
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    await bob.drops()
    await bob.returns()
    [info] = bob.welcome["calls"]
    assert info["recording"]["state"] == "asked"
    assert info["recording"]["from"] == "alice"
    assert info["recording"]["text"] == recording.TEXT
    await agree(bob)
    bob.hears("recording", state="starting")


async def test_without_legs_it_ends(board: Board) -> None:
    alice, bob, _, _ = await agreed(board)
    await board.passes(recording.BEGIN_WITHIN + 0.1)
    alice.hears("recording", state="off", reason="failed")
    bob.hears("recording", state="off", reason="failed")
    assert await board.engine.count_recordings("guest of alice") == 0


async def test_it_ends_when_the_recorder_is_gone_and_stays_away(board: Board) -> None:
    alice, bob, bot, id = await running(board)
    await bot.drops()
    await board.passes(board.config.hold + 0.1)
    alice.hears("ended", call="a", reason="lost")
    bob.hears("ended", call="b", reason="lost")
    alice.silent()
    await board.passes(recording.BEGIN_WITHIN)
    alice.hears("recording", state="off", reason="failed")
    [kept] = await board.engine.recordings("guest of alice", None, 10)
    assert (kept.id, kept.reason) == (id, "failed")


async def test_a_silent_leg_keeps_it_waiting(board: Board) -> None:
    """Who is muted and without a camera sends nothing: that is no failure."""
    alice, bob, bot, id = await agreed(board)
    await place_leg(alice, bot, "a", id)
    await board.passes(600)
    bob.silent()
    await bot.says(p.TellRecording(recording=id, state="on"))
    bob.hears("recording", state="on")


async def test_both_legs_are_at_one_instance_of_the_recorder(board: Board) -> None:
    """However loaded it is, and whatever it says: one file is written by one process."""
    alice, bob, bot, id = await agreed(board)
    other = await board.bot("recorder")
    first, second = (bot, other) if bot.session.id < other.session.id else (other, bot)
    await alice.says(leg("a", id))
    at = next(b for b in (first, second) if b.wire.said)
    elsewhere = second if at is first else first
    at.hears("ring", call="a")
    await at.answer("a")
    await bob.says(leg("b", id))
    at.hears("ring", call="b")
    await at.says(p.Decline(call="b", reason="busy"))
    elsewhere.silent()
    assert bob.wire.said[-1]["reason"] == "busy"


# --- who may place a leg


async def test_no_leg_without_consent(board: Board) -> None:
    alice, bob = await talk(board)
    bot = await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    [asked] = await board.engine.live_recordings("k")
    for player in (alice, bob):
        await player.refused(ErrorCode.NO_CONSENT, leg("a", asked.id))
    await agree(bob, yes=False)
    await alice.refused(ErrorCode.NO_SUCH_RECORDING, leg("a", asked.id))
    bot.silent()
    assert await board.live() == ["connected"]


async def test_no_leg_after_the_end(board: Board) -> None:
    alice, _, _, id = await running(board)
    await record(alice, "stop")
    await alice.refused(ErrorCode.NO_SUCH_RECORDING, leg("a2", id))


async def test_no_leg_of_strangers_or_of_another_window(board: Board) -> None:
    alice, _, bot, id = await agreed(board)
    mallory = await board.come("mallory")
    await mallory.refused(ErrorCode.NOT_YOUR_CALL, leg("m", id))
    other = await board.come("alice")
    await other.refused(ErrorCode.NOT_YOUR_CALL, leg("m", id))
    assert other.session.id != alice.session.id
    bot.silent()


async def test_no_leg_to_anybody_else(board: Board) -> None:
    alice, _, _, id = await agreed(board)
    await board.bot("echo")
    message = p.Call(call="a", to="echo", media=p.Media(), description=OFFER, recording=id)
    await alice.refused(ErrorCode.BAD_TARGET, message)
    await alice.refused(ErrorCode.NO_SUCH_RECORDING, leg("a", "nothing"))


async def test_only_the_recorder_speaks_for_a_recording(board: Board) -> None:
    alice, _, _, id = await running(board)
    echo = await board.bot("echo")
    for player in (alice, echo):
        await player.refused(ErrorCode.NOT_YOUR_CALL, p.TellRecording(recording=id, state="off"))
    await echo.refused(
        ErrorCode.NO_SUCH_RECORDING, p.TellRecording(recording="nothing", state="on")
    )


async def test_the_recorder_is_no_party_of_the_recording(board: Board) -> None:
    _, _, bot, _ = await running(board)
    await bot.refused(ErrorCode.NO_SUCH_RECORDING, p.ControlRecording(call="a", do="stop"))
    await bot.refused(ErrorCode.NOT_YOUR_CALL, p.ControlRecording(call="k", do="stop"))


async def test_legs_are_no_past_calls(board: Board) -> None:
    alice, _, _, _ = await running(board)
    await alice.hangup("k")
    alice.wire.said.clear()
    await alice.says(p.Records())
    [past] = alice.wire.said[0]["records"]
    assert past["call"] == "k"


# --- oneself


async def test_calling_the_recorder_is_agreeing(board: Board) -> None:
    bot = await board.bot("recorder")
    alice = await board.come("alice")
    await alice.says(
        p.Call(call="s", to="recorder", media=p.Media(), description=OFFER, consent=VERSION)
    )
    id = alice.hears("recording", call="s", state="starting")["recording"]
    ring = bot.hears("ring", call="s")
    consents = [{"name": "alice", "time": NOW, "version": VERSION}]
    assert ring["recording"] == {
        "id": id, "call": "s", "name": "alice", "participants": consents,
    }  # fmt: skip
    alice.hears("ringing")
    await bot.answer("s")
    alice.hears("answered")
    await bot.says(p.TellRecording(recording=id, state="on"))
    alice.hears("recording", call="s", state="on", message="You are being recorded.")
    await alice.progress("s", "connected")
    await board.passes(3600)
    alice.silent()
    await alice.refused(ErrorCode.BEING_RECORDED, p.ControlRecording(call="s", do="start"))
    await record(alice, "pause", "s")
    alice.hears("recording", state="paused")
    bot.hears("recording", call="s", state="paused")
    await record(alice, "resume", "s")
    alice.hears("recording", state="on")
    bot.hears("recording", call="s", state="on")
    await alice.hangup("s")
    alice.hears("ended", call="s")
    alice.hears("recording", call="s", state="off", reason="call_ended")
    assert [r.id for r in await board.engine.recordings("guest of alice", None, 10)] == [id]
    await alice.says(p.Records())
    assert alice.hears("records")["records"][0]["peer"] == "recorder"


async def test_stopping_ends_the_call_to_the_recorder(board: Board) -> None:
    bot = await board.bot("recorder")
    alice = await board.come("alice")
    await alice.call("s", "recorder")
    alice.hears("recording", state="starting")
    alice.hears("ringing")
    await bot.answer("s")
    alice.hears("answered")
    await record(alice, "stop", "s")
    alice.hears("recording", state="off", reason="stopped")
    alice.hears("ended", call="s", reason="hangup")


async def test_no_recorder_no_recording(board: Board) -> None:
    alice = await board.come("alice")
    await alice.call("s", "recorder")
    alice.hears("ended", call="s", reason="unavailable")
    assert await board.engine.count_recordings("guest of alice") == 0
    bot = await board.bot("recorder")
    await alice.call("s2", "recorder")
    await bot.says(p.Decline(call="s2", reason="busy"))
    alice.hears("recording", state="starting")
    alice.hears("ringing")
    alice.hears("ended", reason="busy")
    alice.hears("recording", state="off", reason="call_ended")
    assert await board.engine.count_recordings("guest of alice") == 0


async def test_nothing_else_takes_a_consent(board: Board) -> None:
    alice, _ = await board.come("alice"), await board.come("bob")
    call = p.Call(call="k", to="bob", media=p.Media(), description=OFFER, consent=VERSION)
    await alice.refused(ErrorCode.BAD_TARGET, call)


# --- trouble


async def test_a_recording_outlives_the_server(tmp_path: Path) -> None:
    board = await make_board(tmp_path / "a.db")
    alice, bob, bot, id = await running(board)
    for player in (alice, bob, bot):
        await player.drops()
    await board.restarts()
    for player in (alice, bob, bot):
        await player.returns()
    [told] = [info for info in alice.welcome["calls"] if info["call"] == "k"]
    assert told["recording"]["state"] == "on"
    await bot.says(p.TellRecording(recording=id, state="off", reason="too_large"))
    bob.hears("recording", call="k", state="off", reason="too_large")
    await board.close()


async def test_a_question_keeps_its_time_over_a_restart(tmp_path: Path) -> None:
    board = await make_board(tmp_path / "a.db")
    alice, bob = await talk(board)
    await board.bot("recorder")
    await record(alice)
    bob.hears("record_asked")
    alice.hears("recording", state="asked")
    for player in (alice, bob):
        await player.drops()
    await board.restarts()
    for player in (alice, bob):
        await player.returns()
    await board.passes(recording.ANSWER_WITHIN + 0.1)
    alice.hears("recording", state="off", reason="no_answer")
    await board.close()


async def test_what_lost_its_call_ends_at_the_next_start(tmp_path: Path) -> None:
    board = await make_board(tmp_path / "a.db")
    orphan = recording.begin("r", "gone", (recording.Person("u", "Ann", "ann", "s"),), "ann", NOW)
    await board.engine.put_recording(recording.begun(orphan, NOW), None)
    await board.restarts()
    assert await board.engine.live_recordings() == []
    [kept] = await board.engine.recordings("u", None, 10)
    assert kept.reason == "call_ended"
    await board.close()


async def test_a_store_that_fails_is_asked_again(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a call, and the end of the time to answer, are not forgotten."""
    alice, bob, _, _ = await running(board)
    put = board.engine.put_recording

    async def full(*_: object) -> bool:
        raise EngineError("disk full")

    monkeypatch.setattr(board.engine, "put_recording", full)
    await alice.hangup("k")
    assert len(await board.engine.live_recordings()) == 1
    monkeypatch.setattr(board.engine, "put_recording", put)
    await board.passes(6)
    assert await board.engine.live_recordings() == []
    alice, bob = await talk(board, "k2")
    await record(alice, call="k2")
    bob.hears("record_asked")
    monkeypatch.setattr(board.engine, "put_recording", full)
    await board.passes(recording.ANSWER_WITHIN + 0.1)
    bob.silent()
    monkeypatch.setattr(board.engine, "put_recording", put)
    await board.passes(6)
    bob.hears("recording", call="k2", state="off", reason="no_answer")
