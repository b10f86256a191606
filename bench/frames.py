"""The client's half of a WebSocket (RFC 6455), as little of it as a load generator needs."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_MASK = b"\0\0\0\0"


def handshake(host: str, path: str) -> tuple[bytes, bytes]:
    """The request that opens a socket, and the `Sec-WebSocket-Accept` that must answer it."""
    key = base64.b64encode(secrets.token_bytes(16))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n\r\n"
    )
    return request.encode(), base64.b64encode(hashlib.sha1(key + _MAGIC).digest())


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A frame as clients send it. The mask is all zeros, so that masking costs nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


class FrameReader:
    """Takes a stream of a server's frames apart, however it was cut into pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each frame completed by `data`: its opcode and payload.

        Raises `ValueError` for what a server must not send here: fragments, masks, extensions.
        """
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            if first & 0xF0 != 0x80 or size & 0x80:
                raise ValueError(f"an unexpected frame begins {data[at : at + 2].hex()}")
            start = at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > end:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if start + size > end:
                break
            yield first & 0x0F, data[start : start + size]
            at = start + size
        self._rest = data[at:]
