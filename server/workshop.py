"""The workshop's two plain sockets, spoken over the same exchange.

They are what a twenty-line script uses. A client here knows nothing of resuming, ringing or
ends of calls; what it cannot understand it is told in a form it ignores. All rules hold.
Its socket is its session: when it closes, its calls are hung up.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from aiohttp import web
from msgspec import Struct

from ringback.server import connection, names
from ringback.server import protocol as p
from ringback.server.connection import Connection
from ringback.server.engine.base import EngineError
from ringback.server.exchange import Exchange
from ringback.server.identity import user_of
from ringback.server.keys import EXCHANGE
from ringback.server.protocol import CloseCode, ErrorCode, ProtocolError
from ringback.server.session import Session
from ringback.server.workshop_messages import (
    DATA,
    AnswerCall,
    Envelope,
    IceCandidate,
    Login,
    PlaceCall,
    RoomMessage,
    explain,
    read,
    say,
)  # fmt: skip

log = logging.getLogger(__name__)


def setup(app: web.Application) -> None:
    """Add the two sockets to an application that holds `keys.CONFIG` and `keys.EXCHANGE`."""
    connection.setup(app)
    app.router.add_get("/ws/room/{room}/{username}/", _room)
    app.router.add_get("/ws/call/", _call)


async def _room(request: web.Request) -> web.StreamResponse:
    guest, exchange = await user_of(request), request.app[EXCHANGE]
    room, name = request.match_info["room"], request.match_info["username"]

    async def serve(accepted: Connection) -> None:
        await _Room(exchange, accepted, guest, room, name).run()

    return await connection.accept(request, serve, explain, drains=False)


async def _call(request: web.Request) -> web.StreamResponse:
    guest, exchange = await user_of(request), request.app[EXCHANGE]

    async def serve(accepted: Connection) -> None:
        await _Phone(exchange, accepted, guest).run()

    return await connection.accept(request, serve, explain, drains=False)


@contextmanager
def _stored() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        log.warning("The store failed: %s", error)
        raise ProtocolError(ErrorCode.NOT_STORED) from error


class _Shell:
    """The line of the exchange to a plain client; subclasses translate."""

    def __init__(self, exchange: Exchange, connection: Connection, guest: str | None) -> None:
        self.exchange = exchange
        self.connection = connection
        self.guest = guest
        self.session: Session | None = None

    def send(self, payload: bytes) -> None:
        """Translate what the exchange says."""
        for said in self.translate(p.decode_server(payload)):
            self.connection.outbox.send(said)

    def close(self, code: int, words: str) -> None:
        """Close the socket."""
        self.connection.outbox.close(code, words)

    def translate(self, message: p.ServerMessage) -> list[bytes]:
        """What a plain client is told of a message of the wire."""
        raise NotImplementedError

    async def login(self, name: str) -> None:
        """Become somebody."""
        hello = p.Hello(v=p.VERSION, name=name)
        with _stored():
            self.session = await self.exchange.hello(self, hello, self.guest, plain=True)

    async def ask(self, message: p.ClientMessage) -> None:
        """Ask something of the exchange as this client."""
        if self.session is None:
            raise ProtocolError(ErrorCode.HELLO_FIRST, "Log in first.")
        with _stored():
            await self.exchange.handle(self.session, message)

    async def run(self) -> None:
        """Serve the client until it goes; then its calls end and its name is free."""
        try:
            if await self.begin():
                await self.connection.run(self.handle)
        finally:
            await self.leave()

    async def begin(self) -> bool:
        """Do what comes before the first message; False if the client cannot stay."""
        raise NotImplementedError

    async def handle(self, payload: bytes) -> None:
        """Do what the client asks."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Hang up and give the name up."""
        session, self.session = self.session, None
        if session is None:
            return
        try:
            await self.exchange.bye(session, self)
        except EngineError as error:
            log.warning("The store failed when a plain client left: %s", error)


class _Room(_Shell):
    def __init__(
        self, exchange: Exchange, connection: Connection, guest: str | None, room: str, name: str
    ) -> None:
        super().__init__(exchange, connection, guest)
        self._room = room
        self._name = name

    async def begin(self) -> bool:
        try:
            await self.login(self._name)
            await self.ask(p.Join(room=self._room))
        except ProtocolError as error:
            # Before it hears of it, so that it may try again at once.
            await self.leave()
            self.connection.refuse(error)
            ours = error.code is ErrorCode.NOT_STORED
            code = CloseCode.INTERNAL if ours else CloseCode.REFUSED
            self.connection.outbox.close(code, str(error))
            return False
        return True

    async def handle(self, payload: bytes) -> None:
        text = read(payload, RoomMessage).message
        await self.ask(p.Chat(room=self._room, text=text, cid=secrets.token_urlsafe(12)))

    def translate(self, message: p.ServerMessage) -> list[bytes]:
        if not isinstance(message, p.ChatMessage):
            return []
        said = {
            "type": "chat_message",
            "message": message.text,
            "user": message.from_,
            "datetime": datetime.fromtimestamp(message.time / 1000, UTC).isoformat(),
        }
        return [msgspec.json.encode(said)]


class _Phone(_Shell):
    def __init__(self, exchange: Exchange, connection: Connection, guest: str | None) -> None:
        super().__init__(exchange, connection, guest)
        self._calls: dict[str, str] = {}
        self._calling: set[str] = set()
        self._held: dict[str, p.Ring] = {}

    async def begin(self) -> bool:
        self.connection.outbox.send(say("connection", message="Connected"))
        return True

    async def handle(self, payload: bytes) -> None:
        envelope = read(payload, Envelope)
        kind = DATA.get(envelope.type)
        if kind is None:
            raise ProtocolError(ErrorCode.UNKNOWN_TYPE)
        await self._do(read(bytes(envelope.data), kind))

    async def _do(self, data: Struct) -> None:
        match data:
            case Login():
                if self.session is not None:
                    raise ProtocolError(ErrorCode.HELLO_AGAIN)
                await self.login(data.name)
                # A plain page has one picture and one button: it cannot show a second caller.
                await self.ask(p.Settings(call_waiting=False))
            case PlaceCall():
                await self._place(data)
            case AnswerCall():
                call = self._call_with(data.caller)
                await self.ask(p.Answer(call=call, description=data.description))
                await self.ask(p.Progress(call=call, state="connected"))
            case IceCandidate():
                ice = data.ice
                candidate = p.Candidate(ice.candidate, ice.id, ice.label)
                call = self._call_with(data.user)
                await self.ask(p.SendCandidate(call=call, candidate=candidate))

    async def _place(self, data: PlaceCall) -> None:
        call, key = new_call(), names.fold(data.name)
        before = self._calls.get(key)
        self._calls[key] = call
        self._calling.add(call)
        media, description = _media(data.description), data.description
        try:
            await self.ask(p.Call(call=call, to=data.name, media=media, description=description))
        except ProtocolError:
            # What was going on with that person before goes on.
            self._calling.discard(call)
            self._calls.pop(key, None)
            if before is not None:
                self._calls[key] = before
            raise

    def _call_with(self, name: str) -> str:
        call = self._calls.get(names.fold(name))
        if call is None:
            raise ProtocolError(ErrorCode.NO_SUCH_CALL)
        return call

    def translate(self, message: p.ServerMessage) -> list[bytes]:
        match message:
            case p.Ring():
                return self._rings(message)
            case p.Answered():
                self._calling.discard(message.call)
                self._report_connected(message.call)
                return [say("call_answered", rtcMessage=message.description)]
            case p.RelayedCandidate() if message.candidate is not None:
                ice = message.candidate
                data = {"label": ice.sdp_m_line_index, "id": ice.sdp_mid}
                return [say("ICEcandidate", rtcMessage=data | {"candidate": ice.candidate})]
            case p.Ended() | p.Elsewhere():
                return self._over(message)
        return []

    def _rings(self, message: p.Ring) -> list[bytes]:
        key = names.fold(message.from_)
        mine = self._calls.get(key)
        self._calls[key] = message.call
        if mine in self._calling:
            # Both call at once. It can answer once its own call is out of the way.
            self._held[mine] = message
            return []
        return [_received(message)]

    def _over(self, message: p.Ended | p.Elsewhere) -> list[bytes]:
        self._calling.discard(message.call)
        held = self._held.pop(message.call, None)
        for mine in [mine for mine, ring in self._held.items() if ring.call == message.call]:
            del self._held[mine]
        winner = message.winner if isinstance(message, p.Ended) else None
        for name in [name for name, call in self._calls.items() if call == message.call]:
            del self._calls[name]
            if winner is not None:
                self._calls[name] = winner
        if held is not None:
            return [_received(held)]
        if winner is not None:
            # It knows no ids: for it nothing ended, the other call goes on.
            return []
        words = message.message if isinstance(message, p.Ended) else "Handled elsewhere."
        return [say("call_ended", reason=message.reason, message=words)]

    def _report_connected(self, call: str) -> None:
        # A plain client never says that it is connected; with the answer it has all it needs.
        async def report() -> None:
            try:
                await self.ask(p.Progress(call=call, state="connected"))
            except ProtocolError as error:
                log.debug("A plain client's call was over at once: %s", error.code)

        self.exchange.spawn(report())


def _received(ring: p.Ring) -> bytes:
    return say("call_received", caller=ring.from_, rtcMessage=ring.description)


def new_call() -> str:
    """An id for a call; plain clients know none."""
    return secrets.token_urlsafe(12)


def _media(description: p.Description) -> p.Media:
    return p.Media(audio="m=audio" in description.sdp, video="m=video" in description.sdp)
