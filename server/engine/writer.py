"""One writer with group commit.

Rules that the rest of the engine relies on:

1. Works run in the order they were submitted, each seeing what those before it did.
2. Works that wait while a transaction runs go together into the next one.
3. `done` runs on the event loop after the commit, in the order of submission, whether or not
   somebody still waits for the result; a work that failed has changed nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from .base import EngineError
from .storage import Storage, Work

log = logging.getLogger(__name__)

T = TypeVar("T")

# When these happen every other work of the group would meet them too, some after a long wait.
_HOPELESS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}


class _Job(NamedTuple):
    work: Work[Any]
    done: Callable[[Any], None] | None
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    value: Any = None
    error: Exception | None = None


class Writer:
    """Runs works in transactions. At most `waiting` works wait, `group` share a commit."""

    def __init__(self, storage: Storage, *, waiting: int = 8192, group: int = 512) -> None:
        self._storage = storage
        self._waiting = waiting
        self._group = group
        self._queue: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="engine writer")

    async def close(self) -> None:
        """Take nothing more, finish what was taken."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def submit(self, work: Work[T], done: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        """Queue `work`; the future ends after commit and `done`.

        Raises `EngineError` at once when as many works wait as may.
        """
        if self._closing or self._task is None:
            raise EngineError("the engine is closed")
        if len(self._queue) >= self._waiting:
            raise EngineError("too many writes are waiting")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        # Whoever asked may have gone; an error nobody waits for is not worth a warning.
        future.add_done_callback(_look)
        self._queue.append(_Job(work, done, future))
        self._wake.set()
        return future

    async def write(self, work: Work[T], done: Callable[[T], None] | None = None) -> T:
        """Submit and wait. Cancelling the wait does not take the work back."""
        return await asyncio.shield(self.submit(work, done))

    async def _run(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            jobs = [self._queue.popleft() for _ in range(min(self._group, len(self._queue)))]
            works = [job.work for job in jobs]
            try:
                outcomes = await self._storage.run(partial(_apply, works=works))
            except EngineError as error:
                outcomes = [_Outcome(error=error)] * len(jobs)
            for job, outcome in zip(jobs, outcomes, strict=True):
                self._settle(job, outcome)

    def _settle(self, job: _Job, outcome: _Outcome) -> None:
        if outcome.error is not None:
            job.future.set_exception(self._storage.error("cannot write to", outcome.error))
            return
        if job.done is not None:
            try:
                job.done(outcome.value)
            except Exception as broken:
                log.exception("what was stored could not be taken into memory")
                job.future.set_exception(self._storage.error("cannot follow", broken))
                return
        job.future.set_result(outcome.value)


def _look(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _apply(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[_Outcome]:
    try:
        return [_Outcome(value) for value in transaction(connection, works)]
    except Exception as error:
        if len(works) == 1 or _hopeless(error):
            return [_Outcome(error=error)] * len(works)
    # One of them spoiled it for all: each has its own transaction, so that only that one fails.
    outcomes: list[_Outcome] = []
    for work in works:
        try:
            outcomes.append(_Outcome(transaction(connection, [work])[0]))
        except Exception as error:
            outcomes.append(_Outcome(error=error))
            if _hopeless(error):
                break
    return outcomes + outcomes[-1:] * (len(works) - len(outcomes))


def transaction(connection: sqlite3.Connection, works: Sequence[Work[Any]]) -> list[Any]:
    """Run `works` in one transaction; where one raises, none of them was run."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        values = [work(connection) for work in works]
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, for example when the disk was full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return values


def _hopeless(error: Exception) -> bool:
    # The low byte is the primary code (https://sqlite.org/rescode.html).
    return isinstance(error, sqlite3.Error) and (
        getattr(error, "sqlite_errorcode", 0) & 0xFF in _HOPELESS
    )
