"""The exchange over a store that fails or is slow, and with clients that come back at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ringback.server import protocol as p
from ringback.server.calls import Call
from ringback.server.engine.base import Claim, EngineError, StoredSession
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.session import Session
from tests.playbook import Board, Player, Wire, make_board, settle


class Trouble(EmbeddedEngine):
    """An engine whose writes fail while it is `down`, and wait while it is `slow`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.down = False
        self.slow = False
        self.fast = asyncio.Event()

    async def _write(self) -> None:
        if self.slow:
            await self.fast.wait()
        if self.down:
            raise EngineError("the disk is full")

    async def save_session(self, session: StoredSession) -> None:
        await self._write()
        await super().save_session(session)

    async def drop_session(self, session: str, key_hash: str) -> bool:
        await self._write()
        return await super().drop_session(session, key_hash)

    async def claim(self, claim: Claim, now: float) -> Claim:
        await self._write()
        return await super().claim(claim, now)

    async def put_call(self, call: Call, expect: int | None) -> bool:
        await self._write()
        return await super().put_call(call, expect)


class Bad:
    """A board over an engine in trouble."""

    def __init__(self, board: Board, engine: Trouble) -> None:
        self.board = board
        self.engine = engine


@pytest.fixture
async def bad(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A board over an engine that can be put in trouble."""
    monkeypatch.setattr("tests.playbook.EmbeddedEngine", Trouble)
    board = await make_board()
    assert isinstance(board.engine, Trouble)
    yield Bad(board, board.engine)
    board.engine.down = False
    board.engine.fast.set()
    await board.close()


def resume(player: Player) -> p.Hello:
    """What a client says to take its session up again."""
    shown = p.Resume(player.session.id, player.welcome["key"], player.n, dict(player.marks))
    return p.Hello(v=1, name=player.session.name, resume=shown)


def hello(bad: Bad, wire: Wire, player: Player) -> asyncio.Task[Session]:
    """A client comes back on `wire`, however long that takes."""
    return asyncio.create_task(bad.board.exchange.hello(wire, resume(player), player.guest))


async def in_call(bad: Bad) -> tuple[Player, Player]:
    """Two people who are connected, and what they heard of it read."""
    alice, bob = await bad.board.come("alice"), await bad.board.come("bob")
    await alice.call("k", "bob")
    await bob.answer("k")
    await alice.progress("k", "connected")
    for player, heard in ((alice, ("ringing", "answered")), (bob, ("ring",))):
        for type_ in heard:
            player.hears(type_)
    return alice, bob


async def test_a_session_that_could_not_be_resumed_still_ends(bad: Bad) -> None:
    """Else its name would be held, and shown as online, for ever."""
    alice = await bad.board.come("alice")
    await alice.drops()
    bad.engine.down = True
    with pytest.raises(EngineError):
        await bad.board.exchange.hello(Wire(), resume(alice), alice.guest)
    bad.engine.down = False
    await bad.board.passes(31)
    assert await bad.engine.sessions() == []
    await bad.board.come("alice", guest="somebody else")


async def test_a_session_that_could_not_be_resumed_can_be_resumed_later(bad: Bad) -> None:
    alice = await bad.board.come("alice")
    await alice.drops()
    bad.engine.down = True
    with pytest.raises(EngineError):
        await bad.board.exchange.hello(Wire(), resume(alice), alice.guest)
    bad.engine.down = False
    await alice.returns()
    assert alice.welcome["resumed"] is True


async def test_a_session_whose_calls_could_not_be_told_still_ends(bad: Bad) -> None:
    """The store fails in the last step of hello, when waiting calls begin to ring."""
    alice, bob = await bad.board.come("alice"), await bad.board.come("bob")
    await bob.drops()
    await alice.call("k", "bob")
    welcomed = asyncio.Event()

    class Line(Wire):
        def send(self, payload: bytes) -> None:
            bad.engine.down = True
            welcomed.set()

    with pytest.raises(EngineError):
        await bad.board.exchange.hello(Line(), resume(bob), bob.guest)
    assert welcomed.is_set()
    bad.engine.down = False
    await bad.board.passes(31)
    assert [s.name for s in await bad.engine.sessions()] == ["alice"]


async def test_calls_of_a_lost_session_end_once_the_store_works_again(bad: Bad) -> None:
    alice, bob = await in_call(bad)
    await alice.drops()
    bad.engine.down = True
    await bad.board.passes(35)
    assert await bad.board.live() == ["connected"]
    bad.engine.down = False
    await bad.board.passes(10)
    bob.hears("ended", reason="lost")
    assert await bad.board.live() == []
    assert [s.name for s in await bad.engine.sessions()] == ["bob"]


async def test_a_call_stops_ringing_once_the_store_works_again(bad: Bad) -> None:
    alice, bob = await bad.board.come("alice"), await bad.board.come("bob")
    await alice.call("k", "bob")
    bad.engine.down = True
    await bad.board.passes(50)
    assert await bad.board.live() == ["ringing"]
    bad.engine.down = False
    await bad.board.passes(10)
    alice.hears("ringing")
    alice.hears("ended", reason="no_answer")
    bob.hears("ring")
    bob.hears("ended", reason="no_answer")


async def test_a_plain_client_that_leaves_while_the_store_fails_still_ends(bad: Bad) -> None:
    alice, bob = await in_call(bad)
    bad.engine.down = True
    with pytest.raises(EngineError):
        await bad.board.exchange.bye(alice.session, alice.wire)
    bad.engine.down = False
    await bad.board.passes(10)
    bob.hears("ended", reason="lost")
    assert [s.name for s in await bad.engine.sessions()] == ["bob"]


async def test_a_session_that_was_half_opened_leaves_nothing(bad: Bad) -> None:
    """Neither its row nor its hold on the name, once the store works again."""

    class Line(Wire):
        def send(self, payload: bytes) -> None:
            bad.engine.down = True
            raise EngineError("and what follows fails as well")

    with pytest.raises(EngineError):
        await bad.board.exchange.hello(Line(), p.Hello(v=1, name="alice"), "guest")
    assert len(await bad.engine.sessions()) == 1
    bad.engine.down = False
    await bad.board.passes(10)
    assert await bad.engine.sessions() == []
    await bad.board.come("alice", guest="somebody else")


async def test_a_client_that_returns_twice_at_once_hears_everything_once(bad: Bad) -> None:
    """Its first new socket broke before the store had answered."""
    alice, bob = await bad.board.come("alice"), await bad.board.come("bob")
    await alice.drops()
    bad.engine.slow = True
    first, second = Wire(), Wire()
    tasks = [hello(bad, first, alice), hello(bad, second, alice)]
    await settle()
    bad.engine.slow = False
    bad.engine.fast.set()
    await asyncio.gather(*tasks)
    assert [said["type"] for said in second.said] == ["welcome"]
    await bob.call("k", "alice")
    assert [said["type"] for said in second.said] == ["welcome", "ring"]


async def test_nothing_is_told_before_the_welcome(bad: Bad) -> None:
    """A request of the old socket is still at work when its client comes back."""
    alice = await bad.board.come("alice")
    bad.engine.slow = True
    asked = asyncio.create_task(alice.says(p.Join(room="kitchen", id="1")))
    await settle()
    wire = Wire()
    back = hello(bad, wire, alice)
    await settle()
    bad.engine.slow = False
    bad.engine.fast.set()
    await asyncio.gather(asked, back)
    assert wire.said[0]["type"] == "welcome"
    await alice.says(p.Chat(room="kitchen", text="hello", cid="c"))
    assert [said["type"] for said in wire.said].count("chat") == 1


async def test_a_call_whose_party_was_forgotten_in_a_crash_ends(tmp_path: Path) -> None:
    """The server was killed between forgetting a session and ending its calls."""
    board = await make_board(tmp_path / "a.db")
    alice, bob = await board.come("alice"), await board.come("bob")
    await alice.call("k", "bob")
    await bob.answer("k")
    await alice.progress("k", "connected")
    for session in await board.engine.sessions():
        await board.engine.drop_session(session.id, session.key_hash)
    await board.close()
    again = await make_board(tmp_path / "a.db")
    assert await again.live() == []
    await again.close()
