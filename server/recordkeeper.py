"""Keeps recordings: changes them by compare-and-set, minds their clocks, tells who must know.

What may happen to a recording is decided in `recording`; this carries it out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ringback.server import calls, recording
from ringback.server.callkeeper import REARM, RETRY, TRIES, CallKeeper
from ringback.server.calls import What, Who
from ringback.server.clock import Clock, Timer
from ringback.server.engine.base import Engine, EngineError
from ringback.server.protocol import (
    ErrorCode,
    ProtocolError,
    RecordingChange,
    RecordingEnd,
    RecordingState,
)
from ringback.server.recording import Recording

log = logging.getLogger(__name__)

Step = Callable[[Recording], Recording]


class RecordKeeper:
    """Recordings over an engine, and the calls that are recorded."""

    def __init__(self, engine: Engine, clock: Clock, keeper: CallKeeper) -> None:
        self._engine = engine
        self._clock = clock
        self._keeper = keeper
        self._timers: dict[str, Timer] = {}
        keeper.on_end.append(self.call_ended)

    async def open(self) -> None:
        """Take up what was live before; what lost its call meanwhile ends."""
        for live in await self._engine.live_recordings():
            call = await self._engine.call(live.call)
            if call is None or not call.live:
                await self.end(live.id, RecordingEnd.CALL_ENDED)
            else:
                self._arm(live)

    async def create(self, new: Recording) -> None:
        """Keep a new recording and tell who asked for it."""
        await self._engine.put_recording(new, None)
        self._arm(new)
        await self._tell(new)

    async def call_ended(self, call: calls.Call) -> None:
        """A call is over: so is its recording; a leg may be placed again for a while."""
        try:
            if not call.leg:
                for live in await self._engine.live_recordings(call.id):
                    await self.end(live.id, RecordingEnd.CALL_ENDED)
            elif call.recording is not None:
                await self._leg_ended(call.recording.id)
        except EngineError as error:
            log.warning("The store failed when a recorded call ended: %s", error)
            self._clock.call_later(RETRY, lambda: self.call_ended(call))

    async def _leg_ended(self, id: str) -> None:
        found = await self._engine.recording(id)
        if found is not None and found.live and not await self._legs(found):
            await self.change(id, lambda r: recording.unreached(r, self._keeper.now()))

    async def end(self, id: str, reason: RecordingEnd, by: str = "") -> None:
        """Let it end; that it has ended already is no fault."""

        def step(before: Recording) -> Recording:
            if not before.live:
                return before
            return recording.finish(before, reason, by, self._keeper.now())

        await self.change(id, step)

    async def change(self, id: str, step: Step) -> Recording:
        """Replace a recording by what `step` gives for it, which may give it back as it is,
        and tell everybody concerned. Raises what `step` raises, and `NO_SUCH_RECORDING`."""
        for _ in range(TRIES):
            before = await self._engine.recording(id)
            if before is None:
                raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
            after = step(before)
            if after is before:
                return after
            if await self._engine.put_recording(after, before.version):
                await self._changed(before, after)
                return after
        raise ProtocolError(ErrorCode.INTERNAL)

    async def _changed(self, before: Recording, after: Recording) -> None:
        if before.deadline != after.deadline:
            self._arm(after)
        if before.state == after.state:
            return
        await self._tell(after)
        legs = await self._legs(after)
        if not after.live or "paused" in (before.state, after.state):
            await self._tell_recorder(after, legs)
        if after.live:
            return
        for leg in legs:
            await self._keeper.happen(leg.id, What.HANGUP, Who.CALLER)
        if after.started is None:
            await self._engine.drop_recording(after.id, after.version)

    async def _legs(self, of: Recording) -> list[calls.Call]:
        """The live calls that lead to the recorder."""
        ids = [of.call] if of.solo else [person.leg for person in of.people if person.leg]
        found = [await self._engine.call(id) for id in ids]
        return [call for call in found if call is not None and call.live]

    async def _tell(self, now: Recording) -> None:
        for person in now.people:
            if now.state == "asked" and person.key != now.asker:
                continue  # is asked, in words of its own
            change = RecordingChange(
                call=now.call,
                state=now.state,
                message=recording.words(now, person.key),
                recording=now.id if now.agreed else None,
                reason=now.reason,
            )
            await self._keeper.push(person.session, change)

    async def _tell_recorder(self, now: Recording, legs: list[calls.Call]) -> None:
        # What waits for its first media is to be kept like any other.
        state: RecordingState = "on" if now.state == "starting" else now.state
        for leg in legs:
            told = RecordingChange(
                call=leg.id,
                state=state,
                message=recording.words(now, ""),
                recording=now.id,
                reason=now.reason,
            )
            await self._keeper.push(leg.callee.session or leg.at, told)

    def _arm(self, now: Recording, least: float = 0.0) -> None:
        if (timer := self._timers.pop(now.id, None)) is not None:
            timer.cancel()
        if now.deadline is None:
            return

        async def due() -> None:
            self._timers.pop(now.id, None)
            again = REARM
            try:
                await self.change(now.id, lambda r: recording.expire(r, self._keeper.now()))
            except ProtocolError as error:
                log.debug("A recording ended before its time was up: %s", error)
            except EngineError as error:
                log.warning("The store failed when a recording's time was up: %s", error)
                again = RETRY
            # As in `CallKeeper`: a timer may fire a little early by the wall clock.
            still = await self._engine.recording(now.id)
            if still is not None and still.live and now.id not in self._timers:
                self._arm(still, again)

        delay = max(least, now.deadline / 1000 - self._clock.now())
        self._timers[now.id] = self._clock.call_later(delay, due)
