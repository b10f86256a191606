"""What is on its way to one client: written at once where the socket takes it, else queued.

Policy: while the kernel takes what is written, nothing waits here. When it does not, up to
`outbox_messages` and `outbox_bytes` wait in order, as long as some of it moves at least every
`outbox_age` seconds; a client that reads slower than that is disconnected and may resume.
One slow reader costs nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from ringback.server.clock import Tasks
from ringback.server.protocol import CloseCode, Limits

log = logging.getLogger(__name__)

HIGH_WATER = 64 * 1024
LOOK_AGAIN = 0.05
CLOSING = 1.0
WORDS = 120
"""Bytes of a close reason; RFC 6455, section 5.5.1, leaves room for 123."""
LONGEST_TIMEOUT = 2**31 - 1


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


def close_frame(code: int, words: str) -> bytes:
    """A frame that closes (RFC 6455, section 5.5.1); `words` has at most `WORDS` bytes."""
    payload = code.to_bytes(2, "big") + words.encode()
    return bytes((0x88, len(payload))) + payload


class Outbox:
    """The line to one client. Nothing here blocks or raises to the one who sends."""

    # A delivery touches every listener's objects, mostly cold: slots keep each in one place.
    __slots__ = (
        "_bytes", "_closing", "_framer", "_limits", "_queue", "_reader_ended", "_tasks",
        "_transport", "_writer", "_ws", "__weakref__",
    )  # fmt: skip

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
        self._closing: asyncio.Task[None] | None = None
        self._reader_ended = asyncio.Event()
        self._reader_ended.set()
        _notice_dead_peers(transport, limits.outbox_age)

    @property
    def waiting(self) -> int:
        """How many messages wait here."""
        return len(self._queue)

    @property
    def closed(self) -> bool:
        """Whether nothing is sent any more, and nothing said by the client counts."""
        return self._closing is not None or self._ws.closed or self._transport.is_closing()

    def send(self, payload: bytes) -> None:
        """Send one encoded message after those before it."""
        # What a delivery costs is spent here: `closed`, written out, and no call too many.
        transport = self._transport
        if self._closing is not None or self._ws.closed or transport.is_closing():
            return
        frame = self._framer.frame(payload)
        if self._writer is None:
            transport.write(frame)
            if transport.get_write_buffer_size():
                self._writer = self._tasks.spawn(self._write_when_taken())
        elif self._queue or transport.get_write_buffer_size() > HIGH_WATER:
            self._put(frame)
        else:
            transport.write(frame)

    def _put(self, frame: bytes) -> None:
        self._queue.append(frame)
        self._bytes += len(frame)
        limits = self._limits
        full = len(self._queue) > limits.outbox_messages or self._bytes > limits.outbox_bytes
        if full and limits.on:
            self.close(CloseCode.SLOW_READER, "Messages were not read fast enough.")

    async def _write_when_taken(self) -> None:
        loop = asyncio.get_running_loop()
        since, left = loop.time(), _unwritten(self._transport)
        while not self.closed:
            size = self._transport.get_write_buffer_size()
            if not size and not self._queue:
                break
            if size < left:
                since = loop.time()
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
        """Close the socket with a code and a sentence, by force if the client does not help.

        What waits here is dropped. Only the first close counts.
        """
        if self._closing is None:
            self._queue.clear()
            self._bytes = 0
            self._closing = self._tasks.spawn(self._shut(code, words))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the reading of what the client says, to its end."""
        self._reader_ended.clear()
        try:
            yield
        finally:
            self._reader_ended.set()

    async def shut(self, code: int, words: str) -> None:
        """As `close`, and return when the socket is closed."""
        self.close(code, words)
        if self._closing is not None:
            await asyncio.wait({self._closing})

    async def _shut(self, code: int, words: str) -> None:
        try:
            async with asyncio.timeout(CLOSING):
                await self._say_goodbye(code, words.encode()[:WORDS].decode(errors="ignore"))
        except TimeoutError:
            log.debug("A client did not take part in closing; its socket is dropped")
            self._transport.abort()
        finally:
            # Closed twice, a TLS transport lets go of its socket and cannot abort any more.
            if not self._transport.is_closing():
                self._transport.close()
            if _unwritten(self._transport):
                # It is closing, but only once all is written, which may be never.
                asyncio.get_running_loop().call_later(CLOSING, self._transport.abort)

    async def _say_goodbye(self, code: int, words: str) -> None:
        """Exchange close frames (RFC 6455, section 7.1.2).

        Until the client's has come everything else of it is read and dropped: closing a
        socket with something unread in it would make the client lose ours.
        """
        if self._ws.close_code is not None:
            # The client began.
            await self._ws.close()
        elif self._reader_ended.is_set():
            await self._ws.close(code=code, message=words.encode())
        elif not self._transport.is_closing():
            # In place of `ws.close`, which would hang up on one who is still speaking.
            self._transport.write(close_frame(code, words))
            await self._reader_ended.wait()


def _unwritten(transport: asyncio.Transport) -> int:
    """Bytes that the transport still has to write."""
    try:
        return transport.get_write_buffer_size()
    except AttributeError:
        # What asyncio's TLS transport says when somebody, like aiohttp, has closed it twice.
        return 0


def _notice_dead_peers(transport: asyncio.Transport, seconds: float) -> None:
    # Without it a write to a host that vanished is retried for a quarter of an hour.
    sock = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, option, min(LONGEST_TIMEOUT, math.ceil(seconds * 1000)))
