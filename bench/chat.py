"""What a delivered chat message costs: `ringback serve` beside plain aiohttp."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from bench.compare import Comparison, Plan, Tell, turns
from bench.crowd import Open, Opened, Talk, Talked
from bench.processes import BenchError, Child
from ringback.server.app import DATABASE
from ringback.server.engine.embedded import EmbeddedEngine

DELIVERIES = 10_000
"""A second: a tenth to a sixth of what one process can do."""
AIM = 1.3
WARM = 0.3
BUSY = 0.9


async def measure(folder: Path, plan: Plan, tell: Tell) -> list[Comparison]:
    """One comparison for each size of room. Raises `BenchError`, as when a message is lost."""
    data = folder / "chat"
    async with AsyncExitStack() as stack:
        ringback = await stack.enter_async_context(
            await Child.start(
                folder, "ringback.server", "serve", "--port", "0", "--no-bots",
                "--limits", "off", "--data", str(data),
            )
        )  # fmt: skip
        plain = await stack.enter_async_context(await Child.start(folder, "bench.plain"))
        crowd = await stack.enter_async_context(await Child.start(folder, "bench.crowd"))
        ports = {True: port_of(await ringback.line("http://"))}
        ports[False] = port_of(await plain.line("http://"))
        generator = _Generator(crowd, {True: ringback.pid, False: plain.pid})
        comparisons = []
        for sockets in plan.sockets:
            tell(f"chat: {sockets} sockets open")
            for own, port in ports.items():
                await generator.open(own, port, sockets)
            comparisons.append(await _compare(generator, sockets, plan, tell))
    await check_stored(data / DATABASE, generator.last)
    return comparisons


def port_of(line: str) -> int:
    """The port in a line with an address, `http://HOST:PORT/`."""
    return int(line.rpartition("http://")[2].partition("/")[0].rpartition(":")[2])


class _Generator:
    """The process with the crowds, and which of its crowds is in which room."""

    def __init__(self, process: Child, pids: dict[bool, int]) -> None:
        self.last: dict[str, int] = {}
        self._process = process
        self._pids = pids
        self._crowds: dict[bool, tuple[int, str]] = {}

    async def open(self, ringback: bool, port: int, sockets: int) -> None:
        """A new crowd takes the place of the one before, which stays, silent."""
        command = Open(port, f"bench-{sockets}", sockets, greets=ringback)
        reply = await self._process.ask(msgspec.json.encode(command))
        number = msgspec.json.decode(reply, type=Opened).crowd
        self._crowds[ringback] = number, command.room

    async def talk(self, ringback: bool, sockets: int, seconds: float) -> Talked:
        """Let the crowd talk for so long."""
        number, room = self._crowds[ringback]
        per_second = DELIVERIES / sockets
        messages = max(1, round(per_second * seconds))
        command = Talk(number, self._pids[ringback], messages, per_second)
        reply = await self._process.ask(msgspec.json.encode(command))
        talked = msgspec.json.decode(reply, type=Talked)
        if talked.generator > BUSY * talked.seconds:
            raise BenchError("The load generator had too little time; is the machine busy?")
        if ringback:
            self.last[room] = talked.last
        return talked


async def _compare(generator: _Generator, sockets: int, plan: Plan, tell: Tell) -> Comparison:
    compared = Comparison(
        what=f"chat message delivered, {sockets} sockets",
        other="plain aiohttp",
        unit="µs",
        aim=AIM,
    )
    for own in (True, False):
        await generator.talk(own, sockets, WARM)
    delivered = {True: 0, False: 0}
    expected, octets = 0, 0
    for number, turn in enumerate(turns(plan.rounds), 1):
        for own in turn:
            tell(f"chat: {sockets} sockets, round {number} of {plan.rounds}")
            talked = await generator.talk(own, sockets, plan.chat)
            compared.add(own, talked.server / talked.deliveries * 1e6)
            delivered[own] += talked.deliveries
            if own:
                expected, octets = expected + talked.expected, talked.octets
    of = f"of {expected:,} delivered"
    compared.proof = f"{delivered[True]:,} {of}, {octets} bytes each, all stored"
    compared.other_proof = f"{delivered[False]:,} {of}"
    return compared


async def check_stored(database: Path, last: dict[str, int]) -> None:
    """Look into the store, after the server ended: every message said must be there."""
    engine = EmbeddedEngine(database)
    await engine.open()
    try:
        for room, seq in last.items():
            history = await engine.history(room, 0, 100)
            if history.seq != seq or len(history.messages) != min(seq, 100):
                raise BenchError(f"Of {seq} messages in {room}, {history.seq} are stored.")
    finally:
        await engine.close()
