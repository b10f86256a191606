"""The engine of one server: memory for what is live, SQLite for what must survive.

What is written is decided in the database, inside the writer's transaction, and taken into
memory after the commit, in the same order (see `writer.py`). So memory never shows what is
not stored, nobody is told of it, and a caller who gives up waiting leaves nothing half done.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ringback.server.calls import Call
from ringback.server.protocol import (
    PEOPLE_LISTED,
    ChatMessage,
    DirectedMessage,
    Limits,
    RoomInfo,
)
from ringback.server.recording import Recording
from ringback.server.voicebox import Holder, Voicebox, VoiceMessage

from . import recordings, tables, voicemails
from .base import (
    Claim,
    Draft,
    Engine,
    EngineError,
    History,
    Presence,
    Sink,
    StoredSession,
    Unsubscribe,
)
from .callbook import CallBook
from .history import Histories
from .local import Attendance, Locks, Topics
from .recordings import LiveRecordings
from .registry import Claims, Sessions
from .storage import Storage
from .writer import Writer, transaction

ENTERED = 4096
"""After so many rooms were read from the database those in which nothing was said are
forgotten: whoever joins ever new ones would fill the disk."""


class _Parts(NamedTuple):
    """What an open engine works with."""

    storage: Storage
    writer: Writer
    histories: Histories
    claims: Claims
    sessions: Sessions
    calls: CallBook
    recordings: LiveRecordings


class _Restored(NamedTuple):
    """What was live when the engine was closed or died."""

    sessions: list[StoredSession]
    mails: list[tables.Mail]
    claims: list[Claim]
    calls: list[Call]
    recordings: list[Recording]


class EmbeddedEngine(Engine):
    """One process's engine.

    `path` is the database file (None: nothing outlives the object), `hold` the seconds that
    sessions and names wait for their owners after `open`, `clock` tells seconds since 1970,
    `mailbox` is the messages kept for a session. The newest `keep` messages of each room are
    stored; the newest `window` of the `rooms` rooms used last are in memory. About `records`
    ended calls are stored. At most `waiting` writes wait for the disk.
    """

    def __init__(
        self,
        path: Path | None,
        hold: float = 30.0,
        clock: Callable[[], float] = time.time,
        mailbox: int = 256,
        *,
        keep: int = 10_000,
        window: int = Limits().history,
        rooms: int = 1024,
        records: int = 100_000,
        waiting: int = 8192,
    ) -> None:
        self._path = path
        self._hold = hold
        self._clock = clock
        self._mailbox = mailbox
        self._keep = max(1, keep)
        self._window = max(1, window)
        self._most_rooms = max(1, rooms)
        self._records = max(1, records)
        self._waiting = waiting
        self._topics = Topics()
        self._locks = Locks()
        self._attendance = Attendance()
        self._nodes: dict[str, float] = {}
        self._entered = 0
        self._open: _Parts | None = None

    @property
    def _parts(self) -> _Parts:
        if self._open is None:
            raise EngineError("the engine is not open")
        return self._open

    async def open(self) -> None:
        """Make ready; presence is restored from the rooms of the stored sessions."""
        if self._open is not None:
            return
        storage = Storage(self._path)
        await storage.open()
        writer = Writer(storage, waiting=self._waiting)
        writer.start()
        now = self._clock()
        try:
            restored = await writer.write(partial(_restore, until=now + self._hold))
        except BaseException:
            await writer.close()
            await storage.close()
            raise
        self._open = self._assemble(storage, writer, restored, now)
        self._attendance = Attendance()
        for session in restored.sessions:
            if session.name is not None:
                for room, unlisted in session.rooms.items():
                    self._attendance.join(
                        Presence(room, session.id, session.name, session.bot, unlisted)
                    )

    def _assemble(self, storage: Storage, writer: Writer, old: _Restored, now: float) -> _Parts:
        return _Parts(
            storage,
            writer,
            Histories(
                writer,
                self._topics,
                keep=self._keep,
                window=self._window,
                rooms=self._most_rooms,
            ),
            Claims(writer, old.claims),
            Sessions(
                writer,
                self._topics,
                old.sessions,
                old.mails,
                mailbox=self._mailbox,
                lost_from=round(now * 1000),
            ),
            CallBook(writer, old.calls, self._records),
            LiveRecordings(writer, old.recordings),
        )

    async def close(self) -> None:
        """Store the mailboxes and the newest calls, merge the log, end the thread."""
        parts, self._open = self._open, None
        if parts is None:
            return

        try:
            await parts.writer.close()
            last = partial(_store, mails=parts.sessions.mails(), calls=parts.calls.ahead())
            await parts.storage.run(partial(transaction, works=[last]))
        finally:
            await parts.storage.close()

    async def check(self) -> None:
        """Store something for a trial."""
        await self._parts.writer.write(partial(tables.probe, now=self._clock()))

    # --- rooms

    async def publish(self, draft: Draft) -> tuple[ChatMessage, bool]:
        """See `Engine.publish`. A `cid` is known as long as its message is kept."""
        return await self._parts.histories.publish(draft)

    async def history(self, room: str, after: int, limit: int) -> History:
        """See `Engine.history`."""
        return await self._parts.histories.read(room, after, limit)

    async def join(self, presence: Presence) -> bool:
        """See `Engine.join`. The room has an epoch from now on."""
        parts = self._parts
        if await parts.histories.enter(presence.room):
            self._entered += 1
        if self._entered >= ENTERED:
            self._entered = 0
            keep = {presence.room, *parts.histories.rooms(), *self._attendance.rooms()}
            await parts.writer.write(partial(tables.forget_empty_rooms, keep=keep))
        return self._attendance.join(presence)

    async def leave(self, room: str, session: str) -> bool:
        """See `Engine.leave`."""
        return self._attendance.leave(room, session)

    async def members(self, room: str) -> list[Presence]:
        """See `Engine.members`."""
        return self._attendance.members(room)

    async def rooms(self) -> list[RoomInfo]:
        """See `Engine.rooms`."""
        return self._attendance.listed(PEOPLE_LISTED)

    # --- names

    async def claim(self, claim: Claim, now: float) -> Claim:
        """See `Engine.claim`."""
        return await self._parts.claims.claim(claim, now)

    async def claim_of(self, key: str, now: float) -> Claim | None:
        """See `Engine.claim_of`."""
        return self._parts.claims.of(key, now)

    async def claims(self, now: float) -> list[Claim]:
        """See `Engine.claims`."""
        return self._parts.claims.all(now)

    async def release(self, key: str, user: str) -> bool:
        """See `Engine.release`."""
        return await self._parts.claims.release(key, user)

    # --- sessions and their mailboxes

    async def save_session(self, session: StoredSession) -> None:
        """See `Engine.save_session`."""
        await self._parts.sessions.save(session)

    async def session(self, session: str) -> StoredSession | None:
        """See `Engine.session`."""
        return self._parts.sessions.get(session)

    async def sessions(self, name_key: str | None = None) -> list[StoredSession]:
        """See `Engine.sessions`."""
        return self._parts.sessions.all(name_key)

    async def drop_session(self, session: str, key_hash: str) -> bool:
        """See `Engine.drop_session`."""
        return await self._parts.sessions.drop(session, key_hash)

    async def push(self, session: str, message: DirectedMessage) -> None:
        """See `Engine.push`. A session that was not saved has no mailbox and gets nothing."""
        self._parts.sessions.push(session, message)

    async def mail(self, session: str, after: int) -> list[bytes] | None:
        """See `Engine.mail`. None for what was given out before a crash."""
        return self._parts.sessions.mail(session, after)

    async def last(self, session: str) -> int:
        """See `Engine.last`."""
        return self._parts.sessions.last(session)

    # --- calls

    async def call(self, call: str) -> Call | None:
        """See `Engine.call`."""
        parts = self._parts
        live = parts.calls.get(call)
        return live or await parts.storage.run(partial(tables.call, call=call))

    async def put_call(self, call: Call, expect: int | None) -> bool:
        """See `Engine.put_call`. A change of candidates alone is stored with the next one."""
        return await self._parts.calls.put(call, expect)

    async def live_calls(self, key: str | None = None) -> list[Call]:
        """See `Engine.live_calls`."""
        return self._parts.calls.all(key)

    async def records(self, user: str, key: str, before: int | None, limit: int) -> list[Call]:
        """See `Engine.records`."""
        work = partial(tables.records, user=user, key=key, before=before, limit=limit)
        return await self._parts.storage.run(work)

    def hold(self, *keys: str) -> AbstractAsyncContextManager[None]:
        """See `Engine.hold`."""
        return self._locks.hold(*keys)

    # --- recordings

    async def recording(self, recording: str) -> Recording | None:
        """See `Engine.recording`."""
        parts = self._parts
        live = parts.recordings.get(recording)
        return live or await parts.storage.run(partial(recordings.get, recording=recording))

    async def put_recording(self, recording: Recording, expect: int | None) -> bool:
        """See `Engine.put_recording`."""
        return await self._parts.recordings.put(recording, expect)

    async def drop_recording(self, recording: str, version: int) -> bool:
        """See `Engine.drop_recording`."""
        return await self._parts.recordings.drop(recording, version)

    async def live_recordings(self, call: str | None = None) -> list[Recording]:
        """See `Engine.live_recordings`."""
        return self._parts.recordings.all(call)

    async def recordings(self, user: str, before: int | None, limit: int) -> list[Recording]:
        """See `Engine.recordings`."""
        work = partial(recordings.of_user, user=user, before=before, limit=limit)
        return await self._parts.storage.run(work)

    async def count_recordings(self, user: str) -> int:
        """See `Engine.count_recordings`."""
        return await self._parts.storage.run(partial(recordings.count, user=user))

    async def old_recordings(self, before: int, limit: int) -> list[Recording]:
        """See `Engine.old_recordings`."""
        work = partial(recordings.old, before=before, limit=limit)
        return await self._parts.storage.run(work)

    # --- voicemail

    async def holder(self, key: str) -> Holder | None:
        """See `Engine.holder`."""
        return await self._parts.storage.run(partial(voicemails.holder, key=key))

    async def voicebox(self, user: str, key: str) -> Voicebox:
        """See `Engine.voicebox`."""
        return await self._parts.storage.run(partial(voicemails.box, user=user, key=key))

    async def put_voicebox(self, box: Voicebox) -> None:
        """See `Engine.put_voicebox`."""
        await self._parts.writer.write(partial(voicemails.put_box, box=box))

    async def greeting(self, id: str) -> bool:
        """See `Engine.greeting`."""
        return await self._parts.storage.run(partial(voicemails.greeting, id=id))

    async def message(self, id: str) -> VoiceMessage | None:
        """See `Engine.message`."""
        return await self._parts.storage.run(partial(voicemails.message, id=id))

    async def put_message(self, message: VoiceMessage) -> None:
        """See `Engine.put_message`."""
        await self._parts.writer.write(partial(voicemails.put_message, message=message))

    async def drop_message(self, id: str) -> bool:
        """See `Engine.drop_message`."""
        return await self._parts.writer.write(partial(voicemails.drop_message, id=id))

    async def messages(self, user: str) -> list[VoiceMessage]:
        """See `Engine.messages`."""
        return await self._parts.storage.run(partial(voicemails.messages, user=user))

    async def old_messages(
        self, left_before: int, begun_before: int, limit: int
    ) -> list[VoiceMessage]:
        """See `Engine.old_messages`."""
        work = partial(
            voicemails.old_messages, left_before=left_before, begun_before=begun_before,
            limit=limit,
        )  # fmt: skip
        return await self._parts.storage.run(work)

    # --- telling

    def subscribe(self, topic: str, sink: Sink) -> Unsubscribe:
        """See `Engine.subscribe`."""
        return self._topics.subscribe(topic, sink)

    async def tell(self, topic: str, payload: bytes) -> None:
        """See `Engine.tell`."""
        self._topics.tell(topic, payload)

    async def heartbeat(self, node: str) -> Sequence[str]:
        """See `Engine.heartbeat`. Lately is within one hold time."""
        now = self._clock()
        self._nodes[node] = now
        self._nodes = {n: at for n, at in self._nodes.items() if at > now - self._hold}
        return list(self._nodes)


def _store(connection: sqlite3.Connection, mails: list[tables.Mail], calls: list[Call]) -> None:
    tables.put_mail(connection, mails)
    for call in calls:
        tables.set_call(connection, call)


def _restore(connection: sqlite3.Connection, until: float) -> _Restored:
    sessions = [replace(s, expires=until) for s in tables.sessions(connection)]
    tables.forget_empty_rooms(connection, {room for s in sessions for room in s.rooms})
    return _Restored(
        sessions,
        tables.take_mail(connection),
        tables.claims(connection, until),
        tables.live_calls(connection),
        recordings.live(connection),
    )
