"""Scripts of who says what to the exchange, on a virtual clock and without sockets.

    alice, bob = await board.come("alice"), await board.come("bob")
    await alice.call("k", "bob")
    bob.hears("ring", call="k")
    await board.passes(45)
    alice.hears("ended", reason="no_answer")

`hears` takes the next message and compares the named fields; `silent` demands that there is
none. Nothing sleeps: `passes` moves the clock and runs what falls due, in order.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ringback.server import protocol as p
from ringback.server.clock import Act
from ringback.server.config import Config
from ringback.server.engine.base import Engine
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.exchange import Exchange
from ringback.server.identity import Token
from ringback.server.protocol import ErrorCode, ProtocolError
from ringback.server.session import Session

START = 1_700_000_000.0
OFFER = p.Description("offer", "v=0 offer")
ANSWER = p.Description("answer", "v=0 answer")


class VirtualTimer:
    """An act that falls due at a time of the virtual clock."""

    def __init__(self, act: Act) -> None:
        self.act: Act | None = act

    def cancel(self) -> None:
        """Let it not happen."""
        self.act = None


class VirtualClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self._now = START
        self._order = itertools.count()
        self._timers: list[tuple[float, int, VirtualTimer]] = []

    def now(self) -> float:
        return self._now

    def call_later(self, delay: float, act: Act) -> VirtualTimer:
        timer = VirtualTimer(act)
        heapq.heappush(self._timers, (self._now + max(0.0, delay), next(self._order), timer))
        return timer

    async def close(self) -> None:
        self._timers.clear()

    async def advance(self, seconds: float) -> None:
        """Move on, running what falls due on the way."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            if timer.act is not None:
                act, timer.act = timer.act, None
                await act()
        self._now = end


class Wire:
    """The far end of a line: keeps what was said and whether it was closed."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.closed: int | None = None

    def send(self, payload: bytes) -> None:
        self.said.append(json.loads(payload))

    def close(self, code: int, words: str) -> None:
        self.closed = code


class Player:
    """One client: a wire, and the session it got."""

    def __init__(self, board: Board, session: Session, wire: Wire, guest: str | None) -> None:
        self.board = board
        self.session = session
        self.wire = wire
        self.guest = guest
        self.welcome = self.hears("welcome")
        self.n = 0
        self.marks: dict[str, p.RoomMark] = {}

    def hears(self, type_: str, **fields: Any) -> dict[str, Any]:
        """The next message, which must be of this type with these fields."""
        assert self.wire.said, f"expected {type_}, but nothing was said"
        said = self.wire.said.pop(0)
        expected = {"type": type_, **{name.rstrip("_"): value for name, value in fields.items()}}
        assert {name: said.get(name) for name in expected} == expected, said
        if "n" in said:
            assert said["n"] == self.n + 1, said
            self.n = said["n"]
        if "last" in said:
            self.n = said["last"]
        for seen in [said] if type_ == "chat" else said.get("history", []):
            self.marks[said["room"]] = p.RoomMark(
                said.get("epoch") or self.marks[said["room"]].epoch, seen["seq"]
            )
        if type_ == "joined":
            self.marks.setdefault(said["room"], p.RoomMark(said["epoch"], said["seq"]))
        return said

    def silent(self) -> None:
        """Nothing more was said."""
        assert self.wire.said == []

    async def says(self, message: p.ClientMessage) -> None:
        """Ask something of the exchange."""
        await self.board.exchange.handle(self.session, message)

    async def refused(self, code: ErrorCode, message: p.ClientMessage) -> str:
        """Ask something that must be refused with `code`, and changes nothing heard; returns
        the words."""
        heard = len(self.wire.said)
        with pytest.raises(ProtocolError) as refused:
            await self.says(message)
        assert refused.value.code is code, refused.value
        assert len(self.wire.said) == heard
        return str(refused.value)

    async def call(self, call: str, to: str, video: bool = True) -> None:
        """Call somebody."""
        media = p.Media(video=video)
        await self.says(p.Call(call=call, to=to, media=media, description=OFFER))

    async def answer(self, call: str) -> None:
        """Answer a call."""
        await self.says(p.Answer(call=call, description=ANSWER))

    async def hangup(self, call: str) -> None:
        """Hang up."""
        await self.says(p.Hangup(call=call))

    async def progress(self, call: str, state: Any, part: Any = None) -> None:
        """Tell how far the connection is."""
        await self.says(p.Progress(call=call, state=state, part=part))

    async def drops(self) -> None:
        """The socket breaks."""
        await self.board.exchange.detach(self.session, self.wire)

    async def returns(self, n: int | None = None) -> Player:
        """Come back on another socket; `n`: as if directed messages were seen up to there."""
        seen = self.n if n is None else n
        self.wire = Wire()
        asked = p.Resume(self.session.id, self.welcome["key"], seen, dict(self.marks))
        name = self.session.name or None
        message = p.Hello(v=1, name=name, resume=asked, token=self.board.tokens.get(name or ""))
        self.session = await self.board.exchange.hello(self.wire, message, self.guest)
        self.welcome = self.hears("welcome")
        return self


class Board:
    """An exchange with its clock and engine."""

    def __init__(
        self, engine: Engine, clock: VirtualClock, config: Config, path: Path | None
    ) -> None:
        self.path = path
        self.engine = engine
        self.clock = clock
        self.config = config
        self.tokens: dict[str, str] = {}
        self.exchange = Exchange(engine, config, self._read_token, clock)

    def _read_token(self, token: str) -> Token:
        if token not in self.tokens.values():
            raise ProtocolError(ErrorCode.BAD_TOKEN)
        name = token.removeprefix("token of ")
        return Token(user=f"bot:{name}", name=name, bot=True)

    async def come(self, name: str | None, guest: str | None = None, plain: bool = False) -> Player:
        """Somebody opens a page; `guest` is the user id in the cookie (else one per name)."""
        guest = guest or f"guest of {name}"
        wire = Wire()
        session = await self.exchange.hello(wire, p.Hello(v=1, name=name), guest, plain=plain)
        return Player(self, session, wire, guest)

    async def bot(self, name: str) -> Player:
        """A bot says hello with its token."""
        self.tokens[name] = f"token of {name}"
        wire = Wire()
        hello = p.Hello(v=1, token=self.tokens[name], about=f"I am {name}.")
        session = await self.exchange.hello(wire, hello, None)
        return Player(self, session, wire, None)

    async def passes(self, seconds: float) -> None:
        """Time passes."""
        await self.clock.advance(seconds)

    async def live(self) -> list[str]:
        """The states of all live calls."""
        return [call.state.value for call in await self.engine.live_calls()]

    async def restarts(self) -> None:
        """The server stops and starts again on the same file."""
        await self.close()
        self.engine = EmbeddedEngine(self.path, self.config.hold, self.clock.now)
        await self.engine.open()
        self.exchange = Exchange(self.engine, self.config, self._read_token, self.clock)
        await self.exchange.open()

    async def close(self) -> None:
        """End everything."""
        await self.exchange.close()
        await self.engine.close()


async def make_board(path: Path | None = None, **changes: Any) -> Board:
    """An exchange over an embedded engine, in memory or in the file at `path`."""
    clock = VirtualClock()
    config = Config(data=Path("unused"), **changes)
    engine = EmbeddedEngine(path, config.hold, clock.now)
    await engine.open()
    board = Board(engine, clock, config, path)
    await board.exchange.open()
    return board


async def pair(board: Board, plain: bool = False) -> tuple[Player, Player]:
    """Alice and Bob come; Bob's may be a `plain` client."""
    return await board.come("alice"), await board.come("bob", plain=plain)


async def talk(board: Board, call: str = "k", plain: bool = False) -> tuple[Player, Player]:
    """Alice and Bob, connected."""
    alice, bob = await pair(board, plain)
    await alice.call(call, "bob")
    bob.hears("ring")
    alice.hears("ringing")
    await bob.answer(call)
    alice.hears("answered")
    await alice.progress(call, "connected")
    await bob.progress(call, "connected")
    return alice, bob


async def settle() -> None:
    """Let what is ready on the event loop run."""
    for _ in range(10):
        await asyncio.sleep(0)
