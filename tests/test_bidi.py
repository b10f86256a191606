"""WebDriver BiDi over a real socket: answers, refusals, news, and a browser that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import WSMsgType, web

from ringback.bots.calltest.bidi import Bidi, connected
from ringback.bots.calltest.browser import BrowserError

PATIENCE = 30.0


class Far:
    """The far end of the socket: takes down what it is told, and says what a test wants."""

    def __init__(self) -> None:
        self.url = ""
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.socket = web.WebSocketResponse()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        await self.socket.prepare(request)
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                self.told.put_nowait(message.json())
        return self.socket

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.told.get()

    async def say(self, **message: Any) -> None:
        await self.socket.send_json(message)


@pytest_asyncio.fixture
async def far(unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Far]:
    made, app = Far(), web.Application()
    app.router.add_get("/session", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = unused_tcp_port_factory()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"ws://127.0.0.1:{port}/session"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def bidi(far: Far) -> AsyncIterator[Bidi]:
    async with connected(far.url) as made:
        yield made


async def test_answers_find_who_asked(far: Far, bidi: Bidi) -> None:
    first = asyncio.create_task(bidi.tell("session.new", capabilities={}))
    second = asyncio.create_task(bidi.tell("browsingContext.getTree"))
    one, two = await far.next(), await far.next()
    assert one == {"id": one["id"], "method": "session.new", "params": {"capabilities": {}}}
    await far.say(type="success", id=9999, result="nobody asked")
    await far.say(type="success", id=two["id"], result={"contexts": []})
    await far.say(type="success", id=one["id"], result={"sessionId": "s"})
    assert await second == {"contexts": []}
    assert await first == {"sessionId": "s"}


async def test_a_refusal_is_one_line(far: Far, bidi: Bidi) -> None:
    asked = asyncio.create_task(bidi.tell("script.evaluate"))
    number = (await far.next())["id"]
    await far.say(type="error", id=number, error="no such frame", message="It is gone.\nat x.js")
    with pytest.raises(BrowserError, match=r"^script.evaluate: no such frame: It is gone\.$"):
        await asked


async def test_who_does_not_answer_is_not_waited_for(far: Far, bidi: Bidi) -> None:
    with pytest.raises(BrowserError, match="browser.close: no answer in 0.01 s"):
        await bidi.tell("browser.close", seconds=0.01)
    late = await far.next()
    await far.say(type="success", id=late["id"], result={})
    asked = asyncio.create_task(bidi.tell("browser.close"))
    await far.say(type="success", id=(await far.next())["id"], result={"in": "time"})
    assert await asked == {"in": "time"}


async def test_news_are_passed_on(far: Far, bidi: Bidi) -> None:
    news: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asked = asyncio.create_task(bidi.tell("session.subscribe", events=["log.entryAdded"]))
    number = (await far.next())["id"]
    await far.say(type="event", method="log.entryAdded", params={"text": "nobody listens"})
    await far.say(type="success", id=number, result={})
    await asked
    bidi.on_event = news.put_nowait
    await far.say(type="event", method="log.entryAdded", params={"text": "hello"})
    async with asyncio.timeout(PATIENCE):
        assert (await news.get())["params"] == {"text": "hello"}


async def test_a_browser_that_goes_away(far: Far, bidi: Bidi) -> None:
    gone = asyncio.Event()
    bidi.on_end = gone.set
    asked = asyncio.create_task(bidi.tell("script.evaluate"))
    await far.next()
    await far.socket.close()
    with pytest.raises(BrowserError, match="the browser is gone"):
        await asked
    async with asyncio.timeout(PATIENCE):
        await gone.wait()
    with pytest.raises(BrowserError, match="script.evaluate: the browser is gone"):
        await bidi.tell("script.evaluate")


async def test_nobody_listens(unused_tcp_port: int) -> None:
    with pytest.raises(BrowserError, match="does not listen"):
        async with connected(f"ws://127.0.0.1:{unused_tcp_port}/session"):
            pass
