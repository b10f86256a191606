"""Work that must be done in order and not on the event loop: one batch after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
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
        self._waiting: list[Given] = []
        # No task and no future of the loop's: they would cost more than most batches.
        self._running: Future[list[Made]] | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._fault: BaseException | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, item: Given) -> None:
        """Have something worked on."""
        if len(self._waiting) >= MOST:
            self.refused += 1
            return
        self._waiting.append(item)
        self._next()

    def _next(self) -> None:
        """Begin with what waits, if there is nothing to wait for."""
        busy = self._running is not None or self._resting is not None
        if busy or self._fault is not None or not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        self._idle.clear()
        loop = asyncio.get_running_loop()

        def ended(running: Future[list[Made]]) -> None:
            # A loop that is closed has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take, running)

        self._running = self._pool.submit(self._work, batch)
        self._running.add_done_callback(ended)

    def _take(self, running: Future[list[Made]]) -> None:
        self._running = None
        try:
            self._done(running.result())
        except BaseException as error:
            self._fault = error
        if self._pause and self._fault is None:
            self._resting = asyncio.get_running_loop().call_later(self._pause, self._rested)
        self._next()
        if self._running is None:
            self._idle.set()

    def _rested(self) -> None:
        self._resting = None
        self._next()

    async def finish(self) -> None:
        """Wait until all that was put is done. Raises what the work raised."""
        self._pause = 0.0
        if self._resting is not None:
            self._resting.cancel()
            self._rested()
        await self._idle.wait()
        if self._fault is not None:
            raise self._fault
