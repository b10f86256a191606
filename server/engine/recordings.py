"""Recordings: live ones in memory, all of them in the database."""

from __future__ import annotations

import sqlite3
from functools import partial

import msgspec

from ringback.server.recording import Recording

from .writer import Writer

_json = msgspec.json.Encoder()
_recording = msgspec.json.Decoder(Recording)


class LiveRecordings:
    """The recordings that have not ended, as they are stored."""

    def __init__(self, writer: Writer, stored: list[Recording]) -> None:
        self._writer = writer
        self._live = {recording.id: recording for recording in stored}

    def get(self, recording: str) -> Recording | None:
        """A live recording by id."""
        return self._live.get(recording)

    def all(self, call: str | None = None) -> list[Recording]:
        """All, or those of one call: there are never many."""
        return [r for r in self._live.values() if call is None or r.call == call]

    async def put(self, recording: Recording, expect: int | None) -> bool:
        """See `Engine.put_recording`."""

        def stored(done: bool) -> None:
            if not done:
                return
            if recording.live:
                self._live[recording.id] = recording
            else:
                self._live.pop(recording.id, None)

        work = partial(put, recording=recording, expect=expect)
        return await self._writer.write(work, stored)

    async def drop(self, recording: str, version: int) -> bool:
        """See `Engine.drop_recording`."""

        def dropped(done: bool) -> None:
            if done:
                self._live.pop(recording, None)

        return await self._writer.write(
            partial(drop, recording=recording, version=version), dropped
        )


def put(connection: sqlite3.Connection, recording: Recording, expect: int | None) -> bool:
    """Store a recording in place of version `expect`, or as a new one; and whose lists it is
    in."""
    values = (recording.version, recording.started, recording.ended, _json.encode(recording))
    if expect is None:
        query = (
            "INSERT INTO recordings (version, started, ended, data, id, asked)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
        )
        done = connection.execute(query, (*values, recording.id, recording.asked))
    else:
        query = (
            "UPDATE recordings SET version = ?, started = ?, ended = ?, data = ?"
            " WHERE id = ? AND version = ?"
        )
        done = connection.execute(query, (*values, recording.id, expect))
    if done.rowcount < 1:
        return False
    connection.execute("DELETE FROM recorded WHERE recording = ?", (recording.id,))
    listed = {person.user for person in recording.people if person.listed}
    connection.executemany(
        "INSERT INTO recorded (user, asked, recording) VALUES (?, ?, ?)",
        [(user, recording.asked, recording.id) for user in sorted(listed)],
    )
    return True


def drop(connection: sqlite3.Connection, recording: str, version: int) -> bool:
    """Remove a recording that is at this version."""
    query = "DELETE FROM recordings WHERE id = ? AND version = ?"
    return connection.execute(query, (recording, version)).rowcount > 0


def get(connection: sqlite3.Connection, recording: str) -> Recording | None:
    """A recording by id."""
    query = "SELECT data FROM recordings WHERE id = ?"
    row = connection.execute(query, (recording,)).fetchone()
    return None if row is None else _recording.decode(row[0])


def live(connection: sqlite3.Connection) -> list[Recording]:
    """The recordings that have not ended."""
    rows = connection.execute("SELECT data FROM recordings WHERE ended IS NULL").fetchall()
    return [_recording.decode(data) for (data,) in rows]


def of_user(
    connection: sqlite3.Connection, user: str, before: int | None, limit: int
) -> list[Recording]:
    """Recordings in a user's list that have begun, newest first."""
    query = (
        "SELECT data FROM recorded JOIN recordings ON id = recording WHERE user = ?"
        " AND recorded.asked < ? AND started IS NOT NULL"
        " ORDER BY recorded.asked DESC, recording DESC LIMIT ?"
    )
    end = before if before is not None else 2**63 - 1
    rows = connection.execute(query, (user, end, limit)).fetchall()
    return [_recording.decode(data) for (data,) in rows]


def count(connection: sqlite3.Connection, user: str) -> int:
    """How many recordings stand in a user's list."""
    row = connection.execute("SELECT count(*) FROM recorded WHERE user = ?", (user,)).fetchone()
    return int(row[0])


def old(connection: sqlite3.Connection, before: int, limit: int) -> list[Recording]:
    """Ended recordings asked for before `before`, oldest first."""
    query = (
        "SELECT data FROM recordings WHERE ended IS NOT NULL AND asked < ? ORDER BY asked LIMIT ?"
    )
    return [_recording.decode(data) for (data,) in connection.execute(query, (before, limit))]
