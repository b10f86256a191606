"""The exchange: what a session may do. Sockets are thin shells around this.

One session's requests are done one after another, in the order they came.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from ringback.server import calls
from ringback.server import protocol as p
from ringback.server.callkeeper import CallKeeper
from ringback.server.calls import What
from ringback.server.clock import Clock, SystemClock, Tasks
from ringback.server.config import Config
from ringback.server.engine.base import Engine
from ringback.server.instances import Instances
from ringback.server.messagekeeper import MessageKeeper
from ringback.server.people import People
from ringback.server.protocol import ErrorCode, ProtocolError
from ringback.server.recordbook import RecordBook
from ringback.server.registrar import Bearer, Registrar
from ringback.server.rooms import RoomService
from ringback.server.session import Line, Session
from ringback.server.switchboard import Switchboard
from ringback.server.voicemails import Voicemails

PROGRESS = {
    "connecting": What.PROGRESS,
    "connected": What.CONNECT,
    "reconnecting": What.INTERRUPT,
}
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
        timings = calls.Timings(config.ring, config.connect, config.reconnect)
        self.people = People(engine, self.clock, config.hold, config.limits)
        self.rooms = RoomService(engine, self.clock, config.limits)
        self._keeper = CallKeeper(engine, self.clock, timings, self.people.tell)
        self._instances = Instances(engine, self._keeper)
        self.recordbook = RecordBook(engine, self.clock, self._keeper, config.recordings)
        self.messages = MessageKeeper(engine, self._keeper, config.voicemail)
        self.voicemails = Voicemails(
            engine, self._keeper, self._instances, self.messages, config.voicemail
        )
        self._calls = Switchboard(
            engine,
            self.clock,
            self._keeper,
            self._instances,
            self.recordbook,
            self.voicemails,
            config.limits,
        )
        self._registrar = Registrar(
            engine,
            self.clock,
            config,
            read_token,
            self.people,
            self.rooms,
            self._calls,
            self._keeper,
        )
        self._tasks = Tasks()

    async def open(self) -> None:
        """Take up what was live before: sessions wait for their clients, calls keep time."""
        await self._keeper.open()
        await self.recordbook.open()
        await self._registrar.open()

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

    async def hello(
        self, line: Line, message: p.Hello, guest: str | None, *, plain: bool = False
    ) -> Session:
        """See `Registrar.hello`."""
        return await self._registrar.hello(line, message, guest, plain=plain)

    async def detach(self, session: Session, line: Line) -> None:
        """See `Registrar.detach`."""
        await self._registrar.detach(session, line)

    async def bye(self, session: Session, line: Line) -> None:
        """See `Registrar.bye`."""
        await self._registrar.bye(session, line)

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
                await self.messages.settings(session, message)
            case p.Capacity():
                await self._instances.say(session, message)
            case p.ControlRecording():
                await self.recordbook.control(session, message)
            case p.GiveConsent():
                await self.recordbook.consent(session, message)
            case p.TellRecording():
                await self.recordbook.tell(session, message)
            case p.TellMessage():
                await self.voicemails.tell(session, message)
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
                await self._calls.decline(session, message)
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
