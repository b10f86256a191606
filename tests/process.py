"""`ringback serve` as a process of its own, the way people run it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "ringback.server")


class Process:
    """One running process and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.url = ""

    @property
    def port(self) -> int:
        """The port it named."""
        return int(self.url.rstrip("/").rpartition(":")[2])

    async def until(self, pattern: str) -> re.Match[str]:
        """Read what it prints until a pattern is there; fails when it ends without."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while not (found := re.search(pattern, self.said)):
                chunk = await self.process.stdout.read(4096)
                assert chunk, f"ended without {pattern!r}:\n{self.said}"
                self.said += chunk.decode()
        return found

    async def end(self, *signals: signal.Signals) -> int:
        """Send signals and wait for the end; the exit code."""
        for number in signals:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def children(self) -> list[psutil.Process]:
        """The processes it has started."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would set up a Ringback, and more.

    Bots take calls however busy this machine is with other tests.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGBACK_")}
    # The server's folder is where it finds itself when it is not installed.
    return kept | {"RINGBACK_BOT_LOAD": "1000"} | more


@contextlib.asynccontextmanager
async def running(
    *arguments: str,
    command: Sequence[str] = COMMAND,
    environ: dict[str, str] | None = None,
    cwd: Path = ROOT,
) -> AsyncIterator[Process]:
    """A `ringback serve` that listens; killed, with its children, when it still runs at the end.

    Standard error is read with standard output, so that a failing test shows both.
    """
    started = await asyncio.create_subprocess_exec(
        *command, "serve", "--port", "0", *arguments, stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE, stderr=asyncio.subprocess.STDOUT, env=environ or environment(), cwd=cwd,
    )  # fmt: skip
    process = Process(started)
    try:
        process.url = (await process.until(r"https?://\S+:\d+/"))[0]
        yield process
    finally:
        if started.returncode is None:
            for child in process.children():
                child.kill()
            started.kill()
        await process.end()
