"""What was said in rooms: stored in the database, the newest of active rooms in memory."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from functools import partial

from ringback.server.protocol import ChatMessage

from . import tables
from .base import Draft, History
from .local import Topics
from .writer import Writer


class _Room:
    """The newest messages of a room, as far as they were told; `size` in characters."""

    def __init__(self, page: tables.Page, window: int) -> None:
        self.epoch = page.epoch
        self.seq = page.seq
        self.messages: deque[tuple[str, ChatMessage]] = deque()
        self.cids: dict[tuple[str, str], ChatMessage] = {}
        self.size = 0
        self._window = window
        for user, message in page.messages:
            self._append(user, message)

    def add(self, user: str, message: ChatMessage) -> None:
        self.seq = message.seq
        self._append(user, message)

    def _append(self, user: str, message: ChatMessage) -> None:
        self.messages.append((user, message))
        self.cids[user, message.cid] = message
        self.size += len(message.text)
        if len(self.messages) > self._window:
            user, oldest = self.messages.popleft()
            del self.cids[user, oldest.cid]
            self.size -= len(oldest.text)

    def newest(self, after: int, limit: int) -> list[ChatMessage] | None:
        """The newest `limit` messages above `after`; None if memory does not hold them all."""
        wanted = min(self.seq - after, limit)
        if wanted <= 0:
            return []
        if wanted > len(self.messages):
            return None
        messages = [message for _, message in self.messages]
        return messages[-wanted:]


class Histories:
    """The rooms' messages.

    The newest `keep` messages of a room are stored; the newest `window` of the `rooms` rooms
    used last are in memory, of fewer rooms if together they are longer than `size` characters.
    """

    def __init__(
        self,
        writer: Writer,
        topics: Topics,
        *,
        keep: int,
        window: int,
        rooms: int,
        size: int = 32 * 1024 * 1024,
    ) -> None:
        self._writer = writer
        self._topics = topics
        self._keep = keep
        self._window = min(window, keep)
        self._most = rooms
        self._most_size = size
        self.size = 0
        self._rooms: OrderedDict[str, _Room] = OrderedDict()

    async def publish(self, draft: Draft) -> tuple[ChatMessage, bool]:
        """Store a message, then tell the room, unless its `cid` is known."""
        room = self._rooms.get(draft.room)
        if room is not None:
            known = room.cids.get((draft.user, draft.cid))
            if known is not None:
                return known, False
        work = partial(tables.publish, draft=draft, epoch=_epoch(), keep=self._keep)
        published = await self._writer.write(work, partial(self._published, draft.user))
        return published.message, published.new

    def _published(self, user: str, published: tables.Published) -> None:
        message = published.message
        room = self._rooms.get(message.room)
        if not published.new:
            return
        if room is not None:
            self.size -= room.size
            room.add(user, message)
            self.size += room.size
            self._touch(message.room)
        self._topics.tell(f"room:{message.room}", published.payload)

    async def read(self, room: str, after: int, limit: int) -> History:
        """The newest `limit` messages numbered above `after`."""
        active = self._rooms.get(room) or await self._load(room)
        self._touch(room)
        messages = active.newest(after, limit)
        if messages is not None:
            return History(messages, active.seq, active.epoch)
        # One read answers with all of it, so that the parts belong together.
        work = partial(tables.page, room=room, epoch=_epoch(), after=after, limit=limit)
        page = await self._writer.write(work)
        return History([message for _, message in page.messages], page.seq, page.epoch)

    def rooms(self) -> list[str]:
        """The rooms in memory."""
        return list(self._rooms)

    async def enter(self, room: str) -> bool:
        """Have a room in memory, made if it is new; False if it was there."""
        if room in self._rooms:
            return False
        await self._load(room)
        return True

    async def _load(self, room: str) -> _Room:
        work = partial(tables.page, room=room, epoch=_epoch(), after=0, limit=self._window)
        loaded: list[_Room] = []

        def done(page: tables.Page) -> None:
            # In turn with the messages told before and after: neither hole nor doubling.
            fresh = _Room(page, self._window)
            self._forget(room)
            self._rooms[room] = fresh
            self.size += fresh.size
            self._touch(room)
            loaded.append(fresh)

        await self._writer.write(work, done)
        return loaded[0]

    def _touch(self, room: str) -> None:
        if room in self._rooms:
            self._rooms.move_to_end(room)
        while len(self._rooms) > self._most or (
            self.size > self._most_size and len(self._rooms) > 1
        ):
            self._forget(next(iter(self._rooms)))

    def _forget(self, room: str) -> None:
        forgotten = self._rooms.pop(room, None)
        if forgotten is not None:
            self.size -= forgotten.size


def _epoch() -> str:
    return secrets.token_urlsafe(9)
