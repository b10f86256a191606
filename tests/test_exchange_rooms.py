"""Rooms, names, resuming and time through the exchange, as scripts on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.protocol import ErrorCode, ProtocolError
from tests.playbook import Board, Player, Wire, make_board


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    made = await make_board()
    yield made
    await made.close()


async def enter(board: Board, name: str, room: str = "lobby") -> Player:
    player = await board.come(name)
    await player.says(p.Join(room=room))
    player.hears("joined", room=room)
    return player


async def say(player: Player, text: str, cid: str, room: str = "lobby") -> None:
    await player.says(p.Chat(room=room, text=text, cid=cid))


async def test_what_is_said_reaches_all_in_the_same_order(board: Board) -> None:
    alice = await enter(board, "alice")
    bob = await enter(board, "bob")
    alice.hears("presence", name="bob", here=True)
    await say(alice, "hello", "1")
    await say(bob, "<b>hi</b>", "1")
    for player in (alice, bob):
        player.hears("chat", seq=1, from_="alice", text="hello", cid="1")
        player.hears("chat", seq=2, from_="bob", text="<b>hi</b>", cid="1")
        player.silent()


async def test_one_who_comes_later_gets_the_history(board: Board) -> None:
    alice = await enter(board, "alice")
    for number in range(3):
        await say(alice, f"{number}", f"{number}")
    carol = await board.come("carol")
    await carol.says(p.Join(room="LOBBY", id="1"))
    joined = carol.hears("joined", room="lobby", seq=3, re="1")
    assert [m["text"] for m in joined["history"]] == ["0", "1", "2"]
    assert joined["members"] == [
        {"name": "alice", "bot": False},
        {"name": "carol", "bot": False},
    ]


async def test_the_same_cid_is_one_message(board: Board) -> None:
    alice, bob = await enter(board, "alice"), await enter(board, "bob")
    alice.hears("presence")
    await say(alice, "once", "c")
    await say(alice, "once", "c")
    first, again = alice.hears("chat"), alice.hears("chat")
    assert first == again
    bob.hears("chat")
    bob.silent()


@pytest.mark.parametrize(
    ("text", "code"),
    [(" \n ", ErrorCode.BAD_TEXT), ("ä" * 4097, ErrorCode.TEXT_TOO_LONG)],
)
async def test_texts_that_cannot_be(board: Board, text: str, code: ErrorCode) -> None:
    alice = await enter(board, "alice")
    await alice.refused(code, p.Chat(room="lobby", text=text, cid="c"))


async def test_the_longest_text_passes(board: Board) -> None:
    alice = await enter(board, "alice")
    await say(alice, "ä" * 4096, "c")
    alice.hears("chat")


async def test_talk_is_rationed(board: Board) -> None:
    alice = await enter(board, "alice")
    for number in range(20):
        await say(alice, "x", f"{number}")
    alice.wire.said.clear()
    await alice.refused(ErrorCode.TOO_FAST, p.Chat(room="lobby", text="x", cid="y"))
    await board.passes(0.2)
    await say(alice, "x", "y")
    alice.hears("chat", cid="y", seq=21)


async def test_outside_a_room_nothing_can_be_said(board: Board) -> None:
    alice = await board.come("alice")
    await alice.refused(ErrorCode.NOT_IN_ROOM, p.Chat(room="lobby", text="x", cid="y"))
    await alice.refused(ErrorCode.NOT_IN_ROOM, p.Typing(room="lobby", on=True))
    await alice.refused(ErrorCode.NOT_IN_ROOM, p.Leave(room="lobby"))
    await alice.refused(ErrorCode.BAD_ROOM, p.Join(room="\u202e"))


async def test_rooms_are_bounded(board: Board) -> None:
    alice = await board.come("alice")
    for number in range(32):
        await alice.says(p.Join(room=f"room {number}"))
        alice.hears("joined")
    await alice.refused(ErrorCode.TOO_MANY_ROOMS, p.Join(room="one more"))
    await alice.says(p.Join(room="room 1"))
    alice.hears("joined")


async def test_leaving_is_seen_once_the_last_tab_left(board: Board) -> None:
    alice = await enter(board, "alice")
    one, two = await enter(board, "bob"), await enter(board, "bob")
    alice.hears("presence", name="bob", here=True)
    await one.says(p.Leave(room="lobby"))
    alice.silent()
    await two.says(p.Leave(room="lobby"))
    alice.hears("presence", name="bob", here=False)
    await say(alice, "alone?", "1")
    one.silent()


async def test_typing_is_told(board: Board) -> None:
    alice, bob = await enter(board, "alice"), await enter(board, "bob")
    alice.hears("presence")
    await bob.says(p.Typing(room="lobby", on=True))
    alice.hears("typing", from_="bob", on=True)


async def test_a_reload_does_not_flap_but_going_away_shows(board: Board) -> None:
    alice, bob = await enter(board, "alice"), await enter(board, "bob")
    alice.hears("presence")
    await bob.drops()
    await board.passes(4)
    await bob.returns()
    alice.silent()
    await bob.drops()
    await board.passes(6)
    alice.hears("presence", name="bob", here=False)
    await bob.returns()
    alice.hears("presence", name="bob", here=True)


async def test_missed_messages_come_in_order_and_once(board: Board) -> None:
    alice, bob = await enter(board, "alice"), await enter(board, "bob")
    await say(alice, "seen", "0")
    bob.hears("chat", seq=1)
    await bob.drops()
    for number in (1, 2, 3):
        await say(alice, f"missed {number}", f"{number}")
    await bob.returns()
    joined = bob.hears("joined", resumed=True, seq=4)
    assert [m["seq"] for m in joined["history"]] == [2, 3, 4]
    bob.silent()
    await say(alice, "after", "4")
    bob.hears("chat", seq=5)


async def test_a_gap_too_wide_to_fill_is_said(board: Board) -> None:
    alice, bob = await enter(board, "alice"), await enter(board, "bob")
    await bob.drops()
    for number in range(101):
        await board.passes(0.2)
        await say(alice, "x", f"{number}")
    await bob.returns()
    bob.hears("resync", room="lobby")
    await bob.says(p.Join(room="lobby"))
    assert len(bob.hears("joined", seq=101)["history"]) == 100


async def ring_with_candidates(alice: Player, call: str, candidates: int) -> None:
    await alice.call(call, "bob")
    for number in range(candidates):
        candidate = p.Candidate(f"{call} {number}")
        await alice.says(p.SendCandidate(call=call, candidate=candidate))
    await alice.hangup(call)


async def test_directed_messages_missed_come_in_order(board: Board) -> None:
    alice, bob = await board.come("alice"), await board.come("bob")
    await bob.drops()
    await ring_with_candidates(alice, "k", 60)
    await bob.returns()
    bob.hears("ring", call="k", n=1)
    for number in range(60):
        assert bob.hears("candidate")["candidate"]["candidate"] == f"k {number}"
    bob.hears("ended", call="k", n=62)
    bob.silent()


async def test_directed_messages_that_are_gone_are_said(board: Board) -> None:
    alice, bob = await board.come("alice"), await board.come("bob")
    await bob.drops()
    for number in range(5):
        await ring_with_candidates(alice, f"k{number}", 60)
    await bob.returns()
    bob.hears("resync", room=None, last=310)
    bob.silent()
    await alice.call("now", "bob")
    bob.hears("ring", call="now", n=311)
    await bob.drops()
    await alice.hangup("now")
    await bob.returns()
    bob.hears("ended", call="now", n=312)


async def test_what_was_never_given_out_is_a_resync(board: Board) -> None:
    bob = await board.come("bob")
    await bob.drops()
    await bob.returns(n=7)
    bob.hears("resync", room=None, last=0)


async def test_a_key_works_once_and_only_with_its_cookie(board: Board) -> None:
    bob = await board.come("bob")
    old = p.Resume(bob.session.id, bob.welcome["key"], 0)
    await bob.drops()
    await bob.returns()
    await bob.drops()
    await bob.returns()
    for resume, guest in (
        (old, bob.guest),
        (p.Resume(bob.session.id, bob.welcome["key"], 0), "somebody else"),
        (p.Resume("unknown", bob.welcome["key"], 0), bob.guest),
    ):
        wire = Wire()
        hello = p.Hello(v=1, name="fresh", resume=resume)
        session = await board.exchange.hello(wire, hello, guest)
        assert session.id != bob.session.id
        assert wire.said[0]["resumed"] is False
        await board.exchange.detach(session, wire)
        await board.passes(31)
        bob.silent()
        await bob.says(p.Contacts(id="1"))
        bob.hears("contacts")


async def test_a_welcome_that_got_lost_does_not_lose_the_session(board: Board) -> None:
    bob = await board.come("bob")
    shown = bob.welcome
    for _ in range(3):
        await bob.drops()
        await bob.returns()
        assert bob.welcome["resumed"] is True
        bob.welcome = shown
    await bob.drops()
    await bob.returns()
    shown = bob.welcome
    await bob.drops()
    await bob.returns()
    assert bob.welcome["resumed"] is True


async def test_a_hello_that_could_not_be_stored_holds_no_name(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(session: object) -> None:
        raise EngineError("disk full")

    monkeypatch.setattr(board.engine, "save_session", fail)
    with pytest.raises(EngineError):
        await board.come("bob")
    monkeypatch.undo()
    eve = await board.come("bob", guest="eve")
    assert eve.welcome["name"] == "bob"


async def test_a_second_socket_of_a_session_replaces_the_first(board: Board) -> None:
    bob = await board.come("bob")
    first = bob.wire
    await bob.returns()
    assert first.closed == p.CloseCode.REPLACED
    await board.exchange.detach(bob.session, first)
    await bob.says(p.Contacts())
    bob.hears("contacts")


async def test_a_name_is_held_while_one_is_here_and_a_while_after(board: Board) -> None:
    bob = await board.come("bob")
    with pytest.raises(ProtocolError) as refused:
        await board.come("ＢＯＢ", guest="eve")
    assert refused.value.code is ErrorCode.NAME_TAKEN
    await bob.drops()
    await board.passes(29)
    with pytest.raises(ProtocolError):
        await board.come("bob", guest="eve")
    await board.passes(2)
    eve = await board.come("bob", guest="eve")
    assert eve.welcome["name"] == "bob"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", ErrorCode.BAD_NAME),
        ("a\u202eb", ErrorCode.BAD_NAME),
        ("x" * 33, ErrorCode.BAD_NAME),
        ("echo", ErrorCode.NAME_RESERVED),
        ("Есho", ErrorCode.NAME_RESERVED),
    ],
)
async def test_names_that_cannot_be(board: Board, name: str, code: ErrorCode) -> None:
    with pytest.raises(ProtocolError) as refused:
        await board.come(name)
    assert refused.value.code is code


async def test_without_a_name_one_can_only_look(board: Board) -> None:
    nobody = await board.come(None)
    await nobody.says(p.Rooms())
    nobody.hears("rooms", rooms=[])
    await nobody.says(p.Contacts())
    nobody.hears("contacts", people=[])
    await nobody.refused(ErrorCode.NAME_NEEDED, p.Join(room="lobby"))
    await nobody.refused(ErrorCode.HELLO_AGAIN, p.Hello(v=1, name="late"))


async def test_only_bots_with_their_token_are_bots(board: Board) -> None:
    echo = await board.bot("echo")
    assert echo.welcome["name"] == "echo"
    wire = Wire()
    for hello, code in (
        (p.Hello(v=1, token="forged"), ErrorCode.BAD_TOKEN),
        (p.Hello(v=1, token=board.tokens["echo"], name="other"), ErrorCode.BAD_NAME),
        (p.Hello(v=1, name="bob", about="I am a bot"), ErrorCode.BAD_MESSAGE),
        (p.Hello(v=2, name="bob"), ErrorCode.BAD_VERSION),
    ):
        with pytest.raises(ProtocolError) as refused:
            await board.exchange.hello(wire, hello, "guest")
        assert refused.value.code is code
    alice = await board.come("alice")
    await alice.says(p.Contacts())
    people = alice.hears("contacts")["people"]
    expected = {"name": "echo", "bot": True, "about": "I am echo.", "status": "available"}
    assert expected in people


async def test_contacts_come_and_go(board: Board) -> None:
    alice = await board.come("alice")
    await alice.says(p.Contacts(watch=True, id="1"))
    alice.hears("contacts", re="1")
    bob = await board.come("bob")
    alice.hears("contact", online=True, person={
        "name": "bob", "bot": False, "about": "", "status": "available"
    })  # fmt: skip
    await bob.drops()
    assert alice.hears("contact")["person"]["status"] == "away"
    await board.passes(30)
    alice.hears("contact", online=False)
    await alice.says(p.Contacts())
    alice.hears("contacts")
    await board.come("carol")
    alice.silent()


async def test_listed_rooms_are_told_as_they_fill(board: Board) -> None:
    watcher = await board.come(None)
    await watcher.says(p.Rooms(watch=True))
    watcher.hears("rooms", rooms=[])
    await enter(board, "alice")
    await enter(board, "bob")
    carol = await board.come("carol")
    await carol.says(p.Join(room="secret", unlisted=True))
    await board.passes(1)
    watcher.hears("rooms", rooms=[{"room": "lobby", "people": 2}])
    watcher.silent()
    assert [r.room for r in await board.exchange.listed_rooms()] == ["lobby"]


async def test_a_store_that_fails_is_told_to_nobody(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await enter(board, "alice")

    async def fail(draft: object) -> None:
        raise EngineError("disk full")

    monkeypatch.setattr(board.engine, "publish", fail)
    with pytest.raises(EngineError):
        await say(alice, "lost?", "1")
    alice.silent()
    monkeypatch.undo()
    await say(alice, "lost?", "1")
    alice.hears("chat", seq=1)


async def test_history_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite3"
    before = await make_board(path)
    alice = await enter(before, "alice")
    await say(alice, "remember", "1")
    alice.hears("chat")
    await alice.drops()
    await before.close()
    after = await make_board(path)
    alice.board = after
    await alice.returns()
    alice.hears("joined", resumed=True, history=[], seq=1)
    await say(alice, "remember", "1")
    alice.hears("chat", seq=1)
    bob = await after.come("bob")
    await bob.says(p.Join(room="lobby"))
    assert [m["text"] for m in bob.hears("joined")["history"]] == ["remember"]
    await after.close()


# --- crowds ----------------------------------------------------------------------------------


@pytest.fixture
async def small() -> AsyncIterator[Board]:
    made = await make_board(limits=p.Limits(people=3))
    yield made
    await made.close()


async def test_of_many_contacts_bots_come_first_and_who_is_away_last(small: Board) -> None:
    zoe = await small.come("zoe")
    ann = await small.come("ann")
    await zoe.says(p.Contacts())
    zoe.hears("contacts", more=None, people=[person("zoe"), person("ann")])
    await small.come("bob")
    await ann.drops()
    await small.bot("yodel")
    await zoe.says(p.Contacts(id="1"))
    bot = {"name": "yodel", "bot": True, "about": "I am yodel.", "status": "available"}
    zoe.hears("contacts", re="1", more=1, people=[bot, person("bob"), person("zoe")])


def person(name: str) -> dict[str, object]:
    return {"name": name, "bot": False, "about": "", "status": "available"}


async def test_in_a_full_room_one_is_named_oneself(small: Board) -> None:
    for name in ("ann", "bob"):
        await enter(small, name)
    cleo = await enter(small, "cleo")
    dora = await small.come("dora")
    await dora.says(p.Join(room="lobby"))
    joined = dora.hears("joined", more=1)
    assert [m["name"] for m in joined["members"]] == ["ann", "bob", "dora"]
    cleo.hears("presence", name="dora")
    await cleo.says(p.Join(room="lobby"))
    joined = cleo.hears("joined", more=1)
    assert [m["name"] for m in joined["members"]] == ["ann", "bob", "cleo"]


async def test_without_limits_everybody_is_named() -> None:
    board = await make_board(limits=p.Limits(people=1, on=False))
    await board.come("ann")
    bob = await board.come("bob")
    await bob.says(p.Contacts())
    assert len(bob.hears("contacts")["people"]) == 2
    await enter(board, "ann")
    await bob.says(p.Join(room="lobby"))
    assert len(bob.hears("joined")["members"]) == 2
    await board.close()
