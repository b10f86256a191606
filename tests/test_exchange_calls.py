"""Calls through the exchange, as scripts on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.server import protocol as p
from ringback.server.protocol import ErrorCode, ProtocolError
from tests.playbook import ANSWER, OFFER, Board, make_board, pair, talk


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    made = await make_board()
    yield made
    await made.close()


async def test_ring_answer_talk_hang_up(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "Bob", video=False)
    bob.hears("ring", call="k", from_="alice", media={"audio": True, "video": False}, waiting=None)
    alice.hears("ringing", call="k", waiting=None)
    await bob.answer("k")
    answer = {"type": "answer", "sdp": ANSWER.sdp}
    alice.hears("answered", call="k", description=answer)
    await alice.progress("k", "connecting", "dtls")
    await alice.progress("k", "connected")
    await board.passes(3600)
    assert await board.live() == ["connected"]
    await alice.hangup("k")
    alice.hears("ended", call="k", reason="hangup", message="You hung up.")
    bob.hears("ended", call="k", reason="hangup", message="alice hung up.")
    assert await board.live() == []
    for player in (alice, bob):
        player.silent()


async def test_the_callee_hangs_up(board: Board) -> None:
    alice, bob = await talk(board)
    await bob.hangup("k")
    alice.hears("ended", message="bob hung up.")
    bob.hears("ended", message="You hung up.")


async def test_decline(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await bob.says(p.Decline(call="k"))
    alice.hears("ended", reason="declined", message="bob declined the call.")
    bob.hears("ended", reason="declined", message="You declined the call.")


async def test_hanging_up_on_a_ringing_call_declines_it(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    await bob.hangup("k")
    alice.hears("ringing")
    alice.hears("ended", reason="declined")


async def test_the_caller_gives_up(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await alice.hangup("k")
    alice.hears("ended", reason="cancelled", message="You cancelled the call.")
    bob.hears("ended", reason="cancelled", message="alice gave up calling.")


async def test_nobody_answers(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await board.passes(44.9)
    alice.silent()
    await board.passes(0.2)
    alice.hears("ended", reason="no_answer", message="bob did not answer.")
    bob.hears("ended", reason="no_answer", message="You did not answer.")


async def test_nobody_of_that_name(board: Board) -> None:
    alice = await board.come("alice")
    await alice.call("k", "nobody")
    alice.hears("ended", reason="unavailable", message="nobody is not here right now.")
    await alice.refused(ErrorCode.NO_SUCH_CALL, p.Hangup(call="k"))


async def test_somebody_away_is_rung_when_they_return(board: Board) -> None:
    alice, bob = await pair(board)
    await bob.drops()
    await alice.call("k", "bob")
    alice.silent()
    assert await board.live() == ["calling"]
    await board.passes(5)
    await bob.returns()
    bob.hears("ring", call="k")
    alice.hears("ringing")
    await bob.answer("k")
    alice.hears("answered")


async def test_somebody_away_who_does_not_return_is_unavailable(board: Board) -> None:
    alice, bob = await pair(board)
    await bob.drops()
    await board.passes(10)
    await alice.call("k", "bob")
    await board.passes(19)
    alice.silent()
    await board.passes(2)
    alice.hears("ended", reason="unavailable")


async def test_every_tab_rings_and_the_first_answer_wins(board: Board) -> None:
    alice, one = await pair(board)
    two = await board.come("bob")
    await alice.call("k", "bob")
    one.hears("ring")
    two.hears("ring")
    await two.answer("k")
    one.hears("elsewhere", call="k", reason="answered")
    await one.refused(ErrorCode.NOT_YOUR_CALL, p.Answer(call="k", description=ANSWER))
    await one.refused(ErrorCode.NOT_YOUR_CALL, p.Hangup(call="k"))
    alice.hears("ringing")
    alice.hears("answered")
    await alice.hangup("k")
    two.hears("ended")
    one.silent()


async def test_declining_in_one_tab_quiets_all(board: Board) -> None:
    alice, one = await pair(board)
    two = await board.come("bob")
    await alice.call("k", "bob")
    one.hears("ring")
    two.hears("ring")
    await one.says(p.Decline(call="k"))
    one.hears("ended", reason="declined")
    two.hears("elsewhere", reason="declined")
    alice.hears("ringing")
    alice.hears("ended", reason="declined")


async def test_a_tab_opened_while_it_rings_rings_too(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    first = p.Candidate("candidate:1", "0", 0)
    await alice.says(p.SendCandidate(call="k", candidate=first))
    bob.hears("ring")
    bob.hears("candidate", candidate={**bob_candidate(first)})
    late = await board.come("bob")
    assert late.welcome["calls"] == [
        {"call": "k", "peer": "alice", "state": "ringing", "outgoing": False}
    ]
    late.hears("ring", call="k")
    late.hears("candidate", call="k")
    await late.answer("k")
    alice.hears("ringing")
    alice.hears("answered")


def bob_candidate(candidate: p.Candidate) -> dict[str, object]:
    return {
        "candidate": candidate.candidate,
        "sdpMid": candidate.sdp_mid,
        "sdpMLineIndex": candidate.sdp_m_line_index,
        "usernameFragment": None,
    }


async def test_a_second_caller_waits(board: Board) -> None:
    _, bob = await talk(board)
    carol = await board.come("carol")
    await carol.call("w", "bob")
    bob.hears("ring", call="w", waiting=True)
    carol.hears("ringing", waiting=True)
    await bob.refused(ErrorCode.IN_CALL, p.Answer(call="w", description=ANSWER))
    await bob.hangup("k")
    bob.hears("ended", call="k")
    await bob.answer("w")
    carol.hears("answered", call="w")


async def test_one_who_is_calling_gives_that_up_before_answering(board: Board) -> None:
    alice, bob = await pair(board)
    carol = await board.come("carol")
    await alice.call("out", "bob")
    await carol.call("in", "alice")
    alice.hears("ringing")
    alice.hears("ring", call="in", waiting=True)
    await alice.refused(ErrorCode.IN_CALL, p.Answer(call="in", description=ANSWER))
    await alice.hangup("out")
    await alice.answer("in")
    carol.hears("ringing")
    carol.hears("answered")


async def test_a_third_caller_hears_busy(board: Board) -> None:
    _, bob = await talk(board)
    carol, dave = await board.come("carol"), await board.come("dave")
    await carol.call("w", "bob")
    bob.hears("ring")
    await dave.call("b", "bob")
    dave.hears("ended", reason="busy", message="bob is in another call.")
    bob.silent()


async def test_without_call_waiting_a_second_caller_hears_busy(board: Board) -> None:
    _, bob = await talk(board)
    await bob.says(p.Settings(call_waiting=False))
    carol = await board.come("carol")
    await carol.call("w", "bob")
    carol.hears("ended", reason="busy")
    await bob.says(p.Settings(call_waiting=True))
    await carol.call("w2", "bob")
    carol.hears("ringing", waiting=True)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
async def test_two_who_call_each_other_get_one_call(board: Board, first: str, second: str) -> None:
    alice, bob = await pair(board)
    await alice.call(first, "bob")
    await bob.call(second, "alice")
    bob.hears("ring", call=first)
    alice.hears("ringing", call=first)
    loser, winner = (bob, alice) if first < second else (alice, bob)
    if loser is alice:
        alice.hears("ring", call=second)
        bob.hears("ringing", call=second)
        bob.hears("ended", call=first, reason="glare", winner=second)
    loser.hears("ended", call=max(first, second), reason="glare", winner=min(first, second))
    assert len(await board.live()) == 1
    await loser.answer("a")
    winner.hears("answered", call="a")
    for player in (alice, bob):
        player.silent()


async def test_a_pair_that_talks_cannot_call_again(board: Board) -> None:
    await talk(board)
    second_tab = await board.come("bob")
    await second_tab.call("again", "alice")
    second_tab.hears("ended", reason="busy")
    assert len(await board.live()) == 1


async def test_calling_again_after_closing_the_window_ends_the_call_left_behind(
    board: Board,
) -> None:
    alice, bob = await talk(board)
    await alice.drops()
    again = await board.come("alice")
    assert again.welcome["calls"] == []
    await again.call("k2", "bob")
    bob.hears("ended", call="k", reason="lost")
    bob.hears("ring", call="k2", waiting=None)
    again.hears("ringing")
    assert await board.live() == ["ringing"]


async def test_an_answer_and_a_call_the_other_way_at_once_leave_one_call(tmp_path: Path) -> None:
    board = await make_board(tmp_path / "ringback.sqlite3", limits=p.Limits(calls_per_minute=1000))
    ann, one = await board.come("ann"), await board.come("ben")
    two = await board.come("ben")
    for number in range(10):
        await ann.call(f"z{number}", "ben")
        answer = one.says(p.Answer(call=f"z{number}", description=ANSWER))
        back = two.call(f"a{number}", "ann")
        at_once = [answer, back] if number % 2 else [back, answer]
        outcomes = await asyncio.gather(*at_once, return_exceptions=True)
        refusals = [o.code for o in outcomes if isinstance(o, ProtocolError)]
        assert set(refusals) <= {ErrorCode.NO_SUCH_CALL}
        assert [o for o in outcomes if o is not None and not isinstance(o, ProtocolError)] == []
        live = await board.engine.live_calls()
        assert len(live) == 1
        await (ann if live[0].caller.key == "ann" else two).hangup(live[0].id)
    await board.close()


async def test_one_cannot_call_oneself_nor_be_in_two_calls(board: Board) -> None:
    alice, _ = await talk(board)
    for to, code in (("ALICE", ErrorCode.BAD_TARGET), ("carol", ErrorCode.IN_CALL)):
        player = alice if code is ErrorCode.IN_CALL else await board.come("alice")
        call = p.Call(call="x", to=to, media=p.Media(), description=OFFER)
        await player.refused(code, call)


async def test_two_windows_of_one_browser_call_each_other(board: Board) -> None:
    left = await board.come("left", guest="one cookie")
    right = await board.come("right", guest="one cookie")
    await left.call("k", "right")
    right.hears("ring", from_="left")
    await right.answer("k")
    left.hears("ringing")
    left.hears("answered")
    await right.hangup("k")
    left.hears("ended", message="right hung up.")
    for player, outgoing in ((left, True), (right, False)):
        if player is right:
            player.hears("ended")
        await player.says(p.Records(id="r"))
        [record] = player.hears("records", re="r")["records"]
        assert record["outgoing"] is outgoing


async def test_an_answered_call_that_does_not_connect_fails_and_says_where(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await bob.answer("k")
    alice.hears("answered")
    await alice.progress("k", "connecting", "ice")
    await board.passes(15)
    words = "The call to bob could not be connected."
    alice.hears("ended", reason="failed", part="ice", message=words)
    bob.hears("ended", reason="failed", part="ice")


async def test_a_side_that_fails_says_so(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    await bob.answer("k")
    await bob.says(p.Hangup(call="k", reason="failed", part="dtls"))
    for name in ("ringing", "answered"):
        alice.hears(name)
    alice.hears("ended", reason="failed", part="dtls")


async def test_an_interruption_ends_as_lost_unless_it_is_over_in_time(board: Board) -> None:
    alice, bob = await talk(board)
    await alice.progress("k", "reconnecting")
    await board.passes(29)
    await alice.progress("k", "connected")
    await board.passes(60)
    assert await board.live() == ["connected"]
    await bob.progress("k", "reconnecting")
    await board.passes(30)
    alice.hears("ended", reason="lost", message="The connection to bob was lost.")
    bob.hears("ended", reason="lost")


async def test_a_dropped_socket_does_not_end_a_call(board: Board) -> None:
    alice, bob = await talk(board)
    await bob.drops()
    await alice.says(p.SendMedia(call="k", media=p.Media(audio=False)))
    await board.passes(29)
    alice.silent()
    await bob.returns()
    assert bob.welcome["resumed"] is True
    assert [c["state"] for c in bob.welcome["calls"]] == ["connected"]
    bob.hears("media", media={"audio": False, "video": True})
    await bob.hangup("k")
    alice.hears("ended")


@pytest.mark.parametrize("who", [0, 1])
async def test_a_party_that_does_not_return_loses_the_call(board: Board, who: int) -> None:
    players = await talk(board)
    await players[who].drops()
    await board.passes(30)
    players[1 - who].hears("ended", reason="lost")
    assert await board.live() == []


async def test_a_caller_who_goes_while_it_rings(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    await alice.drops()
    await board.passes(30)
    bob.hears("ended", reason="lost")


async def test_the_last_tab_of_a_callee_goes_while_it_rings(board: Board) -> None:
    alice, one = await pair(board)
    two = await board.come("bob")
    await alice.call("k", "bob")
    alice.hears("ringing")
    await one.drops()
    await board.passes(10)
    await two.drops()
    await board.passes(29)
    alice.silent()
    await board.passes(1)
    alice.hears("ended", reason="unavailable")


async def test_descriptions_candidates_and_media_go_to_the_other_side(board: Board) -> None:
    alice, bob = await talk(board)
    await alice.says(p.SendDescription(call="k", description=OFFER))
    bob.hears("description", description={"type": "offer", "sdp": OFFER.sdp})
    await bob.says(p.SendDescription(call="k", description=ANSWER))
    alice.hears("description", description={"type": "answer", "sdp": ANSWER.sdp})
    await bob.says(p.SendCandidate(call="k", candidate=None))
    alice.hears("candidate", candidate=None)


async def test_what_comes_too_early_is_refused(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await bob.refused(ErrorCode.WRONG_STATE, p.SendCandidate(call="k", candidate=None))
    await bob.refused(ErrorCode.WRONG_STATE, p.SendMedia(call="k", media=p.Media()))
    await alice.refused(ErrorCode.WRONG_STATE, p.SendDescription(call="k", description=OFFER))
    await alice.refused(ErrorCode.WRONG_STATE, p.Progress(call="k", state="connected"))
    await alice.refused(ErrorCode.WRONG_STATE, p.Answer(call="k", description=ANSWER))
    await alice.refused(ErrorCode.WRONG_STATE, p.Decline(call="k"))


async def test_nobody_else_may_touch_a_call(board: Board) -> None:
    alice, bob = await pair(board)
    eve = await board.come("eve")
    await alice.call("k", "bob")
    bob.hears("ring")
    messages: list[p.ClientMessage] = [
        p.Answer(call="k", description=ANSWER),
        p.Decline(call="k"),
        p.Hangup(call="k"),
        p.SendDescription(call="k", description=OFFER),
        p.SendCandidate(call="k", candidate=p.Candidate("x")),
        p.SendMedia(call="k", media=p.Media()),
        p.Progress(call="k", state="connected"),
        p.Report(call="k"),
    ]
    for message in messages:
        await eve.refused(ErrorCode.NOT_YOUR_CALL, message)
    await eve.refused(ErrorCode.NO_SUCH_CALL, p.Hangup(call="other"))
    bob.silent()


async def test_an_id_is_used_once_and_said_twice_is_one_call(board: Board) -> None:
    alice, bob = await pair(board)
    await alice.call("k", "bob")
    await alice.call("k", "bob")
    bob.hears("ring")
    bob.silent()
    carol = await board.come("carol")
    other = p.Call(call="k", to="bob", media=p.Media(), description=OFFER)
    await carol.refused(ErrorCode.CALL_EXISTS, other)
    await alice.hangup("k")
    await alice.refused(ErrorCode.CALL_EXISTS, other)


async def test_early_candidates_are_bounded(board: Board) -> None:
    alice, _ = await pair(board)
    await alice.call("k", "bob")
    for number in range(64):
        await alice.says(p.SendCandidate(call="k", candidate=p.Candidate(f"c{number}")))
    one_more = p.SendCandidate(call="k", candidate=None)
    await alice.refused(ErrorCode.TOO_MANY_CANDIDATES, one_more)


@pytest.mark.parametrize(
    ("description", "why"),
    [
        (p.Description("offer", "x" * (48 * 1024 + 1)), "longer than"),
        (p.Description("offer", "v=0\0"), "plain text"),
        (p.Description("answer", "v=0"), "must be an offer"),
    ],
)
async def test_descriptions_that_cannot_be(
    board: Board, description: p.Description, why: str
) -> None:
    alice, _ = await pair(board)
    with pytest.raises(p.ProtocolError, match=why) as refused:
        await alice.says(p.Call(call="k", to="bob", media=p.Media(), description=description))
    assert refused.value.code is ErrorCode.BAD_DESCRIPTION
    assert await board.live() == []


async def test_calls_are_rationed(board: Board) -> None:
    alice = await board.come("alice")
    for number in range(30):
        await alice.call(f"k{number}", "nobody")
    one_more = p.Call(call="k", to="nobody", media=p.Media(), description=OFFER)
    alice.wire.said.clear()
    await alice.refused(ErrorCode.TOO_FAST, one_more)
    await board.passes(2)
    await alice.says(one_more)


async def test_records_tell_what_was(board: Board) -> None:
    alice, bob = await talk(board)
    await alice.says(p.Report(call="k", first_media_ms=180, pair="host/host", loss=0.01))
    await board.passes(60)
    await bob.hangup("k")
    alice.hears("ended")
    await alice.call("m", "nobody")
    alice.hears("ended")
    await alice.says(p.Records(id="1"))
    records = alice.hears("records")["records"]
    assert [(r["call"], r["reason"]) for r in records] == [("m", "unavailable"), ("k", "hangup")]
    talked = records[1]
    assert talked["ended"] - talked["connected"] == 60_000
    assert (talked["first_media_ms"], talked["pair"], talked["loss"]) == (180, "host/host", 0.01)
    eve = await board.come("eve")
    await eve.says(p.Records(id="1"))
    assert eve.hears("records")["records"] == []


async def test_contacts_show_who_is_in_a_call(board: Board) -> None:
    carol = await board.come("carol")
    await carol.says(p.Contacts(watch=True))
    carol.hears("contacts")
    alice, _ = await talk(board)
    seen = [(m["person"]["name"], m["person"]["status"]) for m in carol.wire.said]
    assert ("alice", "available") in seen
    assert seen[-2:] == [("alice", "in_call"), ("bob", "in_call")]
    carol.wire.said.clear()
    await alice.hangup("k")
    seen = [(m["person"]["name"], m["person"]["status"]) for m in carol.wire.said]
    assert seen == [("alice", "available"), ("bob", "available")]


async def test_a_bot_takes_many_calls_and_may_say_busy(board: Board) -> None:
    echo = await board.bot("echo")
    alice, bob = await pair(board)
    await alice.call("a", "echo")
    await bob.call("b", "echo")
    for call, player in (("a", alice), ("b", bob)):
        echo.hears("ring", call=call, waiting=None)
        await echo.answer(call)
        player.hears("ringing", waiting=None)
        player.hears("answered")
    carol = await board.come("carol")
    await carol.call("c", "echo")
    await echo.says(p.Decline(call="c", reason="busy"))
    carol.hears("ringing")
    carol.hears("ended", reason="busy")
    assert len(await board.live()) == 2


async def test_calls_and_sessions_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite3"
    before = await make_board(path)
    alice, bob = await talk(before)
    for player in (alice, bob):
        await player.drops()
    await before.close()
    after = await make_board(path)
    assert await after.live() == ["connected"]
    alice.board = bob.board = after
    await alice.returns()
    assert alice.welcome["resumed"] is True
    assert [c["call"] for c in alice.welcome["calls"]] == ["k"]
    alice.silent()
    await after.passes(31)
    alice.hears("ended", reason="lost", message="The connection to bob was lost.")
    await after.close()
