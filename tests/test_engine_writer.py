"""The writer: one transaction for many, each work on its own all the same."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial

import pytest

from ringback.server.engine.base import EngineError
from ringback.server.engine.storage import Storage
from ringback.server.engine.writer import Writer

WAIT = 5.0


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    """A database with a table of notes."""
    storage = Storage(None)
    await storage.open()
    await storage.run(lambda c: c.execute("CREATE TABLE notes (note TEXT UNIQUE)"))
    yield storage
    await storage.close()


@pytest.fixture
async def writer(storage: Storage) -> AsyncIterator[Writer]:
    """A writer with room for eight, four at a time."""
    writer = Writer(storage, waiting=8, group=4)
    writer.start()
    yield writer
    async with asyncio.timeout(WAIT):
        await writer.close()


def note(connection: sqlite3.Connection, text: str) -> int:
    """Put a note down; returns how many there are."""
    connection.execute("INSERT INTO notes VALUES (?)", (text,))
    row = connection.execute("SELECT COUNT(*) FROM notes").fetchone()
    return int(row[0])


async def notes(storage: Storage) -> list[str]:
    """All notes as they were put down."""
    rows = await storage.run(
        lambda c: c.execute("SELECT note FROM notes ORDER BY rowid").fetchall()
    )
    return [row[0] for row in rows]


async def test_waiting_works_share_a_transaction(storage: Storage, writer: Writer) -> None:
    said: list[str] = []
    await storage.run(lambda c: c.set_trace_callback(said.append))
    counts = await asyncio.gather(*(writer.write(partial(note, text=t)) for t in "abcdefgh"))
    assert counts == list(range(1, 9))
    assert said.count("BEGIN IMMEDIATE") == said.count("COMMIT") == 2
    assert await notes(storage) == list("abcdefgh")


async def test_done_follows_the_commit_in_order(storage: Storage, writer: Writer) -> None:
    said: list[str] = []
    told: list[tuple[str, int, int]] = []
    await storage.run(lambda c: c.set_trace_callback(said.append))

    def done(text: str, count: int) -> None:
        told.append((text, count, said.count("COMMIT")))

    writes = [writer.write(partial(note, text=t), partial(done, t)) for t in "abcde"]
    await asyncio.gather(*writes)
    assert told == [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("d", 4, 1), ("e", 5, 2)]


async def test_a_bad_work_fails_alone(storage: Storage, writer: Writer) -> None:
    told: list[int] = []
    texts = ["a", "a", "\ud800", "b"]
    results = await asyncio.gather(
        *(writer.write(partial(note, text=t), told.append) for t in texts), return_exceptions=True
    )
    assert results[0] == 1
    assert results[3] == 2
    assert told == [1, 2]
    for error in results[1:3]:
        assert isinstance(error, EngineError)
        assert "cannot write to the database in memory" in str(error)
        assert error.__cause__ is not None
    assert await notes(storage) == ["a", "b"]


async def test_a_bad_work_undoes_all_it_did(storage: Storage, writer: Writer) -> None:
    def half(connection: sqlite3.Connection) -> None:
        note(connection, "half")
        raise OverflowError("too much")

    with pytest.raises(EngineError, match="too much"):
        await writer.write(half)
    assert await writer.write(partial(note, text="whole")) == 1


async def test_where_nothing_can_succeed_it_is_tried_once(storage: Storage, writer: Writer) -> None:
    tries: list[int] = []

    def locked(connection: sqlite3.Connection) -> None:
        tries.append(1)
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY_SNAPSHOT
        raise error

    results = await asyncio.gather(
        *(writer.write(locked) for _ in range(4)), return_exceptions=True
    )
    assert len(tries) == 1
    assert [str(error) for error in results] == [
        "cannot write to the database in memory: database is locked"
    ] * 4
    assert len({id(error) for error in results}) == 4


async def test_trying_one_by_one_ends_where_nothing_can_succeed(
    storage: Storage, writer: Writer
) -> None:
    tries: list[int] = []

    def full(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def broken(connection: sqlite3.Connection) -> None:
        tries.append(1)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    results = await asyncio.gather(
        *(writer.write(work) for work in (full, broken, broken, broken)), return_exceptions=True
    )
    assert len(tries) == 1
    assert [str(error).rpartition(": ")[2] for error in results] == [
        "database or disk is full",
        *["disk I/O error"] * 3,
    ]


async def test_the_queue_is_bounded(storage: Storage, writer: Writer) -> None:
    futures = [writer.submit(partial(note, text=t)) for t in "abcdefgh"]
    with pytest.raises(EngineError, match="too many"):
        writer.submit(partial(note, text="i"))
    assert await asyncio.gather(*futures) == list(range(1, 9))
    assert await writer.write(partial(note, text="i")) == 9


async def test_giving_up_the_wait_does_not_undo(storage: Storage, writer: Writer) -> None:
    told: list[int] = []
    waiting = asyncio.create_task(writer.write(partial(note, text="a"), told.append))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await writer.write(partial(note, text="b"), told.append) == 2
    assert told == [1, 2]


async def test_a_broken_follower_stops_nobody(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(count: int) -> None:
        raise ValueError("cannot remember")

    first = writer.submit(partial(note, text="a"), broken)
    assert await writer.write(partial(note, text="b")) == 2
    with pytest.raises(EngineError, match="cannot remember"):
        await first
    assert "Traceback" in caplog.text


async def test_closing_finishes_what_was_taken(storage: Storage, writer: Writer) -> None:
    futures = [writer.submit(partial(note, text=t)) for t in "abcdefgh"]
    await writer.close()
    assert [future.result() for future in futures] == list(range(1, 9))
    with pytest.raises(EngineError, match="closed"):
        writer.submit(partial(note, text="i"))
    await writer.close()


async def test_a_writer_that_was_not_started_takes_nothing(storage: Storage) -> None:
    writer = Writer(storage)
    with pytest.raises(EngineError, match="closed"):
        await writer.write(partial(note, text="a"))
    await writer.close()


async def test_a_database_gone_fails_the_work_not_the_writer(
    storage: Storage, writer: Writer
) -> None:
    await storage.close()
    for _ in range(2):
        with pytest.raises(EngineError, match="closed"):
            await writer.write(partial(note, text="a"))
