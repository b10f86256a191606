"""A thousand calls in a row, and thirty at once: `ringback serve` as it is run, its bots' process
measured from outside. The callers are those of the bench, which cost little themselves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bench import clip, recorded
from bench.caller import Caller
from bench.dial import Way, dial
from bench.load import Close, Load, Open
from bench.processes import memory
from ringback.bots.media.parts import Certificate
from tests.callers import PATIENCE, needs_address
from tests.process import running

pytestmark = [
    needs_address,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc to measure"),
]

CALLS, WARM_UP, TOGETHER = 1000, 500, 4
MEGABYTES = 4.0


@dataclass(frozen=True)
class Line:
    """A Ringback that runs: where it is called, its bots' process, the folder it keeps."""

    port: int
    bots: psutil.Process
    data: Path

    def way(self, bot: str) -> Way:
        """How to call one of its bots."""
        return Way("ringback", self.port, bot)


@asynccontextmanager
async def line(data: Path) -> AsyncIterator[Line]:
    async with running("--limits", "off", "--data", str(data)) as process:
        await process.until("Bots on the line: .*echo, recorder")
        [bots] = process.children()
        yield Line(process.port, bots, data)


@pytest.fixture(scope="module")
def load() -> Load:
    """Somebody who calls as often as wanted."""
    return Load(clip.make(1))


async def calls(way: Way, number: int, certificate: Certificate) -> None:
    """Calls that connect and hang up, `TOGETHER` at a time, one after the other."""
    reels = clip.reels(clip.Clip([], []))
    left = iter(range(number))

    async def some() -> None:
        for _ in left:
            async with Caller(reels, certificate).call(dial(way)):
                pass

    await asyncio.gather(*(some() for _ in range(TOGETHER)))


async def settled(process: psutil.Process, files: int | None = None) -> tuple[int, int, float]:
    """Threads, descriptors and megabytes of a process, once it has freed what its calls held:
    no more than `files`, or no fewer than a moment ago."""
    end = time.monotonic() + PATIENCE
    before = 1 << 30
    while True:
        now = process.num_fds()
        if (now <= files if files is not None else now >= before) or time.monotonic() > end:
            return process.num_threads(), now, memory(process.pid)
        before = now
        await asyncio.sleep(0.5)


async def test_a_thousand_calls_leave_nothing_behind(tmp_path: Path) -> None:
    certificate = Certificate.generateCertificate()
    async with line(tmp_path / "data") as there:
        await calls(there.way("echo"), WARM_UP, certificate)
        threads, files, megabytes = await settled(there.bots)
        await calls(there.way("echo"), CALLS, certificate)
        after = await settled(there.bots, files)
    assert after[0] <= threads
    assert after[1] <= files
    assert after[2] - megabytes < MEGABYTES


async def test_recordings_leave_nothing_behind(tmp_path: Path, load: Load) -> None:
    async with line(tmp_path / "data") as there:
        way, folder = there.way("recorder"), tmp_path / "data" / "recordings"

        async def record(number: int) -> None:
            """Each of so many people is recorded for a second."""
            await load.open(Open(way, number))
            await asyncio.sleep(1)
            await load.end(Close(echo=False))
            recorded.clear(folder)

        await record(4)
        threads, files, _ = await settled(there.bots)
        for _ in range(5):
            await record(4)
        after = await settled(there.bots, files)
    assert after[0] <= threads
    assert after[1] <= files


def dropped(*processes: psutil.Process) -> int:
    """Datagrams that the kernel threw away as these processes had no time to read them."""
    inodes = set()
    for process in processes:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(OSError):
                inodes.add(os.readlink(link))
    lines = [
        line.split()
        for table in ("/proc/net/udp", "/proc/net/udp6")
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return sum(int(fields[12]) for fields in lines if f"socket:[{fields[9]}]" in inodes)


@pytest.mark.parametrize(("bot", "number"), [("echo", 30), ("recorder", 10)])
async def test_many_at_once_lose_nothing(tmp_path: Path, load: Load, bot: str, number: int) -> None:
    async with line(tmp_path / "data") as there:
        await load.open(Open(there.way(bot), number))
        await asyncio.sleep(3)
        await load.quieten(bot == "echo")
        seen, lost_before_us = load.look(), dropped(there.bots, psutil.Process())
        await load.close()
        assert seen.sent.pictures > 30 * number
        if bot == "echo":
            assert seen.sent.packets - seen.back.packets <= lost_before_us
        elif not lost_before_us:
            # The end of the last picture may never have been told from that of the call.
            wanted = seen.sent.pictures - number
            assert await recorded.count(tmp_path / "data" / "recordings", wanted) >= wanted
