"""Clients of the sockets over real connections: one that speaks JSON, one that is a bare socket."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from ringback.server import protocol as p
from tests.running import Server

PATIENCE = 10.0
OFFER = {"type": "offer", "sdp": "v=0\r\noffer m=audio m=video"}
ANSWER = {"type": "answer", "sdp": "v=0\r\nanswer"}
MEDIA = {"audio": True, "video": True}

Said = dict[str, Any]


class Client:
    """One WebSocket whose messages are JSON objects."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, type_: str, **fields: Any) -> None:
        """Say a message of the wire; `from_` stands for `from`."""
        await self.send({"type": type_} | {name.rstrip("_"): v for name, v in fields.items()})

    async def send(self, message: object) -> None:
        """Send anything as JSON."""
        await self.ws.send_str(json.dumps(message))

    async def raw(self, payload: str | bytes) -> None:
        """Send a text frame, even one that is no text."""
        data = payload.encode() if isinstance(payload, str) else payload
        await self.ws.send_frame(data, WSMsgType.TEXT)

    async def next(self) -> Said:
        """The next message, whatever it is."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.ws.receive()
        assert frame.type is WSMsgType.TEXT, (frame, self.ws.close_code)
        said: Said = json.loads(frame.data)
        return said

    async def hear(self, type_: str, **fields: Any) -> Said:
        """The next message, which must be of this type with these fields."""
        said = await self.next()
        assert matches(said, type_, fields), said
        return said

    async def until(self, type_: str, **fields: Any) -> Said:
        """The next message of this type with these fields; what comes before is passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                said = await self.next()
                if matches(said, type_, fields):
                    return said

    async def hello(self, name: str | None = None, **more: Any) -> Said:
        """Say hello and be welcomed."""
        await self.say("hello", v=p.VERSION, name=name, **more)
        return await self.hear("welcome", name=name)

    async def join(self, room: str = "lobby") -> Said:
        """Enter a room."""
        await self.say("join", room=room)
        return await self.hear("joined", room=room)

    async def works(self) -> None:
        """Nothing waits to be heard, and the connection answers."""
        await self.say("rooms", id="still-there")
        await self.hear("rooms", re="still-there")

    async def call(self, call: str, to: str) -> None:
        """Call somebody."""
        await self.say("call", call=call, to=to, media=MEDIA, description=OFFER)

    async def closed(self) -> int | None:
        """Wait until the server has closed; returns the code (None: without one)."""
        async with asyncio.timeout(PATIENCE):
            while not self.ws.closed:
                await self.ws.receive()
        return self.ws.close_code

    async def close(self) -> None:
        """Leave."""
        await self.ws.close()


def matches(said: Said, type_: str, fields: Said) -> bool:
    """Whether a message is of a type and has these values in these fields."""
    expected = {"type": type_} | {name.rstrip("_"): value for name, value in fields.items()}
    return {name: said.get(name) for name in expected} == expected


class Bare:
    """A WebSocket client of which nothing but the handshake works by itself: it answers no
    ping and no close, and reads only when told to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, message: object, opcode: int = 1) -> None:
        """Send one masked frame: JSON, or bytes as they are."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        await self.send_all(frame(data, opcode))

    async def send_all(self, data: bytes) -> None:
        """Send bytes as they are."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def read(self, size: int = 65536) -> bytes:
        """Some bytes; empty when the server has closed or cut the connection."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                return await asyncio.get_running_loop().sock_recv(self.sock, size)
        return b""

    async def rest(self) -> bytes:
        """Everything until the server closes or cuts the connection."""
        data = b""
        while part := await self.read():
            data += part
        return data

    def reset(self) -> None:
        """Cut the connection without a word (RST)."""
        linger = b"\x01\0\0\0\0\0\0\0"
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


async def eventually(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something of the server's inside holds that nobody is told of."""
    async with asyncio.timeout(patience):
        while True:
            if holds():
                return
            await asyncio.sleep(0.001)


def frame(data: bytes, opcode: int = 1) -> bytes:
    """A client's frame, masked with zeros (RFC 6455, section 5.2)."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + data


def handshake(server: Server, path: str = "/ws", **headers: str) -> bytes:
    """The request of a WebSocket handshake; `headers` with `_` for `-`, empty ones left out."""
    values = {
        "Host": f"{server.config.host}:{server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in values.items() if value]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


class Crowd:
    """Makes clients and takes them away at the end of a test. The fixture `crowd`."""

    def __init__(self) -> None:
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._sockets: list[socket.socket] = []

    async def connect(self, server: Server, path: str = "/ws", **headers: str) -> Client:
        """A client that has said nothing yet."""
        return Client(await self.http.ws_connect(server.ws + path, headers=headers, max_msg_size=0))

    async def come(self, server: Server, name: str | None, **more: Any) -> Client:
        """A client on the wire that has been welcomed under a name."""
        client = await self.connect(server)
        await client.hello(name, **more)
        return client

    async def phone(self, server: Server, name: str) -> Client:
        """A plain client of `/ws/call/` that has logged in."""
        client = await self.connect(server, "/ws/call/")
        await client.hear("connection", data={"message": "Connected"})
        await client.say("login", data={"name": name})
        return client

    async def bare(self, server: Server, path: str = "/ws", buffer: int | None = None) -> Bare:
        """A bare client after its handshake; `buffer`: the size of its receive buffer."""
        sock = socket.socket()
        self._sockets.append(sock)
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (server.config.host, server.port))
        await loop.sock_sendall(sock, handshake(server, path))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(sock, 1)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return Bare(sock)

    async def close(self) -> None:
        """Take everybody away."""
        for sock in self._sockets:
            sock.close()
        await self.http.close()
