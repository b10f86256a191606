"""The database's schema, as ordered steps.

Rules:

1. A step that was released never changes; a new one is added behind it.
2. `PRAGMA user_version` says how many steps a file has had. Each step and its number are
   committed together, so that a crash leaves a file between two steps, never inside one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from .base import EngineError

Step = tuple[str, ...]

MIGRATIONS: tuple[Step, ...] = (
    (
        "CREATE TABLE rooms (id INTEGER PRIMARY KEY, room TEXT NOT NULL UNIQUE,"
        " epoch TEXT NOT NULL, seq INTEGER NOT NULL DEFAULT 0)",
        "CREATE TABLE messages (room INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,"
        " seq INTEGER NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
        " time INTEGER NOT NULL, cid TEXT NOT NULL, PRIMARY KEY (room, seq)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX messages_cid ON messages (room, user, cid)",
        "CREATE TABLE claims (key TEXT PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL,"
        " bot INTEGER NOT NULL, about TEXT NOT NULL, call_waiting INTEGER NOT NULL,"
        " until REAL) WITHOUT ROWID",
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, key_hash TEXT NOT NULL,"
        " data BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE mailboxes (session TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,"
        " last INTEGER NOT NULL, data BLOB NOT NULL)",
        "CREATE TABLE calls (id TEXT PRIMARY KEY, caller TEXT NOT NULL, caller_key TEXT NOT NULL,"
        " callee TEXT NOT NULL, callee_key TEXT NOT NULL, placed INTEGER NOT NULL, ended INTEGER,"
        " data BLOB NOT NULL)",
        "CREATE INDEX calls_live ON calls (id) WHERE ended IS NULL",
        "CREATE INDEX calls_caller ON calls (caller, caller_key, placed) WHERE ended IS NOT NULL",
        "CREATE INDEX calls_callee ON calls (callee, callee_key, placed) WHERE ended IS NOT NULL",
        "CREATE TABLE probe (id INTEGER PRIMARY KEY, at REAL NOT NULL, pad BLOB)",
    ),
    (
        "ALTER TABLE calls ADD COLUMN leg INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE recordings (id TEXT PRIMARY KEY, version INTEGER NOT NULL,"
        " asked INTEGER NOT NULL, started INTEGER, ended INTEGER, data BLOB NOT NULL)"
        " WITHOUT ROWID",
        "CREATE INDEX recordings_live ON recordings (id) WHERE ended IS NULL",
        "CREATE INDEX recordings_old ON recordings (asked) WHERE ended IS NOT NULL",
        "CREATE TABLE recorded (user TEXT NOT NULL, asked INTEGER NOT NULL,"
        " recording TEXT NOT NULL REFERENCES recordings ON DELETE CASCADE,"
        " PRIMARY KEY (user, asked, recording)) WITHOUT ROWID",
        "CREATE INDEX recorded_recording ON recorded (recording)",
    ),
    (
        "CREATE TABLE holders (key TEXT PRIMARY KEY, name TEXT NOT NULL, user TEXT NOT NULL,"
        " at INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX holders_at ON holders (at)",
        "CREATE TABLE voiceboxes (user TEXT NOT NULL, key TEXT NOT NULL, greeting TEXT,"
        " data BLOB NOT NULL, PRIMARY KEY (user, key)) WITHOUT ROWID",
        "CREATE INDEX voiceboxes_greeting ON voiceboxes (greeting) WHERE greeting IS NOT NULL",
        "CREATE TABLE voicemails (id TEXT PRIMARY KEY, user TEXT NOT NULL, begun INTEGER NOT NULL,"
        " completed INTEGER, data BLOB NOT NULL) WITHOUT ROWID",
        "CREATE INDEX voicemails_user ON voicemails (user, begun)",
        "CREATE INDEX voicemails_begun ON voicemails (begun)",
    ),
)


def migrate(connection: sqlite3.Connection, steps: Sequence[Step] = MIGRATIONS) -> None:
    """Bring a database to the schema of this version.

    Raises `EngineError` for a file written by a newer Ringback, `sqlite3.Error` where the
    file cannot be read or changed.
    """
    while (version := _version(connection)) < len(steps):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Somebody else may have taken this step while we waited for the lock.
            if _version(connection) == version:
                for statement in steps[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # the error to tell is the first one
                connection.execute("ROLLBACK")
            raise
    if version > len(steps):
        raise EngineError(
            f"it has schema {version}, which a newer Ringback made; this one knows schemas up to"
            f" {len(steps)}"
        )


def _version(connection: sqlite3.Connection) -> int:
    row = connection.execute("PRAGMA user_version").fetchone()
    return int(row[0])
