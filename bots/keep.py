"""Keeps a bot on the line: until it is told to end, and however often the exchange goes away."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from ringback.server.protocol import ErrorCode, ProtocolError

from . import process
from .client import FINAL, Client, Lost
from .ending import Ending
from .host import Host
from .media.network import Network
from .online import OnLine
from .robot import Bot

PAUSE_FIRST, PAUSE_MOST = 0.5, 15.0

logger = logging.getLogger("ringback.bots")


@dataclass(frozen=True, slots=True)
class Options:
    """What `ringback bot run` is told. `url` is a socket's; `drain` in seconds."""

    url: str
    token: str
    ca: Path | None = None
    max_calls: int | None = None
    max_load: float | None = None
    drain: float = 30.0
    network: Network = field(default_factory=Network)


def run(bot: Bot, options: Options, *, with_parent: bool = False) -> int:
    """Run a bot in this process until SIGTERM or SIGINT; the exit code.

    `with_parent`: end also when standard input does, as it does with whoever started us.
    """
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        keeper = Keeper(bot, options)
        process.settle()
        return runner.run(keeper.run(with_parent))


class Keeper:
    """One bot, session after session."""

    def __init__(self, bot: Bot, options: Options) -> None:
        self._bot = bot
        self._options = options
        self._on_line: OnLine | None = None
        self._host = Host(options.network)
        self._ending = Ending()

    async def run(self, with_parent: bool = False) -> int:
        """Be on the line until told to end; the exit code."""
        self._ending.watch(with_parent)
        line = asyncio.create_task(self._keep(), name="line")
        end = asyncio.create_task(self._ending.over(self._drain), name="end")
        try:
            await asyncio.wait((line, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (line, end):
                task.cancel()
            await asyncio.wait((line, end))
        return 0 if line.cancelled() else self._exit_code(line.exception())

    async def _drain(self) -> None:
        if self._on_line is not None:
            calls = len(self._on_line.service.calls)
            logger.info("No new calls; %d go on for at most %g s.", calls, self._options.drain)
            await self._on_line.drain(self._options.drain)

    async def _keep(self) -> None:
        pause = PAUSE_FIRST
        while True:
            try:
                await self._session()
                return
            except ProtocolError as error:
                if error.code in FINAL:
                    raise
                why = str(error)
            except (Lost, OSError, aiohttp.ClientError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            if self._on_line is not None:
                pause, self._on_line = PAUSE_FIRST, None
            wait = random.uniform(pause / 2, pause)
            logger.warning("%s: %s Trying again in %.1f s.", self._options.url, why, wait)
            await asyncio.sleep(wait)
            pause = min(PAUSE_MOST, 2 * pause)

    async def _session(self) -> None:
        options = self._options
        async with Client(
            options.url, token=options.token, about=self._bot.about or None, ca=options.ca
        ) as client:
            self._on_line = OnLine(
                self._bot, client, max_calls=options.max_calls, max_load=options.max_load,
                host=self._host,
            )  # fmt: skip
            process.ready(client.name or "")
            await self._on_line.run()

    def _exit_code(self, error: BaseException | None) -> int:
        match error:
            case None:
                return 0
            case ProtocolError(code=ErrorCode.BAD_TOKEN):
                logger.error("%s refused the token.", self._options.url)
                return process.TOKEN_REFUSED
        logger.error("%s ended: %s", self._bot.name, error, exc_info=_traceback(error))
        return 1


def _traceback(error: BaseException) -> BaseException | None:
    return None if isinstance(error, ProtocolError) else error
