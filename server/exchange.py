"""The exchange: what a session may do. Sockets are thin shells around this.

Rules:

1. One session's requests are done one after another, in the order they came.
2. Who somebody is was settled at hello; nothing a request says can change it.
3. A session outlives its socket by `config.hold` seconds; its calls live as long.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol, assert_never

from msgspec.structs import replace

from ringback.server import calls, names
from ringback.server import protocol as p
from ringback.server.callkeeper import RETRY, CallKeeper
from ringback.server.calls import What
from ringback.server.clock import Clock, SystemClock, Tasks, Timer
from ringback.server.config import Config
from ringback.server.engine.base import Engine, EngineError, StoredSession
from ringback.server.people import People
from ringback.server.protocol import ErrorCode, ProtocolError
from ringback.server.rooms import RoomService
from ringback.server.session import Line, Session, hash_key, last_number, new_key
from ringback.server.switchboard import Switchboard

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds a room keeps showing somebody whose socket dropped, so that a reload does not flap."""


class Bearer(Protocol):
    """Who a token speaks for."""

    @property
    def user(self) -> str:
        """The user id."""

    @property
    def name(self) -> str:
        """The only name it may use."""

    @property
    def bot(self) -> bool:
        """Whether it is a bot."""


PROGRESS = {
    "connecting": What.PROGRESS,
    "connected": What.CONNECT,
    "reconnecting": What.INTERRUPT,
}
DECLINE = {"declined": What.DECLINE, "busy": What.BUSY}
HANGUP = {"hangup": What.HANGUP, "failed": What.FAIL}


class Exchange:
    """All sessions of one node over an engine.

    `read_token` turns a token into who it speaks for and raises `ProtocolError`
    (`BAD_TOKEN`). Call `open` before anything else and `close` at the end.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config,
        read_token: Callable[[str], Bearer],
        clock: Clock | None = None,
    ) -> None:
        self.engine = engine
        self.config = config
        self.clock = clock or SystemClock()
        self._read_token = read_token
        self._timings = calls.Timings(config.ring, config.connect, config.reconnect)
        self.people = People(engine, self.clock, config.hold)
        self.rooms = RoomService(engine, self.clock, config.limits)
        self._keeper = CallKeeper(engine, self.clock, self._timings, self.people.tell)
        self._calls = Switchboard(engine, self.clock, self._keeper, config.limits)
        self._sessions: dict[str, Session] = {}
        self._expiry: dict[str, Timer] = {}
        self._absence: dict[str, Timer] = {}
        self._tasks = Tasks()

    async def open(self) -> None:
        """Take up what was live before: sessions wait for their clients, calls keep time."""
        await self._keeper.open()
        for stored in await self.engine.sessions():
            session = Session(stored, self.config.limits, self.clock.now())
            self._sessions[stored.id] = session
            self._expire_later(session)
        await self._calls.orphaned(self._sessions)

    async def close(self) -> None:
        """Stop all clocks. Sessions and calls stay in the engine."""
        await self._tasks.close()
        await self.clock.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something on the side for a shell; failures are logged."""
        self._tasks.spawn(work)

    async def check_name(self, name: str, user: str) -> str:
        """The cleaned name if a guest may use it now; raises `ProtocolError`."""
        return await self.people.check(name, user)

    async def listed_rooms(self) -> list[p.RoomInfo]:
        """The rooms on the home page, fullest first."""
        return await self.rooms.listed()

    # --- sessions

    async def hello(self, line: Line, message: p.Hello, guest: str | None) -> Session:
        """Open or resume a session for the client at the end of `line`.

        `guest` is the user id its cookie holds, if any. Raises `ProtocolError`, after which
        the client may try again.
        """
        if message.v != p.VERSION:
            raise ProtocolError(ErrorCode.BAD_VERSION)
        bearer = self._read_token(message.token) if message.token is not None else None
        if message.about is not None and (bearer is None or not bearer.bot):
            raise ProtocolError(ErrorCode.BAD_MESSAGE, "Only bots say something about themselves.")
        if message.resume is not None:
            user = bearer.user if bearer else guest
            session = self._resumable(message, user)
            while session is not None:
                async with session.turn:
                    # While it waited for its turn the session may have ended or moved on.
                    if self._resumable(message, user) is session:
                        await self._take_up(session, line, message, message.resume)
                        return session
                session = self._resumable(message, user)
        return await self._open(line, message, bearer, guest)

    async def _open(
        self, line: Line, message: p.Hello, bearer: Bearer | None, guest: str | None
    ) -> Session:
        user = bearer.user if bearer else guest or f"anonymous-{secrets.token_hex(12)}"
        bot = bearer.bot if bearer else False
        name = await self._admit_name(message, bearer, user)
        key = new_key()
        stored = StoredSession(
            id=secrets.token_urlsafe(12),
            key_hash=hash_key(key),
            user=user,
            name=name,
            name_key=names.fold(name) if name else None,
            bot=bot,
            about=message.about or "",
        )
        session = Session(stored, self.config.limits, self.clock.now())
        session.line = line
        session.hold()
        session.topics["session"] = self._subscribe(session)
        try:
            await self.engine.save_session(stored)
            if name is not None:
                await self.people.claim(name, user, bot, stored.about)
            # What this lets ring is held back until after the welcome.
            await self._calls.arrived(session, resumed=False)
            await self._welcome(session, key, resumed=False, re=message.id)
        except BaseException:
            session.line = None
            session.drop_subscriptions()
            await self._forget(session)
            raise
        self._sessions[session.id] = session
        session.go_on({})
        return session

    async def _admit_name(self, message: p.Hello, bearer: Bearer | None, user: str) -> str | None:
        if bearer is not None and bearer.name:
            asked = message.name
            if asked is not None and names.fold(asked) != names.fold(bearer.name):
                raise ProtocolError(ErrorCode.BAD_NAME, "The token is for another name.")
            return await self.people.check(bearer.name, user, bot=bearer.bot)
        if message.name is None:
            return None
        return await self.people.check(message.name, user)

    def _resumable(self, message: p.Hello, user: str | None) -> Session | None:
        asked = message.resume
        session = self._sessions.get(asked.session) if asked else None
        if asked is None or session is None:
            return None
        shown = hash_key(asked.key)
        known = (session.stored.key_hash, session.key_before)
        if not any(hmac.compare_digest(key_hash, shown) for key_hash in known):
            return None
        anonymous = session.stored.user.startswith("anonymous-")
        if not anonymous and user != session.stored.user:
            return None
        renamed = message.name is not None and names.fold(message.name) != session.key
        return None if renamed else session

    async def _take_up(
        self, session: Session, line: Line, message: p.Hello, resume: p.Resume
    ) -> None:
        try:
            await self._resume(session, line, message, resume)
        except BaseException as error:
            # Nobody else will: for its socket there is no session. If this fails too, the
            # session ends in time all the same, and the first error is the one to be told.
            with suppress(EngineError):
                await self.detach(session, line)
            if isinstance(error, EngineError):
                # It may have been welcomed already; on a new socket it can try again.
                line.close(p.CloseCode.INTERNAL, p.ERRORS[ErrorCode.NOT_STORED])
            raise

    async def _resume(
        self, session: Session, line: Line, message: p.Hello, resume: p.Resume
    ) -> None:
        if session.line is not None:
            session.line.close(p.CloseCode.REPLACED, "Continued on another connection.")
        session.drop_subscriptions()
        for timers in (self._expiry, self._absence):
            if (timer := timers.pop(session.id, None)) is not None:
                timer.cancel()
        session.line = line
        session.hold()
        key = new_key()
        # Should this welcome get lost on the way, the client has only the key it showed.
        session.key_before = hash_key(resume.key)
        stored = replace(session.stored, key_hash=hash_key(key), expires=None)
        await self.engine.save_session(stored)
        # Only now: a session is dropped by the key that is stored.
        session.stored = stored
        if session.name:
            await self.people.claim(session.name, stored.user, stored.bot, stored.about)
        last = await self.engine.last(session.id)
        session.topics["session"] = self._subscribe(session)
        await self._welcome(session, key, resumed=True, re=message.id)
        seen = await self.rooms.resume(session, resume)
        missed = await self.engine.mail(session.id, resume.n)
        if missed is None:
            session.tell(p.Resync(last=last))
            session.go_on(seen, last)
        else:
            for payload in missed:
                line.send(payload)
            session.go_on(seen, last_number(missed, resume.n))
        await self._calls.arrived(session, resumed=missed is not None)

    def _subscribe(self, session: Session) -> Callable[[], None]:
        return self.engine.subscribe(f"session:{session.id}", session.deliver)

    async def _welcome(self, session: Session, key: str, resumed: bool, re: str | None) -> None:
        session.tell(
            p.Welcome(
                session=session.id,
                key=key,
                name=session.stored.name,
                resumed=resumed,
                calls=await self._calls.of_session(session) if session.name else [],
                ice_servers=list(self.config.ice_servers),
                limits=self.config.limits,
                ping=self.config.ping,
                time=round(self.clock.now() * 1000),
                v=p.VERSION,
                re=re,
            )
        )

    async def detach(self, session: Session, line: Line) -> None:
        """The socket of a session is gone; the session waits for its client."""
        if session.line is not line:
            return
        session.line = None
        session.drop_subscriptions()
        self._expire_later(session)
        self._absence[session.id] = self.clock.call_later(GRACE, lambda: self._absent(session))
        expires = self.clock.now() + self.config.hold
        await self.engine.save_session(session.update(expires=expires))
        others = bool(session.name) and await self._others(session, connected=True)
        # Its client may have come back while that was stored.
        if session.name and not others and session.line is None:
            await self.people.away(session.key)

    async def bye(self, session: Session, line: Line) -> None:
        """A client that cannot resume has gone: hang up for it and forget it at once."""
        if session.line is not line:
            return
        try:
            for call in await self._calls.of_session(session):
                if call.outgoing or call.state not in (calls.State.CALLING, calls.State.RINGING):
                    await self._keeper.happen(call.call, What.HANGUP, session)
        finally:
            session.line = None
            session.drop_subscriptions()
            await self._expire(session)

    async def _absent(self, session: Session) -> None:
        self._absence.pop(session.id, None)
        if session.line is None:
            for room in session.stored.rooms:
                await self.rooms.absent(session, room)

    def _expire_later(self, session: Session) -> None:
        timer = self.clock.call_later(self.config.hold, lambda: self._expire(session))
        self._expiry[session.id] = timer

    async def _expire(self, session: Session) -> None:
        self._expiry.pop(session.id, None)
        if session.line is not None or self._sessions.pop(session.id, None) is None:
            return
        await self._forget(session)

    async def _forget(self, session: Session) -> None:
        """Undo what a session was. As long as the store fails it is tried again: else its
        calls would never end and its name never be free."""
        self._expiry.pop(session.id, None)
        stored = session.stored
        try:
            await self._absent(session)
            await self.engine.drop_session(stored.id, stored.key_hash)
            if session.name:
                others = await self._others(session, connected=False)
                await self._calls.gone(session, others)
                if not others:
                    await self.people.gone(session.name, stored.user, stored.bot)
        except EngineError as error:
            log.warning("The store failed when a session ended: %s", error)
            again = self.clock.call_later(RETRY, lambda: self._forget(session))
            self._expiry[session.id] = again

    async def _others(self, session: Session, connected: bool) -> bool:
        for stored in await self.engine.sessions(session.key):
            if stored.id != session.id and (stored.expires is None or not connected):
                return True
        return False

    # --- requests

    async def handle(self, session: Session, message: p.ClientMessage) -> None:
        """Do what a client asks.

        Raises `ProtocolError` when it cannot be done and `EngineError` when the store fails;
        then nothing was changed.
        """
        async with session.turn:
            replied = await self._do(session, message)
            if message.id is not None and not replied:
                session.tell(p.Ok(re=message.id))

    async def _do(self, session: Session, message: p.ClientMessage) -> bool:
        match message:
            case p.Hello():
                raise ProtocolError(ErrorCode.HELLO_AGAIN)
            case p.Rooms():
                await self.rooms.list_rooms(session, message)
                return True
            case p.Contacts():
                await self.people.list_contacts(session, message)
                return True
        if not session.name:
            raise ProtocolError(ErrorCode.NAME_NEEDED)
        match message:
            case p.Join():
                await self.rooms.join(session, message)
                return True
            case p.Records():
                await self._records(session, message)
                return True
            case p.Leave():
                await self.rooms.leave(session, message)
            case p.Chat():
                await self.rooms.chat(session, message)
            case p.Typing():
                await self.rooms.typing(session, message)
            case p.Settings():
                await self.people.settings(session, message)
            case _:
                await self._do_call(session, message)
        return False

    async def _do_call(self, session: Session, message: p.CallMessage) -> None:
        change = self._keeper.change
        match message:
            case p.Call():
                await self._calls.place(session, message)
            case p.Answer():
                await self._calls.answer(session, message)
            case p.Decline():
                await change(message.call, DECLINE[message.reason], session)
            case p.Hangup():
                await change(message.call, HANGUP[message.reason], session, message.part)
            case p.Progress():
                await change(message.call, PROGRESS[message.state], session, message.part)
            case p.SendDescription():
                relayed = p.RelayedDescription(call=message.call, description=message.description)
                await self._calls.relay(session, relayed)
            case p.SendMedia():
                await self._calls.relay(
                    session, p.RelayedMedia(call=message.call, media=message.media)
                )
            case p.SendCandidate():
                candidate = p.RelayedCandidate(call=message.call, candidate=message.candidate)
                await self._calls.candidate(session, candidate)
            case p.Report():
                await self._calls.report(session, message)
            case _:
                assert_never(message)

    async def _records(self, session: Session, message: p.Records) -> None:
        stored = session.stored
        past = await self.engine.records(stored.user, session.key, message.before, message.limit)
        records = [calls.record(call, session.key) for call in past]
        session.tell(p.RecordList(records=records, re=message.id))
