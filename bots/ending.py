"""How a process of bots ends: asked once it drains, asked again (or orphaned) it ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from . import process


class Ending:
    """The end of a process, as SIGTERM and SIGINT bring it about. `watch` for them once."""

    def __init__(self) -> None:
        self._told = 0
        self._asked = asyncio.Event()
        self._at_once = asyncio.Event()

    def watch(self, with_parent: bool) -> None:
        """Take note of signals; `with_parent`: and, as an end at once, of the end of standard
        input, which comes when whoever started us is gone."""
        process.on_signals(self.ask)
        if with_parent:
            process.on_end_of_input(self._at_once.set)

    def ask(self) -> None:
        """Somebody wants it to end; a second time: at once."""
        self._told += 1
        (self._asked if self._told == 1 else self._at_once).set()

    async def over(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Wait until asked to end, then `drain`; an end at once cancels that.

        Raises what `drain` raises.
        """
        at_once = asyncio.create_task(self._at_once.wait())
        drained = asyncio.create_task(self._drained(drain))
        try:
            await asyncio.wait((at_once, drained), return_when=asyncio.FIRST_COMPLETED)
            if drained.done():
                drained.result()
        finally:
            for task in (at_once, drained):
                task.cancel()
            await asyncio.wait((at_once, drained))

    async def _drained(self, drain: Callable[[], Awaitable[None]]) -> None:
        await self._asked.wait()
        await drain()
