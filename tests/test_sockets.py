"""The socket of the wire against a real server: getting in, coming back, being sent away."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import aiohttp
import pytest

from ringback.server import protocol as p
from ringback.server.connection import CONNECTIONS
from ringback.server.engine.base import EngineError, StoredSession
from ringback.server.keys import ENGINE
from ringback.server.protocol import CloseCode, ErrorCode, Limits
from tests.clients import Bare, Crowd, Said, eventually, handshake
from tests.conftest import NewReader, Serve
from tests.running import Server


@dataclass
class Trouble:
    """What was logged as an error."""

    caplog: pytest.LogCaptureFixture

    def none(self) -> None:
        errors = [r for r in self.caplog.records if r.levelno >= logging.WARNING]
        assert not errors, [r.getMessage() for r in errors]


@pytest.fixture
def trouble(caplog: pytest.LogCaptureFixture) -> Trouble:
    return Trouble(caplog)


async def request(server: Server, head: bytes) -> bytes:
    """What the server answers to a request that it must not accept."""
    reader, writer = await asyncio.open_connection(server.config.host, server.port)
    writer.write(head)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


def resume(welcome: Said, n: int = 0) -> dict[str, object]:
    return {"session": welcome["session"], "key": welcome["key"], "n": n}


# --- hello


async def test_hello_welcome_and_replies(server: Server, crowd: Crowd, trouble: Trouble) -> None:
    client = await crowd.connect(server)
    await client.say("hello", v=1, name="Ann", id="h")
    welcome = await client.hear("welcome", name="Ann", resumed=False, re="h", calls=[])
    assert welcome["limits"]["message"] == 65536
    await client.say("join", room="Lobby", id="1")
    await client.hear("joined", room="lobby", re="1")
    await client.say("chat", room="lobby", text="hi", cid="c", id="2")
    await client.hear("chat", from_="Ann", text="hi", seq=1)
    await client.hear("ok", re="2")
    await client.say("leave", room="elsewhere", id="3")
    await client.hear("error", code=ErrorCode.NOT_IN_ROOM, re="3")
    # Without an id there is no `ok`.
    await client.say("leave", room="lobby")
    await client.works()
    trouble.none()


async def test_hello_that_never_comes(serve: Serve, crowd: Crowd, trouble: Trouble) -> None:
    server = await serve(limits=Limits(hello=0.05))
    silent = await crowd.connect(server)
    assert await silent.closed() == CloseCode.HELLO_TIMEOUT
    # For one who has said it the time passes without harm.
    friend = await crowd.come(server, "Ann")
    later = await crowd.connect(server)
    assert await later.closed() == CloseCode.HELLO_TIMEOUT
    await friend.works()
    trouble.none()


async def test_anything_but_hello_first(server: Server, crowd: Crowd) -> None:
    client = await crowd.connect(server)
    await client.say("join", room="lobby", id="1")
    await client.hear("error", code=ErrorCode.HELLO_FIRST, re="1")
    await client.hello("Ann")


async def test_a_second_hello_is_refused(server: Server, crowd: Crowd) -> None:
    client = await crowd.come(server, "Ann")
    await client.say("hello", v=1, name="Bob", id="2")
    await client.hear("error", code=ErrorCode.HELLO_AGAIN, re="2")
    await client.works()


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ({"v": 2, "name": "Ann"}, ErrorCode.BAD_VERSION),
        ({"v": 1, "name": ""}, ErrorCode.BAD_NAME),
        ({"v": 1, "name": "echo"}, ErrorCode.NAME_RESERVED),
        ({"v": 1, "name": "Taken"}, ErrorCode.NAME_TAKEN),
        ({"v": 1, "token": "x.y.z"}, ErrorCode.BAD_TOKEN),
        ({"v": 1, "name": "Ann", "about": "I am no bot."}, ErrorCode.BAD_MESSAGE),
    ],
)
async def test_a_bad_hello_and_then_a_good_one(
    server: Server, crowd: Crowd, hello: Said, code: ErrorCode
) -> None:
    await crowd.come(server, "taken")
    client = await crowd.connect(server)
    await client.say("hello", id="1", **hello)
    await client.hear("error", code=code, re="1")
    await client.hello("Ann")
    await client.works()


# --- coming back


async def test_what_was_missed_comes_in_order(server: Server, crowd: Crowd) -> None:
    ann = await crowd.connect(server)
    welcome = await ann.hello("Ann")
    mark = await ann.join()
    bob = await crowd.come(server, "Bob")
    await bob.join()
    await ann.close()
    for word in ("one", "two"):
        await bob.say("chat", room="lobby", text=word, cid=word)
    await bob.until("chat", text="two")
    await bob.call("k", "Ann")

    back = await crowd.connect(server)
    marks = {"lobby": {"epoch": mark["epoch"], "seq": mark["seq"]}}
    await back.say("hello", v=1, name="Ann", resume=resume(welcome) | {"rooms": marks})
    again = await back.hear("welcome", resumed=True, session=welcome["session"])
    assert again["key"] != welcome["key"]
    joined = await back.hear("joined", room="lobby", resumed=True)
    assert [m["text"] for m in joined["history"]] == ["one", "two"]
    await back.hear("ring", call="k", from_="Bob", n=1)
    await bob.until("ringing", call="k")


async def test_the_newer_socket_has_the_session(
    server: Server, crowd: Crowd, trouble: Trouble
) -> None:
    old = await crowd.connect(server)
    welcome = await old.hello("Ann")
    new = await crowd.connect(server)
    await new.say("hello", v=1, name="Ann", resume=resume(welcome))
    await new.hear("welcome", resumed=True)
    assert await old.closed() == CloseCode.REPLACED
    # The end of the old socket takes nothing from the new one.
    bob = await crowd.come(server, "Bob")
    await bob.call("k", "Ann")
    await new.hear("ring", call="k")
    trouble.none()


async def test_a_replaced_socket_is_not_heard_any_more(server: Server, crowd: Crowd) -> None:
    old = await crowd.bare(server)
    await old.send({"type": "hello", "v": 1, "name": "Ann"})
    welcome = await _first_message(old)
    new = await crowd.connect(server)
    await new.say("hello", v=1, resume=resume(welcome))
    await new.hear("welcome", resumed=True)
    # It has not noticed yet, and goes on speaking.
    await old.send({"type": "join", "room": "lobby"})
    assert b"\x88" in await old.rest()
    await new.say("chat", room="lobby", text="x", cid="x", id="1")
    await new.hear("error", code=ErrorCode.NOT_IN_ROOM, re="1")


async def _first_message(client: Bare) -> Said:
    data = await client.read()
    message = p.decode_server(data[4:])
    assert isinstance(message, p.Welcome)
    return {"session": message.session, "key": message.key}


async def test_a_key_opens_once(server: Server, crowd: Crowd) -> None:
    first = await crowd.connect(server)
    welcome = await first.hello("Ann")
    second, third = await crowd.connect(server), await crowd.connect(server)
    await second.say("hello", v=1, resume=resume(welcome))
    await second.hear("welcome", resumed=True)
    await third.say("hello", v=1, resume=resume(welcome))
    await third.hear("welcome", resumed=False)
    await second.works()


# --- who may come in


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


# --- the end


async def test_the_server_says_that_it_stops(serve: Serve, crowd: Crowd, trouble: Trouble) -> None:
    server = await serve(drain=1.5)
    clients = [await crowd.come(server, f"guest {n}") for n in range(5)]
    plain = await crowd.connect(server, "/ws/room/lobby/Ann/")
    dead = [await crowd.bare(server) for _ in range(3)]
    loop = asyncio.get_running_loop()
    since = loop.time()
    stopping = asyncio.ensure_future(server.stop())
    for client in clients:
        await client.hear("drain", after_ms=1500)
        assert await client.closed() == CloseCode.GOING_AWAY
    assert await plain.closed() == CloseCode.GOING_AWAY
    await stopping
    # Those who do not take part cost one second together, not one each.
    assert loop.time() - since < 2.5
    for bare in dead:
        assert b"\x88" in await bare.rest()
    assert len(server.app[CONNECTIONS]) == 0
    trouble.none()


async def test_a_dead_peer_is_noticed(serve: Serve, crowd: Crowd, trouble: Trouble) -> None:
    server = await serve(ping=0.1)
    alive = await crowd.come(server, "Ann")
    # Whoever listens answers pings; one who only reads does not.
    listening = asyncio.ensure_future(alive.hear("rooms", re="still-there"))
    dead = await crowd.bare(server)
    assert b"\x89\x00" in await dead.rest()
    await alive.say("rooms", id="still-there")
    await listening
    trouble.none()


class BrokenStore:
    """In place of an engine's method: the disk is full."""

    async def __call__(self, session: StoredSession) -> None:
        raise EngineError("the disk is full")


async def test_a_store_that_fails(
    server: Server,
    crowd: Crowd,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ann = await crowd.come(server, "Ann")
    with monkeypatch.context() as broken:
        broken.setattr(server.app[ENGINE], "save_session", BrokenStore())
        await ann.say("join", room="lobby", id="1")
        await ann.hear("error", code=ErrorCode.NOT_STORED, re="1")
        await ann.works()
        await ann.close()
        await eventually(lambda: len(server.app[CONNECTIONS]) == 0)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
    await crowd.come(server, "Bob")
