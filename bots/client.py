"""One session with an exchange: the `/ws` protocol for bots, tests and people's programs.

    async with Client("ws://127.0.0.1:8000/ws", name="ann") as client:
        await client.request(protocol.Join(room="garden"))
        async for event in client:
            ...

A dropped socket is taken up again by itself (with growing, random pauses), and what was
missed is delivered once, in order. When that is impossible a `Welcome` with `resumed` false
comes out of the iterator: rooms are then to be joined again, and of one's calls only those it
lists go on. A reader who does not keep up is not run over: reading from the socket pauses.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from msgspec.structs import replace

from ringback.server import protocol
from ringback.server.protocol import CloseCode, ErrorCode, ProtocolError

from .memory import Hole, Memory
from .pace import Pace

MAX_EVENTS = 1024
MAX_UNSENT = 256
MAX_MESSAGE = 1024 * 1024
REPLY = 10.0
HELLO = 10.0
GOODBYE = 1.0
HEARTBEAT = 20.0
PAUSE_FIRST, PAUSE_MOST = 0.25, 15.0

# Errors at hello that no patience mends.
FINAL = {
    ErrorCode.BAD_TOKEN,
    ErrorCode.BAD_VERSION,
    ErrorCode.BAD_NAME,
    ErrorCode.NAME_RESERVED,
}

logger = logging.getLogger(__name__)


class Lost(ConnectionError):
    """The connection went before the reply came: the request may have been done or not."""


class Client:
    """A session. Enter it (`async with`) or call `open`; then `request`, `tell`, and iterate.

    `url` ends in `/ws`. `token`, `name`, `about` are said at hello. `ca`: a file of
    certificates to trust for `wss`, besides none other. `headers` go with the handshake.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        name: str | None = None,
        about: str | None = None,
        ca: Path | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.welcome: protocol.Welcome | None = None
        self._hello = protocol.Hello(v=protocol.VERSION, token=token, name=name, about=about)
        self._ssl = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
        self._headers = dict(headers or {})
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._events: asyncio.Queue[protocol.ServerMessage | None] = asyncio.Queue(MAX_EVENTS)
        self._outbox: asyncio.Queue[protocol.Request] = asyncio.Queue(MAX_UNSENT)
        self._replies: dict[str, asyncio.Future[protocol.ServerMessage]] = {}
        self._memory = Memory()
        self._runner: asyncio.Task[None] | None = None
        self._end: Exception | None = None
        self._requests = 0
        self._pause_at_least = 0.0

    @property
    def name(self) -> str | None:
        """The name the exchange knows this session by."""
        return self.welcome.name if self.welcome is not None else None

    @property
    def online(self) -> bool:
        """Whether the socket is up just now."""
        return self._ws is not None and not self._ws.closed

    async def open(self) -> Self:
        """Connect and be welcomed; call `close` at the end.

        Raises `ProtocolError` when the exchange refuses, `OSError`, `aiohttp.ClientError` or
        `TimeoutError` when it cannot be reached.
        """
        self._http = aiohttp.ClientSession()
        try:
            ws = await self._connect()
        except BaseException:
            await self._http.close()
            raise
        self._runner = asyncio.create_task(self._run(ws), name=f"client {self.url}")
        return self

    async def close(self) -> None:
        """End the session. The iterator ends after what had come already."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait((self._runner,))
            if not self._runner.cancelled():
                self._runner.result()
        if self._ws is not None:
            await self._ws.close()
        if self._http is not None:
            await self._http.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def request(self, message: protocol.Request) -> protocol.ServerMessage:
        """Say something and wait for its reply (`Ok`, `Joined`, a list).

        Raises `ProtocolError` when it is refused, `Lost` when the connection went before the
        reply, `TimeoutError` when there was none in `REPLY` seconds.
        """
        self._requests += 1
        key = str(self._requests)
        reply: asyncio.Future[protocol.ServerMessage]
        reply = self._replies[key] = asyncio.get_running_loop().create_future()
        try:
            self.tell(replace(message, id=key))
            async with asyncio.timeout(REPLY):
                return await reply
        finally:
            del self._replies[key]

    def tell(self, message: protocol.Request) -> None:
        """Say something without waiting for a reply; while offline it waits for the socket.

        Raises `Lost` when the session is over or too much waits to be sent already.
        """
        if self._end is not None or self._runner is None or self._runner.done():
            raise Lost("The session is over.")
        if isinstance(message, protocol.Leave):
            self._memory.left(message.room)
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            raise Lost("Too many messages wait to be sent.") from None

    def __aiter__(self) -> AsyncIterator[protocol.ServerMessage]:
        return self

    async def __anext__(self) -> protocol.ServerMessage:
        """The next event. Raises what ended the session, if something did."""
        if self._events.empty() and (self._runner is None or self._runner.done()):
            self._raise_end()
        event = await self._events.get()
        if event is None:
            self._raise_end()
            raise StopAsyncIteration
        return event

    def _raise_end(self) -> None:
        raise self._end or StopAsyncIteration

    # --- one socket after another -----------------------------------------------------

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Open a socket and be welcomed on it, to go on with the session if there is one."""
        assert self._http is not None
        async with asyncio.timeout(HELLO):
            ws = await self._http.ws_connect(
                self.url,
                ssl=self._ssl,
                heartbeat=HEARTBEAT,
                headers=self._headers,
                max_msg_size=MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE),
            )
            try:
                self.welcome = await self._greet(ws)
            except BaseException:
                await ws.close()
                raise
        self._memory.welcome(self.welcome)
        self._ws = ws
        return ws

    async def _greet(self, ws: aiohttp.ClientWebSocketResponse) -> protocol.Welcome:
        hello = replace(self._hello, resume=self._memory.resume())
        await ws.send_str(protocol.encode(hello).decode())
        async for message in ws:
            match _read(message):
                case protocol.Welcome() as welcome:
                    return welcome
                case protocol.Error(code=code, message=sentence):
                    raise ProtocolError(code, sentence)
        raise Lost(f"The exchange closed the socket before its welcome ({ws.close_code}).")

    async def _run(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._serve(ws)
                if ws.close_code in (CloseCode.REPLACED, CloseCode.REFUSED):
                    raise Lost(f"The exchange ended the session (code {ws.close_code}).")
                ws = await self._again()
                assert self.welcome is not None
                await self._events.put(self.welcome)
        except (ProtocolError, Lost) as error:
            self._end = error
        finally:
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(Lost("The session is over."))
            if not self._events.full():
                self._events.put_nowait(None)

    async def _again(self) -> aiohttp.ClientWebSocketResponse:
        """The next socket, after pauses that grow and differ between clients."""
        most = PAUSE_FIRST
        while True:
            await asyncio.sleep(self._pause_at_least + random.uniform(0, most))
            self._pause_at_least = 0.0
            most = min(PAUSE_MOST, most * 2)
            try:
                return await self._connect()
            except ProtocolError as error:
                if error.code in FINAL:
                    raise
                logger.info("Not welcome yet: %s", error)
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                logger.info("The exchange cannot be reached yet: %s", error)

    async def _serve(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Read and write one socket until it ends."""
        sent: set[str] = set()
        writer = asyncio.create_task(self._write(ws, sent))
        try:
            async for message in ws:
                event = _read(message)
                if event is not None:
                    await self._handle(event, sent)
        except Hole as hole:
            logger.warning("Beginning a new session: %s", hole)
            self._memory.forget()
        finally:
            writer.cancel()
            # Not `await writer`: that would take our own cancellation for the writer's.
            await asyncio.wait((writer,))
            if not writer.cancelled():
                writer.result()
            await ws.close()
            self._give_up(sent)

    async def _write(self, ws: aiohttp.ClientWebSocketResponse, sent: set[str]) -> None:
        assert self.welcome is not None
        pace = Pace(self.welcome.limits)
        while True:
            message = await self._outbox.get()
            # From here on it is lost with the socket.
            if message.id is not None:
                sent.add(message.id)
            await asyncio.sleep(pace.wait(asyncio.get_running_loop().time()))
            try:
                await ws.send_str(protocol.encode(message).decode())
            except (ConnectionError, aiohttp.ClientError) as error:
                # The reader sees the same end and takes care of what was sent.
                logger.debug("Cannot send: %s", error)
                return

    async def _handle(self, event: protocol.ServerMessage, sent: set[str]) -> None:
        re = getattr(event, "re", None)
        if not self._memory.take(event):
            return
        if isinstance(event, protocol.Drain):
            self._pause_at_least = event.after_ms / 1000
        if re is None:
            await self._events.put(event)
            return
        sent.discard(re)
        reply = self._replies.get(re)
        if reply is None or reply.done():
            return
        if isinstance(event, protocol.Error):
            reply.set_exception(ProtocolError(event.code, event.message, re))
        else:
            reply.set_result(event)

    def _give_up(self, sent: set[str]) -> None:
        for key in sent:
            reply = self._replies.get(key)
            if reply is not None and not reply.done():
                reply.set_exception(Lost("The connection was lost before the reply."))


def _read(message: aiohttp.WSMessage) -> protocol.ServerMessage | None:
    """What a frame says; None for what a later version may say and this one cannot read."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return None
    try:
        return protocol.decode_server(message.data)
    except msgspec.DecodeError as error:
        logger.warning("The exchange said something that cannot be read: %s", error)
        return None
