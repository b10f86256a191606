"""The SQLite database: opening, running work on its thread, closing.

One connection, one thread (aiosqlite's). Work is a function of the connection, so that a
transaction of many statements crosses between the event loop and the thread once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from . import schema
from .base import EngineError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that holds the database's lock."""


class _Database(aiosqlite.Connection):
    """aiosqlite's connection and thread; it has no public call to run a function there."""

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

    async def open(self) -> None:
        """Open the file, made if there is none, and bring its schema up to date."""
        database = _Database(partial(_connect, self.path), iter_chunk_size=64)
        try:
            await database
        except (sqlite3.Error, OSError, EngineError) as error:
            database.join()
            raise self.error("cannot open", error) from error
        self._database = database

    async def run(self, work: Work[T]) -> T:
        """Run `work` on the database's thread, behind what was asked before."""
        database = self._database
        if database is None:
            raise EngineError("the engine is closed")
        try:
            return await database.run(work)
        except sqlite3.Error as error:
            raise self.error("cannot use", error) from error

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

    def error(self, what: str, error: Exception) -> EngineError:
        """`error` as an `EngineError` that says which file it is about."""
        if isinstance(error, EngineError) and self.path is None:
            return error
        return EngineError(f"{what} the database {self.path or 'in memory'}: {error}")


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What people say to each other is for nobody else on this machine to read.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=True
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # The log is written at each commit and synced at checkpoints: a killed process loses
        # nothing, a power cut at most the last moments, and neither damages the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
