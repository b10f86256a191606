"""What is on its way to one client: written at once where the socket takes it, else queued.

Policy: while the kernel takes what is written, nothing waits here. When it does not, up to
`outbox_messages` and `outbox_bytes` wait in order, for at most `outbox_age` seconds; a client
that reads slower than that is disconnected and may resume. One slow reader costs nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque

from aiohttp import web

from ringback.server.clock import Tasks
from ringback.server.protocol import CloseCode, Limits

log = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024
LOOK_AGAIN = 0.05
CLOSING = 1.0


class Framer:
    """Makes unmasked text frames (RFC 6455, section 5.2); the last one is remembered, so that
    what goes to a whole room is framed once."""

    __slots__ = ("_frame", "_payload")

    def __init__(self) -> None:
        self._payload = b""
        self._frame = b"\x81\x00"

    def frame(self, payload: bytes) -> bytes:
        """The frame around an encoded message."""
        if payload is not self._payload:
            size = len(payload)
            if size < 126:
                head = bytes((0x81, size))
            elif size < 65536:
                head = b"\x81\x7e" + size.to_bytes(2, "big")
            else:
                head = b"\x81\x7f" + size.to_bytes(8, "big")
            self._payload, self._frame = payload, head + payload
        return self._frame


class Outbox:
    """The line to one client. Nothing here blocks or raises to the one who sends."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        framer: Framer,
        limits: Limits,
        tasks: Tasks,
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._framer = framer
        self._limits = limits
        self._tasks = tasks
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._closed = False
        _notice_dead_peers(transport, limits.outbox_age)

    @property
    def waiting(self) -> int:
        """How many messages wait here."""
        return len(self._queue)

    def send(self, payload: bytes) -> None:
        """Send one encoded message after those before it."""
        if self._closed or self._ws.closed:
            return
        frame = self._framer.frame(payload)
        if self._writer is None:
            self._transport.write(frame)
            if self._transport.get_write_buffer_size() > HIGH_WATER:
                self._writer = self._tasks.spawn(self._write_when_taken())
            return
        self._queue.append(frame)
        self._bytes += len(frame)
        limits = self._limits
        full = len(self._queue) > limits.outbox_messages or self._bytes > limits.outbox_bytes
        if full and limits.on:
            self.close(CloseCode.SLOW_READER, "Messages were not read fast enough.")

    async def _write_when_taken(self) -> None:
        loop = asyncio.get_running_loop()
        since, left = loop.time(), self._transport.get_write_buffer_size()
        while (size := self._transport.get_write_buffer_size()) or self._queue:
            if self._closed or self._transport.is_closing():
                break
            if size < left:
                since, left = loop.time(), size
            elif loop.time() - since > self._limits.outbox_age and self._limits.on:
                self.close(CloseCode.SLOW_READER, "Nothing was read for too long.")
                break
            while self._queue and self._transport.get_write_buffer_size() <= HIGH_WATER:
                frame = self._queue.popleft()
                self._bytes -= len(frame)
                self._transport.write(frame)
                left = self._transport.get_write_buffer_size()
            # A transport tells only its own protocol when it has room again.
            await asyncio.sleep(LOOK_AGAIN)
        self._writer = None

    def close(self, code: int, words: str) -> None:
        """Close the socket with a code and a sentence, by force if the client does not help."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._bytes = 0
            self._tasks.spawn(self.shut(code, words))

    async def shut(self, code: int, words: str) -> None:
        """As `close`, and return when the socket is closed."""
        self._closed = True
        try:
            async with asyncio.timeout(CLOSING):
                await self._ws.close(code=code, message=words.encode()[:120])
        except TimeoutError:
            log.debug("A client did not take part in closing; its socket is dropped")
        finally:
            if not self._transport.is_closing():
                self._transport.abort()


def _notice_dead_peers(transport: asyncio.Transport, seconds: float) -> None:
    # Without it a write to a host that vanished is retried for a quarter of an hour.
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
