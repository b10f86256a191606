"""A real exchange with bots and peers that do something wrong, and calls there that are judged."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ringback.bots.call import Handler
from ringback.bots.calltest.options import NoCall, Options
from ringback.bots.calltest.outcome import Outcome, conclude
from ringback.bots.calltest.run import Check, run
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.stage import Plan, Stage
from ringback.bots.calltest.thresholds import threshold
from ringback.bots.calltest.verified import Call
from ringback.bots.client import Client
from ringback.bots.online import OnLine
from ringback.bots.robot import Bot
from ringback.bots.service import Service
from ringback.server.config import Config
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.faulty import Parrot, front
from tests.lines import GENEROUS
from tests.running import Server
from tests.turn import ice_server, turn_server

SEED = 7
SIZE = (160, 120)
BRIEF = 1.6
"""Seconds of a call, where no more are needed."""


class Stand:
    """A real exchange, and calls at it that are judged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url

    @asynccontextmanager
    async def on_line(self, made: Parrot, name: str) -> AsyncIterator[None]:
        """Have a bot answer to this name."""
        robot = Bot(name)
        robot.call(made.handle)
        async with AsyncExitStack() as stack:
            on_line = OnLine(robot, await stack.enter_async_context(self._client(name)))
            _keep(stack, on_line.run())
            yield

    async def bot(self, made: Parrot, calls: int = 1, **check: Any) -> Outcome:
        """`ringback check` against a bot, so often: what the last call came to."""
        name = f"bot-{secrets.token_hex(3)}"
        async with self.on_line(made, name):
            for _ in range(calls - 1):
                await self._check(name, **check)
            return await self._check(name, made.thresholds, **check)

    async def echo(self, handle: Handler, **check: Any) -> Outcome:
        """The same against a bot that returns packets as they are."""
        name = f"echo-{secrets.token_hex(3)}"
        async with AsyncExitStack() as stack:
            service = Service(await stack.enter_async_context(self._client(name)), handle)
            _keep(stack, service.run())
            return await self._check(name, **check)

    def _client(self, name: str) -> Client:
        token = mint_bot_token(self.server.app[SECRET], name, 600)
        return Client(f"{self.server.ws}/ws", token=token)

    async def _check(self, to: str, thresholds: Sequence[str] = (), **check: Any) -> Outcome:
        asked: dict[str, Any] = {"size": SIZE, "seconds": BRIEF, "seed": SEED} | check
        return conclude(await run(Check(self.url, to=to, **asked)), map(threshold, thresholds))

    async def between(
        self, a: type[Side], b: type[Side], *, url: str | None = None, **caller: Any
    ) -> Outcome:
        """A call between two peers, as a test with the pytest plugin makes it. `caller`: what
        the first of them sends and asks for."""
        stage = Stage(Plan(url or self.url, Options(), (), SEED, Path("unused"), keep="off"))
        await stage.begin()
        try:
            where, number = stage.plan.url, secrets.token_hex(3)
            asked: dict[str, Any] = {"size": SIZE} | caller
            ann = a(where, f"a-{number}", options=Options(**asked), stream=0x123)
            bob = b(where, f"b-{number}", options=Options(size=SIZE), stream=0x456)
            call = Call(await stage.enter(ann), await stage.enter(bob))
            with suppress(NoCall):
                await stage.connect(call)
                await call.last(BRIEF)
        finally:
            await stage.conclude(failed=False)
        [outcome] = stage.judged
        return outcome

    async def fronted(self, relays: bool) -> Outcome:
        """A call through another server before the exchange."""
        patience = {} if relays else {"patience": 1.0}
        async with front(self.url, relays=relays) as url:
            return await self.between(Side, Side, url=url, **patience)

    async def relayed(self, secret: str) -> Outcome:
        """A call that only a TURN server connects, of which the exchange names this secret."""
        if shutil.which("turnserver") is None:
            pytest.skip("needs Debian's coturn")
        folder = self.server.data / secrets.token_hex(3)
        await asyncio.to_thread(folder.mkdir)
        async with (
            turn_server(folder) as where,
            serving(folder / "data", ice_servers=(ice_server(where, secret),)) as server,
        ):
            return await Stand(server).bot(Parrot(SEED), relay_only=True)


@asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[Server]:
    """A Ringback on a free port, without bots."""
    server = Server(
        Config(
            host="127.0.0.1", port=0, data=folder, bots=False, drain=0.05, limits=GENEROUS, **more
        )
    )  # fmt: skip
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _keep(stack: AsyncExitStack, running: Awaitable[None]) -> None:
    """Let a bot run until the stack is unwound."""
    task = asyncio.ensure_future(running)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(stop)
