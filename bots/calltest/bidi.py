"""WebDriver BiDi (W3C), the protocol by which a browser is driven over one WebSocket.

https://www.w3.org/TR/webdriver-bidi/
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp

from .browser import BrowserError

PATIENCE = 60.0
"""Seconds that an answer is waited for: a browser on a busy machine is slow to begin."""
LARGEST = 64 * 2**20
"""Bytes of a message, at most: a screenshot is one."""
Tell = Callable[[dict[str, Any]], None]


class Bidi:
    """One connection. Made by `connected`. `on_event` gets what the browser tells unasked,
    `on_end` is called when it says nothing any more."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.on_event: Tell | None = None
        self.on_end: Callable[[], None] | None = None
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._over = False

    async def tell(self, method: str, *, seconds: float = PATIENCE, **params: Any) -> Any:
        """Have a command carried out: its result. Raises `BrowserError` when it is refused, or
        not answered in time."""
        if self._over:
            raise BrowserError(f"{method}: the browser is gone")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._socket.send_json({"id": number, "method": method, "params": params})
                reply = await answer
        except TimeoutError:
            raise BrowserError(f"{method}: no answer in {seconds:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise BrowserError(f"{method}: the browser is gone") from error
        finally:
            del self._waiting[number]
        if reply["type"] == "error":
            line = str(reply["message"]).partition("\n")[0]
            raise BrowserError(f"{method}: {reply['error']}: {line}")
        return reply["result"]

    async def listen(self) -> None:
        """Take what the browser says, until it says nothing any more."""
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._hear(message.json())
        finally:
            self._over = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(BrowserError("the browser is gone"))
            if self.on_end is not None:
                self.on_end()

    def _hear(self, message: dict[str, Any]) -> None:
        if message.get("type") == "event":
            if self.on_event is not None:
                self.on_event(message)
            return
        waiting = self._waiting.get(message.get("id") or 0)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Bidi]:
    """A connection to the browser at this address (`ws://.../session`). Raises `BrowserError`."""
    async with aiohttp.ClientSession() as http:
        try:
            socket = await http.ws_connect(url, max_msg_size=LARGEST)
        except aiohttp.ClientError as error:
            raise BrowserError(f"the browser does not listen: {error}") from error
        bidi = Bidi(socket)
        listening = asyncio.create_task(bidi.listen(), name="bidi")
        try:
            yield bidi
        finally:
            bidi.on_end = None
            await socket.close()
            await asyncio.wait((listening,))
            listening.result()
