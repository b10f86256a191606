"""Voicemail: messages for people who do not answer, from the offer to leave one to its end.

What may be is decided in `voicebox`; this carries it out over an engine, and tells the callers
and the bot. The bot learns names and ids, never who is behind them. What was left is in the care
of `messagekeeper`.
"""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from ringback.server import calls, names
from ringback.server.callkeeper import CallKeeper
from ringback.server.calls import What, Who
from ringback.server.config import VoicemailLimits
from ringback.server.engine.base import Engine
from ringback.server.instances import Instances
from ringback.server.messagekeeper import MessageKeeper
from ringback.server.protocol import (
    Call,
    Ended,
    ErrorCode,
    MessageOrder,
    ProtocolError,
    Reason,
    TellMessage,
)
from ringback.server.session import Session
from ringback.server.voicebox import (
    AFTER,
    LONGEST,
    LONGEST_GREETING,
    UNDER_WAY,
    VOICEMAIL,
    Voicebox,
    VoiceMessage,
    left,
    may_follow,
)

NOBODY = "anonymous-"
"""How the ids of users begin who cannot come back: they have no cookie."""


class Voicemails:
    """Voicemail over an engine; `messages` keeps what is left."""

    def __init__(
        self, engine: Engine, keeper: CallKeeper, instances: Instances, messages: MessageKeeper,
        limits: VoicemailLimits,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._keeper = keeper
        self._instances = instances
        self.messages = messages
        self._limits = limits
        keeper.closing = self.closing

    # --- callers

    async def offers(self, call: calls.Call) -> bool:
        """Whether the caller of a call that has ended is told that they may leave a message."""
        if not may_follow(call) or await self._busy():
            return False
        box = await self._box_of(call)
        return box is not None and box.on

    async def closing(self, call: calls.Call, ended: Ended) -> Ended:
        """What the caller of a call that has ended hears: that they may leave a message, or what
        became of the one that they were leaving."""
        order = call.voicemail
        if order is not None and ended.reason is Reason.LOST:
            return replace(ended, message=f"{ended.message} {await self._fate(order)}")
        return replace(ended, voicemail=True) if await self.offers(call) else ended

    async def _fate(self, order: MessageOrder) -> str:
        """What became of a message whose call broke, in words."""
        found = await self._engine.message(order.id)
        if order.kind == "greeting":
            if await self._engine.greeting(order.id):
                return "Your greeting is saved."
            return "Your greeting is not saved." if found is None else "It may not be saved."
        if found is None:
            return "Nothing was sent."
        if found.left is None:
            return "What you said may not be sent."
        return f"What you said until then is sent to {order.to}."

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
        since = self._keeper.now() - UNDER_WAY * 1000
        messages = [m for m in known if m.kind == "message"]
        under_way = [m for m in messages if m.left is None and m.begun > since]
        if len(under_way) >= self._limits.messages:
            raise ProtocolError(ErrorCode.VOICEMAIL_FULL)
        if self.messages.room.full(left(known, box.key)) and box.warned is None:
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
        """Whether there is nobody who would take a message now."""
        return not self._limits.on or not await self._instances.takes(VOICEMAIL)

    # --- the bot

    async def tell(self, session: Session, message: TellMessage) -> None:
        """What the bot says of a message; said twice it is no fault."""
        if not session.stored.bot or session.key != VOICEMAIL:
            raise ProtocolError(ErrorCode.NOT_YOUR_CALL)
        found = await self._engine.message(message.message)
        if found is None or found.left is not None:
            return
        await self._complete(found, message)
        call = await self._engine.call(found.call)
        if call is not None and call.callee.session not in ("", session.id):
            # Whoever took the call died, and has been followed by this session: what became of
            # the message is known, so the caller need not wait for a connection that is gone.
            await self._keeper.happen(call.id, What.GONE, Who.CALLEE)

    async def _complete(self, found: VoiceMessage, message: TellMessage) -> None:
        # Nobody is to be greeted with half a sentence.
        unfit = found.kind == "greeting" and message.cut
        if message.state == "discarded" or unfit:
            await self.messages.drop(found)
            return
        async with self._engine.hold(f"voicemail:{found.user}"):
            if found.kind == "greeting":
                await self.messages.greet(found)
                return
            now, seconds = self._keeper.now(), message.seconds
            kept = replace(found, left=now, seconds=seconds, cut=message.cut)
            await self.messages.keep(kept)
