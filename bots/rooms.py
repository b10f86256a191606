"""Rooms for bots: join, hear and speak, over one session."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ringback.server import protocol
from ringback.server.protocol import ErrorCode, ProtocolError

from .client import Client, Lost
from .feed import Feed, Listener
from .values import Came, RoomEvent, Said, Went

TRIES = 3


class Room:
    """A room that the bot is in. Iterate over it to hear what happens from now on.

    What the bot itself says is not told back. A reader that falls behind by more than 256
    events loses the oldest.
    """

    def __init__(self, client: Client, joined: protocol.Joined) -> None:
        self.name = joined.room
        self._client = client
        self._members = {member.name: member.bot for member in joined.members}
        self._feed: Feed[RoomEvent] = Feed()
        self._ended = False
        self._epoch = joined.epoch
        self._seq = joined.seq

    @property
    def members(self) -> list[str]:
        """Who is in the room, the bot itself too, in the order they came."""
        return list(self._members)

    def __aiter__(self) -> Listener[RoomEvent]:
        return self._feed.listen()

    async def say(self, text: str) -> None:
        """Say something, once, also when the connection drops meanwhile.

        Raises `ProtocolError` when it is refused (too long, too fast), `Lost` or `TimeoutError`
        when the exchange does not answer.
        """
        message = protocol.Chat(room=self.name, text=text, cid=secrets.token_hex(8))
        for left in reversed(range(TRIES)):
            try:
                await self._client.request(message)
                return
            except Lost:
                if not left:
                    raise
            except ProtocolError as error:
                # A new session has begun, which is not in the room yet.
                if error.code is not ErrorCode.NOT_IN_ROOM or self._ended or not left:
                    raise
                reply = await self._client.request(protocol.Join(room=self.name))
                self.hear(reply)

    def hear(self, event: protocol.ServerMessage) -> None:
        """Take what the exchange says of this room."""
        match event:
            case protocol.ChatMessage(seq=seq) if seq > self._seq:
                self._seq = seq
                self._tell(event)
            case protocol.Presence(name=who, here=True, bot=bot):
                self._members[who] = bot
                self._feed.put(Came(who, bot))
            case protocol.Presence(name=who, bot=bot):
                self._members.pop(who, None)
                self._feed.put(Went(who, bot))
            case protocol.Joined():
                self._see(event.members)
                if event.epoch != self._epoch:
                    self._epoch, self._seq = event.epoch, 0
                # What was said while it was away; the rest it has heard.
                for message in event.history:
                    self.hear(message)
                self._seq = max(self._seq, event.seq)

    def end(self) -> None:
        """The bot has left."""
        self._ended = True
        self._feed.end()

    def _tell(self, message: protocol.ChatMessage) -> None:
        who = message.from_
        if who != self._client.name:
            bot = self._members.get(who, False)
            self._feed.put(Said(who, message.text, message.time, bot))

    def _see(self, members: list[protocol.Member]) -> None:
        """Take over who is here now, and tell who came and went unseen."""
        before, self._members = self._members, {m.name: m.bot for m in members}
        for name in before.keys() - self._members.keys():
            self._feed.put(Went(name, before[name]))
        for name in self._members.keys() - before.keys():
            self._feed.put(Came(name, self._members[name]))


class Rooms:
    """All rooms of one session; `hear` what the exchange says."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rooms: dict[str, Room] = {}
        self._guests: dict[str, int] = {}

    @asynccontextmanager
    async def visit(self, name: str, unlisted: bool = False) -> AsyncIterator[Room]:
        """Be in a room; it is left when the last visit ends. Raises what `Client.request` does."""
        reply = await self._client.request(protocol.Join(room=name, unlisted=unlisted))
        assert isinstance(reply, protocol.Joined)
        key = reply.room
        if key in self._rooms:
            self._rooms[key].hear(reply)
        else:
            self._rooms[key] = Room(self._client, reply)
        self._guests[key] = self._guests.get(key, 0) + 1
        room = self._rooms[key]
        try:
            yield room
        finally:
            self._guests[key] -= 1
            if not self._guests[key]:
                del self._guests[key]
                self._rooms.pop(key).end()
                with suppress(Lost):
                    self._client.tell(protocol.Leave(room=key))

    def hear(self, event: protocol.ServerMessage) -> None:
        """Take what the exchange says."""
        match event:
            case (
                protocol.ChatMessage(room=name)
                | protocol.Presence(room=name)
                | protocol.Joined(room=name)
            ):
                if (room := self._rooms.get(name)) is not None:
                    room.hear(event)
            case protocol.Welcome(resumed=False):
                for name in self._rooms:
                    self._join_again(name)
            case protocol.Resync(room=str(name)) if name in self._rooms:
                self._join_again(name)

    def _join_again(self, name: str) -> None:
        # With an id its `joined` would be a reply that nobody waits for.
        with suppress(Lost):
            self._client.tell(protocol.Join(room=name))
