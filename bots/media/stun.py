"""Whom a STUN message is for, before anything else is made of it (RFC 8489). Pure."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

HEADER = 20
COOKIE = b"\x21\x12\xa4\x42"
USERNAME = 0x0006
MAX_ATTRIBUTES = 16

_ATTRIBUTE = Struct("!HH")


class Request(NamedTuple):
    """A connectivity check: `fragment` is the receiver's part of its user name."""

    fragment: bytes


class Response(NamedTuple):
    """An answer, or an error, to the request with this transaction id (12 bytes)."""

    transaction: bytes


def is_request(data: bytes | bytearray | memoryview) -> bool:
    """Whether a datagram that we send is a STUN request of ours (binding)."""
    return len(data) >= HEADER and data[0] == 0 and data[1] == 1


def read(data: bytes) -> Request | Response | None:
    """Whom a datagram is for; None when it is no STUN that anybody here awaits."""
    if len(data) < HEADER or data[4:8] != COOKIE or data[0] > 1 or data[1] & 0xEF != 0x01:
        return None
    # The two bits of the class stand in the midst of the method: 0x0001, 0x0101, 0x0111.
    if data[0] == 1:
        return Response(data[8:20])
    if data[1] != 1:
        return None
    fragment, colon, _ = _username(data).partition(b":")
    return Request(fragment) if colon else None


def _username(data: bytes) -> bytes:
    at = HEADER
    for _ in range(MAX_ATTRIBUTES):
        if at + 4 > len(data):
            break
        kind, length = _ATTRIBUTE.unpack_from(data, at)
        if kind == USERNAME:
            return data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    return b""
