"""Calls held at one server for a while: what that cost it, and whether anything was lost."""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from bench import recorded
from bench.caller import Counts
from bench.contestants import Contestant
from bench.generators import Generators, check
from bench.processes import BenchError, CpuClock

ENOUGH = 0.95
"""The part of what is sent that must come back, or be recorded, for a measurement to count."""


class Held(Struct, frozen=True):
    """What came of `calls` calls. `sent` and `back` while it was measured, for `seconds`;
    `cpu` of the server and of the generator in seconds; `lost` of `total`: packets that did not
    come back or pictures that were not recorded, from the first to the last, where that can be
    told. `delays` in seconds."""

    calls: int
    seconds: float
    cpu: float
    generator: float
    sent: Counts
    back: Counts
    lost: int
    total: int
    delays: list[float]

    @property
    def cost(self) -> float:
        """Percent of one core that a call costs the server."""
        return self.cpu / self.seconds / self.calls * 100

    @property
    def rate(self) -> float:
        """Packets a second that reached the server."""
        return self.sent.packets / self.seconds


async def hold(
    generators: Generators, contestant: Contestant, calls: int, seconds: float, warm: float
) -> Held:
    """Make calls, let them warm up, measure, hang up. Raises `BenchError`."""
    clock = CpuClock(contestant.pid)
    if contestant.files is not None:
        recorded.clear(contestant.files)
    way, video = contestant.way, contestant.video
    await generators.open(way, calls, video=video, timed=contestant.exact)
    await asyncio.sleep(warm)
    before = await generators.look()
    cpu, began = clock.seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    after = await generators.look()
    cpu, took = clock.seconds() - cpu, time.monotonic() - began
    end = await generators.close(echo=contestant.exact)
    lost, total = await _lost(contestant, end.sent, end.back, calls)
    sent, back = after.sent.since(before.sent), after.back.since(before.back)
    generator = after.cpu - before.cpu
    return Held(calls, took, cpu, generator, sent, back, lost, total, end.delays)


async def _lost(contestant: Contestant, sent: Counts, back: Counts, calls: int) -> tuple[int, int]:
    """How much was lost of how much, from the first packet of the calls to the last; of sound
    alone that is recorded nothing can be told."""
    if not contestant.video:
        return 0, 0
    if contestant.files is not None:
        # The end of the last picture may never have been told from that of the call.
        wanted = sent.pictures - calls
        try:
            pictures = await recorded.count(contestant.files, wanted)
        except BenchError:
            if not contestant.codec:
                raise
            pictures = 0
        return max(0, wanted - pictures), sent.pictures
    if contestant.exact:
        return sent.packets - back.packets, sent.packets
    return max(0, sent.pictures - back.pictures), sent.pictures


def sound(contestant: Contestant, held: Held) -> None:
    """Raise `BenchError` unless the server kept up (a codec may not, which makes it cheaper,
    and is shown) and the generator had time."""
    check(held.generator, held.seconds)
    if not contestant.codec and held.lost > (1 - ENOUGH) * held.total:
        raise BenchError(
            f"{contestant.name} did not keep up with {held.calls} calls: "
            f"{held.lost} of {held.total} lost"
        )
