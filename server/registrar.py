"""The registrar: opens sessions, takes them up again, and lets them go.

Rules:

1. Who somebody is is settled at hello; nothing they say later can change it.
2. A session outlives its socket by `config.hold` seconds; its name and calls live as long.
3. What takes a session up waits for its turn behind the session's requests.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace

from ringback.server import calls, names
from ringback.server import protocol as p
from ringback.server.callkeeper import RETRY, CallKeeper
from ringback.server.calls import What
from ringback.server.clock import Clock, Timer
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


class Registrar:
    """The sessions of one node over an engine; names, rooms and calls are told of them."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        config: Config,
        read_token: Callable[[str], Bearer],
        people: People,
        rooms: RoomService,
        switchboard: Switchboard,
        keeper: CallKeeper,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._config = config
        self._read_token = read_token
        self._people = people
        self._rooms = rooms
        self._calls = switchboard
        self._keeper = keeper
        self._sessions: dict[str, Session] = {}
        self._expiry: dict[str, Timer] = {}
        self._absence: dict[str, Timer] = {}

    async def open(self) -> None:
        """Take up what was live before: sessions wait for their clients."""
        for stored in await self._engine.sessions():
            session = Session(stored, self._config.limits, self._clock.now())
            self._sessions[stored.id] = session
            self._expire_later(session)
        await self._calls.orphaned(self._sessions)

    async def hello(
        self, line: Line, message: p.Hello, guest: str | None, *, plain: bool = False
    ) -> Session:
        """Open or resume a session for the client at the end of `line`.

        `guest` is the user id its cookie holds, if any; a `plain` client knows little of what
        it is told. Raises `ProtocolError`, after which
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
        return await self._open(line, message, bearer, guest, plain)

    async def _open(
        self,
        line: Line,
        message: p.Hello,
        bearer: Bearer | None,
        guest: str | None,
        plain: bool,
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
            plain=plain,
        )
        session = Session(stored, self._config.limits, self._clock.now())
        session.line = line
        session.hold()
        session.topics["session"] = self._subscribe(session)
        try:
            await self._engine.save_session(stored)
            if name is not None:
                await self._people.claim(name, user, bot, stored.about)
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
            return await self._people.check(bearer.name, user, bot=bearer.bot)
        if message.name is None:
            return None
        return await self._people.check(message.name, user)

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
        await self._engine.save_session(stored)
        # Only now: a session is dropped by the key that is stored.
        session.stored = stored
        if session.name:
            await self._people.claim(session.name, stored.user, stored.bot, stored.about)
        last = await self._engine.last(session.id)
        session.topics["session"] = self._subscribe(session)
        await self._welcome(session, key, resumed=True, re=message.id)
        seen = await self._rooms.resume(session, resume)
        missed = await self._engine.mail(session.id, resume.n)
        if missed is None:
            session.tell(p.Resync(last=last))
            session.go_on(seen, last)
        else:
            for payload in missed:
                line.send(payload)
            session.go_on(seen, last_number(missed, resume.n))
        await self._calls.arrived(session, resumed=missed is not None)

    def _subscribe(self, session: Session) -> Callable[[], None]:
        return self._engine.subscribe(f"session:{session.id}", session.deliver)

    async def _welcome(self, session: Session, key: str, resumed: bool, re: str | None) -> None:
        session.tell(
            p.Welcome(
                session=session.id,
                key=key,
                name=session.stored.name,
                resumed=resumed,
                calls=await self._calls.of_session(session) if session.name else [],
                ice_servers=list(self._config.ice_servers),
                limits=self._config.limits,
                ping=self._config.ping,
                time=round(self._clock.now() * 1000),
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
        self._absence[session.id] = self._clock.call_later(GRACE, lambda: self._absent(session))
        expires = self._clock.now() + self._config.hold
        await self._engine.save_session(session.update(expires=expires))
        others = bool(session.name) and await self._others(session, connected=True)
        # Its client may have come back while that was stored.
        if session.name and session.line is None:
            if not others:
                await self._people.away(session.key)
            await self._calls.away(session)

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
                await self._rooms.absent(session, room)

    def _expire_later(self, session: Session) -> None:
        timer = self._clock.call_later(self._config.hold, lambda: self._expire(session))
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
            await self._engine.drop_session(stored.id, stored.key_hash)
            if session.name:
                others = await self._others(session, connected=False)
                await self._calls.gone(session, others)
                if not others:
                    await self._people.gone(session.name, stored.user, stored.bot)
        except EngineError as error:
            log.warning("The store failed when a session ended: %s", error)
            again = self._clock.call_later(RETRY, lambda: self._forget(session))
            self._expiry[session.id] = again

    async def _others(self, session: Session, connected: bool) -> bool:
        for stored in await self._engine.sessions(session.key):
            if stored.id != session.id and (stored.expires is None or not connected):
                return True
        return False
