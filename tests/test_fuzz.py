"""No input, however odd, makes the server fail: every answer is a message of the wire, no error
is `internal`, and nothing is logged as a fault."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.server import protocol as p
from ringback.server.protocol import ErrorCode, Limits
from tests.clients import ANSWER, MEDIA, OFFER, PATIENCE, Bare, Crowd, frame
from tests.conftest import Serve
from tests.running import Server

EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Message = dict[str, Any]

# --- what is said

CANDIDATE = {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0}
MESSAGES: list[Message] = [
    {"type": "hello", "v": 1, "name": "Ann"},
    {"type": "hello", "v": 1, "resume": {"session": "s", "key": "k", "n": 0, "rooms": {}}},
    {"type": "join", "room": "lobby", "unlisted": True},
    {"type": "leave", "room": "lobby"},
    {"type": "chat", "room": "lobby", "text": "hi", "cid": "c"},
    {"type": "typing", "room": "lobby", "on": True},
    {"type": "rooms", "watch": True},
    {"type": "contacts", "watch": True},
    {"type": "settings", "call_waiting": False},
    {"type": "capacity", "max_calls": 3, "accepting": False},
    {"type": "records", "before": 5, "limit": 5},
    {"type": "call", "call": "mine", "to": "Bob", "media": MEDIA, "description": OFFER},
    {"type": "call", "call": "odd", "to": "Nobody", "media": MEDIA, "description": OFFER},
    {"type": "answer", "call": "yours", "description": ANSWER},
    {"type": "decline", "call": "yours", "reason": "busy"},
    {"type": "hangup", "call": "mine", "reason": "failed", "part": "ice"},
    {"type": "description", "call": "yours", "description": OFFER},
    {"type": "candidate", "call": "mine", "candidate": CANDIDATE},
    {"type": "candidate", "call": "yours", "candidate": None},
    {"type": "media", "call": "yours", "media": MEDIA},
    {"type": "progress", "call": "yours", "state": "connected", "part": "dtls"},
    {"type": "report", "call": "yours", "first_media_ms": 3, "pair": "host", "loss": 0.5},
    {"type": "record", "call": "yours", "do": "start", "version": "1"},
    {"type": "record", "call": "mine", "do": "pause"},
    {"type": "consent", "call": "yours", "yes": True, "version": "1"},
    {"type": "recording", "recording": "r", "state": "off", "reason": "disk_full"},
    {"type": "call", "call": "leg", "to": "recorder", "recording": "r", "consent": "1",
     "media": MEDIA, "description": OFFER},
    # of the plain sockets
    {"message": "hi"},
    {"type": "login", "data": {"name": "Ann"}},
    {"type": "call", "data": {"name": "Bob", "rtcMessage": OFFER}},
    {"type": "answer_call", "data": {"caller": "Bob", "rtcMessage": ANSWER}},
    {"type": "ICEcandidate",
     "data": {"user": "Bob", "rtcMessage": {"label": 0, "id": "0", "candidate": "c"}}},
]  # fmt: skip

# Texts with all that JSON can smuggle in, lone surrogates too.
texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "\0", "\ud800", "\u202e", "Bob", "lobby", "mine", "yours", "echo", "..", "x" * 300]
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 2**53, 2**64, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message with something in it replaced, left out or added, perhaps some layers down."""
    message = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    for _ in range(draw(st.integers(0, 3))):
        inner = message
        while isinstance(inner, dict) and inner:
            field = draw(st.sampled_from(sorted(inner)))
            what = draw(st.sampled_from(["in", "set", "set", "drop", "add"]))
            if what == "in" and isinstance(inner[field], dict):
                inner = inner[field]
                continue
            if what == "drop":
                del inner[field]
            else:
                inner[draw(texts) if what == "add" else field] = draw(values)
            break
    return json.dumps(message).encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A message with some bytes of it changed."""
    data = bytearray(draw(mutated()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


good = st.sampled_from(MESSAGES).map(lambda message: json.dumps(message).encode())
payloads = st.one_of(
    good, good, mutated(), mutated(), broken(), st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
# Mostly text; now and then another kind of frame, known to RFC 6455 or not.
opcodes = st.sampled_from([1] * 12 + [2, 9, 10])
scripts = st.lists(st.tuples(opcodes, payloads), max_size=25)
paths = st.sampled_from(["/ws", "/ws", "/ws/call/", "/ws/room/lobby/Ann/"])


# --- and what must be heard


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that the server sent, by opcode."""
    found = []
    while data:
        assert data[0] & 0xF0 == 0x80, data
        size, start = data[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        found.append((data[0] & 15, data[start : start + size]))
        data = data[start + size :]
    return found


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    data: Message | None = None
    message: str | None = None
    user: str | None = None
    datetime: str | None = None


def check(path: str, data: bytes) -> None:
    """All that was heard is of the agreed form."""
    for opcode, payload in frames(data):
        if opcode == 8:
            code = int.from_bytes(payload[:2], "big")
            assert code in vars(p.CloseCode).values() or code in (1000, 1002, 1007), code
        elif opcode == 1 and path == "/ws":
            message = p.decode_server(payload)
            if isinstance(message, p.Error):
                assert message.code is not ErrorCode.INTERNAL, payload
        elif opcode == 1:
            plain = msgspec.json.decode(payload, type=PlainMessage)
            if plain.type == "error":
                assert plain.data is not None
                assert ErrorCode(plain.data["code"]) is not ErrorCode.INTERNAL, payload
        else:
            assert opcode == 10, opcode


async def play(crowd: Crowd, server: Server, path: str, data: bytes, half: bool = False) -> bytes:
    """Send bytes after a handshake, close, and read to the end; `half`: then send no more, in
    whatever frame that may be."""
    client: Bare = await crowd.bare(server, path)

    async def say() -> None:
        with suppress(ConnectionError):
            await client.send_all(data + frame(b"\x03\xe8", opcode=8))
            if half:
                client.sock.shutdown(socket.SHUT_WR)

    saying = asyncio.ensure_future(say())
    async with asyncio.timeout(PATIENCE):
        heard = await client.rest()
        await saying
    client.sock.close()
    return heard


@pytest.fixture
async def patient(serve: Serve) -> Server:
    """A server that never loses patience, so that every message is looked at."""
    return await serve(limits=Limits(errors=2**30, messages_burst=2**30), ring=0.05, hold=0.05)


@EXAMPLES
@given(path=paths, script=scripts)
async def test_no_message_makes_the_server_fail(
    patient: Server,
    crowd: Crowd,
    caplog: pytest.LogCaptureFixture,
    path: str,
    script: list[tuple[int, bytes]],
) -> None:
    caplog.clear()
    data = b"".join(frame(payload[:125] if op > 8 else payload, op) for op, payload in script)
    # Somebody to be called, and who calls.
    bob = await crowd.phone(patient, "Bob")
    await bob.say("call", data={"name": "Ann", "rtcMessage": OFFER})
    hello = frame(b'{"type":"hello","v":1,"name":"Ann"}') if path == "/ws" else b""
    check(path, await play(crowd, patient, path, hello + data))
    await bob.close()
    faults = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert not faults, [r.getMessage() for r in faults]


@EXAMPLES
@given(path=paths, data=st.binary(max_size=200) | st.lists(st.binary(max_size=9)).map(b"".join))
async def test_no_bytes_make_the_server_fail(
    server: Server, crowd: Crowd, caplog: pytest.LogCaptureFixture, path: str, data: bytes
) -> None:
    caplog.clear()
    check(path, await play(crowd, server, path, data, half=True))
    faults = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert not faults, [r.getMessage() for r in faults]


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(payloads)
def test_decoding_gives_a_message_or_a_typed_error(payload: bytes) -> None:
    try:
        message = p.decode(payload)
    except p.ProtocolError as error:
        answer = p.decode_server(p.encode(error.as_message()))
    else:
        assert p.decode(p.encode(message)) == message
        return
    assert isinstance(answer, p.Error)
    codes = (ErrorCode.BAD_JSON, ErrorCode.BAD_MESSAGE, ErrorCode.UNKNOWN_TYPE)
    assert answer.code in codes
