"""What is read from and written to the tables, as plain functions of a connection.

They run on the database's thread, those that change something inside the writer's
transaction: what they read there is what is stored, so that a compare-and-set is decided
here and nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ringback.server.calls import Call
from ringback.server.protocol import ChatMessage, encode
from ringback.server.voicebox import Holder

from . import voicemails
from .base import Claim, Draft, StoredSession

_json = msgspec.json.Encoder()
_call = msgspec.json.Decoder(Call)
_session = msgspec.json.Decoder(StoredSession)
_mails = msgspec.msgpack.Decoder(list[bytes])


class Published(NamedTuple):
    """A stored message and how it goes over the wire; `new`: it was stored just now."""

    message: ChatMessage
    payload: bytes
    new: bool


class Page(NamedTuple):
    """Messages of a room in order, each with the user who said it."""

    messages: list[tuple[str, ChatMessage]]
    seq: int
    epoch: str


class Mail(NamedTuple):
    """A mailbox as it is stored: the last number given out and the messages up to it."""

    session: str
    last: int
    messages: list[bytes]


# --- rooms


def _room(connection: sqlite3.Connection, room: str, epoch: str) -> tuple[int, str, int]:
    query = "SELECT id, epoch, seq FROM rooms WHERE room = ?"
    row = connection.execute(query, (room,)).fetchone()
    if row is None:
        connection.execute("INSERT INTO rooms (room, epoch) VALUES (?, ?)", (room, epoch))
        row = connection.execute(query, (room,)).fetchone()
    return row[0], row[1], row[2]


def publish(connection: sqlite3.Connection, draft: Draft, epoch: str, keep: int) -> Published:
    """Store a message with the room's next number, or find it if its `cid` is known.

    `epoch` is for a room that is new. Of the room's messages the newest `keep` stay.
    """
    room, _, last = _room(connection, draft.room, epoch)
    known = connection.execute(
        "SELECT seq, name, text, time FROM messages WHERE room = ? AND user = ? AND cid = ?",
        (room, draft.user, draft.cid),
    ).fetchone()
    if known is not None:
        seq, name, text, time = known
    else:
        seq, name, text, time = last + 1, draft.name, draft.text, draft.time
    message = ChatMessage(room=draft.room, seq=seq, from_=name, text=text, time=time, cid=draft.cid)
    if known is None:
        connection.execute(
            "INSERT INTO messages (room, seq, user, name, text, time, cid)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (room, seq, draft.user, name, text, time, draft.cid),
        )
        connection.execute("UPDATE rooms SET seq = ? WHERE id = ?", (seq, room))
        if seq > keep:
            connection.execute(
                "DELETE FROM messages WHERE room = ? AND seq <= ?", (room, seq - keep)
            )
    return Published(message, encode(message), known is None)


def page(connection: sqlite3.Connection, room: str, epoch: str, after: int, limit: int) -> Page:
    """The newest `limit` messages numbered above `after`; a room that is new gets `epoch`."""
    number, epoch, seq = _room(connection, room, epoch)
    rows = connection.execute(
        "SELECT user, seq, name, text, time, cid FROM messages WHERE room = ? AND seq > ?"
        " ORDER BY seq DESC LIMIT ?",
        (number, after, limit),
    ).fetchall()
    messages = [
        (user, ChatMessage(room=room, seq=n, from_=name, text=text, time=time, cid=cid))
        for user, n, name, text, time, cid in reversed(rows)
    ]
    return Page(messages, seq, epoch)


def forget_empty_rooms(connection: sqlite3.Connection, keep: Iterable[str]) -> None:
    """Forget rooms in which nothing was ever said, except those named in `keep`."""
    names = _json.encode(sorted(keep)).decode()
    connection.execute(
        "DELETE FROM rooms WHERE seq = 0 AND room NOT IN (SELECT value FROM json_each(?))",
        (names,),
    )


# --- names


def _claim(row: tuple[str, str, str, int, str, int, float | None]) -> Claim:
    key, name, user, bot, about, call_waiting, until = row
    return Claim(
        key=key,
        name=name,
        user=user,
        bot=bool(bot),
        about=about,
        call_waiting=bool(call_waiting),
        until=until,
    )


def claim(connection: sqlite3.Connection, claim: Claim, now: float) -> Claim:
    """Store a claim unless somebody else holds the name at `now`; returns who holds it."""
    row = connection.execute(
        "SELECT key, name, user, bot, about, call_waiting, until FROM claims WHERE key = ?",
        (claim.key,),
    ).fetchone()
    if row is not None:
        holder = _claim(row)
        if holder.user != claim.user and (holder.until is None or holder.until > now):
            return holder
    connection.execute(
        "INSERT OR REPLACE INTO claims (key, name, user, bot, about, call_waiting, until)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(claim),
    )
    if not claim.bot:
        voicemails.hold(connection, Holder(claim.key, claim.name, claim.user, round(now * 1000)))
    return claim


def release(connection: sqlite3.Connection, key: str, user: str) -> bool:
    """Remove a user's claim; False if there is none."""
    query = "DELETE FROM claims WHERE key = ? AND user = ?"
    return connection.execute(query, (key, user)).rowcount > 0


def forget_lapsed(connection: sqlite3.Connection, now: float) -> None:
    """Remove the claims that have lapsed at `now`."""
    connection.execute("DELETE FROM claims WHERE until <= ?", (now,))


def claims(connection: sqlite3.Connection, until: float) -> list[Claim]:
    """All claims, which from now on lapse at `until`."""
    connection.execute("UPDATE claims SET until = ?", (until,))
    rows = connection.execute(
        "SELECT key, name, user, bot, about, call_waiting, until FROM claims"
    ).fetchall()
    return [_claim(row) for row in rows]


# --- sessions and mailboxes


def save_session(connection: sqlite3.Connection, session: StoredSession) -> None:
    """Store a session in place of what was known of it."""
    connection.execute(
        "INSERT INTO sessions (id, key_hash, data) VALUES (?, ?, ?) ON CONFLICT (id)"
        " DO UPDATE SET key_hash = excluded.key_hash, data = excluded.data",
        (session.id, session.key_hash, _json.encode(session)),
    )


def drop_session(connection: sqlite3.Connection, session: str, key_hash: str) -> bool:
    """Remove a session if it still has this key."""
    query = "DELETE FROM sessions WHERE id = ? AND key_hash = ?"
    return connection.execute(query, (session, key_hash)).rowcount > 0


def sessions(connection: sqlite3.Connection) -> list[StoredSession]:
    """All sessions."""
    rows = connection.execute("SELECT data FROM sessions").fetchall()
    return [_session.decode(data) for (data,) in rows]


def put_mail(connection: sqlite3.Connection, mails: Iterable[Mail]) -> None:
    """Store mailboxes; those of sessions that are not stored are left out."""
    connection.executemany(
        "INSERT OR REPLACE INTO mailboxes (session, last, data)"
        " SELECT id, ?2, ?3 FROM sessions WHERE id = ?1",
        [(mail.session, mail.last, msgspec.msgpack.encode(mail.messages)) for mail in mails],
    )


def take_mail(connection: sqlite3.Connection) -> list[Mail]:
    """All mailboxes. They are removed: after a crash an old one must not pass for whole."""
    rows = connection.execute("SELECT session, last, data FROM mailboxes").fetchall()
    connection.execute("DELETE FROM mailboxes")
    return [Mail(session, last, _mails.decode(data)) for session, last, data in rows]


# --- calls


def add_call(connection: sqlite3.Connection, call: Call, keep: int) -> bool:
    """Store a new call; False if its id is known. Of the ended calls about the newest `keep`
    stay, so that the book does not grow for ever."""
    query = (
        "INSERT INTO calls (id, caller, caller_key, callee, callee_key, placed, ended, data, leg)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
    )
    caller, callee = call.caller, call.callee
    parties = (caller.user, caller.key, callee.user, callee.key)
    row = (call.id, *parties, call.placed, _ended(call), _json.encode(call), call.leg)
    added = connection.execute(query, row)
    if added.rowcount > 0 and added.lastrowid is not None and added.lastrowid > keep:
        old = "DELETE FROM calls WHERE rowid <= ? AND ended IS NOT NULL"
        connection.execute(old, (added.lastrowid - keep,))
    return added.rowcount > 0


def set_call(connection: sqlite3.Connection, call: Call) -> bool:
    """Store a live call's next version; False if there is no such live call."""
    query = "UPDATE calls SET ended = ?, data = ? WHERE id = ? AND ended IS NULL"
    return connection.execute(query, (_ended(call), _json.encode(call), call.id)).rowcount > 0


def _ended(call: Call) -> int | None:
    return None if call.live else call.ended or call.placed


def call(connection: sqlite3.Connection, call: str) -> Call | None:
    """A call by id, live or ended."""
    row = connection.execute("SELECT data FROM calls WHERE id = ?", (call,)).fetchone()
    return None if row is None else _call.decode(row[0])


def live_calls(connection: sqlite3.Connection) -> list[Call]:
    """Calls that have not ended, in the order they were placed."""
    rows = connection.execute("SELECT data FROM calls WHERE ended IS NULL").fetchall()
    return sorted((_call.decode(data) for (data,) in rows), key=lambda c: (c.placed, c.id))


def records(
    connection: sqlite3.Connection, user: str, key: str, before: int | None, limit: int
) -> list[Call]:
    """Ended calls of a user under one folded name, newest first.

    Each half of the union walks its own index.
    """
    half = (
        "SELECT * FROM (SELECT id, placed FROM calls WHERE {0} = ?1 AND {0}_key = ?2"
        " AND ended IS NOT NULL AND NOT leg AND placed < ?3 ORDER BY placed DESC, id DESC LIMIT ?4)"
    )
    query = (
        f"SELECT data FROM ({half.format('caller')} UNION {half.format('callee')}) AS own"
        " JOIN calls USING (id) ORDER BY own.placed DESC, id DESC LIMIT ?4"
    )
    end = before if before is not None else 2**63 - 1
    rows = connection.execute(query, (user, key, end, limit)).fetchall()
    return [_call.decode(data) for (data,) in rows]


def probe(connection: sqlite3.Connection, now: float) -> None:
    """Try what storing a long message needs: room in the file and a commit that is written."""
    connection.execute("SAVEPOINT probe")
    connection.execute("INSERT OR REPLACE INTO probe VALUES (2, ?, zeroblob(65536))", (now,))
    connection.execute("ROLLBACK TO probe")
    connection.execute("RELEASE probe")
    connection.execute("INSERT OR REPLACE INTO probe VALUES (1, ?, NULL)", (now,))
