"""One bot in several processes: started, started again when one dies, ended together.

Python uses one core for each process; the exchange shares the calls out among them, as each is
an instance of the bot of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

from . import process
from .call import TIDY
from .keep import Options

PAUSE_FIRST, PAUSE_MOST = 0.5, 30.0
STABLE = 60.0
# What no new start mends: it cannot begin, or its token is refused.
HOPELESS = (2, process.TOKEN_REFUSED)

logger = logging.getLogger("ringback.bots")


def run(number: int, file: str, options: Options, more: Sequence[str]) -> int:
    """Run a bot in so many processes until SIGTERM or SIGINT; the exit code. `more`: flags."""
    return asyncio.run(Workers(number, [*command(file, options), *more], options).run())


def flags(ports: str | None, public: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """The flags that say where media may go, as they were given."""
    words = ["--media-ports", ports] if ports else []
    words += [word for address in public for word in ("--public-address", address)]
    return words + [word for text in allowed for word in ("--allow-peers", text)]


def command(file: str, options: Options) -> list[str]:
    """What starts one worker. The token goes by the environment, where nobody else sees it."""
    words = [sys.executable, "-m", "ringback", "bot", "run", file, "--with-parent"]
    words += ["--server", options.url, "--drain", str(options.drain)]
    if options.max_load is not None:
        words += ["--max-load", str(options.max_load)]
    if options.max_calls is not None:
        words += ["--max-calls", str(options.max_calls)]
    if options.ca is not None:
        words += ["--ca", str(options.ca)]
    return words


class Workers:
    """So many processes of one bot."""

    def __init__(self, number: int, words: list[str], options: Options) -> None:
        self._number = number
        self._words = words
        self._environ = os.environ | {"RINGBACK_BOT_TOKEN": options.token}
        self._patience = options.drain + TIDY + 5.0
        self._running: set[Process] = set()
        self._ending = asyncio.Event()

    async def run(self) -> int:
        """Keep them all running until told to end; the exit code."""
        process.on_signals(self._end)
        tasks = [
            asyncio.create_task(self._keep(), name=f"worker {number}")
            for number in range(self._number)
        ]
        ending = asyncio.create_task(self._ending.wait())
        # The first that cannot go on ends them all.
        await asyncio.wait((*tasks, ending), return_when=asyncio.FIRST_COMPLETED)
        self._end()
        ending.cancel()
        _, late = await asyncio.wait(tasks, timeout=self._patience)
        if late:
            logger.warning("%d workers did not end; they are killed.", len(late))
            self._signal("kill")
            await asyncio.wait(tasks)
        return max(task.result() for task in tasks)

    def _end(self) -> None:
        """Tell all to end; a second time: at once."""
        self._ending.set()
        self._signal("terminate")

    def _signal(self, how: str) -> None:
        for worker in self._running:
            with suppress(ProcessLookupError):
                getattr(worker, how)()

    async def _keep(self) -> int:
        """One worker after another; the exit code of the last."""
        loop = asyncio.get_running_loop()
        pause = PAUSE_FIRST
        while True:
            began = loop.time()
            code = await self._once()
            if self._ending.is_set():
                return max(0, code)
            if code in HOPELESS:
                return code
            if loop.time() - began > STABLE:
                pause = PAUSE_FIRST
            logger.warning("A worker ended (code %d); starting another in %.1f s.", code, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)
                return 0
            pause = min(PAUSE_MOST, 2 * pause)

    async def _once(self) -> int:
        # In a session of its own: a Ctrl-C in the terminal is for us to pass on, once.
        worker = await asyncio.create_subprocess_exec(
            *self._words, stdin=PIPE, env=self._environ, start_new_session=True
        )
        self._running.add(worker)
        try:
            if self._ending.is_set():
                worker.terminate()
            return await worker.wait()
        finally:
            self._running.discard(worker)
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
