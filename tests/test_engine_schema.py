"""The database's schema: what older files become, and which are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.server.engine.base import EngineError
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.engine.schema import MIGRATIONS, migrate
from tests.engine_contract import NOW, draft

# The first schema as files of that time have it. It never changes, whatever comes after.
FIRST = """
CREATE TABLE rooms (id INTEGER PRIMARY KEY, room TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
  seq INTEGER NOT NULL DEFAULT 0);
CREATE TABLE messages (room INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  seq INTEGER NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
  time INTEGER NOT NULL, cid TEXT NOT NULL, PRIMARY KEY (room, seq)) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_cid ON messages (room, user, cid);
CREATE TABLE claims (key TEXT PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL,
  bot INTEGER NOT NULL, about TEXT NOT NULL, call_waiting INTEGER NOT NULL, until REAL)
  WITHOUT ROWID;
CREATE TABLE sessions (id TEXT PRIMARY KEY, key_hash TEXT NOT NULL, data BLOB NOT NULL)
  WITHOUT ROWID;
CREATE TABLE mailboxes (session TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
  last INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE calls (id TEXT PRIMARY KEY, caller TEXT NOT NULL, caller_key TEXT NOT NULL,
  callee TEXT NOT NULL, callee_key TEXT NOT NULL, placed INTEGER NOT NULL, ended INTEGER,
  data BLOB NOT NULL);
CREATE INDEX calls_live ON calls (id) WHERE ended IS NULL;
CREATE INDEX calls_caller ON calls (caller, caller_key, placed) WHERE ended IS NOT NULL;
CREATE INDEX calls_callee ON calls (callee, callee_key, placed) WHERE ended IS NOT NULL;
CREATE TABLE probe (id INTEGER PRIMARY KEY, at REAL NOT NULL, pad BLOB);
INSERT INTO rooms VALUES (1, 'lobby', 'epoch1', 2);
INSERT INTO messages VALUES (1, 1, 'u-ann', 'ann', 'hello', 1000, 'c1'),
  (1, 2, 'u-bob', 'bob', 'hi', 2000, 'c2');
INSERT INTO claims VALUES ('ann', 'Ann', 'u-ann', 0, '', 1, NULL);
INSERT INTO sessions VALUES ('s1', 'h1', '{"id":"s1","key_hash":"h1","user":"u-ann"}');
INSERT INTO calls VALUES ('old', 'u-ann', 'ann', 'u-bob', 'bob', 500, 900,
  '{"id":"old","caller":{"user":"u-ann","name":"Ann","key":"ann"},"callee":{"user":"u-bob",
  "name":"Bob","key":"bob"},"media":{"audio":true,"video":false},"placed":500,"state":"ended",
  "version":4,"ended":900,"reason":"hangup"}');
PRAGMA user_version = 1;
"""
STEPS = (*MIGRATIONS, ("CREATE TABLE later (a)", "INSERT INTO later VALUES (1)"))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a new file."""
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    yield connection
    connection.close()


def version(connection: sqlite3.Connection) -> int:
    """Which schema a file has."""
    row = connection.execute("PRAGMA user_version").fetchone()
    return int(row[0])


async def test_a_file_of_the_first_schema_is_read(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.executescript(FIRST)
    engine = EmbeddedEngine(tmp_path / "a.db", clock=lambda: NOW)
    await engine.open()
    history = await engine.history("lobby", 0, 10)
    assert [(m.seq, m.from_, m.text) for m in history.messages] == [
        (1, "ann", "hello"),
        (2, "bob", "hi"),
    ]
    assert (history.seq, history.epoch) == (2, "epoch1")
    assert not (await engine.publish(draft("c1")))[1]
    assert [c.user for c in await engine.claims(NOW)] == ["u-ann"]
    assert [s.user for s in await engine.sessions()] == ["u-ann"]
    (record,) = await engine.records("u-bob", "bob", None, 10)
    assert (record.id, record.reason, record.media.video) == ("old", "hangup", False)
    await engine.close()
    assert version(connection) == len(MIGRATIONS)


def test_steps_are_taken_once_and_in_order(connection: sqlite3.Connection) -> None:
    migrate(connection, STEPS[:1])
    assert version(connection) == 1
    migrate(connection, STEPS)
    migrate(connection, STEPS)
    assert version(connection) == len(STEPS)
    assert connection.execute("SELECT * FROM later").fetchall() == [(1,)]


def test_a_step_that_fails_leaves_the_step_before(connection: sqlite3.Connection) -> None:
    broken = (*MIGRATIONS, ("CREATE TABLE later (a)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, broken)
    assert version(connection) == len(MIGRATIONS)
    assert not connection.in_transaction
    migrate(connection, STEPS)
    assert connection.execute("SELECT * FROM later").fetchall() == [(1,)]


async def test_a_newer_file_is_refused_and_left_alone(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.execute("PRAGMA user_version = 99")
    with pytest.raises(EngineError, match=r"a\.db: it has schema 99, which a newer Ringback made"):
        await EmbeddedEngine(tmp_path / "a.db").open()
    assert version(connection) == 99
    assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []


def test_records_are_found_by_their_indexes(connection: sqlite3.Connection) -> None:
    migrate(connection)
    for party in ("caller", "callee"):
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT id, placed FROM calls WHERE {party} = ? AND {party}_key = ?"
            " AND ended IS NOT NULL AND NOT leg AND placed < ? ORDER BY placed DESC LIMIT 10",
            ("u", "k", 5),
        ).fetchall()
        assert len(plan) == 1
        assert f"USING INDEX calls_{party} ({party}=? AND {party}_key=? AND placed<?)" in plan[0][3]


def test_recordings_are_found_by_their_indexes(connection: sqlite3.Connection) -> None:
    migrate(connection)
    for query, plan in (
        (
            "SELECT data FROM recorded JOIN recordings ON id = recording WHERE user = 'u'"
            " AND recorded.asked < 9 ORDER BY recorded.asked DESC, recording DESC",
            ["SEARCH recorded USING PRIMARY KEY", "SEARCH recordings USING PRIMARY KEY"],
        ),
        (
            "SELECT data FROM recordings WHERE ended IS NOT NULL AND asked < 9 ORDER BY asked",
            ["SEARCH recordings USING INDEX recordings_old"],
        ),
    ):
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert [row[3].partition(" (")[0] for row in rows] == plan
