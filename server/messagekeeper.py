"""Keeps messages for people, and how they want their voicemail, over an engine.

What may be is decided in `voicebox`; how a message comes about is in `voicemails`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from ringback.server.callkeeper import CallKeeper
from ringback.server.config import VoicemailLimits
from ringback.server.engine.base import Engine
from ringback.server.protocol import ErrorCode, ProtocolError, Settings, VoicemailChange
from ringback.server.session import Session
from ringback.server.voicebox import GIVEN_UP, Room, Voicebox, VoiceMessage, left


class MessageKeeper:
    """Messages and greetings. `on_drop` is called with the id of each one whose files nobody
    needs any more."""

    def __init__(self, engine: Engine, keeper: CallKeeper, limits: VoicemailLimits) -> None:
        self.on_drop: Callable[[str], None] = lambda id: None
        self.room = Room(limits.messages, limits.minutes)
        self._engine = engine
        self._keeper = keeper
        self._limits = limits

    # --- from the bot

    async def greet(self, made: VoiceMessage) -> None:
        """Greet callers with this from now on."""
        box = await self._engine.voicebox(made.user, made.key)
        await self._engine.put_voicebox(replace(box, greeting=made.id))
        # Of a greeting nothing but its id is to be remembered.
        await self._engine.drop_message(made.id)
        if box.greeting is not None:
            self.on_drop(box.greeting)

    async def keep(self, message: VoiceMessage) -> None:
        """A message is complete: its owner is told, and where they were warned the oldest go."""
        await self._engine.put_message(message)
        box = await self._engine.voicebox(message.user, message.key)
        if box.warned is not None:
            known = await self._engine.messages(message.user)
            for old in self.room.surplus(left(known, message.key)):
                await self.drop(old)
        await self.tell_owner(message.user, message.key)

    async def drop(self, message: VoiceMessage) -> None:
        """Forget a message and its files."""
        await self._engine.drop_message(message.id)
        self.on_drop(message.id)

    # --- whose it is

    async def arrived(self, session: Session) -> None:
        """Somebody has come: tell them what waits."""
        if session.name and not session.stored.bot and self._limits.on:
            change = await self._change(session.stored.user, session.key)
            if change.total:
                await self._push(session.id, session.stored.user, session.key, change)

    async def settings(self, session: Session, message: Settings) -> None:
        """Take messages for somebody, or take none."""
        if message.voicemail is not None:
            await self.switch(session.stored.user, session.key, message.voicemail)

    async def switch(self, user: str, key: str, on: bool) -> None:
        """The same for a page."""
        box = await self._engine.voicebox(user, key)
        await self._engine.put_voicebox(replace(box, on=on))

    async def box(self, user: str, key: str) -> Voicebox:
        """How somebody wants it."""
        return await self._engine.voicebox(user, key)

    async def forget_greeting(self, user: str, key: str) -> None:
        """Greet callers with the greeting that ships."""
        box = await self._engine.voicebox(user, key)
        if box.greeting is not None:
            await self._engine.put_voicebox(replace(box, greeting=None))
            self.on_drop(box.greeting)

    async def listed(self, user: str) -> list[VoiceMessage]:
        """All messages for a user, newest first."""
        known = await self._engine.messages(user)
        return [m for m in known if m.kind == "message" and m.left is not None]

    async def of(self, user: str, id: str) -> VoiceMessage | None:
        """A message that is a user's own."""
        found = await self._engine.message(id)
        return found if found is not None and found.user == user and found.left else None

    async def heard(self, user: str, id: str) -> None:
        """A message was played. Raises `ProtocolError` unless it is the user's own."""
        found = await self._own(user, id)
        if not found.heard:
            await self._engine.put_message(replace(found, heard=True))
            await self.tell_owner(user, found.key)

    async def delete(self, user: str, id: str) -> None:
        """Remove a message. Raises `ProtocolError` unless it is the user's own."""
        found = await self._own(user, id)
        await self.drop(found)
        await self.tell_owner(user, found.key)

    async def _own(self, user: str, id: str) -> VoiceMessage:
        found = await self.of(user, id)
        if found is None:
            raise ProtocolError(ErrorCode.NO_VOICEMAIL, "There is no such message.")
        return found

    async def known(self, id: str) -> bool:
        """Whether anybody needs the files of this id."""
        return await self._engine.message(id) is not None or await self._engine.greeting(id)

    async def forget_old(self, limit: int) -> list[str]:
        """Forget up to `limit` messages that are too old, or were never completed; their ids."""
        now = self._keeper.now()
        before = now - round(self._limits.days * 86_400_000) if self._limits.days else 0
        old = await self._engine.old_messages(before, now - round(GIVEN_UP * 1000), limit)
        for message in old:
            await self._engine.drop_message(message.id)
        return [message.id for message in old]

    def nearly_full(self, messages: list[VoiceMessage]) -> bool:
        """Whether somebody with these messages is to be warned."""
        return self.room.nearly_full(messages)

    async def warned(self, user: str, key: str) -> None:
        """They have been shown that it is nearly full."""
        box = await self._engine.voicebox(user, key)
        if box.warned is None:
            await self._engine.put_voicebox(replace(box, warned=self._keeper.now()))

    async def tell_owner(self, user: str, key: str) -> None:
        """Tell a user's sessions under a name how their voicemail is now."""
        change = await self._change(user, key)
        if not change.nearly_full:
            box = await self._engine.voicebox(user, key)
            if box.warned is not None:
                await self._engine.put_voicebox(replace(box, warned=None))
        sessions = [s for s in await self._engine.sessions(key) if s.user == user]
        await asyncio.gather(
            *(self._push(s.id, user, key, change, shown=s.expires is None) for s in sessions)
        )

    async def _push(
        self, session: str, user: str, key: str, change: VoicemailChange, *, shown: bool = True
    ) -> None:
        await self._keeper.push(session, change)
        if change.nearly_full and shown:
            await self.warned(user, key)

    async def _change(self, user: str, key: str) -> VoicemailChange:
        mine = left(await self._engine.messages(user), key)
        unheard = sum(not message.heard for message in mine)
        return VoicemailChange(
            unheard=unheard, total=len(mine), nearly_full=self.room.nearly_full(mine)
        )
