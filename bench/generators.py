"""The load generators of a run: processes that share the calls out among them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import reduce
from pathlib import Path
from typing import Self

import msgspec

from bench.caller import Counts
from bench.dial import Way
from bench.load import Close, Command, Look, Open, Seen, SetUp
from bench.processes import BenchError, Child, pin

BUSY = 0.9
"""A generator that uses more of a core than this may be what limits the measurement."""


class Generators:
    """As many processes as there are cores beside the server's one. `start` makes them."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children

    @classmethod
    async def start(cls, stack: AsyncExitStack, folder: Path, clip: Path) -> Self:
        """Processes that end with `stack`."""
        count = max(1, len(os.sched_getaffinity(0)) - 1)
        children = [
            await stack.enter_async_context(await Child.start(folder, "bench.load", str(clip)))
            for _ in range(count)
        ]
        return cls(children)

    def stay_off(self, core: int | None) -> None:
        """Leave one core to the server under measurement, if there is another; None: no more."""
        cores = os.sched_getaffinity(0)
        for child in self._children:
            pin(child.pid, cores - {core} or cores)

    async def open(self, way: Way, calls: int, *, video: bool = True, timed: bool = False) -> None:
        """Make more calls. Raises `BenchError` when one is not connected."""
        shares = share(calls, len(self._children))
        await self._all([Open(way, number, video, timed) for number in shares])

    async def look(self) -> Seen:
        """What all calls did so far."""
        return await self._all([Look()] * len(self._children))

    async def close(self, *, echo: bool) -> Seen:
        """Hang all up; what they did in all."""
        return await self._all([Close(echo)] * len(self._children))

    async def set_up(self, way: Way, calls: int, *, video: bool = True) -> None:
        """Make calls one after the other, without media."""
        await self._ask(self._children[0], SetUp(way, calls, video))

    async def _all(self, commands: Sequence[Command]) -> Seen:
        asked = zip(self._children, commands, strict=True)
        return total(await asyncio.gather(*(self._ask(child, one) for child, one in asked)))

    async def _ask(self, child: Child, command: Command) -> Seen:
        return msgspec.json.decode(await child.ask(msgspec.json.encode(command)), type=Seen)


def share(calls: int, among: int) -> list[int]:
    """So many calls for each, as even as can be."""
    return [calls // among + (number < calls % among) for number in range(among)]


def total(seen: list[Seen]) -> Seen:
    """All generators together; of their processors the busiest counts."""
    return Seen(
        reduce(Counts.__add__, (one.sent for one in seen), Counts()),
        reduce(Counts.__add__, (one.back for one in seen), Counts()),
        max(one.cpu for one in seen),
        [delay for one in seen for delay in one.delays],
        sum(one.asked for one in seen),
    )


def check(cpu: float, seconds: float) -> None:
    """Raise `BenchError` when a generator had too little time to be trusted."""
    if cpu > BUSY * seconds:
        raise BenchError("The load generator had too little time; is the machine busy?")
