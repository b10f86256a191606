"""Processes under measurement: started, spoken to line by line, timed, ended."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

PATIENCE = 60.0
ANSWER = 240.0
LONGEST_LINE = 1 << 20
ROOT = Path(__file__).resolve().parent.parent


class BenchError(Exception):
    """A measurement that cannot be made or would not be true; `str()` says why."""


class CpuClock:
    """The processor time of another process, all its threads, those that ended too."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._id = _clock_id(pid)

    def seconds(self) -> float:
        """User and system time so far. Raises `BenchError` when the process is gone."""
        try:
            if self._id is not None:
                return time.clock_gettime(self._id)
            times = self._process.cpu_times()
        except (OSError, psutil.Error) as error:
            raise BenchError(f"Process {self._process.pid} ended: {error}") from error
        return float(times.user + times.system)


def _clock_id(pid: int) -> int | None:
    """The process's clock (POSIX clock_getcpuclockid), in nanoseconds where psutil counts
    hundredths of a second; None where the system has none."""
    get = getattr(ctypes.CDLL(None), "clock_getcpuclockid", None)
    number = ctypes.c_int()
    if get is None or get(ctypes.c_int(pid), ctypes.byref(number)) != 0:
        return None
    return number.value


def pin(pid: int, cores: set[int]) -> None:
    """Let all threads of a process run on these cores only; those it starts later follow."""
    for thread in psutil.Process(pid).threads():
        # A thread may end meanwhile.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, cores)


def memory(pid: int) -> float:
    """Megabytes (2**20) that a process alone holds. Raises `BenchError` when it is gone."""
    try:
        return float(psutil.Process(pid).memory_full_info().uss) / 2**20
    except psutil.Error as error:
        raise BenchError(f"Process {pid} ended: {error}") from error


class Child:
    """A process that says its lines on standard output. `async with` ends it."""

    def __init__(self, name: str, process: Process, errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    @classmethod
    async def start(cls, folder: Path, module: str, *arguments: str) -> Child:
        """Run `python -m module arguments`; what it complains of goes to a file in `folder`."""
        return await cls.run(folder, module, sys.executable, "-m", module, *arguments)

    @classmethod
    async def run(cls, folder: Path, name: str, *command: str) -> Child:
        """Run any command, in the same way."""
        errors = folder / f"{name}-{time.monotonic_ns()}.log"
        with errors.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=log, cwd=ROOT, limit=LONGEST_LINE
            )
        return cls(name, process, errors)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def line(self, about: str = "", patience: float = PATIENCE) -> str:
        """Its next line that contains `about`. Raises `BenchError` when it says none."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience):
                while line := await self._process.stdout.readline():
                    if about.encode() in line:
                        return line.decode().rstrip()
        except TimeoutError:
            raise BenchError(f"{self.name} said nothing for {patience:.0f} s.") from None
        await self._process.wait()
        tail = "\n".join(self._errors.read_text(errors="replace").splitlines()[-15:])
        raise BenchError(f"{self.name} ended (exit code {self._process.returncode}).\n{tail}")

    async def ask(self, command: bytes) -> bytes:
        """Give it one line, get its line in reply."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + b"\n")
        return (await self.line(patience=ANSWER)).encode()

    async def end(self, patience: float) -> int:
        """Wait until it ends by itself, saying nothing: its exit code. Raises `BenchError` when it
        does not in so many seconds."""
        try:
            async with asyncio.timeout(patience):
                return await self._process.wait()
        except TimeoutError:
            raise BenchError(f"{self.name} did not end in {patience:.0f} s.") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            # Not `wait`: that would leave unread output in the pipe, and a process behind it.
            async with asyncio.timeout(10):
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.communicate()


async def answer_lines(handle: Callable[[bytes], Awaitable[bytes]]) -> None:
    """Answer each line on standard input with one on standard output, until it closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say((await handle(line)).decode())


def say(line: str) -> None:
    """Say a line to the parent, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
