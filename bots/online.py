"""A bot on the line of one exchange: its calls, its rooms, from hello to drained."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ringback.server.protocol import ProtocolError

from .call import BotCall
from .client import Client, Lost
from .host import Host
from .media.endpoint import Endpoint
from .robot import Bot, Visit
from .rooms import Rooms
from .service import Service
from .talk import Call

PAUSE_FIRST, PAUSE_MOST = 1.0, 30.0

logger = logging.getLogger(__name__)


class OnLine:
    """A bot and the session it serves. `run` it; `drain` ends it gently.

    `max_calls`: instead of the bot's own; `max_load`, `meter`, `host`: see `Service`.
    """

    def __init__(
        self,
        bot: Bot,
        client: Client,
        *,
        max_calls: int | None = None,
        max_load: float | None = None,
        meter: Callable[[], float] | None = None,
        host: Host | None = None,
    ) -> None:
        self.bot = bot
        self.rooms = Rooms(client)
        self.service = Service(
            client,
            self._handle,
            max_calls=max_calls or bot.max_calls,
            max_load=max_load,
            meter=meter,
            host=host,
            plane=partial(Endpoint, sends=("audio", "video")),
            on_event=self.rooms.hear,
        )
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "media")

    async def run(self) -> None:
        """Take calls and be in rooms until the session ends. Raises what ended it."""
        visits = [
            asyncio.create_task(self._stay(visit), name=f"{self.bot.name} in {visit.room}")
            for visit in self.bot.visits
        ]
        try:
            await self.service.run()
        finally:
            for visit in visits:
                visit.cancel()
            if visits:
                await asyncio.wait(visits)
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def drain(self, seconds: float) -> None:
        """See `Service.drain`."""
        await self.service.drain(seconds)

    async def _handle(self, line: BotCall) -> None:
        accepts, handler = self.bot.accepts, self.bot.handler
        if handler is None or (accepts is not None and not accepts(line.ring.from_)):
            await line.decline()
            return
        call = Call(line, self.rooms, self._pool)
        try:
            await line.answer()
            await line.connected()
            await handler(call)
        finally:
            await call.close()

    async def _stay(self, visit: Visit) -> None:
        """Be in a room; when the bot's own part fails it begins again, after a pause."""
        pause = PAUSE_FIRST
        while True:
            began = asyncio.get_running_loop().time()
            try:
                async with self.rooms.visit(visit.room, visit.unlisted) as room:
                    await visit.handler(room)
                return
            except (ProtocolError, Lost, TimeoutError) as error:
                logger.warning("%s in %s: %s", self.bot.name, visit.room, error)
            except Exception:
                logger.exception("%s in %s: its bot failed.", self.bot.name, visit.room)
            if asyncio.get_running_loop().time() - began > PAUSE_MOST:
                pause = PAUSE_FIRST
            await asyncio.sleep(pause)
            pause = min(PAUSE_MOST, 2 * pause)
