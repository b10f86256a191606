"""The socket of the wire, `/ws`: a thin shell around the exchange."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from ringback.server import connection
from ringback.server.connection import Connection
from ringback.server.engine.base import EngineError
from ringback.server.exchange import Exchange
from ringback.server.identity import user_of
from ringback.server.keys import EXCHANGE
from ringback.server.protocol import (
    CloseCode,
    ErrorCode,
    Hello,
    ProtocolError,
    decode,
    encode,
)
from ringback.server.session import Session

log = logging.getLogger(__name__)


def setup(app: web.Application) -> None:
    """Add `/ws` to an application that holds `keys.CONFIG` and `keys.EXCHANGE`."""
    connection.setup(app)
    app.router.add_get("/ws", _socket)


async def _socket(request: web.Request) -> web.StreamResponse:
    guest = await user_of(request)
    exchange = request.app[EXCHANGE]

    async def serve(accepted: Connection) -> None:
        client = _Client(exchange, accepted, guest)
        await client.run()

    return await connection.accept(request, serve, _explain, drains=True)


def _explain(error: ProtocolError) -> bytes:
    return encode(error.as_message())


class _Client:
    def __init__(self, exchange: Exchange, connection: Connection, guest: str | None) -> None:
        self._exchange = exchange
        self._connection = connection
        self._guest = guest
        self._session: Session | None = None
        self._greeting = False

    async def run(self) -> None:
        limits = self._exchange.config.limits
        late = asyncio.get_running_loop().call_later(limits.hello, self._no_hello)
        try:
            await self._connection.run(self._handle)
        finally:
            late.cancel()
            await self._leave()

    async def _leave(self) -> None:
        if self._session is None:
            return
        try:
            await self._exchange.detach(self._session, self._connection.outbox)
        except EngineError as error:
            log.warning("The store failed when a client left: %s", error)

    def _no_hello(self) -> None:
        # A hello that a slow store has not answered yet was said in time.
        waiting = self._session is None and not self._greeting
        if waiting and self._exchange.config.limits.on:
            self._connection.outbox.close(CloseCode.HELLO_TIMEOUT, "Nobody said hello.")

    async def _handle(self, payload: bytes) -> None:
        message = decode(payload)
        try:
            if self._session is not None:
                await self._exchange.handle(self._session, message)
            elif isinstance(message, Hello):
                await self._hello(message)
            else:
                raise ProtocolError(ErrorCode.HELLO_FIRST)
        except ProtocolError as error:
            error.re = error.re or message.id
            raise
        except EngineError as error:
            log.warning("The store failed: %s", error)
            raise ProtocolError(ErrorCode.NOT_STORED, re=message.id) from error
        except Exception as error:
            log.exception("A %s message could not be handled", type(message).__name__)
            raise ProtocolError(ErrorCode.INTERNAL, re=message.id) from error

    async def _hello(self, message: Hello) -> None:
        self._greeting = True
        try:
            line = self._connection.outbox
            self._session = await self._exchange.hello(line, message, self._guest)
        finally:
            self._greeting = False
