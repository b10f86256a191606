"""Who may open a socket, from where, and how many."""

from __future__ import annotations

import asyncio
import gc

import aiohttp
import pytest
from aiohttp import web

from ringback.server.connection import CONNECTIONS, OPENED
from ringback.server.protocol import CloseCode, ErrorCode, Limits
from tests.clients import Crowd, eventually, handshake
from tests.conftest import NewReader, Serve, Trouble
from tests.running import Server


async def request(server: Server, head: bytes) -> bytes:
    """What the server answers to a request that it must not accept."""
    reader, writer = await asyncio.open_connection(server.config.host, server.port)
    writer.write(head)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_pages_of_other_origins(server: Server, crowd: Crowd) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await crowd.connect(server, Origin="http://example.org")
    assert refused.value.status == 403
    await (await crowd.connect(server, Origin=server.url)).hello("Ann")


async def test_a_cookie_counts_only_with_the_origin(
    server: Server, crowd: Crowd, new_reader: NewReader
) -> None:
    reader, stranger = new_reader(), new_reader()
    cookies = []
    for who in (reader, stranger):
        await who.get("/")
        cookies.append("; ".join(f"{c.key}={c.value}" for c in who.session.cookie_jar))
    first = await crowd.connect(server, Origin=server.url, Cookie=cookies[0])
    await first.hello("Ann")
    for headers in ({"Cookie": cookies[0]}, {"Cookie": cookies[1], "Origin": server.url}):
        other = await crowd.connect(server, **headers)
        await other.say("hello", v=1, name="Ann")
        await other.hear("error", code=ErrorCode.NAME_TAKEN)
    same = await crowd.connect(server, Origin=server.url, Cookie=cookies[0])
    await same.hello("Ann")


async def test_sockets_of_one_address(serve: Serve, crowd: Crowd) -> None:
    server = await serve(limits=Limits(sockets_per_address=2))
    first, second = await crowd.come(server, "Ann"), await crowd.connect(server)
    assert await (await crowd.connect(server)).closed() == CloseCode.TOO_MANY
    await first.works()
    await second.close()
    await eventually(lambda: len(server.app[CONNECTIONS]) == 1)
    await first.works()
    await (await crowd.connect(server)).hello("Bob")


async def test_an_address_that_opens_ever_new_sockets(serve: Serve, crowd: Crowd) -> None:
    """Each leaves a session and a name behind for a while; `OPENED` times two, then no more."""
    server = await serve(limits=Limits(sockets_per_address=2))
    connections = server.app[CONNECTIONS]
    for number in range(2 * OPENED):
        client = await crowd.come(server, f"Ann {number}")
        await client.close()
        await eventually(lambda: len(connections) == 0)
    assert await (await crowd.connect(server)).closed() == CloseCode.TOO_MANY


async def test_refused_sockets_leave_nothing(serve: Serve, crowd: Crowd) -> None:
    """Somebody who is refused may try again two thousand times a second."""
    server = await serve(limits=Limits(sockets_per_address=1))
    friend = await crowd.come(server, "Ann")
    for _ in range(20):
        assert await (await crowd.connect(server)).closed() == CloseCode.TOO_MANY

    def left() -> int:
        gc.collect()
        return sum(isinstance(found, web.WebSocketResponse) for found in gc.get_objects())

    await eventually(lambda: left() < 5)
    await friend.works()


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "", "Connection": ""},
        {"Upgrade": "h2c"},
        {"Sec_WebSocket_Version": "12"},
        {"Sec_WebSocket_Key": "short"},
        {"Sec_WebSocket_Key": "ключ"},
        {"Sec_WebSocket_Key": ""},
    ],
)
async def test_what_is_no_handshake(
    server: Server, headers: dict[str, str], trouble: Trouble
) -> None:
    for path in ("/ws", "/ws/call/", "/ws/room/lobby/Ann/"):
        answer = await request(server, handshake(server, path, **headers))
        assert answer.startswith(b"HTTP/1.1 426 "), answer
        assert b"\r\nUpgrade: websocket\r\n" in answer
    trouble.none()


async def test_clients_that_are_gone_at_once(
    server: Server, crowd: Crowd, trouble: Trouble
) -> None:
    loop = asyncio.get_running_loop()
    for bare in [await crowd.bare(server) for _ in range(20)]:
        await loop.sock_sendall(bare.sock, b"\x81")
        bare.reset()
    for _ in range(20):
        _, writer = await asyncio.open_connection(server.config.host, server.port)
        writer.write(handshake(server))
        writer.transport.abort()
    await (await crowd.come(server, "Ann")).works()
    trouble.none()
