"""The way to one client: frames, order, and what becomes of those who do not read."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from ringback.server.clock import Tasks
from ringback.server.outbox import HIGH_WATER, Framer, Outbox, close_frame
from ringback.server.protocol import CloseCode, Limits
from tests.clients import PATIENCE, Bare, eventually

SMALL = 4096


class Line:
    """A server of one handler that hands its outbox to the test and reads until the end."""

    def __init__(self, limits: Limits) -> None:
        self.tasks = Tasks()
        self.framer = Framer()
        self.limits = limits
        self.outboxes: asyncio.Queue[Outbox] = asyncio.Queue()
        self.transports: list[asyncio.Transport] = []
        self.ended = asyncio.Event()
        self.port = 0
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self._sockets: list[socket.socket] = []
        self.http = aiohttp.ClientSession()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoclose=False, compress=False, decode_text=False)
        await ws.prepare(request)
        transport = request.transport
        assert transport is not None
        # So that the kernel takes little before it says no.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.transports.append(transport)
        outbox = Outbox(ws, transport, self.framer, self.limits, self.tasks)
        self.outboxes.put_nowait(outbox)
        with outbox.reading():
            async for _ in ws:
                pass
        await outbox.shut(CloseCode.GOING_AWAY, "")
        self.ended.set()
        return ws

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def connect(self) -> tuple[aiohttp.ClientWebSocketResponse, Outbox]:
        """A client that reads, and the way to it."""
        ws = await self.http.ws_connect(f"http://127.0.0.1:{self.port}/", max_msg_size=0)
        return ws, await self.outboxes.get()

    async def bare(self) -> tuple[Bare, Outbox]:
        """A client that reads only when told to, and the way to it."""
        sock = socket.socket()
        self._sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        await loop.sock_sendall(sock, head)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(sock, 1)
        return Bare(sock), await self.outboxes.get()

    async def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        await self.http.close()
        await self._runner.cleanup()
        await self.tasks.close()


MakeLine = Callable[..., Coroutine[Any, Any, Line]]


@pytest.fixture
async def make_line() -> AsyncIterator[MakeLine]:
    made: list[Line] = []

    async def make(**limits: Any) -> Line:
        line = Line(Limits(**limits))
        made.append(line)
        await line.start()
        return line

    yield make
    for line in made:
        await line.close()


# --- frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537, 200_000])
async def test_every_length_is_framed(make_line: MakeLine, size: int) -> None:
    line = await make_line()
    client, outbox = await line.connect()
    outbox.send(b"x" * size)
    outbox.send(b"next")
    async with asyncio.timeout(PATIENCE):
        for expected in (b"x" * size, b"next"):
            message = await client.receive()
            assert message.type is WSMsgType.TEXT
            assert message.data == expected.decode()


def test_what_goes_to_many_is_framed_once() -> None:
    framer, payload = Framer(), b'{"type":"chat"}'
    assert framer.frame(payload) is framer.frame(payload)
    equal = bytearray(payload)
    assert framer.frame(bytes(equal)) == framer.frame(payload)
    assert framer.frame(b"other") == b"\x81\x05other"


def test_the_frame_that_closes() -> None:
    assert close_frame(4413, "slow") == b"\x88\x06\x11\x3dslow"


# --- those who do not read


async def test_the_order_is_kept_whatever_the_kernel_takes(make_line: MakeLine) -> None:
    line = await make_line(outbox_messages=10_000, outbox_bytes=2**24)
    client, outbox = await line.bare()
    messages = [b"%06d" % number + b"." * (number * 7 % 900) for number in range(1500)]
    for message in messages[:1000]:
        outbox.send(message)
    assert outbox.waiting > 100
    expected = b"".join(Framer().frame(message) for message in messages)
    heard = b""
    for message in messages[1000:]:
        # More comes while it reads.
        outbox.send(message)
        heard += await client.read(1000)
    while len(heard) < len(expected):
        heard += await client.read()
    assert heard == expected
    await eventually(lambda: len(line.tasks) == 0)
    # Then what is sent goes out at once again.
    outbox.send(b"again")
    assert outbox.waiting == 0
    assert await client.read() == b"\x81\x05again"


@pytest.mark.parametrize(
    ("limits", "payload"),
    [
        ({"outbox_messages": 10}, b"x" * 1000),
        ({"outbox_bytes": 50_000}, b"x" * 1000),
        ({"outbox_age": 0.1}, b"x" * 1000),
    ],
    ids=["too many", "too large", "too old"],
)
async def test_a_slow_reader_is_sent_away(
    make_line: MakeLine, limits: dict[str, Any], payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    line = await make_line(**({"outbox_messages": 10_000, "outbox_bytes": 2**24} | limits))
    slow, to_slow = await line.bare()
    quick, to_quick = await line.connect()
    sent = 0
    while not to_slow.waiting:
        to_slow.send(payload)
        sent += 1
    for _ in range(9):
        to_slow.send(payload)
    assert not to_slow.closed
    if "outbox_age" not in limits:
        for _ in range(100):
            to_slow.send(payload)
    await eventually(lambda: to_slow.closed)
    assert to_slow.waiting == 0
    # The others are served meanwhile.
    to_quick.send(b"hello")
    async with asyncio.timeout(PATIENCE):
        assert (await quick.receive()).data == "hello"
    assert not to_quick.closed
    # One who reads in time hears why: all that was on its way, whole, and then the code.
    heard = await slow.rest()
    where = heard.rindex(b"\x88")
    assert heard[where + 2 : where + 4] == CloseCode.SLOW_READER.to_bytes(2, "big")
    assert heard[:where] == Framer().frame(payload) * (where // 1004)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_one_who_reads_slowly_but_reads_may_stay(make_line: MakeLine) -> None:
    line = await make_line(outbox_age=0.3)
    client, outbox = await line.bare()
    loop = asyncio.get_running_loop()
    while outbox.waiting < 200:
        outbox.send(b"x" * 1000)
    since = loop.time()
    for step in range(30):
        # Three times as long as one who reads nothing may stay.
        await eventually(lambda: loop.time() > since + step * 0.03)  # noqa: B023
        await client.read(3000)
        outbox.send(b"x" * 1000)
        assert outbox.waiting
    assert not outbox.closed


async def test_memory_for_one_client_is_bounded(make_line: MakeLine) -> None:
    line = await make_line()
    _, outbox = await line.bare()
    payload, most = b"x" * 10_000, 0
    transport = line.transports[0]
    for _ in range(1000):
        outbox.send(payload)
        most = max(most, transport.get_write_buffer_size() + outbox.waiting * len(payload))
    assert most <= HIGH_WATER + line.limits.outbox_bytes + 2 * len(payload)
    assert outbox.closed


async def test_without_limits_all_waits(make_line: MakeLine) -> None:
    line = await make_line(on=False, outbox_messages=1, outbox_bytes=1, outbox_age=0.001)
    client, outbox = await line.bare()
    for _ in range(300):
        outbox.send(b"x" * 1000)
    heard = b""
    while len(heard) < 300 * 1004:
        heard += await client.read()
    assert heard == Framer().frame(b"x" * 1000) * 300


# --- the end


async def test_closing_ends_in_time_whatever_the_client_does(make_line: MakeLine) -> None:
    line = await make_line()
    client, outbox = await line.bare()
    while outbox.waiting < 20:
        outbox.send(b"x" * 1000)
    since = asyncio.get_running_loop().time()
    await outbox.shut(CloseCode.GOING_AWAY, "Bye.")
    assert asyncio.get_running_loop().time() - since < 2
    await line.ended.wait()
    assert line.transports[0].is_closing()
    assert line.transports[0].get_write_buffer_size() == 0
    outbox.send(b"late")
    assert b"late" not in await client.rest()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "behind"])
async def test_nothing_is_left_of_a_client(make_line: MakeLine, busy: bool) -> None:
    line = await make_line()
    client, outbox = await line.bare()
    while busy and outbox.waiting < 20:
        outbox.send(b"x" * 1000)
    client.reset()
    await line.ended.wait()
    await eventually(lambda: len(line.tasks) == 0)
    outbox.send(b"late")
    assert outbox.closed
    left = weakref.ref(outbox)
    del outbox
    gc.collect()
    assert left() is None


async def test_only_the_first_close_counts(make_line: MakeLine) -> None:
    line = await make_line()
    client, outbox = await line.connect()
    outbox.send(b"last")
    outbox.close(CloseCode.TOO_MANY_ERRORS, "First.")
    outbox.close(CloseCode.REPLACED, "Second.")
    outbox.send(b"late")
    async with asyncio.timeout(PATIENCE):
        assert (await client.receive()).data == "last"
        closed = await client.receive()
    assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 4400, "First.")
    await line.ended.wait()


async def test_one_close_frame_and_no_more(make_line: MakeLine) -> None:
    line = await make_line()
    client, outbox = await line.bare()
    outbox.close(CloseCode.REPLACED, "First.")
    outbox.close(CloseCode.TOO_MANY_ERRORS, "Second.")
    first = close_frame(CloseCode.REPLACED, "First.")
    assert await client.read() == first
    await client.send(b"\x03\xe8", opcode=8)
    # Answered, it says no more, and the connection ends without waiting.
    assert await client.rest() == b""
    await line.ended.wait()


async def test_long_words_are_cut_between_letters(make_line: MakeLine) -> None:
    line = await make_line()
    client, outbox = await line.connect()
    outbox.close(CloseCode.REFUSED, "x" + "ä" * 100)
    async with asyncio.timeout(PATIENCE):
        closed = await client.receive()
    assert closed.extra == "x" + "ä" * 59


@pytest.mark.parametrize(("age", "option"), [(15.0, 15000), (0.0001, 1), (2.0**31, 2**31 - 1)])
async def test_the_kernel_gives_up_dead_peers(make_line: MakeLine, age: float, option: int) -> None:
    line = await make_line(outbox_age=age)
    await line.connect()
    sock = line.transports[0].get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == option


async def test_a_client_that_leaves_is_answered(make_line: MakeLine) -> None:
    line = await make_line()
    client, _ = await line.connect()
    async with asyncio.timeout(PATIENCE):
        await client.close(code=1000)
        assert client.close_code == 1000
        await line.ended.wait()
