"""Verified peers under measurement, a process: `python -m bench.peers URL`.

It reads commands (`Hold`, `Look`, `Prove`, `Browse`, `Read`), one JSON object a line, and answers
each with one. The calls are those of `ringback check --between`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from statistics import median, quantiles

import av
import msgspec
from msgspec import Struct

from bench.processes import BenchError, answer_lines
from ringback.bots import process
from ringback.bots.calltest import marks
from ringback.bots.calltest.observed import Direction
from ringback.bots.calltest.options import CannotCheck, NoCall, Options
from ringback.bots.calltest.page_side import PageSide
from ringback.bots.calltest.run import page_url
from ringback.bots.calltest.scene import Scene
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.together import Together
from ringback.bots.calltest.verified import Call, verified
from ringback.bots.calltest.watching import plane

PATIENCE = 20.0
READS = 400


class Hold(Struct, frozen=True, tag=True):
    """Have so many peers in calls; with `shared` encoding, their pictures are coded once. Fewer
    than there are, or other ones: they are hung up first."""

    peers: int
    shared: bool


class Look(Struct, frozen=True, tag=True):
    """Watch them for so long."""

    seconds: float


class Prove(Struct, frozen=True, tag=True):
    """Make so many calls in a row, each until it is proved both ways."""

    calls: int


class Browse(Struct, frozen=True, tag=True):
    """Call a page in a Chromium that is started for it, until the call is proved both ways."""


class Read(Struct, frozen=True, tag=True):
    """Read the mark of a received picture again and again."""


Command = Hold | Look | Prove | Browse | Read


class Found(Struct, frozen=True):
    """What came of it, in seconds. `due`: pictures that should have been seen; `latency`: the
    middle of their times and what 95 of 100 keep; `cpu`: of this process. `absent`: why it could
    not be done here."""

    times: list[float] = []
    due: int = 0
    seen: int = 0
    latency: tuple[float, float] = (0.0, 0.0)
    cpu: float = 0.0
    absent: str | None = None


class Peers:
    """The peers of the process, in calls between two at the exchange `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._options = Options()
        self._calls: list[Call] = []
        self._shared = False
        self._stack = AsyncExitStack()
        self._together: Together | None = None
        self._made = 0

    async def handle(self, line: bytes) -> bytes:
        """Do one command and answer it."""
        found = Found()
        match msgspec.json.decode(line, type=Command):
            case Hold(peers=peers, shared=shared):
                await self._hold(peers // 2, shared)
            case Look(seconds=seconds):
                found = await self._look(seconds)
            case Prove(calls=calls):
                found = Found([await self._prove() for _ in range(calls)])
            case Browse():
                found = await self._browse()
            case Read():
                found = Found(reading_times(READS))
        return msgspec.json.encode(found)

    async def _hold(self, pairs: int, shared: bool) -> None:
        if pairs < len(self._calls) or shared != self._shared:
            await self.close()
        self._shared = shared
        if self._together is None:
            # Cameras of one's own are what a call alone has.
            together = Together(self._options, random.Random(1), 2 if shared else 1)
            self._together = await self._stack.enter_async_context(together)
        while len(self._calls) < pairs:
            one, other = await self._side(0), await self._side(1)
            call = Call(one, other)
            await call.connect()
            call.begin()
            self._calls.append(call)
            self._stack.push_async_callback(call.end)

    async def _side(self, number: int) -> Side:
        assert self._together is not None
        side = Side(
            self._url, self._name(), options=self._options,
            stream=self._together.stream(len(self._calls), number), pool=self._together.pool,
            camera=self._together.camera(number),
        )  # fmt: skip
        return await self._stack.enter_async_context(side)

    def _name(self) -> str:
        self._made += 1
        return f"peer-{os.getpid()}-{self._made}"

    async def close(self) -> None:
        """Hang all up."""
        self._calls.clear()
        self._together = None
        await self._stack.aclose()

    async def _look(self, seconds: float) -> Found:
        ways = [way for call in self._calls for way in call.directions()]
        before = [len(way.seen) for way in ways]
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, passed = time.process_time() - cpu, time.monotonic() - began
        taken = [latencies(way, first) for way, first in zip(ways, before, strict=True)]
        times = [took for found in taken for took in found]
        latency = median(times), quantiles(times, n=20)[-1]
        due = round(len(ways) * passed * self._options.rate)
        return Found(due=due, seen=len(times), latency=latency, cpu=cpu / passed)

    async def _prove(self) -> float:
        """Seconds from the offer to the proof."""
        async with (
            Side(self._url, self._name(), stream=33) as one,
            Side(self._url, self._name(), stream=66) as other,
            verified(one, other) as call,
        ):
            if not await call.proved(PATIENCE):
                raise BenchError(f"A call was not proved in {PATIENCE:g} s.")
            proved = time.monotonic()
            return proved - next(step.at for step in one.steps if step.name == "gathered")

    async def _browse(self) -> Found:
        began = time.monotonic()
        pool = ThreadPoolExecutor(2)
        page = PageSide(
            page_url(self._url), self._name(), browser="chromium", options=self._options, stream=66,
            seconds=PATIENCE, ca=None, pool=pool,
        )  # fmt: skip
        try:
            async with (
                page,
                Side(self._url, self._name(), stream=33) as one,
                verified(one, page) as call,
            ):
                if not await call.proved(PATIENCE):
                    raise BenchError(f"A call with a browser was not proved in {PATIENCE:g} s.")
                return Found([time.monotonic() - began])
        except CannotCheck as error:
            return Found(absent=str(error))
        finally:
            pool.shutdown()


def latencies(way: Direction, first: int) -> list[float]:
    """How long its own pictures took that were seen from the `first` on."""
    sent = {picture.sequence: picture.at for picture in way.sent}
    own = [picture for picture in way.seen[first:] if picture.stream == way.stream]
    return [seen.shown - sent[seen.sequence] for seen in own if seen.sequence in sent]


def reading_times(count: int) -> list[float]:
    """How long it takes to read the mark of a picture of 320 by 240, so many times."""
    mark = marks.Mark(66, 7, 467)
    picture = av.VideoFrame.from_ndarray(Scene(66, 320, 240).picture(mark), "yuv420p")
    times = []
    for _ in range(count):
        began = time.perf_counter()
        read = marks.read(plane(picture)).mark
        times.append(time.perf_counter() - began)
        assert read == mark
    return times


async def main() -> None:
    """Answer commands until standard input closes; the argument is the exchange."""
    peers = Peers(sys.argv[1])
    try:
        await answer_lines(peers.handle)
    finally:
        await peers.close()


if __name__ == "__main__":
    try:
        with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
            runner.run(main())
    except (BenchError, CannotCheck, NoCall) as error:
        sys.exit(str(error))
