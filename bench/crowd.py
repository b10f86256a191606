"""The load generator for chat: a room full of raw sockets that count what they hear.

Run as a process it reads commands (`Open`, `Talk`), one JSON object a line, and answers each
with one: `Opened`, `Talked`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from bench.frames import CLOSE, PING, PONG, TEXT, FrameReader, client_frame, handshake
from bench.processes import BenchError, CpuClock, answer_lines
from ringback.server import protocol

TOGETHER = 25
OPENING = 60.0
SETTLE = 0.05
# What a person writes in one go, about.
WORDS = "The quick brown fox jumps over the lazy dog, and everybody in the room hears of it."
_CHAT = b'{"type":"chat"'


class Open(Struct, frozen=True, tag="open"):
    """Fill a room. `greets`: the server wants hello and join first (Ringback's wire)."""

    port: int
    room: str
    sockets: int
    greets: bool


class Opened(Struct, frozen=True):
    """The number of the crowd, for `Talk`."""

    crowd: int


class Talk(Struct, frozen=True, tag="talk"):
    """Say `messages` at an even pace, and time the process `pid` meanwhile."""

    crowd: int
    pid: int
    messages: int
    per_second: float


class Talked(Struct, frozen=True):
    """What came of it. Times in seconds of processor (`seconds`: of the clock).

    `deliveries` counts only messages of this talk; `last` is the highest `seq` heard.
    """

    deliveries: int
    expected: int
    server: float
    generator: float
    seconds: float
    octets: int
    last: int


class _Heard(Struct):
    """What the sockets look at in a message; each looks at its last one only."""

    cid: str
    seq: int


_heard = msgspec.json.Decoder(_Heard)


class Socket(asyncio.Protocol):
    """One socket in the room. `on_chat` is called for every chat message it hears."""

    def __init__(self, crowd: Crowd, name: str, path: str) -> None:
        self.name = name
        self.chats = 0
        self.octets = 0
        self.last = b""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._path = path
        self._reader = FrameReader()
        self._head = b""
        self._accept = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        request, self._accept = handshake("127.0.0.1", self._path)
        transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self.open.done():
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:16] or self._accept not in head:
                self._fail(BenchError(f"no WebSocket: {head[:80].decode('latin-1')}"))
                return
            self.open.set_result(None)
        try:
            for opcode, payload in self._reader.feed(data):
                self._take(opcode, payload)
        except ValueError as error:
            self._fail(BenchError(str(error)))

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT and payload.startswith(_CHAT):
            self.chats += 1
            self.octets += len(payload)
            self.last = payload
            self._crowd.hear()
        elif opcode == TEXT and payload.startswith(b'{"type":"joined"'):
            self.joined.set_result(None)
        elif opcode == TEXT and payload.startswith(b'{"type":"error"'):
            self._fail(BenchError(f"the server refused: {payload[:200].decode()}"))
        elif opcode == PING:
            self.write(client_frame(payload, PONG))
        elif opcode == CLOSE:
            self._fail(BenchError(f"the server closed a socket: {payload[2:80].decode()}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, which during a measurement it must not be."""
        self._fail(BenchError(f"a socket was lost: {exc}"))

    def _fail(self, error: BenchError) -> None:
        for future in (self.open, self.joined):
            if not future.done():
                future.set_exception(error)
                # Somebody may not be waiting for both; the crowd tells whoever asks next.
                future.exception()
        self._crowd.fail(error)

    def write(self, frame: bytes) -> None:
        """Send a frame."""
        assert self._transport is not None
        self._transport.write(frame)

    def close(self) -> None:
        """Hang up without a word."""
        assert self._transport is not None
        self._transport.abort()


class Crowd:
    """A room and everybody in it. `open` first, then `talk` any number of times, `close`."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self._room = ""
        self._talks = 0
        self._missing = 0
        self._complete = asyncio.Event()
        self._error: BenchError | None = None
        self._closing = False

    async def open(self, command: Open) -> None:
        """Connect all sockets and wait until each hears the room. Raises `BenchError`."""
        self._room = command.room
        try:
            async with asyncio.timeout(OPENING):
                for first in range(0, command.sockets, TOGETHER):
                    numbers = range(first, min(first + TOGETHER, command.sockets))
                    await asyncio.gather(*(self._enter(command, number) for number in numbers))
        except TimeoutError:
            raise BenchError(f"{command.sockets} sockets did not open in time") from None
        # Frames come in order: who has heard this has heard all the coming and going before.
        await self._say(1, 1.0)

    async def _enter(self, command: Open, number: int) -> None:
        loop = asyncio.get_running_loop()
        name = f"{command.room}-{number:04}"
        path = "/ws" if command.greets else f"/ws?name={name}&room={command.room}"
        _, socket = await loop.create_connection(
            lambda: Socket(self, name, path), "127.0.0.1", command.port
        )
        self.sockets.append(socket)
        await socket.open
        if command.greets:
            hello = protocol.Hello(v=protocol.VERSION, name=socket.name)
            socket.write(client_frame(protocol.encode(hello)))
            socket.write(client_frame(protocol.encode(protocol.Join(room=command.room))))
            await socket.joined

    def hear(self) -> None:
        """A socket heard a message."""
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()

    def fail(self, error: BenchError) -> None:
        """Something went wrong that makes a measurement worthless."""
        if not self._closing:
            self._error = self._error or error
            self._complete.set()

    async def talk(self, command: Talk) -> Talked:
        """Say and hear all of it. Raises `BenchError` when anything was lost or doubled."""
        clock = CpuClock(command.pid)
        octets = sum(socket.octets for socket in self.sockets)
        server, own, began = clock.seconds(), time.process_time(), time.monotonic()
        deliveries = await self._say(command.messages, command.per_second)
        ended = time.monotonic()
        return Talked(
            deliveries=deliveries,
            expected=command.messages * len(self.sockets),
            server=clock.seconds() - server,
            generator=time.process_time() - own,
            seconds=ended - began,
            octets=(sum(socket.octets for socket in self.sockets) - octets) // deliveries,
            last=_heard.decode(self.sockets[0].last).seq,
        )

    async def _say(self, messages: int, per_second: float) -> int:
        self._talks += 1
        before = [socket.chats for socket in self.sockets]
        self._missing = messages * len(self.sockets)
        self._complete.clear()
        began = asyncio.get_running_loop().time()
        frames = self._frames(messages)
        for number, frame in enumerate(frames):
            await asyncio.sleep(began + number / per_second - asyncio.get_running_loop().time())
            # Everybody says something in turn.
            self.sockets[number % len(self.sockets)].write(frame)
        try:
            async with asyncio.timeout(OPENING):
                await self._complete.wait()
        except TimeoutError:
            raise BenchError(f"{self._missing} deliveries are missing") from None
        # What the server does after the last delivery is part of its cost.
        await asyncio.sleep(SETTLE)
        return self._check(before, messages)

    def _frames(self, messages: int) -> Iterator[bytes]:
        for number in range(messages):
            cid = f"{self._talks}-{number}"
            chat = protocol.Chat(room=self._room, text=WORDS, cid=cid)
            yield client_frame(protocol.encode(chat))

    def _check(self, before: list[int], messages: int) -> int:
        if self._error is not None:
            raise self._error
        heard = [socket.chats - b for socket, b in zip(self.sockets, before, strict=True)]
        if set(heard) != {messages}:
            raise BenchError(f"of {messages} messages each socket heard {min(heard)}-{max(heard)}")
        if len({(socket.last, socket.octets) for socket in self.sockets}) != 1:
            raise BenchError("not all sockets heard the same")
        return sum(heard)

    def close(self) -> None:
        """Everybody leaves."""
        self._closing = True
        for socket in self.sockets:
            socket.close()


_commands: msgspec.json.Decoder[Open | Talk] = msgspec.json.Decoder(Open | Talk)


async def main() -> None:
    """Answer commands until standard input closes."""
    crowds: list[Crowd] = []

    async def handle(line: bytes) -> bytes:
        match command := _commands.decode(line):
            case Open():
                crowds.append(Crowd())
                await crowds[-1].open(command)
                return msgspec.json.encode(Opened(len(crowds) - 1))
            case Talk():
                return msgspec.json.encode(await crowds[command.crowd].talk(command))

    await answer_lines(handle)


if __name__ == "__main__":
    asyncio.run(main())
