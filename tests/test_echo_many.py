"""Two hundred calls in a row leave nothing behind: no task, thread, socket, object or memory."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.callers import PATIENCE, Caller, needs_address
from tests.lines import Line, Phone, Start, line, start

__all__ = ["Start", "line", "start"]
pytestmark = needs_address

CALLS = 200
WARM_UP = 40
MEGABYTES = 8.0


@dataclass
class Footprint:
    """What a process holds."""

    tasks: int
    threads: int
    files: int
    objects: int
    kinds: Counter[str]
    megabytes: float

    @classmethod
    def now(cls) -> Footprint:
        """What is held after everything that can be freed is."""
        for _ in range(3):
            gc.collect()
        objects = gc.get_objects()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            files=len(os.listdir("/proc/self/fd")),
            objects=len(objects),
            kinds=Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in objects),
            megabytes=pages * os.sysconf("SC_PAGESIZE") / 2**20,
        )


async def short_call(phone: Phone, number: int) -> None:
    """A call with a data channel: one message there and back, then somebody hangs up."""
    caller = Caller(audio=None, video=None, channel=True)
    try:
        await phone.talk(caller)
        assert caller.channel is not None
        async with asyncio.timeout(PATIENCE):
            await caller.opened.wait()
            caller.channel.send(str(number))
            assert await caller.messages.get() == str(number)
        await phone.hang_up()
    finally:
        await caller.close()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc to measure")
async def test_two_hundred_calls_leave_nothing_behind(line: Line) -> None:
    phone = await line.phone("ann")
    for number in range(WARM_UP):
        await short_call(phone, number)
    await line.idle()
    before = Footprint.now()
    for number in range(CALLS):
        await short_call(phone, number)
    await line.idle()
    after = Footprint.now()
    grown = (after.kinds - before.kinds).most_common(8)
    assert after.tasks <= before.tasks
    assert after.threads <= before.threads
    assert after.files <= before.files
    # A leak of one object a call would be `CALLS` of its kind.
    assert not [(kind, count) for kind, count in grown if count >= CALLS // 2], grown
    assert after.megabytes - before.megabytes < MEGABYTES
