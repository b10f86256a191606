"""Work that must be done in order and not on the event loop: one batch after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

MOST = 128


class Strand(Generic[Given, Made]):
    """Gives what is `put` to `work`, in a worker thread, and what comes of it to `done`, on the
    event loop.

    `pause`: seconds from one batch to the next; fewer and larger ones cost less. At most `MOST`
    wait; what comes then is refused, and counted in `refused`: a test that has
    not seen everything says so. What `work` or `done` raises ends the strand; `finish` raises
    it.
    """

    def __init__(
        self,
        pool: Executor,
        work: Callable[[list[Given]], list[Made]],
        done: Callable[[list[Made]], None],
        pause: float = 0.0,
    ) -> None:
        self.refused = 0
        self._pool = pool
        self._work = work
        self._done = done
        self._pause = pause
        self._hurry = asyncio.Event()
        self._waiting: list[Given] = []
        self._running: asyncio.Task[None] | None = None

    def put(self, item: Given) -> None:
        """Have something worked on."""
        if len(self._waiting) >= MOST:
            self.refused += 1
            return
        self._waiting.append(item)
        if self._running is None or self._done_well():
            self._running = asyncio.create_task(self._run(), name="strand")

    def _done_well(self) -> bool:
        task = self._running
        return task is not None and task.done() and not task.cancelled() and not task.exception()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._done(await loop.run_in_executor(self._pool, self._work, batch))
            if self._pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), self._pause)

    async def finish(self) -> None:
        """Wait until all that was put is done. Raises what the work raised."""
        self._hurry.set()
        while self._running is not None:
            task, self._running = self._running, None
            await task
