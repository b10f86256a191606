"""The recordbook: what somebody may do with recordings, and what may go to the recorder."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from ringback.server import calls, names, recording
from ringback.server.callkeeper import CallKeeper
from ringback.server.calls import What, Who
from ringback.server.clock import Clock
from ringback.server.config import RecordingLimits
from ringback.server.engine.base import Engine
from ringback.server.protocol import (
    Call,
    ControlRecording,
    ErrorCode,
    GiveConsent,
    ProtocolError,
    RecordAsked,
    RecordingEnd,
    RecordingInfo,
    RecordingOrder,
    TellRecording,
)
from ringback.server.recording import RECORDER, Person, Recording
from ringback.server.recordkeeper import RecordKeeper
from ringback.server.session import Session


class RecordBook:
    """Recordings over an engine. `measure` tells how many bytes the files of some recordings
    take together; where nobody keeps files it is none."""

    def __init__(
        self, engine: Engine, clock: Clock, keeper: CallKeeper, limits: RecordingLimits
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._keeper = keeper
        self._limits = limits
        self.measure: Callable[[list[str]], Awaitable[int]] | None = None
        self._records = RecordKeeper(engine, clock, keeper)

    async def open(self) -> None:
        """Take up what was live before."""
        await self._records.open()

    # --- what people ask

    async def control(self, session: Session, message: ControlRecording) -> None:
        """Ask to record a call, or pause, resume or stop its recording."""
        call, who = await self._keeper.find(session, message.call)
        if message.do == "start":
            recording.check_version(message.version)
            await self._ask(session, call, who)
            return
        live = await self._of_call(call.id)
        live.person(session.key)
        key = session.key
        match message.do:
            case "pause":
                await self._records.change(live.id, lambda now: recording.pause(now, key))
            case "resume":
                await self._records.change(live.id, lambda now: recording.go_on(now, key))
            case "stop" if live.state == "asked":
                await self._records.end(live.id, recording.refusal(live, key), key)
            case "stop":
                await self._records.end(live.id, RecordingEnd.STOPPED, key)

    async def consent(self, session: Session, message: GiveConsent) -> None:
        """Agree to be recorded, decline, or withdraw."""
        call, _ = await self._keeper.find(session, message.call)
        live = await self._of_call(call.id)
        key = session.key
        live.person(key)
        if not message.yes:
            await self._records.end(live.id, recording.refusal(live, key), key)
            return
        recording.check_version(message.version)
        await self._records.change(
            live.id, lambda now: recording.agree(now, key, self._keeper.now())
        )

    async def _ask(self, session: Session, call: calls.Call, who: Who) -> None:
        live = await self._engine.live_recordings(call.id)
        if live and live[0].state == "asked" and live[0].asker != session.key:
            # Who asks for it themselves has agreed.
            now = self._keeper.now()
            await self._records.change(live[0].id, lambda r: recording.agree(r, session.key, now))
            return
        if live:
            raise ProtocolError(ErrorCode.BEING_RECORDED)
        own, other = call.party(who), call.other(who)
        await self._check_possible(call, other)
        if not session.calls.take(self._clock.now()):
            raise ProtocolError(ErrorCode.TOO_FAST)
        await self._check_room(own.user, "You have")
        await self._check_room(other.user, f"{other.name} has")
        people = (_person(call.caller), _person(call.callee))
        asked = recording.begin(_new_id(), call.id, people, session.key, self._keeper.now())
        await self._records.create(asked)
        question = RecordAsked(
            call=call.id, from_=own.name, version=recording.VERSION, text=asked.text
        )
        await self._keeper.push(other.session, question)

    async def _check_possible(self, call: calls.Call, other: calls.Party) -> None:
        words = None
        if call.answered is None:
            raise ProtocolError(ErrorCode.WRONG_STATE)
        stored = await self._engine.session(other.session)
        if call.recording is not None:
            words = "A call to the recorder is recorded as it is."
        elif call.caller.bot or call.callee.bot:
            words = "A call with a bot cannot be recorded: bots cannot agree to it."
        elif stored is None or stored.plain:
            words = f"{other.name} calls from a program that cannot ask for consent."
        elif await self._engine.claim_of(names.fold(RECORDER), self._clock.now()) is None:
            words = "The recorder is not here right now. Try again later."
        if words is not None:
            raise ProtocolError(ErrorCode.CANNOT_RECORD, words)

    async def _check_room(self, user: str, who_has: str) -> None:
        most = self._limits.each
        words = None
        if await self._engine.count_recordings(user) >= most:
            words = f"{who_has} {most} recordings, as many as one may keep."
        elif self.measure is not None:
            listed = await self._engine.recordings(user, None, most)
            megabytes = await self.measure([one.id for one in listed]) / 1_000_000
            if megabytes >= self._limits.each_megabytes:
                words = f"{who_has} recordings of {megabytes:.0f} MB, all that there is room for."
        if words is not None:
            raise ProtocolError(ErrorCode.CANNOT_RECORD, f"{words} Delete one first.")

    # --- the recorder and the calls to it

    async def tell(self, session: Session, message: TellRecording) -> None:
        """What the recorder says of a recording; a second end is no fault."""
        found = await self._engine.recording(message.recording)
        if found is None:
            raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
        if not session.stored.bot or session.key != names.fold(RECORDER):
            raise ProtocolError(ErrorCode.NOT_YOUR_CALL)
        if message.state == "off":
            await self._records.end(found.id, RecordingEnd(message.reason))
        elif found.live:
            await self._records.change(
                found.id, lambda now: recording.begun(now, self._keeper.now())
            )

    async def admit(self, call: calls.Call, message: Call) -> calls.Call:
        """A new call as it goes on to the recorder, or just as it is to anybody else.

        Calling the recorder is agreeing to be recorded. Raises `ProtocolError` where somebody
        would be recorded who did not agree.
        """
        if call.callee.key != names.fold(RECORDER):
            if message.recording is not None or message.consent is not None:
                raise ProtocolError(ErrorCode.BAD_TARGET, "Only the recorder records.")
            return call
        recording.check_version(message.consent)
        if message.recording is None and not call.callee.bot:
            return call  # there is no recorder: the caller hears so
        if message.recording is None:
            return replace(call, recording=await self._begin_solo(call))
        found = await self._engine.recording(message.recording)
        if found is None:
            raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
        key = call.caller.key
        before = found.person(key)
        if before.session != call.caller.session or found.solo:
            raise ProtocolError(ErrorCode.NOT_YOUR_CALL)
        after = await self._records.change(found.id, lambda r: recording.place_leg(r, key, call.id))
        if before.leg and before.leg != call.id:
            await self._keeper.happen(before.leg, What.HANGUP, Who.CALLER)
        return replace(call, recording=recording.order(after, key), leg=True)

    async def _begin_solo(self, call: calls.Call) -> RecordingOrder:
        await self._check_room(call.caller.user, "You have")
        people = (_person(call.caller),)
        begun = recording.begin(_new_id(), call.id, people, call.caller.key, self._keeper.now())
        await self._records.create(begun)
        return recording.order(begun, call.caller.key)

    async def info(self, call: calls.Call, key: str) -> RecordingInfo | None:
        """How the recording of a live call is, for the party whose folded name is `key`."""
        for live in await self._engine.live_recordings(call.id):
            if any(person.key == key for person in live.people):
                return recording.info(live, key)
        return None

    # --- what was recorded

    async def listed(self, user: str, before: int | None, limit: int) -> list[Recording]:
        """A user's recordings, newest first; `before` as in `Engine.recordings`."""
        return await self._engine.recordings(user, before, limit)

    async def of(self, user: str, id: str) -> Recording | None:
        """A recording that has begun and stands in a user's list."""
        found = await self._engine.recording(id)
        if found is None or found.started is None:
            return None
        return found if any(p.user == user and p.listed for p in found.people) else None

    async def unlist(self, user: str, id: str) -> bool:
        """Take an ended recording off a user's list; True when nobody has it any more.

        Raises `ProtocolError`: `NO_SUCH_RECORDING` if it is not in that list, `WRONG_STATE`
        while it runs.
        """
        if await self.of(user, id) is None:
            raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
        after = await self._records.change(id, lambda r: recording.unlist(r, user))
        return not after.listed and await self._engine.drop_recording(id, after.version)

    async def known(self, id: str) -> bool:
        """Whether there is such a recording, in whatever state."""
        return await self._engine.recording(id) is not None

    async def forget_old(self, before: int, limit: int) -> list[str]:
        """Forget up to `limit` ended recordings asked for before `before` (ms since 1970);
        returns their ids."""
        old = await self._engine.old_recordings(before, limit)
        return [r.id for r in old if await self._engine.drop_recording(r.id, r.version)]

    async def _of_call(self, call: str) -> Recording:
        live = await self._engine.live_recordings(call)
        if not live:
            raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
        return live[0]


def _person(party: calls.Party) -> Person:
    return Person(user=party.user, name=party.name, key=party.key, session=party.session)


def _new_id() -> str:
    return secrets.token_hex(16)
