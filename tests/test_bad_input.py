"""Whatever a client says wrong: its typed error, and the connection goes on."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from ringback.server.connection import TOO_MANY_ERRORS
from ringback.server.outbox import close_frame
from ringback.server.protocol import CloseCode, ErrorCode, Limits
from tests.clients import ANSWER, MEDIA, OFFER, Crowd, frame
from tests.conftest import Serve
from tests.running import Server

E = ErrorCode
LONG = 65536


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A client's mistake is not worth a line to the operator, least of all a traceback."""
    yield
    logged = [r for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert not logged, [r.getMessage() for r in logged]


def said(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def chat(**fields: object) -> bytes:
    return said(**({"type": "chat", "room": "lobby", "text": "x", "cid": "c"} | fields))


def call(**fields: object) -> bytes:
    known = {"type": "call", "call": "mine", "to": "Bob", "media": MEDIA, "description": OFFER}
    return said(**(known | fields))


def in_call(type_: str, of: str = "theirs", **fields: object) -> bytes:
    return said(type=type_, call=of, **fields)


def sized(size: int) -> bytes:
    message = said(type="leave", room="lobby")
    return message + b" " * (size - len(message))


CANDIDATE = {"candidate": "candidate:1 1 udp 1 192.0.2.1 5 typ host", "sdpMid": "0"}
DEEP = 20_000

# What is wrong with it, what is sent, and the code it gets.
TABLE: list[tuple[str, bytes, ErrorCode]] = [
    # No JSON
    ("empty", b"", E.BAD_JSON),
    ("a half", b'{"type":"leave"', E.BAD_JSON),
    ("words", b"hello", E.BAD_JSON),
    ("two at once", said(type="rooms") * 2, E.BAD_JSON),
    ("single quotes", b"{'type':'rooms'}", E.BAD_JSON),
    ("a comma too many", b'{"type":"rooms",}', E.BAD_JSON),
    ("not a number", b'{"type":"records","before":NaN}', E.BAD_JSON),
    ("a byte order mark", b"\xef\xbb\xbf" + said(type="rooms"), E.BAD_JSON),
    ("a bare NUL", b'{"type":"leave","room":"a\0"}', E.BAD_JSON),
    ("only NUL", b"\0", E.BAD_JSON),
    ("Latin-1", '{"type":"leave","room":"é"}'.encode("latin-1"), E.BAD_JSON),
    ("an overlong slash", b'{"type":"leave","room":"\xc0\xaf"}', E.BAD_JSON),
    ("a surrogate in bytes", b'{"type":"leave","room":"\xed\xa0\x80"}', E.BAD_JSON),
    ("a field that is no text", b'{"type":"leave","room":"a","\xff":1}', E.BAD_JSON),
    ("UTF-16", json.dumps({"type": "rooms"}).encode("utf-16"), E.BAD_JSON),
    ("half a surrogate pair in a text", chat(text="\ud800"), E.BAD_JSON),
    ("the other half", chat(text="x\udc00x"), E.BAD_JSON),
    ("half a pair in a name", said(type="join", room="\ud83d"), E.BAD_JSON),
    ("half a pair in a field", said(**{"type": "rooms", "\ud800": 1}), E.BAD_JSON),
    ("half a pair in the type", said(type="\ud800"), E.BAD_JSON),
    ("half a pair in the id", said(type="rooms", id="\ud800"), E.BAD_JSON),
    # Too deep
    ("deep in a type", b'{"type":' + b"[" * DEEP, E.BAD_JSON),
    ("deep in an unknown field", b'{"type":"rooms","x":' + b"[" * DEEP, E.BAD_JSON),
    ("deep and whole", b'{"type":"rooms","x":' + b"[" * 9999 + b"]" * 9999 + b"}", E.BAD_JSON),
    ("deep in an id", b'{"type":"rooms","id":' + b'{"a":' * 9999, E.BAD_JSON),
    ("deep in a known field", b'{"type":"chat","room":' + b"[" * DEEP, E.BAD_JSON),
    ("deep all through", b"[" * LONG, E.BAD_MESSAGE),
    # No message
    ("null", b"null", E.BAD_MESSAGE),
    ("a list", b"[]", E.BAD_MESSAGE),
    ("a string", b'"rooms"', E.BAD_MESSAGE),
    ("a huge number", b"9" * 5000, E.BAD_MESSAGE),
    ("no type", b"{}", E.BAD_MESSAGE),
    ("a type that is null", said(type=None), E.BAD_MESSAGE),
    ("a type that is a number", said(type=1), E.BAD_MESSAGE),
    ("a type that is a list", said(type=["rooms"]), E.BAD_MESSAGE),
    ("an unknown type", said(type="sudo"), E.UNKNOWN_TYPE),
    ("a type of the server", said(type="welcome"), E.UNKNOWN_TYPE),
    ("a type in capitals", said(type="ROOMS"), E.UNKNOWN_TYPE),
    ("a type with NUL", said(type="rooms\0"), E.UNKNOWN_TYPE),
    ("an empty type", said(type=""), E.UNKNOWN_TYPE),
    # Wrong fields
    ("a field missing", said(type="chat", room="lobby", text="x"), E.BAD_MESSAGE),
    ("a field unknown", said(type="rooms", watch=True, and_="more"), E.BAD_MESSAGE),
    ("who said it", chat(**{"from": "Bob"}), E.BAD_MESSAGE),
    ("in what order", chat(seq=1), E.BAD_MESSAGE),
    ("when", chat(time=0), E.BAD_MESSAGE),
    ("a number of its own", in_call("hangup", n=5), E.BAD_MESSAGE),
    ("a room that is a number", said(type="leave", room=5), E.BAD_MESSAGE),
    ("a flag that is a word", said(type="rooms", watch="yes"), E.BAD_MESSAGE),
    ("a flag that is a number", said(type="rooms", watch=1), E.BAD_MESSAGE),
    ("an id that is a number", said(type="rooms", id=1), E.BAD_MESSAGE),
    ("an id that is empty", said(type="rooms", id=""), E.BAD_MESSAGE),
    ("an id with a space", said(type="rooms", id="a b"), E.BAD_MESSAGE),
    ("an id with a line end", said(type="rooms", id="a\n"), E.BAD_MESSAGE),
    ("an id that is long", said(type="rooms", id="x" * 65), E.BAD_MESSAGE),
    ("a room that is long", said(type="leave", room="x" * 257), E.BAD_MESSAGE),
    ("a number that is huge", said(type="records", before=2**53), E.BAD_MESSAGE),
    ("a number without end", b'{"type":"records","before":' + b"9" * 5000 + b"}", E.BAD_MESSAGE),
    ("a number beyond floats", b'{"type":"records","before":1e999}', E.BAD_MESSAGE),
    ("a number below nothing", said(type="records", before=-1), E.BAD_MESSAGE),
    ("a number with a fraction", said(type="records", limit=1.5), E.BAD_MESSAGE),
    ("too many asked for", said(type="records", limit=201), E.BAD_MESSAGE),
    ("none asked for", said(type="records", limit=0), E.BAD_MESSAGE),
    ("a loss beyond all", in_call("report", loss=1.5), E.BAD_MESSAGE),
    ("two types", b'{"type":"rooms","type":"leave"}', E.BAD_MESSAGE),
    ("a field twice", b'{"type":"leave","room":"lobby","room":"other"}', E.NOT_IN_ROOM),
    ("a state that is none", in_call("progress", state="ended"), E.BAD_MESSAGE),
    ("a reason that is none", in_call("hangup", reason="glare"), E.BAD_MESSAGE),
    ("a description as text", call(description="v=0"), E.BAD_MESSAGE),
    ("a description unheard of", call(description={"type": "pranswer", "sdp": ""}), E.BAD_MESSAGE),
    ("a candidate too long for the wire",
     in_call("candidate", candidate={"candidate": "x" * 4097}), E.BAD_MESSAGE),
    ("a description with more", call(description=OFFER | {"x": 1}), E.BAD_MESSAGE),
    # Too much
    ("one byte too long", sized(LONG + 1), E.MESSAGE_TOO_LONG),
    ("four times too long", sized(4 * LONG - 1), E.MESSAGE_TOO_LONG),
    # Wrong content
    ("a second hello", said(type="hello", v=1, name="Eve"), E.HELLO_AGAIN),
    ("a room with a control", said(type="join", room="a\0b"), E.BAD_ROOM),
    ("a room backwards", said(type="join", room="a\u202eb"), E.BAD_ROOM),
    ("a room with nothing in it", said(type="join", room="\u200b"), E.BAD_ROOM),
    ("a room outside", said(type="join", room=".."), E.BAD_ROOM),
    ("a text of nothing", chat(text=" \n\t"), E.BAD_TEXT),
    ("a text too long", chat(text="ä" * 4097), E.TEXT_TOO_LONG),
    ("a text elsewhere", chat(room="other"), E.NOT_IN_ROOM),
    # Calls
    ("a call to a control", call(to="B\x07b"), E.BAD_NAME),
    ("a call to oneself", call(to="ANN"), E.BAD_TARGET),
    ("an offer that is an answer", call(description=ANSWER), E.BAD_DESCRIPTION),
    ("an offer too long", call(description=OFFER | {"sdp": "x" * 49153}), E.BAD_DESCRIPTION),
    ("an offer that is no text", call(description=OFFER | {"sdp": "\0"}), E.BAD_DESCRIPTION),
    ("a call id that is used", call(call="theirs"), E.CALL_EXISTS),
    ("a call unheard of", in_call("hangup", of="nobodys"), E.NO_SUCH_CALL),
    ("an answer to others", in_call("answer", description=ANSWER), E.NOT_YOUR_CALL),
    ("an end to others", in_call("hangup"), E.NOT_YOUR_CALL),
    ("no to others", in_call("decline"), E.NOT_YOUR_CALL),
    ("a candidate to others", in_call("candidate", candidate=CANDIDATE), E.NOT_YOUR_CALL),
    ("an end of candidates to others", in_call("candidate", candidate=None), E.NOT_YOUR_CALL),
    ("a description to others", in_call("description", description=OFFER), E.NOT_YOUR_CALL),
    ("pictures to others", in_call("media", media=MEDIA), E.NOT_YOUR_CALL),
    ("progress of others", in_call("progress", state="connected"), E.NOT_YOUR_CALL),
    ("a report on others", in_call("report"), E.NOT_YOUR_CALL),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "code"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
async def test_every_mistake_has_its_code(
    server: Server, crowd: Crowd, payload: bytes, code: ErrorCode
) -> None:
    bob, carol = await crowd.come(server, "Bob"), await crowd.come(server, "Carol")
    await bob.call("theirs", "Carol")
    await carol.hear("ring", call="theirs")
    ann = await crowd.come(server, "Ann")
    await ann.join()
    await ann.raw(payload)
    error = await ann.hear("error", code=code)
    assert error["message"]
    await ann.works()
    # And those it was about noticed nothing.
    await carol.works()


NAMES = ["", " ", "a\0b", "a\nb", "\x7f", "\u202eann", "a\u2066b", "an\u200bn", "\ufeffann",
         "a\u00adb", "\u2028", "a/b", "x" * 33, "\u3164", "\ue000", "e\u0301" * 40]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_what_cannot_be_a_name(server: Server, crowd: Crowd, name: str) -> None:
    client = await crowd.connect(server)
    await client.say("hello", v=1, name=name)
    await client.hear("error", code=E.BAD_NAME)
    await client.hello("Ann")


async def test_the_longest_message_is_read(server: Server, crowd: Crowd) -> None:
    ann = await crowd.come(server, "Ann")
    await ann.join()
    await ann.raw(sized(LONG))
    # It was a `leave`.
    await ann.say("leave", room="lobby")
    await ann.hear("error", code=E.NOT_IN_ROOM)


async def test_binary_is_not_read(server: Server, crowd: Crowd) -> None:
    ann = await crowd.come(server, "Ann")
    await ann.ws.send_bytes(said(type="rooms"))
    await ann.hear("error", code=E.BINARY)
    await ann.works()


@pytest.mark.parametrize("wrong", [b"x", said(type="sudo"), sized(LONG + 1)], ids=["x", "y", "z"])
async def test_five_mistakes_are_enough(server: Server, crowd: Crowd, wrong: bytes) -> None:
    ann = await crowd.come(server, "Ann")
    for _ in range(5):
        await ann.raw(wrong)
    for _ in range(5):
        await ann.hear("error")
    assert await ann.closed() == CloseCode.TOO_MANY_ERRORS


async def test_five_mistakes_over_a_longer_time_are_not(serve: Serve, crowd: Crowd) -> None:
    server = await serve(limits=Limits(errors_window=1e-6))
    ann = await crowd.come(server, "Ann")
    for _ in range(6):
        await ann.raw(b"x")
        await ann.hear("error", code=E.BAD_JSON)
    await ann.works()


async def test_mistakes_about_content_do_not_count(server: Server, crowd: Crowd) -> None:
    ann = await crowd.come(server, "Ann")
    for _ in range(20):
        await ann.raw(in_call("hangup", of="nobodys"))
        await ann.hear("error", code=E.NO_SUCH_CALL)
    await ann.works()


async def test_a_message_over_the_hard_limit_closes(server: Server, crowd: Crowd) -> None:
    ann = await crowd.come(server, "Ann")
    await ann.raw(sized(4 * LONG + 1))
    assert await ann.closed() == CloseCode.TOO_BIG
    await crowd.come(server, "Bob")


async def test_ten_thousand_at_once(server: Server, crowd: Crowd) -> None:
    flood, bob = await crowd.bare(server), await crowd.come(server, "Bob")
    hello, message = said(type="hello", v=1, name="Ann"), said(type="rooms")
    sending = asyncio.ensure_future(flood.send_all(frame(hello) + frame(message) * 10_000))
    heard = asyncio.ensure_future(flood.rest())
    served = 0
    while not heard.done() and served < 100:
        await bob.works()
        served += 1
    assert served > 0
    data = await heard
    await asyncio.gather(sending, return_exceptions=True)
    assert 199 <= data.count(b'{"type":"rooms"') < 400
    assert data.count(b'"code":"too_fast"') == 5
    assert data.endswith(close_frame(CloseCode.TOO_MANY_ERRORS, TOO_MANY_ERRORS))
    await bob.works()


async def test_without_limits_nothing_is_counted(serve: Serve, crowd: Crowd) -> None:
    server = await serve(limits=Limits(on=False))
    ann = await crowd.come(server, "Ann")
    for number in range(400):
        await ann.say("rooms", id=f"{number}")
    for number in range(400):
        await ann.hear("rooms", re=f"{number}")
    for _ in range(20):
        await ann.raw(b"x")
        await ann.hear("error", code=E.BAD_JSON)
    await ann.join()
    await ann.raw(sized(LONG + 1))
    await ann.works()
