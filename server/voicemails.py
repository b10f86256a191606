"""Voicemail: messages for people who do not answer, from the offer to leave one to its end.

What may be is decided in `voicebox`; this carries it out over an engine, and tells the people
and the bot. The bot learns names and ids, never who is behind them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from msgspec.structs import replace

from ringback.server import calls, names
from ringback.server.callkeeper import CallKeeper
from ringback.server.clock import Clock
from ringback.server.config import VoicemailLimits
from ringback.server.engine.base import Engine
from ringback.server.protocol import (
    Call,
    ErrorCode,
    MessageOrder,
    ProtocolError,
    Settings,
    TellMessage,
    VoicemailChange,
)
from ringback.server.session import Session
from ringback.server.voicebox import (
    AFTER,
    LONGEST,
    LONGEST_GREETING,
    VOICEMAIL,
    Room,
    Voicebox,
    VoiceMessage,
    may_follow,
)

NOBODY = "anonymous-"
"""How the ids of users begin who cannot come back: they have no cookie."""


class Voicemails:
    """Voicemail over an engine. `on_drop` is called with the id of each message (and greeting)
    whose files nobody needs any more."""

    def __init__(
        self, engine: Engine, clock: Clock, keeper: CallKeeper, limits: VoicemailLimits
    ) -> None:
        self.on_drop: Callable[[str], None] = lambda id: None
        self._engine = engine
        self._clock = clock
        self._keeper = keeper
        self._limits = limits
        self._room = Room(limits.messages, limits.minutes)
        keeper.offers = self.offers

    # --- callers

    async def offers(self, call: calls.Call) -> bool:
        """Whether the caller of a call that has ended is told that they may leave a message."""
        if not may_follow(call) or await self._busy():
            return False
        box = await self._box_of(call)
        return box is not None and box.on

    async def admit(self, call: calls.Call, message: Call) -> calls.Call:
        """A new call as it goes on to voicemail, or just as it is to anybody else.

        Raises `ProtocolError` where no message can be left.
        """
        if call.callee.key != VOICEMAIL:
            if message.after is not None or message.greeting:
                raise ProtocolError(ErrorCode.BAD_TARGET, "Only voicemail takes messages.")
            return call
        if not self._limits.on:
            raise ProtocolError(ErrorCode.NO_VOICEMAIL, "There is no voicemail on this server.")
        if message.greeting:
            kept = await self._begin_greeting(call)
        elif message.after is not None:
            kept = await self._begin_message(call, message.after)
        else:
            raise ProtocolError(
                ErrorCode.NO_VOICEMAIL,
                "Voicemail answers for people who do not. Call the person first.",
            )
        return replace(call, voicemail=kept)

    async def _begin_greeting(self, call: calls.Call) -> MessageOrder:
        caller = call.caller
        if caller.user.startswith(NOBODY):
            raise ProtocolError(ErrorCode.NO_VOICEMAIL, "Voicemail is for people with a cookie.")
        begun = self._new(call, "greeting", caller.user, caller.key, caller.name, "")
        await self._engine.put_message(begun)
        return MessageOrder(begun.id, "greeting", caller.name, LONGEST_GREETING)

    async def _begin_message(self, call: calls.Call, after: str) -> MessageOrder:
        missed = await self._engine.call(after)
        own = missed is not None and missed.caller.user == call.caller.user
        if missed is None or not own or missed.caller.key != call.caller.key:
            raise ProtocolError(ErrorCode.NO_SUCH_CALL)
        now = self._keeper.now()
        if not may_follow(missed) or now - (missed.ended or 0) > AFTER * 1000:
            raise ProtocolError(ErrorCode.NO_VOICEMAIL)
        box = await self._box_of(missed)
        if box is None or not box.on:
            words = f"{missed.callee.name} takes no messages."
            raise ProtocolError(ErrorCode.NO_VOICEMAIL, words)
        name = missed.callee.name
        async with self._engine.hold(f"voicemail:{box.user}"):
            await self._check_room(box, name, after)
            begun = self._new(call, "message", box.user, box.key, name, after)
            await self._engine.put_message(begun)
        return MessageOrder(begun.id, "message", name, LONGEST, box.greeting)

    async def _check_room(self, box: Voicebox, name: str, after: str) -> None:
        known = await self._engine.messages(box.user)
        if any(m.after == after and m.left is not None for m in known):
            raise ProtocolError(
                ErrorCode.NO_VOICEMAIL, f"You have left a message for {name} already."
            )
        left = _left(known, box.key)
        under_way = [m for m in known if m.left is None and m.kind == "message"]
        if len(under_way) >= self._limits.messages:
            raise ProtocolError(ErrorCode.VOICEMAIL_FULL)
        if self._room.full(left) and box.warned is None:
            words = f"The voicemail of {name} is full. Try to call again later."
            raise ProtocolError(ErrorCode.VOICEMAIL_FULL, words)

    def _new(
        self, call: calls.Call, kind: str, user: str, key: str, name: str, after: str
    ) -> VoiceMessage:
        return VoiceMessage(
            id=secrets.token_hex(16), kind="greeting" if kind == "greeting" else "message",
            user=user, key=key, name=name, from_name=call.caller.name, call=call.id,
            after=after, begun=self._keeper.now(),
        )  # fmt: skip

    async def _box_of(self, missed: calls.Call) -> Voicebox | None:
        """The voicemail of whom a call was for; None if nobody could ever hear it."""
        user, key = missed.callee.user, missed.callee.key
        if not user:
            holder = await self._engine.holder(key)
            user = holder.user if holder is not None else ""
        if not user or user.startswith(NOBODY) or names.reserved(missed.callee.name):
            return None
        return await self._engine.voicebox(user, key)

    async def _busy(self) -> bool:
        """Whether there is nobody who could take a message."""
        now = self._clock.now()
        return not self._limits.on or await self._engine.claim_of(VOICEMAIL, now) is None

    # --- the bot

    async def tell(self, session: Session, message: TellMessage) -> None:
        """What the bot says of a message; said twice it is no fault."""
        if not session.stored.bot or session.key != VOICEMAIL:
            raise ProtocolError(ErrorCode.NOT_YOUR_CALL)
        found = await self._engine.message(message.message)
        if found is None:
            return
        if found.left is not None:
            return
        if message.state == "discarded":
            await self._drop(found)
            return
        async with self._engine.hold(f"voicemail:{found.user}"):
            if found.kind == "greeting":
                await self._greet(found)
            else:
                await self._keep(found, message.seconds)

    async def _greet(self, made: VoiceMessage) -> None:
        box = await self._engine.voicebox(made.user, made.key)
        await self._engine.put_voicebox(replace(box, greeting=made.id))
        # Of a greeting nothing but its id is to be remembered.
        await self._engine.drop_message(made.id)
        if box.greeting is not None:
            self.on_drop(box.greeting)

    async def _keep(self, message: VoiceMessage, seconds: float) -> None:
        kept = replace(message, left=self._keeper.now(), seconds=seconds)
        await self._engine.put_message(kept)
        box = await self._engine.voicebox(message.user, message.key)
        if box.warned is not None:
            known = await self._engine.messages(message.user)
            for old in self._room.surplus(_left(known, message.key)):
                await self._drop(old)
        await self.tell_owner(message.user, message.key)

    async def _drop(self, message: VoiceMessage) -> None:
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
        await self._drop(found)
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
        old = await self._engine.old_messages(before, now - 3_600_000, limit)
        for message in old:
            await self._engine.drop_message(message.id)
        return [message.id for message in old]

    def nearly_full(self, messages: list[VoiceMessage]) -> bool:
        """Whether somebody with these messages is to be warned."""
        return self._room.nearly_full(messages)

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
        mine = _left(await self._engine.messages(user), key)
        unheard = sum(not message.heard for message in mine)
        return VoicemailChange(
            unheard=unheard, total=len(mine), nearly_full=self._room.nearly_full(mine)
        )


def _left(messages: list[VoiceMessage], key: str) -> list[VoiceMessage]:
    return [m for m in messages if m.key == key and m.kind == "message" and m.left is not None]
