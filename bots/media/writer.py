"""The one thread of a process that writes recordings, behind a bounded queue.

A disk that is slow or gone must not stop a call: what is to be written is handed over and
done in order; who hands over learns at once when there is no room.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST = 256
"""Works that may wait. Each holds about half a second of one participant."""

logger = logging.getLogger(__name__)


class Full(Exception):
    """Too much waits to be written."""


class Writer:
    """Does work on its thread, in the order it came. `close` it at the end."""

    def __init__(self, most: int = MOST) -> None:
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(most)
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

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                told: Callable[[], None] = _teller(done, error=error)
            else:
                told = _teller(done, result=result)
            try:
                loop.call_soon_threadsafe(told)
            except RuntimeError:
                logger.info("Nobody waits any more for what was written.")

        try:
            self._queue.put_nowait(run)
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
        while (work := self._queue.get()) is not None:
            work()


def _teller(
    done: asyncio.Future[T], *, result: T | None = None, error: BaseException | None = None
) -> Callable[[], None]:
    def tell() -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    return tell
