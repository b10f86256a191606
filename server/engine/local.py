"""What needs no store within one process: topics, locks, who is in which room."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

from ringback.server.protocol import RoomInfo

from .base import Presence, Sink, Unsubscribe

log = logging.getLogger(__name__)


class Topics:
    """Who listens to what."""

    def __init__(self) -> None:
        self._sinks: dict[str, dict[int, Sink]] = {}
        self._tokens = count()

    def __len__(self) -> int:
        return len(self._sinks)

    def subscribe(self, topic: str, sink: Sink) -> Unsubscribe:
        """Call `sink` with what is told to `topic`, until the returned function is called."""
        token = next(self._tokens)
        self._sinks.setdefault(topic, {})[token] = sink

        def unsubscribe() -> None:
            sinks = self._sinks.get(topic, {})
            if sinks.pop(token, None) is not None and not sinks:
                del self._sinks[topic]

        return unsubscribe

    def tell(self, topic: str, payload: bytes) -> None:
        """Give the same `payload` to every sink; one that raises does not stop the others."""
        sinks = self._sinks.get(topic)
        if not sinks:
            return
        for token in list(sinks):
            sink = sinks.get(token)
            if sink is not None:  # else an earlier sink has taken this one away
                try:
                    sink(payload)
                except Exception:
                    log.exception("a listener to %s failed", topic)


class Locks:
    """Locks by key, which exist only while somebody holds them or waits."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, *keys: str) -> AsyncIterator[None]:
        """Hold all `keys`. They are taken in one order everywhere, so nobody waits in a ring."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):
                await stack.enter_async_context(self._hold(key))
            yield

    @asynccontextmanager
    async def _hold(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)


class Attendance:
    """Who is in which room: by room, name and session, each in the order they came."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[str, dict[str, Presence]]] = {}
        self._names: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def join(self, presence: Presence) -> bool:
        """Note a presence; True if nobody of that name was in the room before."""
        place = (presence.room, presence.session)
        if self._names.get(place, presence.name) != presence.name:
            self.leave(*place)
        names = self._rooms.setdefault(presence.room, {})
        first = presence.name not in names
        names.setdefault(presence.name, {})[presence.session] = presence
        self._names[place] = presence.name
        return first

    def leave(self, room: str, session: str) -> bool:
        """Note that a session left; True if nobody of its name is left in the room."""
        name = self._names.pop((room, session), None)
        if name is None:
            return False
        names = self._rooms[room]
        del names[name][session]
        if names[name]:
            return False
        del names[name]
        if not names:
            del self._rooms[room]
        return True

    def rooms(self) -> list[str]:
        """The rooms that somebody is in."""
        return list(self._rooms)

    def members(self, room: str) -> list[Presence]:
        """One presence a name."""
        return [next(iter(s.values())) for s in self._rooms.get(room, {}).values()]

    def listed(self, most: int) -> list[RoomInfo]:
        """At most `most` rooms that nobody asked to keep unlisted, fullest first."""
        listed = (
            RoomInfo(room=room, people=len(names))
            for room, names in self._rooms.items()
            if not any(p.unlisted for sessions in names.values() for p in sessions.values())
        )
        return heapq.nsmallest(most, listed, key=lambda info: (-info.people, info.room))
