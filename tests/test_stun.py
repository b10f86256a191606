"""Whom a STUN message is for."""

from __future__ import annotations

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import stun


def check(username: str | None = "ours:theirs", software: bool = False) -> bytes:
    """A connectivity check as aioice makes it."""
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    if software:
        message.attributes["SOFTWARE"] = "odd length"
    if username is not None:
        message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = 1
    message.add_message_integrity(b"password")
    return bytes(message)


@pytest.mark.parametrize("software", [False, True])
def test_a_check_names_its_receiver(software: bool) -> None:
    data = check(software=software)
    assert stun.is_request(data)
    assert stun.is_request(memoryview(data))
    assert stun.read(data) == stun.Request(b"ours")


@pytest.mark.parametrize("kind", [aioice_stun.Class.RESPONSE, aioice_stun.Class.ERROR])
def test_an_answer_carries_its_transaction(kind: aioice_stun.Class) -> None:
    message = aioice_stun.Message(aioice_stun.Method.BINDING, kind, transaction_id=b"123456789012")
    message.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.7", 1234)
    data = bytes(message)
    assert not stun.is_request(data)
    assert stun.read(data) == stun.Response(b"123456789012")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1",
        check()[:19],
        check(None),
        check("no colon"),
        b"\0\1" + check()[2:4] + bytes(4) + check()[8:],
        b"\0\x11" + check()[2:],
        b"\1\2" + check()[2:],
        b"\3\1" + check()[2:],
        b"\x80\x60" + bytes(60),
    ],
    # Transaction ids are random, and names of tests must not be.
    ids=lambda data: f"{len(data)} bytes",
)
def test_for_nobody(data: bytes) -> None:
    assert stun.read(data) is None


@given(st.binary(max_size=200), st.booleans())
def test_anything_can_be_read(noise: bytes, framed: bool) -> None:
    data = b"\0\1\0\0" + stun.COOKIE + noise if framed else noise
    found = stun.read(data)
    assert found is None or isinstance(found, stun.Request | stun.Response)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 60))
def test_a_cut_check_names_nobody_else(rest: bytes, keep: int) -> None:
    found = stun.read(check()[: 20 + keep])
    assert found is None or (isinstance(found, stun.Request) and b"ours".startswith(found.fragment))
