"""Several instances of one bot: which of them gets a call, as scripts on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.server import calls
from ringback.server import protocol as p
from ringback.server.admission import Instance, least_loaded
from ringback.server.calls import Call, Party, State
from ringback.server.protocol import ErrorCode
from tests.playbook import ANSWER, OFFER, Board, Player, make_board


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    made = await make_board()
    yield made
    await made.close()


async def instances(board: Board, *most: int) -> list[Player]:
    """So many sessions of echo, each with its `max_calls`."""
    players = [await board.bot("echo") for _ in most]
    for player, number in zip(players, most, strict=True):
        await player.says(p.Capacity(max_calls=number))
    return players


async def place(board: Board, call: str) -> Player:
    """Somebody new calls echo."""
    player = await board.come(f"caller {call}")
    await player.call(call, "echo")
    return player


async def talk(board: Board, call: str, bot: Player) -> Player:
    """Somebody new calls echo, and this instance gets it and answers."""
    player = await place(board, call)
    bot.hears("ring", call=call)
    player.hears("ringing")
    await bot.answer(call)
    player.hears("answered")
    return player


async def test_calls_go_to_the_least_loaded_by_what_each_takes(board: Board) -> None:
    small, large = await instances(board, 1, 3)
    for call, bot in (("a", small), ("b", large), ("c", large), ("d", large)):
        await talk(board, call, bot)
        small.silent()
        large.silent()
    late = await place(board, "e")
    late.hears("ended", reason="busy")
    await small.hangup("a")
    small.hears("ended")
    await talk(board, "f", small)


async def test_one_that_takes_no_new_calls_keeps_its_own(board: Board) -> None:
    one, two = await instances(board, 9, 9)
    caller = await talk(board, "a", one)
    await one.says(p.Capacity(max_calls=9, accepting=False))
    for call in "bcd":
        await talk(board, call, two)
    one.silent()
    await two.says(p.Capacity(max_calls=9, accepting=False))
    (await place(board, "e")).hears("ended", reason="busy")
    await caller.hangup("a")
    one.hears("ended", call="a")
    await one.says(p.Capacity(max_calls=9))
    await talk(board, "f", one)


async def test_one_that_never_said_has_room_for_many(board: Board) -> None:
    silent, modest = await board.bot("echo"), (await instances(board, 1))[0]
    await talk(board, "a", silent)
    await talk(board, "b", modest)
    await talk(board, "c", silent)
    modest.silent()


async def test_only_the_chosen_one_may_answer(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    alice = await place(board, "a")
    one.hears("ring")
    await two.refused(ErrorCode.NOT_YOUR_CALL, p.Answer(call="a", description=ANSWER))
    await two.refused(ErrorCode.NOT_YOUR_CALL, p.Decline(call="a", reason="busy"))
    candidate = p.Candidate("candidate:1", "0", 0)
    await alice.says(p.SendCandidate(call="a", candidate=candidate))
    one.hears("candidate")
    await alice.hangup("a")
    one.hears("ended", reason="cancelled")
    two.silent()


async def test_when_the_chosen_one_drops_before_answering_another_gets_the_call(
    board: Board,
) -> None:
    one, two = await instances(board, 2, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    candidate = p.Candidate("candidate:1", "0", 0)
    await alice.says(p.SendCandidate(call="a", candidate=candidate))
    one.hears("candidate")
    await one.drops()
    two.hears("ring", call="a", from_="caller a", description=board_offer())
    two.hears("candidate", call="a")
    await one.returns()
    assert one.welcome["calls"] == []
    one.hears("elsewhere", call="a", reason="moved")
    await one.refused(ErrorCode.NOT_YOUR_CALL, p.Answer(call="a", description=ANSWER))
    await two.answer("a")
    alice.hears("answered")
    alice.silent()


def board_offer() -> dict[str, str]:
    return {"type": "offer", "sdp": OFFER.sdp}


async def test_an_answered_call_stays_where_it_is(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    alice = await talk(board, "a", one)
    await one.drops()
    two.silent()
    await one.returns()
    await alice.hangup("a")
    one.hears("ended")


async def test_with_no_other_it_waits_for_the_one_that_dropped(board: Board) -> None:
    [one] = await instances(board, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    await one.drops()
    await one.returns()
    await one.answer("a")
    alice.hears("answered")


async def test_with_no_other_that_has_room_it_ends_when_the_one_is_gone(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    await two.says(p.Capacity(max_calls=2, accepting=False))
    await one.drops()
    two.silent()
    await board.passes(29)
    alice.silent()
    await board.passes(2)
    alice.hears("ended", reason="unavailable")
    assert await board.live() == []


async def test_a_full_one_that_says_so_passes_the_call_on(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    await one.says(p.Decline(call="a", reason="busy"))
    one.hears("elsewhere", call="a", reason="moved")
    two.hears("ring", call="a")
    await two.says(p.Decline(call="a", reason="busy"))
    alice.hears("ended", reason="busy")
    two.hears("ended")
    one.silent()


async def test_one_that_declines_declines_for_all(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    await one.says(p.Decline(call="a"))
    alice.hears("ended", reason="declined")
    two.silent()


async def test_a_call_that_nobody_has_goes_to_the_first_who_comes(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    await one.drops()
    await two.drops()
    alice = await place(board, "a")
    alice.silent()
    await two.returns()
    two.hears("ring", call="a")
    alice.hears("ringing")
    await one.returns()
    one.silent()
    await two.answer("a")
    alice.hears("answered")


async def test_one_that_has_drained_and_gone_is_not_waited_for(board: Board) -> None:
    one, two = await instances(board, 2, 2)
    for bot in (one, two):
        await bot.says(p.Capacity(max_calls=2, accepting=False))
        await bot.drops()
    (await place(board, "a")).hears("ended", reason="busy")
    three = await board.bot("echo")
    await talk(board, "b", three)


async def test_a_new_instance_takes_what_waits_for_one_that_dropped(board: Board) -> None:
    [one] = await instances(board, 2)
    alice = await place(board, "a")
    one.hears("ring")
    alice.hears("ringing")
    await one.drops()
    two = await board.bot("echo")
    two.hears("ring", call="a")
    await two.answer("a")
    alice.hears("answered")


async def test_a_call_that_rings_is_found_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite3"
    before = await make_board(path)
    one, two = await instances(before, 1, 2)
    alice = await place(before, "a")
    one.hears("ring")
    alice.hears("ringing")
    await before.close()
    after = await make_board(path)
    after.tokens = before.tokens
    for player in (alice, one, two):
        player.board = after
    await alice.returns()
    await two.returns()
    two.hears("ring", call="a")
    await two.answer("a")
    alice.hears("answered")
    # What it takes is remembered with the session.
    stored = await after.engine.session(one.session.id)
    assert stored is not None
    assert stored.max_calls == 1
    await after.close()


async def test_people_have_no_capacity(board: Board) -> None:
    alice = await board.come("alice")
    await alice.refused(ErrorCode.BAD_MESSAGE, p.Capacity(max_calls=1))


# --- the rule -------------------------------------------------------------------------------


def call(number: int, session: str = "", at: str = "") -> Call:
    caller = Party(user="u", name="a", key="a", session="s-a")
    callee = Party(user="bot:echo", name="echo", key="echo", bot=True, session=session)
    state = State.CONNECTED if session else State.RINGING
    return Call(
        id=str(number), caller=caller, callee=callee, media=p.Media(), placed=0, state=state, at=at
    )


def test_none_at_all() -> None:
    assert least_loaded([], []) is None


def test_ringing_calls_count_and_equals_go_in_order() -> None:
    two = [Instance("one", 2), Instance("two", 2)]
    assert least_loaded(two, []) == "one"
    assert least_loaded(two, [call(1, at="one")]) == "two"
    assert least_loaded(two, [call(1, at="one"), call(2, session="two", at="two")]) == "one"
    assert least_loaded(two, [], passed=["one"]) == "two"
    ended = replace(call(1, at="one"), state=State.ENDED)
    assert least_loaded(two, [ended]) == "one"


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.integers(0, 6)), max_size=6))
def test_never_more_than_one_takes_and_never_a_fuller_one(
    them: list[tuple[int, bool, int]],
) -> None:
    sessions = [Instance(f"s{n}", most, on) for n, (most, on, _) in enumerate(them)]
    live = [
        call(10 * n + k, session=f"s{n}")
        for n, (*_, taken) in enumerate(them)
        for k in range(taken)
    ]
    open_ = {f"s{n}": t / m for n, (m, on, t) in enumerate(them) if on and t < m}
    chosen = least_loaded(sessions, live)
    if not open_:
        assert chosen is None
    else:
        assert chosen is not None
        assert open_[chosen] == min(open_.values())


def test_what_has_moved_or_ended_moves_no_more() -> None:
    made = calls.move(call(1, at="one"), "one", "two")
    assert (made.at, made.passed, made.version) == ("two", ("one",), 1)
    for gone in (made, call(1, session="one", at="one")):
        answered = replace(gone, answered=1) if gone.callee.session else gone
        with pytest.raises(calls.Refused):
            calls.move(answered, "one", "three")
    with pytest.raises(calls.Refused):
        calls.move(replace(call(1, at="one"), state=State.ENDED), "one", "two")
