"""Keeps calls: changes them by compare-and-set, minds their clocks, tells who must know.

What may happen to a call is decided in `calls`; this carries it out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from ringback.server import calls
from ringback.server.calls import State, Timings, What, Who
from ringback.server.clock import Clock, Timer
from ringback.server.engine.base import Engine, EngineError
from ringback.server.protocol import (
    DirectedMessage,
    Elsewhere,
    Ended,
    ErrorCode,
    Part,
    ProtocolError,
    Reason,
    RelayedCandidate,
    Ring,
    Ringing,
    sentence,
)
from ringback.server.session import Session

log = logging.getLogger(__name__)

TRIES = 16
REARM = 0.05
RETRY = 5.0
"""Seconds until what the store did not take is tried again."""


class CallKeeper:
    """Calls over an engine. `told` is awaited with the folded name of everybody whose being
    in a call may have changed, what is in `on_end` with every call that has ended."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        timings: Timings,
        told: Callable[[str], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.timings = timings
        self._told = told
        self.closing: Callable[[calls.Call, Ended], Awaitable[Ended]] = _as_it_is
        """What the caller hears of a call that has ended, given what all callers hear."""
        self.on_end: list[Callable[[calls.Call], Awaitable[None]]] = []
        self._timers: dict[str, Timer] = {}

    def now(self) -> int:
        """Milliseconds since 1970."""
        return round(self._clock.now() * 1000)

    async def open(self) -> None:
        """Take up the clocks of calls that were live before."""
        for call in await self._engine.live_calls():
            self._arm(call)

    async def create(self, call: calls.Call) -> None:
        """Keep a new call; raises `CALL_EXISTS` if its id was ever used."""
        if not await self._engine.put_call(call, None):
            raise ProtocolError(ErrorCode.CALL_EXISTS)
        if call.live:
            self._arm(call)
            await self._tell_status(call)

    async def refuse(self, call: calls.Call, what: What, winner: str | None = None) -> None:
        """Keep a call that ends before anybody else has heard of it, and tell the caller."""
        after = calls.step(call, what, Who.EXCHANGE, self.now(), self.timings)
        await self.create(after)
        await self._tell_caller(after, winner)
        await self._tell_over(after)

    async def find(self, session: Session, call: str) -> tuple[calls.Call, Who]:
        """A live call and which side of it a session is.

        Raises `ProtocolError`: `NO_SUCH_CALL`, `NOT_YOUR_CALL`.
        """
        found = await self._engine.call(call)
        if found is None:
            raise ProtocolError(ErrorCode.NO_SUCH_CALL)
        try:
            who = calls.role(found, session.key, session.id)
        except calls.Refused as error:
            raise ProtocolError(error.code) from error
        if not found.live:
            raise ProtocolError(ErrorCode.NO_SUCH_CALL)
        return found, who

    async def edit(
        self,
        session: Session,
        call: str,
        make: Callable[[calls.Call, Who], calls.Call],
    ) -> calls.Call:
        """Replace a live call by what `make` gives for it and the side a session is; `make`
        may give it back as it is.

        Raises what `find` raises and what `make` raises.
        """
        for _ in range(TRIES):
            found, who = await self.find(session, call)
            after = make(found, who)
            if after is found or await self._engine.put_call(after, found.version):
                return after
        raise ProtocolError(ErrorCode.INTERNAL)

    async def change(
        self,
        call: str,
        what: What,
        by: Session | Who,
        part: Part | None = None,
        winner: str | None = None,
    ) -> calls.Call:
        """Do `what` to a call and tell everybody concerned; returns the call after it.

        Raises `ProtocolError`: `NO_SUCH_CALL`, `NOT_YOUR_CALL`, `WRONG_STATE`.
        """
        session = by.id if isinstance(by, Session) else ""
        for _ in range(TRIES):
            before = await self._engine.call(call)
            if before is None:
                raise ProtocolError(ErrorCode.NO_SUCH_CALL)
            try:
                who = by if isinstance(by, Who) else calls.role(before, by.key, by.id)
                after = calls.step(
                    before, what, who, self.now(), self.timings, session=session, part=part
                )
            except calls.Refused as error:
                raise ProtocolError(error.code) from error
            if await self._engine.put_call(after, before.version):
                await self._changed(before, after, session, winner)
                return after
        raise ProtocolError(ErrorCode.INTERNAL)

    async def happen(
        self, call: str, what: What, by: Session | Who, winner: str | None = None
    ) -> None:
        """Let something happen that nobody asked for; that it came too late is no fault."""
        try:
            await self.change(call, what, by, winner=winner)
        except ProtocolError as error:
            if error.code not in (ErrorCode.NO_SUCH_CALL, ErrorCode.WRONG_STATE):
                raise

    async def push(self, session: str, message: DirectedMessage) -> None:
        """Put a message into a session's mailbox, if the session is still there."""
        if await self._engine.session(session) is not None:
            await self._engine.push(session, message)

    async def move(self, call: str, at: str, to: str) -> calls.Call | None:
        """Let a bot's call ring at session `to` and not at `at`; None if it does not ring there
        any more."""
        for _ in range(TRIES):
            before = await self._engine.call(call)
            if before is None:
                return None
            try:
                after = calls.move(before, at, to)
            except calls.Refused:
                return None
            if await self._engine.put_call(after, before.version):
                return after
        raise ProtocolError(ErrorCode.INTERNAL)

    async def push_ring(self, call: calls.Call, session: str) -> None:
        """Tell a session that a call rings, and what was said for it since."""
        if call.offer is None:
            return
        ring = Ring(
            call=call.id,
            from_=call.caller.name,
            media=call.media,
            description=call.offer,
            bot=call.caller.bot,
            waiting=call.waiting,
            recording=call.recording,
            voicemail=call.voicemail,
        )
        await self.push(session, ring)
        for candidate in call.candidates:
            await self.push(session, RelayedCandidate(call=call.id, candidate=candidate))

    async def push_callee(self, call: calls.Call, message: DirectedMessage, but: str = "") -> None:
        """Tell every session that a call rings at, except `but`."""
        if call.callee.bot:
            if call.at and call.at != but:
                await self.push(call.at, message)
            return
        for stored in await self._engine.sessions(call.callee.key):
            if stored.id != but:
                await self._engine.push(stored.id, message)

    async def elsewhere(
        self, call: calls.Call, session: str, reason: Literal["answered", "declined"]
    ) -> None:
        """Tell the callee's other sessions that one of them handled the call."""
        await self.push_callee(call, Elsewhere(call=call.id, reason=reason), but=session)

    async def _changed(
        self, before: calls.Call, after: calls.Call, actor: str, winner: str | None
    ) -> None:
        if before.deadline != after.deadline:
            self._arm(after)
        if before.state is State.CALLING and after.state is State.RINGING:
            await self.push(after.caller.session, Ringing(call=after.id, waiting=after.waiting))
        if not after.live:
            await self._tell_end(after, actor, winner)
            await self._tell_status(after)
            await self._tell_over(after)

    async def _tell_over(self, call: calls.Call) -> None:
        for told in self.on_end:
            await told(call)

    async def _tell_end(self, call: calls.Call, actor: str, winner: str | None) -> None:
        await self._tell_caller(call, winner)
        ended = _ended(call, Who.CALLEE, winner)
        if call.callee.session:
            await self.push(call.callee.session, ended)
        elif call.reason is Reason.DECLINED:
            await self.push(actor, ended)
            await self.elsewhere(call, actor, "declined")
        else:
            await self.push_callee(call, ended)

    async def _tell_caller(self, call: calls.Call, winner: str | None) -> None:
        ended = await self.closing(call, _ended(call, Who.CALLER, winner))
        await self.push(call.caller.session, ended)

    async def _tell_status(self, call: calls.Call) -> None:
        for party in (call.caller, call.callee):
            if not party.bot:
                await self._told(party.key)

    def _arm(self, call: calls.Call, least: float = 0.0) -> None:
        if (timer := self._timers.pop(call.id, None)) is not None:
            timer.cancel()
        if not call.live or call.deadline is None:
            return
        delay = max(least, call.deadline / 1000 - self._clock.now())

        async def due() -> None:
            self._timers.pop(call.id, None)
            again = REARM
            try:
                await self.happen(call.id, What.TIMEOUT, Who.EXCHANGE)
            except EngineError as error:
                log.warning("The store failed when a call's time was up: %s", error)
                again = RETRY
            # A timer may fire a little early by the wall clock: then it is set once more.
            still = await self._engine.call(call.id)
            if still is not None and call.id not in self._timers:
                self._arm(still, again)

        self._timers[call.id] = self._clock.call_later(delay, due)


def _ended(call: calls.Call, who: Who, winner: str | None) -> Ended:
    reason = call.reason or Reason.FAILED
    own = call.ended_by == who.value
    if reason in (Reason.NO_ANSWER, Reason.UNAVAILABLE, Reason.BUSY):
        own = who is Who.CALLEE
    words = sentence(reason, call.other(who).name, own)
    part = call.part if reason in (Reason.FAILED, Reason.LOST) else None
    return Ended(call=call.id, reason=reason, message=words, part=part, winner=winner)


async def _as_it_is(_: calls.Call, ended: Ended) -> Ended:
    return ended
