"""What a client remembers of its session, so that nothing is lost and nothing comes twice. Pure."""

from __future__ import annotations

from ringback.server.protocol import (
    ChatMessage,
    Directed,
    Joined,
    Resume,
    Resync,
    RoomMark,
    ServerMessage,
    Welcome,
)


class Hole(Exception):
    """A message is missing: the session cannot be gone on with and is to be begun anew."""


class Memory:
    """The session's name and key, and the last message seen of each numbered kind."""

    def __init__(self) -> None:
        self.n = 0
        self.rooms: dict[str, RoomMark] = {}
        self._session: tuple[str, str] | None = None

    def resume(self) -> Resume | None:
        """What to show at hello to go on; None to begin."""
        if self._session is None:
            return None
        session, key = self._session
        return Resume(session=session, key=key, n=self.n, rooms=self.rooms)

    def forget(self) -> None:
        """Begin anew at the next hello."""
        self.n = 0
        self.rooms = {}
        self._session = None

    def welcome(self, welcome: Welcome) -> None:
        """A socket is up, going on with the session or beginning one."""
        if not welcome.resumed:
            self.forget()
        self._session = welcome.session, welcome.key

    def left(self, room: str) -> None:
        """A room is not to be resumed any more."""
        self.rooms.pop(room, None)

    def take(self, event: ServerMessage) -> bool:
        """Whether an event is new. Raises `Hole` when one before it never came."""
        match event:
            case Directed(n=n):
                if n <= self.n:
                    return False
                if n > self.n + 1:
                    raise Hole(f"message {self.n + 1} is missing before {n}")
                self.n = n
            case Joined(room=room, epoch=epoch, seq=seq):
                self.rooms[room] = RoomMark(epoch=epoch, seq=seq)
            case ChatMessage(room=room, seq=seq) if mark := self.rooms.get(room):
                if seq <= mark.seq:
                    return False
                if seq > mark.seq + 1:
                    raise Hole(f"message {mark.seq + 1} of {room} is missing before {seq}")
                self.rooms[room] = RoomMark(epoch=mark.epoch, seq=seq)
            case Resync(room=str(room)):
                self.left(room)
            case Resync(last=int(last)):
                self.n = last
            case Resync():
                raise Hole("the exchange asks for a new beginning")
        return True
