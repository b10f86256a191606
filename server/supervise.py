"""The built-in bots' process: started, watched, started again, stopped.

The bots run beside the server so that media never delays chat or signalling. They are
clients like all others; all they get from here is an address and a token each. The
process ends by itself when its standard input closes, so it never outlives the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

BUILT_IN = ("echo", "recorder", "voicemail")

# The one place where the server names the bots: the command that starts them.
COMMAND = (sys.executable, "-m", "ringback.bots")

TOKEN_REFUSED = 3
LONGEST_LINE = 4096

log = logging.getLogger("ringback.bots")


class Backoff(Struct, frozen=True):
    """How long to wait before the next start, in seconds.

    Each end doubles the wait from `first` to `longest`; a run of `stable` seconds or more
    makes the next wait `first` again.
    """

    first: float = 0.5
    longest: float = 30.0
    stable: float = 60.0

    def after(self, previous: float, ran: float) -> float:
        """The wait after a run of `ran` seconds; `previous`: the wait before it, 0 at first."""
        if previous == 0 or ran >= self.stable:
            return self.first
        return min(previous * 2, self.longest)


class Supervisor:
    """Keeps one process of bots running against one server.

    `mint` makes a fresh token for a bot's name, `arguments` go to the process. Call `start`
    once, `stop` once; in between `ready` says which bots the server has welcomed.
    """

    def __init__(
        self,
        server: str,
        mint: Callable[[str], str],
        *,
        names: Sequence[str] = BUILT_IN,
        command: Sequence[str] = COMMAND,
        arguments: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        backoff: Backoff | None = None,
        patience: float = 20.0,
    ) -> None:
        self.names = tuple(names)
        self.ready: frozenset[str] = frozenset()
        self.starts = 0
        self._command = (*command, "--server", server, *arguments)
        self._mint = mint
        self._environ = dict(os.environ if environ is None else environ)
        self._backoff = backoff or Backoff()
        self._patience = patience
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once. Needs a running event loop."""
        if self._task is not None:
            raise RuntimeError("started already")
        self._task = asyncio.create_task(self._keep_running(), name="bots")

    async def stop(self) -> None:
        """End the process: asked first, killed when it takes longer than `patience` seconds."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.result()

    async def wait_ready(self, seconds: float) -> frozenset[str]:
        """The bots on the line: at once when all are, else those there after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ready.issuperset(self.names):
                    self._changed.clear()
                    await self._changed.wait()
        return self.ready

    async def _keep_running(self) -> None:
        clock = asyncio.get_running_loop().time
        wait = 0.0
        while not self._stopping.is_set():
            began = clock()
            code = await self._run_once()
            if self._stopping.is_set():
                break
            wait = self._backoff.after(wait, clock() - began)
            why = "their token was refused" if code == TOKEN_REFUSED else f"exit code {code}"
            log.warning("The bots ended (%s); starting them again in %.1f s.", why, wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)

    async def _run_once(self) -> int | None:
        """Start the process and see it to its end. None: it could not be started."""
        tokens = {name: self._mint(name) for name in self.names}
        environ = self._environ | {"RINGBACK_BOT_TOKENS": msgspec.json.encode(tokens).decode()}
        try:
            # In a session of its own, or a Ctrl-C in the terminal would end the bots before
            # the server could say goodbye to their callers.
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environ,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            log.error("The bots cannot be started: %s.", error)
            return None
        self.starts += 1
        log.debug("The bots run as process %d.", process.pid)
        try:
            return await self._watch(process)
        finally:
            self._set_ready(frozenset())
            # Reached while the process lives only when this task is cancelled.
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _watch(self, process: Process) -> int:
        """Read what the process says until it ends or is to stop; its exit code."""
        readers = [
            asyncio.create_task(self._read_output(process)),
            asyncio.create_task(self._read_errors(process)),
        ]
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await _end(process, ended, self._patience)
            code = await ended
            # A grandchild may hold the pipes open: what it says does not matter any more.
            await asyncio.wait(readers, timeout=1)
            return code
        finally:
            for task in (*readers, ended, stopping):
                task.cancel()
            await asyncio.gather(*readers, ended, stopping, return_exceptions=True)

    async def _read_output(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in lines(process.stdout):
            word, _, name = line.partition(" ")
            if word == "ready" and name in self.names:
                self._set_ready(self.ready | {name})
                # The first time it is said in the terminal already.
                level = logging.INFO if self.starts > 1 else logging.DEBUG
                log.log(level, "%s is on the line.", name)
            else:
                log.info("%s", line)

    async def _read_errors(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in lines(process.stderr):
            log.info("%s", line)

    def _set_ready(self, names: frozenset[str]) -> None:
        self.ready = names
        self._changed.set()


async def _end(process: Process, ended: asyncio.Task[int], patience: float) -> None:
    """Ask a process to end by SIGTERM; kill it when it does not. Its input stays open: its end
    would mean that we are gone, and that there is nothing to wait for."""
    with suppress(ProcessLookupError):
        process.terminate()
    done, _ = await asyncio.wait((ended,), timeout=patience)
    if not done:
        log.warning("The bots did not end within %.0f s; they are killed.", patience)
        with suppress(ProcessLookupError):
            process.kill()


async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream, without their ends; a longer one is cut at 4,096 bytes."""
    rest = b""
    cut = False  # inside a line whose beginning was given out already
    while chunk := await stream.read(LONGEST_LINE):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if not cut:
                yield _text(line)
            cut = False
        if len(rest) >= LONGEST_LINE:
            if not cut:
                yield _text(rest)
            rest, cut = b"", True
    if rest and not cut:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line[:LONGEST_LINE].decode(errors="replace").rstrip("\r")
