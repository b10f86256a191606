"""The switchboard: what somebody may do with calls, and whose telephones ring for it."""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from ringback.server import admission, calls, names
from ringback.server.admission import Admission
from ringback.server.callkeeper import CallKeeper
from ringback.server.calls import Party, State, What, Who
from ringback.server.clock import Clock
from ringback.server.engine.base import Claim, Engine
from ringback.server.instances import Instances
from ringback.server.people import clean_name
from ringback.server.protocol import (
    Answer,
    Answered,
    Call,
    CallInfo,
    Decline,
    Description,
    ErrorCode,
    Limits,
    ProtocolError,
    RelayedCandidate,
    RelayedDescription,
    RelayedMedia,
    Report,
)
from ringback.server.recordbook import RecordBook
from ringback.server.session import Session
from ringback.server.voicemails import Voicemails


class Switchboard:
    """Calls between sessions."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        keeper: CallKeeper,
        instances: Instances,
        recordbook: RecordBook,
        voicemails: Voicemails,
        limits: Limits,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._keeper = keeper
        self._instances = instances
        self._recordbook = recordbook
        self._voicemails = voicemails
        self._limits = limits

    # --- placing

    async def place(self, session: Session, message: Call) -> None:
        """Call somebody. What comes of it is told by `ringing`, `answered` and `ended`."""
        self._check_description(message.description, "offer")
        known = await self._engine.call(message.call)
        if known is not None and known.caller.session == session.id and known.live:
            return
        if self._limits.on and not session.calls.take(self._clock.now()):
            raise ProtocolError(ErrorCode.TOO_FAST)
        if message.recording is None:
            await self._refuse_if_in_another_call(session, message.call)
        target = clean_name(message.to)
        key = names.fold(target)
        if key == session.key:
            raise ProtocolError(ErrorCode.BAD_TARGET)
        claim = await self._engine.claim_of(key, self._clock.now())
        caller = Party(
            user=session.stored.user,
            name=session.name,
            key=session.key,
            session=session.id,
            bot=session.stored.bot,
        )
        callee = Party(user="", name=target, key=key)
        if claim is not None:
            callee = Party(user=claim.user, name=claim.name, key=key, bot=claim.bot)
        call = calls.place(
            message.call,
            caller,
            callee,
            message.media,
            message.description,
            self._keeper.now(),
            self._keeper.timings,
        )
        call = await self._recordbook.admit(call, message)
        call = await self._voicemails.admit(call, message)
        async with self._engine.hold(caller.key, callee.key):
            await self._put_through(call, claim)

    async def _put_through(self, call: calls.Call, claim: Claim | None) -> None:
        if claim is None:
            await self._keeper.refuse(call, What.UNAVAILABLE)
            return
        live = await self._engine.live_calls(call.caller.key)
        if not call.callee.bot:
            live = live + await self._engine.live_calls(call.callee.key)
        admitted, other = admission.admit(call, live, claim.call_waiting)
        if other is not None and other.answered is not None and await self._left(other, call):
            await self._put_through(call, claim)
            return
        match admitted:
            case Admission.BUSY:
                await self._keeper.refuse(call, What.BUSY)
            case Admission.GLARE_LOST if other is not None:
                await self._keeper.refuse(call, What.GLARE, winner=other.id)
            case Admission.GLARE_WON if other is not None:
                await self._ring(call)
                await self._keeper.happen(other.id, What.GLARE, Who.EXCHANGE, winner=call.id)
            case _ if call.callee.bot:
                await self._ring_bot(call)
            case _:
                await self._ring(replace(call, waiting=admitted is Admission.WAITING))

    async def _ring_bot(self, call: calls.Call) -> None:
        at = await self._instances.choose(call)
        if at is None:
            await self._keeper.refuse(call, What.BUSY)
            return
        call = replace(call, at=at)
        await self._keeper.create(call)
        await self._instances.ring(call)

    async def _left(self, other: calls.Call, call: calls.Call) -> bool:
        """End `other` if the caller's side of it has no socket: they closed that window, and
        by calling the same person again from another one say that they will not return."""
        who = Who.CALLER if other.caller.key == call.caller.key else Who.CALLEE
        stored = await self._engine.session(other.party(who).session)
        if stored is not None and stored.expires is None:
            return False
        await self._keeper.happen(other.id, What.GONE, who)
        return True

    async def _ring(self, call: calls.Call) -> None:
        await self._keeper.create(call)
        sessions = await self._engine.sessions(call.callee.key)
        # First it rings, then they hear it: nobody can answer before the call allows it.
        if any(stored.expires is None for stored in sessions):
            await self._keeper.happen(call.id, What.DELIVERED, Who.EXCHANGE)
        for stored in sessions:
            await self._keeper.push_ring(call, stored.id)

    async def arrived(self, session: Session, resumed: bool) -> None:
        """A session of somebody came or came back: let it ring if they are being called."""
        if session.stored.bot:
            await self._instances.take(session, resumed)
            return
        for call in await self._engine.live_calls(session.key):
            if call.callee.key != session.key or call.answered is not None:
                continue
            if call.state is State.CALLING:
                await self._keeper.happen(call.id, What.DELIVERED, Who.EXCHANGE)
            if not resumed:
                await self._keeper.push_ring(call, session.id)
        if not resumed:
            await self._voicemails.messages.arrived(session)

    # --- what parties do

    async def answer(self, session: Session, message: Answer) -> None:
        """Answer a ringing call; the first session to do so has it."""
        self._check_description(message.description, "answer")
        await self._refuse_if_in_another_call(session, message.call)
        found, _ = await self._keeper.find(session, message.call)
        # Under the lock of the pair, so that no glare is decided over a call being answered.
        async with self._engine.hold(*found.keys):
            after = await self._keeper.change(message.call, What.ANSWER, session)
        answered = Answered(call=after.id, description=message.description)
        await self._keeper.push(after.caller.session, answered)
        await self._keeper.elsewhere(after, session.id, "answered")

    async def decline(self, session: Session, message: Decline) -> None:
        """Refuse a ringing call; of a bot that is full another instance may get it."""
        if message.reason == "busy" and session.stored.bot:
            found, _ = await self._keeper.find(session, message.call)
            if found.at == session.id and await self._instances.hand_over(found):
                return
        what = What.BUSY if message.reason == "busy" else What.DECLINE
        await self._keeper.change(message.call, what, session)

    async def relay(self, session: Session, message: RelayedDescription | RelayedMedia) -> None:
        """Carry a message of an answered call to the other side."""
        call, who = await self._keeper.find(session, message.call)
        if call.answered is None:
            raise ProtocolError(ErrorCode.WRONG_STATE)
        if isinstance(message, RelayedDescription):
            self._check_description(message.description)
        await self._keeper.push(call.other(who).session, message)

    async def candidate(self, session: Session, message: RelayedCandidate) -> None:
        """Carry a candidate; before the answer it goes to everything that rings."""
        size = len(message.candidate.candidate.encode(errors="replace")) if message.candidate else 0
        if self._limits.on and size > self._limits.candidate:
            raise ProtocolError(ErrorCode.BAD_CANDIDATE)

        def keep(call: calls.Call, who: Who) -> calls.Call:
            if call.answered is not None:
                return call
            if who is Who.CALLEE:
                raise ProtocolError(ErrorCode.WRONG_STATE)
            if self._limits.on and len(call.candidates) >= self._limits.candidates:
                raise ProtocolError(ErrorCode.TOO_MANY_CANDIDATES)
            more = (*call.candidates, message.candidate)
            return replace(call, candidates=more, version=call.version + 1)

        call = await self._keeper.edit(session, message.call, keep)
        if call.answered is None:
            await self._keeper.push_callee(call, message)
        else:
            who = calls.role(call, session.key, session.id)
            await self._keeper.push(call.other(who).session, message)

    async def report(self, session: Session, message: Report) -> None:
        """Note what a side measured."""
        quality = calls.Quality(
            first_media_ms=message.first_media_ms,
            pair=message.pair,
            restarts=message.restarts,
            loss=message.loss,
            round_trip_ms=message.round_trip_ms,
        )

        def note(call: calls.Call, who: Who) -> calls.Call:
            party = replace(call.party(who), quality=quality)
            if who is Who.CALLER:
                return replace(call, version=call.version + 1, caller=party)
            return replace(call, version=call.version + 1, callee=party)

        await self._keeper.edit(session, message.call, note)

    async def _refuse_if_in_another_call(self, session: Session, this: str) -> None:
        if session.stored.bot:
            return
        for call in await self._engine.live_calls(session.key):
            if call.id != this and session.id in (call.caller.session, call.callee.session):
                raise ProtocolError(ErrorCode.IN_CALL)

    def _check_description(self, description: Description, kind: str | None = None) -> None:
        """Raise `BAD_DESCRIPTION` unless it is text of the right size and kind."""
        words = None
        if self._limits.on and len(description.sdp.encode(errors="replace")) > self._limits.sdp:
            words = f"The session description is longer than {self._limits.sdp} bytes."
        elif any(ord(c) < 32 and c not in "\r\n\t" for c in description.sdp):
            words = "A session description is plain text."
        elif kind is not None and description.type != kind:
            words = f"The session description must be an {kind}."
        if words is not None:
            raise ProtocolError(ErrorCode.BAD_DESCRIPTION, words)

    # --- sessions that go

    async def away(self, session: Session) -> None:
        """A session has lost its socket and may come back."""
        if session.stored.bot:
            await self._instances.pass_on(session)

    async def gone(self, session: Session, others: bool) -> None:
        """A session will not come back; `others`: somebody of its name is still here."""
        await self.away(session)
        for call in await self._engine.live_calls(session.key):
            rings = call.answered is None and call.callee.key == session.key
            last = not others or call.at == session.id
            if call.caller.session == session.id:
                await self._keeper.happen(call.id, What.GONE, Who.CALLER)
            elif call.callee.session == session.id or (rings and last):
                await self._keeper.happen(call.id, What.GONE, Who.CALLEE)

    async def orphaned(self, sessions: Container[str]) -> None:
        """End what a crash left behind: calls with a side whose session is none of these."""
        for call in await self._engine.live_calls():
            for who in (Who.CALLER, Who.CALLEE):
                session = call.party(who).session
                if session and session not in sessions:
                    await self._keeper.happen(call.id, What.GONE, who)

    async def of_session(self, session: Session) -> list[CallInfo]:
        """The live calls a session takes part in or could answer."""
        infos = []
        for call in await self._engine.live_calls(session.key):
            try:
                who = calls.role(call, session.key, session.id)
            except calls.Refused:
                continue
            info = CallInfo(
                call=call.id,
                peer=call.other(who).name,
                state=call.state.value,
                outgoing=who is Who.CALLER,
                leg=call.leg,
                recording=await self._recordbook.info(call, session.key),
            )
            infos.append(info)
        return infos
