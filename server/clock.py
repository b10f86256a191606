"""Time and background work, so that everything that waits can be run on a virtual clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

log = logging.getLogger(__name__)

Act = Callable[[], Awaitable[None]]


class Timer(Protocol):
    """Something that will happen unless cancelled."""

    def cancel(self) -> None:
        """Let it not happen. Harmless when it has."""


class Clock(Protocol):
    """Where the exchange takes the time from."""

    def now(self) -> float:
        """Seconds since 1970."""

    def call_later(self, delay: float, act: Act) -> Timer:
        """Run `act` after `delay` seconds."""

    async def close(self) -> None:
        """Cancel what was planned and wait for what has begun."""


class Tasks:
    """Background tasks that are kept until done and whose failures are logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`; an exception is logged with its traceback."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A background task failed", exc_info=error)

    async def close(self) -> None:
        """Cancel all, also what they spawn while they end, and wait until they have ended."""
        while tasks := [task for task in self._tasks if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class SystemClock:
    """The machine's time and the running event loop."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._handles: set[_Planned] = set()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def call_later(self, delay: float, act: Act) -> Timer:
        """Run `act` after `delay` seconds."""
        planned = _Planned(self, act)
        planned.handle = asyncio.get_running_loop().call_later(max(0.0, delay), planned.run)
        self._handles.add(planned)
        return planned

    def spawn(self, act: Act) -> None:
        """Run `act` now, as a task."""

        async def work() -> None:
            await act()

        self._tasks.spawn(work())

    def forget(self, planned: _Planned) -> None:
        """A planned act has run or was cancelled."""
        self._handles.discard(planned)

    async def close(self) -> None:
        """Cancel what was planned and what has begun."""
        for planned in list(self._handles):
            planned.cancel()
        await self._tasks.close()


class _Planned:
    def __init__(self, clock: SystemClock, act: Act) -> None:
        self._clock = clock
        self._act = act
        self.handle: asyncio.TimerHandle | None = None

    def run(self) -> None:
        self._clock.forget(self)
        self._clock.spawn(self._act)

    def cancel(self) -> None:
        self._clock.forget(self)
        if self.handle is not None:
            self.handle.cancel()
