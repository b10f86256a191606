"""The load generator for calls, a process: `python -m bench.load CLIP`.

It reads commands (`Open`, `Look`, `Close`, `SetUp`), one JSON object a line, and answers each
with one. Callers neither encode nor decode; packets are sealed and opened as in any call.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from functools import reduce
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench import clip
from bench.caller import Caller, Counts
from bench.dial import Way, dial
from bench.message import LABEL
from bench.processes import BenchError, answer_lines
from ringback.bots.media.parts import Certificate

DRAIN = 2.0
TOGETHER = 4
"""Calls being set up at the same time."""
SPREAD = 0.2
"""Seconds over which these begin to play."""


class Open(Struct, frozen=True, tag=True):
    """Make `calls` more calls and let them play; `timed`: the first notes its delays."""

    way: Way
    calls: int
    video: bool = True
    timed: bool = False


class Look(Struct, frozen=True, tag=True):
    """Say what was sent and came back so far."""


class Close(Struct, frozen=True, tag=True):
    """Send no more, wait for what is under way (`echo`: all that was sent), hang up."""

    echo: bool


class SetUp(Struct, frozen=True, tag=True):
    """Make calls one after the other and hang up at once, without media."""

    way: Way
    calls: int
    video: bool = True


Command = Open | Look | Close | SetUp


class Seen(Struct, frozen=True):
    """All calls together. `cpu`: seconds of processor the generator has used so far;
    `delays`: there and back, in seconds; `asked`: requests for a key frame."""

    sent: Counts
    back: Counts
    cpu: float
    delays: list[float] = []
    asked: int = 0


class Load:
    """All calls of the process."""

    def __init__(self, made: clip.Clip) -> None:
        self._reels = clip.reels(made)
        self._certificate = Certificate.generateCertificate()
        self._callers: list[Caller] = []
        self._calls: list[asyncio.Task[None]] = []
        self._end = asyncio.Event()
        self._dice = random.Random(1)

    async def handle(self, line: bytes) -> bytes:
        """Do one command and answer it."""
        match msgspec.json.decode(line, type=Command):
            case Open() as command:
                await self.open(command)
            case Close() as command:
                return msgspec.json.encode(await self.end(command))
            case SetUp(way=way, calls=calls, video=video):
                reels = {k: reel for k, reel in self._reels.items() if video or k == "audio"}
                for _ in range(calls):
                    async with Caller(reels, self._certificate).call(dial(way)):
                        pass
        return msgspec.json.encode(self.look())

    async def open(self, command: Open) -> None:
        """Make calls. Raises `BenchError` when one is not connected."""
        for first in range(0, command.calls, TOGETHER):
            ready = [
                self._start(command, timed=command.timed and number == 0)
                for number in range(first, min(command.calls, first + TOGETHER))
            ]
            await asyncio.gather(*ready)

    def _start(self, command: Open, *, timed: bool) -> asyncio.Future[None]:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.append(asyncio.create_task(self._hold(command, timed, ready)))
        return ready

    async def _hold(self, command: Open, timed: bool, ready: asyncio.Future[None]) -> None:
        reels = {k: reel for k, reel in self._reels.items() if command.video or k == "audio"}
        way = command.way
        caller = Caller(reels, self._certificate, LABEL if way.to == LABEL else None)
        context = caller.bare(way.port) if way.kind == "bare" else caller.call(dial(way))
        try:
            async with context:
                self._callers.append(caller)
                caller.play(self._dice.uniform(0, SPREAD), timed=timed)
                ready.set_result(None)
                await self._end.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)

    def look(self) -> Seen:
        """What all calls did so far."""
        return Seen(
            reduce(Counts.__add__, (c.sent for c in self._callers), Counts()),
            reduce(Counts.__add__, (c.back for c in self._callers), Counts()),
            time.process_time(),
            [delay for caller in self._callers for delay in caller.delays],
            sum(caller.asked for caller in self._callers),
        )

    async def end(self, command: Close) -> Seen:
        """Stop playing, wait for what is under way, hang up: what there was in all."""
        await self.quieten(command.echo)
        seen = self.look()
        await self.close()
        return seen

    async def quieten(self, echo: bool) -> None:
        """Send no more; where all comes back, wait until it has."""
        for caller in self._callers:
            caller.stop()
        end = time.monotonic() + DRAIN
        while echo and time.monotonic() < end:
            seen = self.look()
            if seen.back.packets >= seen.sent.packets:
                return
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Hang all calls up."""
        self._end.set()
        await asyncio.gather(*self._calls)
        self._calls.clear()
        self._callers.clear()
        self._end = asyncio.Event()


async def main() -> None:
    """Answer commands until standard input closes; the argument is a clip's file."""
    await answer_lines(Load(clip.load(Path(sys.argv[1]))).handle)


if __name__ == "__main__":
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except BenchError as error:
        sys.exit(str(error))
