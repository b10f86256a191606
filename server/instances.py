"""The instances of a bot: several sessions under one name share its calls.

Each says how many calls it takes (`capacity`); a call rings at one of them, the least loaded.
When that one goes, or finds itself full, before it has answered, another one gets the call.
"""

from __future__ import annotations

from msgspec.structs import replace

from ringback.server import admission, calls
from ringback.server.admission import Instance
from ringback.server.callkeeper import CallKeeper
from ringback.server.calls import State, What, Who
from ringback.server.engine.base import Engine
from ringback.server.protocol import Capacity, Elsewhere, ErrorCode, ProtocolError
from ringback.server.session import Session


class Instances:
    """Which session of a bot has which unanswered call."""

    def __init__(self, engine: Engine, keeper: CallKeeper) -> None:
        self._engine = engine
        self._keeper = keeper

    async def say(self, session: Session, message: Capacity) -> None:
        """A bot's session says how many calls it takes. Raises `BAD_MESSAGE` for people."""
        if not session.stored.bot:
            raise ProtocolError(ErrorCode.BAD_MESSAGE, "Only bots say how many calls they take.")
        said = {"max_calls": message.max_calls, "accepting": message.accepting}
        await self._engine.save_session(replace(session.stored, **said))
        session.update(**said)

    async def choose(self, call: calls.Call) -> str | None:
        """The session of a bot that is to get a call; empty: none is connected, None: all
        are full, or have gone after they said that they take no more. One recording has all
        its legs at one. To be asked under the lock on the bot's name."""
        sessions = await self._engine.sessions(call.callee.key)
        here = [s for s in sessions if s.expires is None]
        if not here:
            return "" if any(s.accepting for s in sessions) else None
        live = await self._engine.live_calls(call.callee.key)
        beside = admission.recorded_at(call, live)
        if beside in {stored.id for stored in here}:
            return None if beside in call.passed else beside
        instances = [Instance(s.id, s.max_calls, s.accepting) for s in here]
        return admission.least_loaded(instances, live, call.passed)

    async def takes(self, key: str) -> bool:
        """Whether a new call to a bot would ring now or, where it is away for a moment, then."""
        sessions = await self._engine.sessions(key)
        here = [Instance(s.id, s.max_calls, s.accepting) for s in sessions if s.expires is None]
        if not here:
            return any(s.accepting for s in sessions)
        live = await self._engine.live_calls(key)
        return admission.least_loaded(here, live) is not None

    async def ring(self, call: calls.Call) -> None:
        """Let a call ring at the session it is at; there is none: nothing rings yet."""
        if not call.at:
            return
        # First it rings, then they hear it: nobody can answer before the call allows it.
        if call.state is State.CALLING:
            await self._keeper.happen(call.id, What.DELIVERED, Who.EXCHANGE)
        await self._keeper.push_ring(call, call.at)

    async def take(self, session: Session, resumed: bool) -> None:
        """A bot's session came or came back: let it ring for its calls and for those that
        nobody has."""
        for call in await self._unanswered(session):
            if call.at == session.id:
                if not resumed:
                    await self._keeper.push_ring(call, session.id)
            elif not call.at or not await self._connected(call.at):
                await self._move(call, session.id)

    async def pass_on(self, session: Session) -> None:
        """A session has gone, for a while at least: others get its unanswered calls."""
        for call in await self._unanswered(session):
            if call.at == session.id:
                await self.hand_over(call)

    async def hand_over(self, call: calls.Call) -> bool:
        """Give an unanswered call to another session than the one it is at; False if no
        other has room."""
        async with self._engine.hold(*call.keys):
            passed = (*call.passed, call.at)
            to = await self.choose(replace(call, passed=passed))
            return bool(to) and await self._move(call, to or "")

    async def _move(self, call: calls.Call, to: str) -> bool:
        moved = await self._keeper.move(call.id, call.at, to)
        if moved is None:
            return False
        if call.at:
            await self._keeper.push(call.at, Elsewhere(call=call.id, reason="moved"))
        await self.ring(moved)
        return True

    async def _unanswered(self, session: Session) -> list[calls.Call]:
        live = await self._engine.live_calls(session.key)
        return [c for c in live if c.callee.key == session.key and c.answered is None]

    async def _connected(self, session: str) -> bool:
        stored = await self._engine.session(session)
        return stored is not None and stored.expires is None
