"""Bots of one's own on the line of a real exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from ringback.bots.client import Client
from ringback.bots.online import OnLine
from ringback.bots.robot import Bot
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.lines import GENEROUS, Line
from tests.running import Server

Host = Callable[..., Awaitable[Line]]


@pytest.fixture
async def host(
    serve: Callable[..., Awaitable[Server]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Host]:
    """Starts an exchange with a bot of one's own."""
    monkeypatch.setattr("ringback.bots.client.GOODBYE", 0.1)
    async with AsyncExitStack() as stack:

        async def begin(bot: Bot, **options: Any) -> Line:
            server = await serve(limits=GENEROUS)
            token = mint_bot_token(server.app[SECRET], bot.name, 600)
            client = Client(server.ws + "/ws", token=token, about=bot.about or None)
            on_line = OnLine(bot, await stack.enter_async_context(client), **options)
            running = asyncio.create_task(on_line.run())

            async def stop() -> None:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

            stack.push_async_callback(stop)
            return Line(server, on_line.service, stack)

        yield begin
