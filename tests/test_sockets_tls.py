"""The sockets over TLS, whose transport keeps other habits than a plain one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from ringback.server.connection import CONNECTIONS
from ringback.server.protocol import CloseCode, Limits
from tests.clients import Client, eventually
from tests.conftest import Serve, Trouble
from tests.running import Server

Come = Callable[[Server, str], Awaitable[Client]]


@pytest.fixture
async def come() -> AsyncIterator[Come]:
    """Somebody says hello who trusts the certificate of the server, and no other."""
    sessions: list[aiohttp.ClientSession] = []

    async def connect(server: Server, name: str) -> Client:
        trusted = ssl.create_default_context(cafile=server.data / "tls" / "cert.pem")
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)))
        client = Client(await sessions[-1].ws_connect(f"{server.ws}/ws", max_msg_size=0))
        await client.hello(name)
        return client

    yield connect
    for session in sessions:
        await session.close()


def transport(client: Client) -> asyncio.Transport:
    """What a client's socket is written to."""
    connection = client.ws._response.connection
    assert connection is not None
    found = connection.transport
    assert found is not None
    return found


async def gone(server: Server) -> None:
    """The server has let go of every socket."""
    connections = server.app[CONNECTIONS]
    await eventually(lambda: len(connections) == 0 and len(connections.tasks) == 0)


async def test_a_client_that_leaves(serve: Serve, come: Come, trouble: Trouble) -> None:
    server = await serve(tls="self-signed")
    client = await come(server, "Ann")
    await client.works()
    await client.close()
    await gone(server)
    trouble.none()


async def test_a_client_that_vanishes(serve: Serve, come: Come, trouble: Trouble) -> None:
    server = await serve(tls="self-signed")
    client = await come(server, "Ann")
    transport(client).abort()
    await gone(server)
    trouble.none()


async def test_a_client_that_is_sent_away(serve: Serve, come: Come, trouble: Trouble) -> None:
    server = await serve(tls="self-signed")
    client = await come(server, "Ann")
    for _ in range(5):
        await client.raw("{")
    assert await client.closed() == CloseCode.TOO_MANY_ERRORS
    await gone(server)
    trouble.none()


async def test_a_server_that_stops(serve: Serve, come: Come, trouble: Trouble) -> None:
    server = await serve(tls="self-signed")
    client = await come(server, "Ann")
    stopping = asyncio.create_task(server.stop())
    assert await client.closed() == CloseCode.GOING_AWAY
    await stopping
    trouble.none()


async def test_a_client_that_does_not_read(serve: Serve, come: Come, trouble: Trouble) -> None:
    """It answers nothing, so its socket is dropped by force."""
    limits = Limits(outbox_bytes=64 * 1024, chats_burst=10_000, messages_burst=10_000)
    server = await serve(tls="self-signed", limits=limits)
    friend, slow = await come(server, "Ann"), await come(server, "Bob")
    await friend.join()
    await slow.join()
    transport(slow).pause_reading()
    connections = server.app[CONNECTIONS]
    said = 0
    while len(connections) == 2:
        await friend.say("chat", room="lobby", text="x" * 8000, cid=f"{said}")
        await friend.until("chat", cid=f"{said}")
        said += 1
        assert said < 5000
    await eventually(lambda: len(connections.tasks) == 0)
    await friend.works()
    trouble.none()
