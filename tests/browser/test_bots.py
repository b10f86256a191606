"""Bots of one's own, called from a page in Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
import pytest_asyncio

from ringback import bots
from ringback.bots.client import Client
from ringback.bots.loading import load
from ringback.bots.online import OnLine
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.browser.person import NewPerson, connected
from tests.callers import needs_address
from tests.process import ROOT
from tests.running import Server

pytestmark = needs_address

PATIENCE = 30.0
EXAMPLES = ROOT / "bots" / "examples"

Host = Callable[[bots.Bot], Awaitable[OnLine]]


@pytest_asyncio.fixture(loop_scope="session")
async def host(server: Server) -> AsyncIterator[Host]:
    """Puts a bot on the line of `server`."""
    async with AsyncExitStack() as stack:

        async def begin(bot: bots.Bot) -> OnLine:
            token = mint_bot_token(server.app[SECRET], bot.name, 600)
            client = Client(server.ws + "/ws", token=token, about=bot.about or None)
            on_line = OnLine(bot, await stack.enter_async_context(client))
            running = asyncio.create_task(on_line.run())

            async def stop() -> None:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

            stack.push_async_callback(stop)
            return on_line

        yield begin


@bots.bot("parrot", about="Repeats what it hears and sees.")
async def parrot(call: bots.Call) -> None:
    async for frame in call.frames():
        call.send(frame)


@pytest.mark.parametrize("which", ["parrot", "studio", "negative"])
async def test_a_page_hears_and_sees_a_bot(
    server: Server, host: Host, new_person: NewPerson, which: str
) -> None:
    bot = parrot if which == "parrot" else load(str(EXAMPLES / f"{which}.py"))
    on_line = await host(bot)
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    await ann.call(bot.name)
    await connected(ann)
    await ann.receives()
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")
    async with asyncio.timeout(PATIENCE):
        while on_line.service.calls:
            await asyncio.wait([call.task for call in on_line.service.calls.values()])


async def test_what_a_page_does_is_told_and_what_it_sends_is_decoded(
    server: Server, host: Host, new_person: NewPerson
) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    seen: asyncio.Queue[bots.Picture] = asyncio.Queue()

    @bots.bot("witness")
    async def witness(call: bots.Call) -> None:
        async def look() -> None:
            async for one in call.video.video(width=160):
                seen.put_nowait(one)

        async with asyncio.TaskGroup() as both:
            both.create_task(look())
            async for event in call.events():
                told.put_nowait(event)

    await host(witness)
    ben = await new_person(server.url, "Ben")
    await ben.open_calls()
    await ben.call("witness")
    await connected(ben)
    async with asyncio.timeout(PATIENCE):
        pictures = [await seen.get() for _ in range(5)]
        assert {picture.width for picture in pictures} == {160}
        assert len({picture.data for picture in pictures}) > 1, "Chromium's camera moves"
        await ben.press("Mute")
        while await told.get() != bots.Muted("audio", True):
            pass
        await ben.press("Mute")
        while await told.get() != bots.Muted("audio", False):
            pass
    await ben.press("Hang up")
