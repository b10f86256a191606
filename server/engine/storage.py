"""The SQLite database: opening, running work on its thread, closing.

One connection, one thread (aiosqlite's). Work is a function of the connection, so that a
transaction of many statements crosses between the event loop and the thread once.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite
import msgspec

from . import schema
from .base import EngineError

UNREADABLE = (sqlite3.Error, msgspec.MsgspecError, UnicodeError)
"""What reading a damaged database may raise."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that holds the database's lock."""


class _Database(aiosqlite.Connection):
    """aiosqlite's connection and thread; it has no public call to run a function there."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(partial(_connect, path), iter_chunk_size=64)
        # A server that dies of an error ends, whether or not it came to close its database.
        self._thread.daemon = True

    async def run(self, work: Work[T]) -> T:
        execute: Callable[..., Awaitable[Any]] = self._execute
        return cast(T, await execute(lambda: work(self._conn)))

    def join(self) -> None:
        self._thread.join()


class Storage:
    """A database that was opened and migrated; `path` None keeps it in memory.

    Every method raises `EngineError`, whose text names the file and what is wrong with it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._database: _Database | None = None
        self._lock: int | None = None

    async def open(self) -> None:
        """Open the file, made if there is none, and bring its schema up to date."""
        try:
            self._lock = None if self.path is None else _lock(self.path)
            database = _Database(self.path)
            try:
                await database
            except BaseException:
                database.join()
                self._unlock()
                raise
        except (*UNREADABLE, OSError, EngineError) as error:
            raise EngineError(f"cannot open the database {self._name}: {error}") from error
        self._database = database

    async def run(self, work: Work[T]) -> T:
        """Run `work` on the database's thread, behind what was asked before."""
        database = self._database
        if database is None:
            raise EngineError("the engine is closed")
        try:
            return await database.run(work)
        except UNREADABLE as error:
            raise self.error("cannot read", error) from error

    async def close(self) -> None:
        """Merge the write-ahead log into the file and end the thread."""
        database, self._database = self._database, None
        if database is None:
            return
        try:
            await database.run(_checkpoint)
        except sqlite3.Error as error:
            raise self.error("cannot close", error) from error
        finally:
            await database.close()
            database.join()
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _name(self) -> str:
        return "in memory" if self.path is None else str(self.path)

    def error(self, what: str, error: Exception) -> EngineError:
        """A new `EngineError` that says what could not be done with which file, and why."""
        if isinstance(error, EngineError):
            told = EngineError(str(error))
        else:
            told = EngineError(f"{what} the database {self._name}: {error}")
        told.__cause__ = error
        return told


def _lock(path: Path) -> int:
    """Keep other servers off: each would know only its own half of who is on the line.

    The lock is on a file of its own and not on the database, which backups may read meanwhile;
    it ends with the process, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            raise EngineError("another Ringback is using it") from error
        raise
    return lock


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        # What people say to each other is for nobody else on this machine to read.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        schema.migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # The log is written at each commit and synced at checkpoints: a killed process loses
        # nothing, a power cut at most the last moments, and neither damages the file.
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
