"""Chat rooms: who is in them and what is said."""

from __future__ import annotations

from ringback.server import names
from ringback.server.clock import Clock, Timer
from ringback.server.engine.base import Draft, Engine, History, Presence
from ringback.server.protocol import (
    Chat,
    ErrorCode,
    Event,
    Join,
    Joined,
    Leave,
    Limits,
    Member,
    ProtocolError,
    Resume,
    Resync,
    RoomInfo,
    RoomList,
    RoomMark,
    Rooms,
    Typing,
    TypingNow,
    encode,
)
from ringback.server.protocol import Presence as PresenceEvent
from ringback.server.session import Session

TOPIC = "rooms"
LIST_EVERY = 1.0


def clean_room(text: str) -> str:
    """A room's canonical name; raises `ProtocolError` (`BAD_ROOM`) with the reason in words."""
    try:
        return names.clean_room(text)
    except names.BadName as error:
        raise ProtocolError(ErrorCode.BAD_ROOM, str(error)) from error


class RoomService:
    """What a session may do in rooms."""

    def __init__(self, engine: Engine, clock: Clock, limits: Limits) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._listing: Timer | None = None

    async def join(self, session: Session, message: Join) -> None:
        """Enter a room and answer with who is there and what was said last."""
        room = clean_room(message.room)
        full = self._limits.on and len(session.rooms) >= self._limits.rooms
        if full and room not in session.rooms:
            raise ProtocolError(ErrorCode.TOO_MANY_ROOMS)
        seen: dict[str, int] = {}
        try:
            await self._enter(session, room, message.unlisted)
            if session.stored.rooms.get(room) is not message.unlisted:
                rooms = session.stored.rooms | {room: message.unlisted}
                await self._engine.save_session(session.update(rooms=rooms))
            past = await self._engine.history(room, 0, self._limits.history)
            await self._joined(session, room, past, resumed=False, re=message.id)
            seen[room] = past.seq
        finally:
            session.go_on(seen)

    async def _enter(self, session: Session, room: str, unlisted: bool) -> None:
        presence = Presence(room, session.id, session.name, session.stored.bot, unlisted)
        if await self._engine.join(presence):
            await self._presence(presence, here=True)
        session.hold()
        if room not in session.rooms:
            session.rooms[room] = self._engine.subscribe(f"room:{room}", session.deliver)

    async def _joined(
        self, session: Session, room: str, past: History, resumed: bool, re: str | None = None
    ) -> None:
        here = await self._engine.members(room)
        most = self._limits.people if self._limits.on else len(here)
        # In the order they came, but oneself is always among them.
        named = here[:most]
        if len(here) > most and all(m.name != session.name for m in named):
            named[-1:] = [m for m in here[most:] if m.name == session.name]
        members = [Member(m.name, m.bot) for m in named]
        session.tell(
            Joined(
                room=room,
                members=members,
                history=past.messages,
                seq=past.seq,
                epoch=past.epoch,
                resumed=resumed,
                more=len(here) - len(named),
                re=re,
            )
        )

    async def resume(self, session: Session, resume: Resume) -> dict[str, int]:
        """Bring a client up to date in all its rooms; returns the last `seq` it has by room.

        A room whose gap cannot be filled in full is left to the client to join again.
        """
        seen = {}
        for room, unlisted in session.stored.rooms.items():
            await self._enter(session, room, unlisted)
            past = await self._missed(room, resume.rooms.get(room))
            if past is None:
                session.tell(Resync(room=room))
            else:
                await self._joined(session, room, past, resumed=True)
                seen[room] = past.seq
        return seen

    async def _missed(self, room: str, mark: RoomMark | None) -> History | None:
        if mark is None:
            return None
        past = await self._engine.history(room, mark.seq, self._limits.history)
        whole = mark.seq + len(past.messages) == past.seq
        return past if whole and mark.epoch == past.epoch else None

    async def leave(self, session: Session, message: Leave) -> None:
        """Leave a room; raises `NOT_IN_ROOM`."""
        room = self._room_of(session, message.room)
        session.rooms.pop(room)()
        await self.absent(session, room)
        rooms = {r: u for r, u in session.stored.rooms.items() if r != room}
        await self._engine.save_session(session.update(rooms=rooms))

    async def absent(self, session: Session, room: str) -> None:
        """Take a session out of a room's list of people."""
        if await self._engine.leave(room, session.id):
            gone = Presence(room, session.id, session.name, session.stored.bot)
            await self._presence(gone, here=False)

    async def chat(self, session: Session, message: Chat) -> None:
        """Say something. The one who says it hears it like everybody; said again with the
        same `cid`, only they hear it again. Raises when it is empty, too long or too fast."""
        room = self._room_of(session, message.room)
        if not message.text.strip():
            raise ProtocolError(ErrorCode.BAD_TEXT)
        if self._limits.on:
            if len(message.text.encode(errors="replace")) > self._limits.text:
                raise ProtocolError(ErrorCode.TEXT_TOO_LONG)
            if not session.chats.take(self._clock.now()):
                raise ProtocolError(ErrorCode.TOO_FAST)
        draft = Draft(
            room=room,
            user=session.stored.user,
            name=session.name,
            text=message.text,
            cid=message.cid,
            time=round(self._clock.now() * 1000),
        )
        said, fresh = await self._engine.publish(draft)
        if not fresh:
            session.tell(said)

    async def typing(self, session: Session, message: Typing) -> None:
        """Tell the room that somebody is writing, or no longer."""
        room = self._room_of(session, message.room)
        await self._tell(room, TypingNow(room=room, from_=session.name, on=message.on))

    async def list_rooms(self, session: Session, message: Rooms) -> None:
        """Answer with the listed rooms; watch or stop watching."""
        session.watch(TOPIC, self._engine, message.watch)
        session.tell(RoomList(rooms=await self._engine.rooms(), re=message.id))

    async def listed(self) -> list[RoomInfo]:
        """The listed rooms, fullest first."""
        return await self._engine.rooms()

    def _room_of(self, session: Session, text: str) -> str:
        # A name as it came in `joined` need not be cleaned for every message.
        room = text if text in session.rooms else clean_room(text)
        if room not in session.rooms:
            raise ProtocolError(ErrorCode.NOT_IN_ROOM)
        return room

    async def _presence(self, presence: Presence, here: bool) -> None:
        await self._tell(
            presence.room,
            PresenceEvent(room=presence.room, name=presence.name, here=here, bot=presence.bot),
        )
        if self._listing is None:
            self._listing = self._clock.call_later(LIST_EVERY, self._tell_list)

    async def _tell_list(self) -> None:
        self._listing = None
        await self._engine.tell(TOPIC, encode(RoomList(rooms=await self._engine.rooms())))

    async def _tell(self, room: str, event: Event) -> None:
        await self._engine.tell(f"room:{room}", encode(event))
