"""What a server needs beside the time of its calls: memory, set-up, and how much it holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from bench.contestants import Contestant
from bench.generators import BUSY, Generators
from bench.held import hold
from bench.processes import BenchError, CpuClock, memory, pin

BUSY_GENERATOR = "the load generator had too little time"
SETTLE = 2.0
FULL = 0.97
ATTEMPTS = 2
_SLACK = 0.98


async def memory_per_call(generators: Generators, contestant: Contestant, several: int) -> float:
    """Megabytes that each call beyond the first adds, at a server that has served none yet."""
    await generators.open(contestant.way, 1, video=contestant.video)
    await asyncio.sleep(SETTLE)
    first = memory(contestant.pid)
    await generators.open(contestant.way, several - 1, video=contestant.video)
    await asyncio.sleep(SETTLE)
    grown = memory(contestant.pid) - first
    await generators.close(echo=False)
    await asyncio.sleep(SETTLE)
    return grown / (several - 1)


async def set_up(generators: Generators, contestant: Contestant, calls: int) -> float:
    """Milliseconds of processor that making a call and ending it takes."""
    await generators.set_up(contestant.way, 1, video=contestant.video)
    clock = CpuClock(contestant.pid)
    before = clock.seconds()
    await generators.set_up(contestant.way, calls, video=contestant.video)
    await asyncio.sleep(SETTLE / 2)
    return (clock.seconds() - before) / calls * 1000


async def fit(
    generators: Generators, contestant: Contestant, steps: Sequence[int], plan: tuple[float, float]
) -> tuple[int, str]:
    """The most of `steps` calls that one core holds without loss, and what forbade more.

    `plan`: seconds to measure and to warm up.
    """
    cores = os.sched_getaffinity(0)
    core = max(cores)
    pin(contestant.pid, {core})
    generators.stay_off(core)
    best, why = 0, "no more was tried"
    try:
        for calls in steps:
            trouble: str | None = None
            # What else runs on this machine may spoil one attempt.
            for _ in range(ATTEMPTS):
                trouble = await _try(generators, contestant, calls, plan)
                if trouble in (None, BUSY_GENERATOR):
                    break
            if trouble is not None:
                why = f"{calls}: {trouble}"
                break
            best = calls
    finally:
        pin(contestant.pid, cores)
        generators.stay_off(None)
    return best, why


async def _try(
    generators: Generators, contestant: Contestant, calls: int, plan: tuple[float, float]
) -> str | None:
    """Hold so many calls; what went wrong, if anything did."""
    try:
        held = await hold(generators, contestant, calls, *plan)
    except BenchError as error:
        await generators.close(echo=False)
        return str(error)
    if held.generator > BUSY * held.seconds:
        return BUSY_GENERATOR
    allowed = round((1 - _SLACK) * held.total) + 2 * calls if contestant.codec else 0
    if held.lost > allowed:
        return f"{held.lost} of {held.total} lost"
    return "the core was full" if held.cpu > FULL * held.seconds else None
