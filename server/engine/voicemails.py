"""Voicemail in the database: who held which name, whose messages there are, and settings."""

from __future__ import annotations

import sqlite3

import msgspec

from ringback.server.voicebox import Holder, Voicebox, VoiceMessage

MOST_HOLDERS = 100_000
"""Names whose last holder is remembered; beyond it the oldest are forgotten."""

_json = msgspec.json.Encoder()
_message = msgspec.json.Decoder(VoiceMessage)
_box = msgspec.json.Decoder(Voicebox)


def hold(connection: sqlite3.Connection, holder: Holder) -> None:
    """Note who holds a name."""
    connection.execute(
        "INSERT OR REPLACE INTO holders (key, name, user, at) VALUES (?, ?, ?, ?)",
        (holder.key, holder.name, holder.user, holder.at),
    )
    connection.execute(
        "DELETE FROM holders WHERE at < (SELECT at FROM holders ORDER BY at DESC LIMIT 1 OFFSET ?)",
        (MOST_HOLDERS,),
    )


def holder(connection: sqlite3.Connection, key: str) -> Holder | None:
    """Who last held a name."""
    query = "SELECT key, name, user, at FROM holders WHERE key = ?"
    row = connection.execute(query, (key,)).fetchone()
    return None if row is None else Holder(*row)


def box(connection: sqlite3.Connection, user: str, key: str) -> Voicebox:
    """How a user wants voicemail under a name: as it comes if they said nothing."""
    query = "SELECT data FROM voiceboxes WHERE user = ? AND key = ?"
    row = connection.execute(query, (user, key)).fetchone()
    return Voicebox(user, key) if row is None else _box.decode(row[0])


def put_box(connection: sqlite3.Connection, box: Voicebox) -> None:
    """Keep it."""
    connection.execute(
        "INSERT OR REPLACE INTO voiceboxes (user, key, greeting, data) VALUES (?, ?, ?, ?)",
        (box.user, box.key, box.greeting, _json.encode(box)),
    )


def greeting(connection: sqlite3.Connection, id: str) -> bool:
    """Whether somebody greets with this."""
    query = "SELECT 1 FROM voiceboxes WHERE greeting = ?"
    return connection.execute(query, (id,)).fetchone() is not None


def put_message(connection: sqlite3.Connection, message: VoiceMessage) -> None:
    """Keep a message as it is now."""
    connection.execute(
        "INSERT OR REPLACE INTO voicemails (id, user, begun, completed, data)"
        " VALUES (?, ?, ?, ?, ?)",
        (message.id, message.user, message.begun, message.left, _json.encode(message)),
    )


def message(connection: sqlite3.Connection, id: str) -> VoiceMessage | None:
    """A message by id."""
    row = connection.execute("SELECT data FROM voicemails WHERE id = ?", (id,)).fetchone()
    return None if row is None else _message.decode(row[0])


def messages(connection: sqlite3.Connection, user: str) -> list[VoiceMessage]:
    """All of a user's, newest first."""
    query = "SELECT data FROM voicemails WHERE user = ? ORDER BY begun DESC, id DESC"
    return [_message.decode(data) for (data,) in connection.execute(query, (user,))]


def drop_message(connection: sqlite3.Connection, id: str) -> bool:
    """Forget a message; False if there is none."""
    return connection.execute("DELETE FROM voicemails WHERE id = ?", (id,)).rowcount > 0


def old_messages(
    connection: sqlite3.Connection, left_before: int, begun_before: int, limit: int
) -> list[VoiceMessage]:
    """Messages that were left, or begun and never completed, before these times."""
    query = (
        "SELECT data FROM voicemails WHERE completed < ?1 OR (completed IS NULL AND begun < ?2)"
        " ORDER BY begun LIMIT ?3"
    )
    rows = connection.execute(query, (left_before, begun_before, limit))
    return [_message.decode(data) for (data,) in rows]
