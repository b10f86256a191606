"""The one thread of a process that writes recordings, behind a bounded queue.

A disk that is slow or gone must not stop a call: what is to be written is handed over and
done in order; who hands over learns at once when there is no room.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
MOST = 256
"""Works that may wait. Each holds about half a second of one participant."""

TOGETHER = 0.05
"""Seconds that what came of one work may wait for that of others."""

logger = logging.getLogger(__name__)


class Full(Exception):
    """Too much waits to be written."""


class Writer:
    """Does work on its thread, in the order it came. `close` it at the end."""

    def __init__(self, most: int = MOST) -> None:
        self._queue: queue.Queue[_Work[Any] | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
        self._thread.start()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many works wait."""
        return self._queue.qsize()

    async def do(self, work: Callable[[], T]) -> T:
        """Do something there and wait for what comes of it; raises what it raises.

        Raises `Full` at once when there is no room, `RuntimeError` after `close`.
        """
        if self._closed:
            raise RuntimeError("the writer is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        try:
            self._queue.put_nowait(_Work(work, loop, done))
        except queue.Full:
            raise Full("Too much waits to be written.") from None
        return await done

    def close(self) -> None:
        """Do what waits, then end the thread. Blocks until then."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        told: list[_Work[Any]] = []
        since = 0.0
        while (work := self._queue.get()) is not None:
            work.run()
            since = since if told else time.monotonic()
            told.append(work)
            # Loops are woken once for works that waited together.
            if self._queue.empty() or time.monotonic() - since > TOGETHER:
                _tell(told)
                told = []
        _tell(told)


class _Work(Generic[T]):
    """Something to be done, and who waits for what comes of it."""

    def __init__(
        self, work: Callable[[], T], loop: asyncio.AbstractEventLoop, done: asyncio.Future[T]
    ) -> None:
        self.loop = loop
        self._work = work
        self._done = done
        self._result: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it, on the writer's thread."""
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error

    def tell(self) -> None:
        """Say what came of it, on the loop of who waits."""
        if self._done.cancelled():
            return
        if self._error is not None:
            self._done.set_exception(self._error)
        else:
            self._done.set_result(self._result)  # type: ignore[arg-type]


def _tell(works: list[_Work[Any]]) -> None:
    for loop in {work.loop for work in works}:
        there = [work for work in works if work.loop is loop]
        try:
            loop.call_soon_threadsafe(_tell_all, there)
        except RuntimeError:
            logger.info("Nobody waits any more for what was written.")


def _tell_all(works: list[_Work[Any]]) -> None:
    for work in works:
        work.tell()
