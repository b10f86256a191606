"""Ringback's commands as processes of their own, the way people run them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "ringback.server")
PATIENCE = 60.0

Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


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

    async def until(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Read what it prints until a pattern is there, so many times; fails when it ends
        without. The last of them."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while len(found := list(re.finditer(pattern, self.said))) < times:
                chunk = await self.process.stdout.read(4096)
                assert chunk, f"ended without {pattern!r}:\n{self.said}"
                self.said += chunk.decode()
        return found[times - 1]

    async def end(self, *signals: signal.Signals) -> int:
        """Send signals and wait for the end; the exit code."""
        for number in signals:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
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
        *command, "serve", "--port", "0", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
        env=environ or environment(), cwd=cwd,
    )  # fmt: skip
    process = Process(started)
    try:
        process.url = (await process.until(r"https?://\S+:\d+/"))[0]
        yield process
    finally:
        _kill(started)
        await process.end()


@contextlib.asynccontextmanager
async def starting(*command: str, stdin: int = DEVNULL, stderr: int = PIPE) -> AsyncIterator[Start]:
    """Starts a command: `await start(*arguments, **environment)`. What still runs at the end is
    killed, with its children."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, *arguments, stdin=stdin, stdout=PIPE, stderr=stderr,
            cwd=ROOT, env=environment(**environ),
        )  # fmt: skip
        started.append(made)
        return made

    try:
        yield start
    finally:
        for made in started:
            _kill(made)
            await made.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Wait for the end: the exit code, what was printed, and what was said as an error."""
    async with asyncio.timeout(PATIENCE):
        out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process and its children, if it runs."""
    if process.returncode is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
