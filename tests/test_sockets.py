"""The socket of the wire against a real server: hello, coming back, being sent away."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback.server import protocol as p
from ringback.server.connection import CONNECTIONS
from ringback.server.engine.base import EngineError, StoredSession
from ringback.server.keys import ENGINE
from ringback.server.outbox import close_frame
from ringback.server.protocol import CloseCode, ErrorCode, Limits
from tests.clients import Bare, Crowd, Said, eventually
from tests.conftest import Serve, Trouble
from tests.running import Server


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
    await old.send(b"\x03\xe8", opcode=8)
    # It hears why, once.
    assert await old.rest() == close_frame(CloseCode.REPLACED, "Continued on another connection.")
    await new.say("chat", room="lobby", text="x", cid="x", id="1")
    await new.hear("error", code=ErrorCode.NOT_IN_ROOM, re="1")


async def _first_message(client: Bare) -> Said:
    data = await client.read()
    message = p.decode_server(data[4:])
    assert isinstance(message, p.Welcome)
    return {"session": message.session, "key": message.key}


async def test_an_old_key_opens_nothing(server: Server, crowd: Crowd) -> None:
    client = await crowd.connect(server)
    oldest = last = await client.hello("Ann")
    for _ in range(3):
        client = await crowd.connect(server)
        await client.say("hello", v=1, resume=resume(last))
        last = await client.hear("welcome", resumed=True, session=oldest["session"])
    thief = await crowd.connect(server)
    await thief.say("hello", v=1, resume=resume(oldest))
    assert (await thief.hear("welcome", resumed=False))["session"] != oldest["session"]
    await client.works()


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
