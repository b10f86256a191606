"""A bot of ours on the line of a real exchange, and people who call it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

import pytest

from ringback.bots import echo
from ringback.bots.call import Handler
from ringback.bots.client import Client
from ringback.bots.service import Service
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.callers import PATIENCE, Caller
from tests.running import Server

Kind = TypeVar("Kind", bound=p.Event)
GENEROUS = p.Limits(calls_per_minute=100_000, messages_per_second=10_000, messages_burst=10_000)


class Phone:
    """A person's session on the exchange, and what a person does with it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.call = ""
        self.answer = ""

    async def dial(self, sdp: str, to: str = "echo") -> None:
        """Place a call with an offer."""
        self.call = secrets.token_hex(8)
        description = p.Description(type="offer", sdp=sdp)
        await self.client.request(
            p.Call(call=self.call, to=to, media=p.Media(), description=description)
        )

    async def talk(self, caller: Caller, to: str = "echo") -> None:
        """Call, and wait until the media is there."""
        await self.dial(await caller.offer(), to)
        self.answer = (await self.event(p.Answered)).description.sdp
        await caller.accept(self.answer)
        await caller.connected()

    async def renegotiate(self, caller: Caller) -> None:
        """Offer anew inside the call."""
        description = p.Description(type="offer", sdp=await caller.offer())
        await self.client.request(p.SendDescription(call=self.call, description=description))
        answer = await self.event(p.RelayedDescription)
        assert answer.description.type == "answer"
        await caller.accept(answer.description.sdp)

    async def event(self, kind: type[Kind]) -> Kind:
        """The next event of one kind; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for event in self.client:
                if isinstance(event, kind):
                    return event
        raise AssertionError("the session ended")

    async def hang_up(self) -> p.Ended:
        """End the call."""
        await self.client.request(p.Hangup(call=self.call))
        return await self.event(p.Ended)


class Line:
    """An exchange with a bot on the line; `phone` gives people telephones."""

    def __init__(self, server: Server, bot: Service, stack: AsyncExitStack) -> None:
        self.server = server
        self.bot = bot
        self._stack = stack

    async def phone(self, name: str) -> Phone:
        """A telephone for somebody."""
        client = Client(self.server.ws + "/ws", name=name)
        return Phone(await self._stack.enter_async_context(client))

    def caller(self, **options: object) -> Caller:
        """A browser's place: hangs up when the test ends."""
        made = Caller(**options)  # type: ignore[arg-type]
        self._stack.push_async_callback(made.close)
        return made

    async def talking(self, name: str = "ann", **options: object) -> tuple[Phone, Caller]:
        """Somebody in a call with the bot."""
        phone, caller = await self.phone(name), self.caller(**options)
        await phone.talk(caller, self.bot.client.name or "")
        return phone, caller

    async def idle(self) -> None:
        """Wait until the bot has freed all its calls."""
        tasks = [call.task for call in self.bot.calls.values()]
        if tasks:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(tasks)
        assert self.bot.calls == {}


Start = Callable[..., Awaitable[Line]]


@pytest.fixture
async def start(
    serve: Callable[..., Awaitable[Server]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Start]:
    """Starts an exchange with one bot, echo where nothing else is given."""
    monkeypatch.setattr("ringback.bots.client.GOODBYE", 0.1)
    async with AsyncExitStack() as stack:

        async def begin(
            handle: Handler = echo.handle,
            *,
            name: str = echo.NAME,
            about: str = echo.ABOUT,
            config: Mapping[str, Any] | None = None,
            **options: Any,
        ) -> Line:
            server = await serve(limits=GENEROUS, **(config or {}))
            token = mint_bot_token(server.app[SECRET], name, 600)
            client = Client(server.ws + "/ws", token=token, about=about)
            bot = Service(await stack.enter_async_context(client), handle, **options)
            running = asyncio.create_task(bot.run())

            async def stop() -> None:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

            stack.push_async_callback(stop)
            return Line(server, bot, stack)

        yield begin


@pytest.fixture
async def line(start: Start) -> Line:
    return await start()
