"""The workshop's two plain sockets: chat both ways, and what plain clients do wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from ringback.server.engine.base import EngineError
from ringback.server.keys import ENGINE
from ringback.server.protocol import CloseCode, ErrorCode
from tests.clients import ANSWER, Client, Crowd
from tests.phones import answer, call, candidate, ends, refused
from tests.running import Server


@pytest.fixture(autouse=True)
def nothing_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    logged = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not logged, [r.getMessage() for r in logged]


async def room(crowd: Crowd, server: Server, name: str, of: str = "Lobby") -> Client:
    """A plain client of a room; it is in it once it hears itself."""
    client = await crowd.connect(server, f"/ws/room/{quote(of, '')}/{quote(name, '')}/")
    await client.send({"message": "here"})
    await client.until("chat_message", user=name)
    return client


# --- chat


async def test_chat_both_ways(server: Server, crowd: Crowd) -> None:
    plain = await room(crowd, server, "Paula")
    ann = await crowd.come(server, "Ann")
    joined = await ann.join("lobby")
    assert [m["name"] for m in joined["members"]] == ["Paula", "Ann"]
    await plain.send({"message": "from plain <b>"})
    await ann.hear("chat", room="lobby", from_="Paula", text="from plain <b>", seq=2)
    await ann.say("chat", room="lobby", text="from the wire", cid="c")
    own = await plain.next()
    said = await plain.next()
    assert [own["message"], said["message"]] == ["from plain <b>", "from the wire"]
    assert set(said) == {"type", "message", "user", "datetime"}
    assert (said["type"], said["user"]) == ("chat_message", "Ann")
    when = datetime.fromisoformat(said["datetime"])
    assert when.tzinfo is not None
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60


async def test_two_plain_clients_chat_in_any_script(server: Server, crowd: Crowd) -> None:
    one = await room(crowd, server, "Jürgen Ω", of="Küche 1")
    two = await room(crowd, server, "小明", of="KÜCHE 1")
    await one.until("chat_message", user="小明")
    await two.send({"message": "你好\n\0"})
    await one.hear("chat_message", user="小明", message="你好\n\0")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("lobby/Ann", ErrorCode.NAME_TAKEN),
        ("lobby/ech0", ErrorCode.NAME_RESERVED),
        ("lobby/%E2%80%8B", ErrorCode.BAD_NAME),
        ("lobby/a%00b", ErrorCode.BAD_NAME),
        ("lobby/a%2Fb", ErrorCode.BAD_NAME),
        ("lobby/%ff%fe%E2%80%AE", ErrorCode.BAD_NAME),
        ("%2e%2e/Bob", ErrorCode.BAD_ROOM),
        ("%E2%80%AE/Bob", ErrorCode.BAD_ROOM),
        ("x" * 65 + "/Bob", ErrorCode.BAD_ROOM),
    ],
)
async def test_a_room_that_cannot_be_entered(
    server: Server, crowd: Crowd, path: str, code: ErrorCode
) -> None:
    await crowd.come(server, "ann")
    bare = await crowd.bare(server, f"/ws/room/{path}/")
    heard = await bare.rest()
    assert f'"code":"{code}"'.encode() in heard
    assert CloseCode.REFUSED.to_bytes(2, "big") in heard
    # What was refused holds no name.
    await crowd.come(server, "Bob")


async def test_leaving_frees_the_name_at_once(server: Server, crowd: Crowd) -> None:
    watcher = await crowd.come(server, "Ann")
    await watcher.join("lobby")
    for _ in range(3):
        plain = await room(crowd, server, "Paula")
        await watcher.hear("presence", name="Paula", here=True)
        await watcher.hear("chat")
        await plain.close()
        await watcher.hear("presence", name="Paula", here=False)


# --- what plain clients do wrong


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", ErrorCode.BAD_JSON),
        (b'{"type":"login","data":{"name":"\xff"}}', ErrorCode.BAD_JSON),
        (b'{"type":"login","data":{"name":"\\ud800"}}', ErrorCode.BAD_JSON),
        (b'{"type":"login","data":' + b"[" * 20_000, ErrorCode.BAD_JSON),
        (b'{"type":"login"}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"login","data":{}}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"login","data":null}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"login","data":{"name":1}}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"login","data":{"name":"Ann","x":1}}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"login","data":{"name":"Ann"},"from":"Bob"}', ErrorCode.BAD_MESSAGE),
        (b'{"type":"sudo","data":{}}', ErrorCode.UNKNOWN_TYPE),
        (b'{"type":"login","data":{"name":"echo"}}', ErrorCode.NAME_RESERVED),
        (b'{"type":"login","data":{"name":"Taken"}}', ErrorCode.NAME_TAKEN),
        (b'{"type":"login","data":{"name":"a\\u202eb"}}', ErrorCode.BAD_NAME),
        (b" " * 65537, ErrorCode.MESSAGE_TOO_LONG),
    ],
)
async def test_mistakes_on_the_telephone(
    server: Server, crowd: Crowd, payload: bytes, code: ErrorCode
) -> None:
    await crowd.come(server, "taken")
    ann = await crowd.connect(server, "/ws/call/")
    await ann.hear("connection")
    await ann.raw(payload)
    await refused(ann, code)
    await ann.say("login", data={"name": "Ann"})
    await call(ann, "Nobody")
    await ends(ann, "unavailable")


async def test_what_needs_a_login_or_a_call(server: Server, crowd: Crowd) -> None:
    ann = await crowd.connect(server, "/ws/call/")
    await ann.hear("connection")
    await call(ann, "Bob")
    await refused(ann, ErrorCode.HELLO_FIRST)
    await ann.say("login", data={"name": "Ann"})
    await ann.say("login", data={"name": "Eve"})
    await refused(ann, ErrorCode.HELLO_AGAIN)
    for ask in (answer, candidate):
        await ask(ann, "Bob")
        await refused(ann, ErrorCode.NO_SUCH_CALL)
    await call(ann, "ANN")
    await refused(ann, ErrorCode.BAD_TARGET)
    await ann.say("call", data={"name": "Bob", "rtcMessage": ANSWER})
    await refused(ann, ErrorCode.BAD_DESCRIPTION)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"hello", ErrorCode.BAD_JSON),
        (b'{"message":"\\udfff"}', ErrorCode.BAD_JSON),
        (b'{"message":5}', ErrorCode.BAD_MESSAGE),
        (b'{"message":"x","user":"Bob"}', ErrorCode.BAD_MESSAGE),
        (b'{"message":" "}', ErrorCode.BAD_TEXT),
        (b'{"message":"' + b"x" * 8193 + b'"}', ErrorCode.TEXT_TOO_LONG),
    ],
)
async def test_mistakes_in_a_room(
    server: Server, crowd: Crowd, payload: bytes, code: ErrorCode
) -> None:
    ann = await room(crowd, server, "Ann")
    await ann.raw(payload)
    await refused(ann, code)
    await ann.send({"message": "still here"})
    await ann.hear("chat_message", message="still here", user="Ann")


async def test_a_store_that_fails_at_the_door(
    server: Server, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise EngineError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(server.app[ENGINE], "join", fails)
        client = await crowd.connect(server, "/ws/room/lobby/Ann/")
        await refused(client, ErrorCode.NOT_STORED)
        assert await client.closed() == CloseCode.INTERNAL
    await room(crowd, server, "Ann")
