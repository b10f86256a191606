"""One accepted WebSocket: what it may send, how often, and what is said when it may not."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSMsgType, web

from ringback.server.clock import Tasks
from ringback.server.config import Config
from ringback.server.identity import origin_allowed
from ringback.server.keys import CONFIG
from ringback.server.limiter import Bucket, Buckets, one_place
from ringback.server.outbox import Framer, Outbox
from ringback.server.protocol import CloseCode, Drain, ErrorCode, ProtocolError, encode

log = logging.getLogger(__name__)

READ_AT_MOST = 4
"""Messages up to this many times the limit are read, so that the answer can be an error."""

MALFORMED = frozenset(
    {
        ErrorCode.BAD_JSON,
        ErrorCode.BAD_MESSAGE,
        ErrorCode.UNKNOWN_TYPE,
        ErrorCode.BINARY,
        ErrorCode.MESSAGE_TOO_LONG,
        ErrorCode.HELLO_FIRST,
    }
)
BATCH = 100
OPENED = 4
"""An address may open, at once and then in each minute, this many times the sockets it may
have: each that drops leaves a name held and a session waiting."""
TOO_MANY_ERRORS = "Too many messages could not be read, or came too fast."
STOPPING = "The server is stopping."
NOT_A_SOCKET = "This address speaks WebSocket (RFC 6455), version 13."

Explain = Callable[[ProtocolError], bytes]


class Connections:
    """All open sockets of one node."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.framer = Framer()
        self.tasks = Tasks()
        self.draining = False
        self._open: set[Connection] = set()
        self._addresses: Counter[str] = Counter()
        burst = OPENED * config.limits.sockets_per_address
        self._opened = Buckets(burst / 60, burst)

    def __len__(self) -> int:
        return len(self._open)

    def full(self, place: str) -> bool:
        """Whether no more sockets are accepted from there now."""
        limits = self.config.limits
        return limits.on and (
            self._addresses[place] >= limits.sockets_per_address
            or self._opened.empty(place, _now())
        )

    def add(self, connection: Connection) -> bool:
        """Count a socket; False if its address has as many as it may, or opens them too fast."""
        place = connection.place
        if self.full(place):
            return False
        self._opened.take(place, _now())
        self._open.add(connection)
        self._addresses[place] += 1
        return True

    def remove(self, connection: Connection) -> None:
        """A socket is gone."""
        if connection in self._open:
            self._open.discard(connection)
            self._addresses[connection.place] -= 1
            if not self._addresses[connection.place]:
                del self._addresses[connection.place]

    async def drain(self) -> None:
        """Tell all clients that the server stops, and close their sockets.

        They close side by side, so that those who do not take part cost their second once.
        """
        self.draining = True
        told = list(self._open)
        for start in range(0, len(told), BATCH):
            for connection in told[start : start + BATCH]:
                connection.drain(round(self.config.drain * 1000))
                connection.outbox.close(CloseCode.GOING_AWAY, STOPPING)
            # Between two batches everything else has its turn.
            await asyncio.sleep(0)
        await asyncio.gather(*(c.outbox.shut(CloseCode.GOING_AWAY, STOPPING) for c in told))

    async def close(self) -> None:
        """End what still runs for sockets."""
        await self.tasks.close()


CONNECTIONS: web.AppKey[Connections] = web.AppKey("CONNECTIONS", Connections)


def setup(app: web.Application) -> None:
    """Keep the sockets of `app`, and drain them when it shuts down. May be called twice."""
    if CONNECTIONS in app:
        return
    app[CONNECTIONS] = Connections(app[CONFIG])

    async def drain(app: web.Application) -> None:
        await app[CONNECTIONS].drain()

    async def close(app: web.Application) -> None:
        await app[CONNECTIONS].close()

    app.on_shutdown.append(drain)
    app.on_cleanup.append(close)


class Connection:
    """One socket. `explain` gives an error the form that this kind of client reads, `drains`
    says whether it understands being told of a stop."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, explain: Explain, drains: bool
    ) -> None:
        self._all = request.app[CONNECTIONS]
        self._limits = self._all.config.limits
        self._ws = ws
        self._explain = explain
        self._drains = drains
        self.address = request.remote or ""
        self.place = one_place(self.address)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("The client has gone again.")
        self.outbox = Outbox(ws, transport, self._all.framer, self._limits, self._all.tasks)
        limits, now = self._limits, _now()
        self._bucket = Bucket(limits.messages_per_second, limits.messages_burst, now)
        self._strikes: deque[float] = deque(maxlen=max(1, limits.errors))

    def drain(self, after_ms: int) -> None:
        """Tell the client, if it understands, that the server is about to stop."""
        if self._drains:
            self.outbox.send(encode(Drain(after_ms=after_ms)))

    async def messages(self) -> AsyncIterator[bytes]:
        """Text messages of the right size and at the right pace; the others are answered."""
        async for message in self._ws:
            if self.outbox.closed:
                continue
            if message.type is WSMsgType.TEXT:
                error = self._objection(message.data)
                if error is None:
                    yield message.data
                else:
                    self.refuse(ProtocolError(error), strike=True)
            elif message.type is WSMsgType.BINARY:
                self.refuse(ProtocolError(ErrorCode.BINARY))

    def _objection(self, payload: bytes) -> ErrorCode | None:
        if not self._limits.on:
            return None
        if not self._bucket.take(_now()):
            return ErrorCode.TOO_FAST
        return ErrorCode.MESSAGE_TOO_LONG if len(payload) > self._limits.message else None

    def refuse(self, error: ProtocolError, strike: bool = False) -> None:
        """Answer with an error; a client that makes too many of them is disconnected."""
        self.outbox.send(self._explain(error))
        if not self._limits.on or not (strike or error.code in MALFORMED):
            return
        now = _now()
        self._strikes.append(now)
        full = len(self._strikes) == self._strikes.maxlen
        if full and now - self._strikes[0] <= self._limits.errors_window:
            self.outbox.close(CloseCode.TOO_MANY_ERRORS, TOO_MANY_ERRORS)

    async def run(self, handle: Callable[[bytes], Awaitable[None]]) -> None:
        """Give every message to `handle` until the socket closes.

        A `ProtocolError` is answered; any other exception is a fault of ours: it is logged
        with its traceback, answered as `INTERNAL`, and the connection goes on.
        """
        with self.outbox.reading():
            async for payload in self.messages():
                try:
                    await handle(payload)
                except ProtocolError as error:
                    self.refuse(error)
                except Exception:
                    log.exception("A message from %s could not be handled", self.address)
                    self.refuse(ProtocolError(ErrorCode.INTERNAL))


Serve = Callable[[Connection], Awaitable[None]]


async def accept(
    request: web.Request, serve: Serve, explain: Explain, drains: bool
) -> web.StreamResponse:
    """Accept a WebSocket and let `serve` have it until it ends.

    Refused: pages of other origins (403); more sockets than one address may have (close code
    4429, because a page cannot read the status of a handshake).
    """
    config = request.app[CONFIG]
    if not origin_allowed(request, config):
        raise web.HTTPForbidden(text="This page may not use the exchange.")
    # The library keeps a socket with a heartbeat in memory until the next beat, closed or not:
    # one that will be refused at once must have none.
    refused = request.app[CONNECTIONS].full(one_place(request.remote or ""))
    ws = web.WebSocketResponse(
        heartbeat=None if refused else config.ping,
        autoclose=False,  # the outbox answers
        compress=False,
        max_msg_size=READ_AT_MOST * config.limits.message,
        decode_text=False,
    )
    if not _is_handshake(ws, request):
        wanted = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        return web.Response(status=426, text=NOT_A_SOCKET, headers=wanted)
    try:
        await ws.prepare(request)
        connection = Connection(request, ws, explain, drains)
    except ConnectionError:
        log.debug("A client had gone before it was let in")
        return ws if ws.prepared else web.Response(status=400)
    await _keep(request.app[CONNECTIONS], connection, serve, refused)
    return ws


def _is_handshake(ws: web.WebSocketResponse, request: web.Request) -> bool:
    try:
        return bool(ws.can_prepare(request))
    except ValueError:  # a key that is not even ASCII
        return False


async def _keep(
    connections: Connections, connection: Connection, serve: Serve, refused: bool
) -> None:
    if connections.draining:
        await connection.outbox.shut(CloseCode.GOING_AWAY, STOPPING)
    elif refused or not connections.add(connection):
        await connection.outbox.shut(CloseCode.TOO_MANY, "Too many connections from here.")
    else:
        try:
            await serve(connection)
        finally:
            connections.remove(connection)
            await connection.outbox.shut(CloseCode.GOING_AWAY, "")


def _now() -> float:
    return asyncio.get_running_loop().time()
