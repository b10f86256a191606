"""What the exchange keeps and shares, as a contract.

An engine stores; it decides nothing. Rules for every engine:

1. What an awaited call reported as done is done: a message published is stored, a call
   replaced is replaced. Where storing fails, `EngineError` is raised and nothing changed.
2. Removals are compare-and-delete: nothing removes what is not its own.
3. Within one room `seq` counts from 1 without holes for as long as its `epoch` lasts.
4. Several nodes may share one engine; `subscribe` hears what any of them told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from ringback.server.calls import Call
from ringback.server.protocol import ChatMessage, DirectedMessage, RoomInfo
from ringback.server.recording import Recording
from ringback.server.voicebox import Holder, Voicebox, VoiceMessage

Sink = Callable[[bytes], None]
Unsubscribe = Callable[[], None]


class EngineError(Exception):
    """The store cannot do this now (disk full, connection lost)."""


class Draft(Struct, frozen=True):
    """A chat message before it has its number. `time` in ms since 1970."""

    room: str
    user: str
    name: str
    text: str
    cid: str
    time: int


class History(Struct, frozen=True):
    """Messages of a room in order, the last `seq` given out in it and its `epoch`."""

    messages: list[ChatMessage]
    seq: int
    epoch: str


class Presence(Struct, frozen=True):
    """A session in a room. `unlisted`: it asks for the room not to be listed."""

    room: str
    session: str
    name: str
    bot: bool = False
    unlisted: bool = False


class Claim(Struct, frozen=True, omit_defaults=True):
    """A name and who holds it. `until`: when it lapses (seconds since 1970), None while
    somebody is connected with it. `key` is the folded name."""

    key: str
    name: str
    user: str
    bot: bool = False
    about: str = ""
    call_waiting: bool = True
    until: float | None = None


class StoredSession(Struct, frozen=True, omit_defaults=True):
    """A session as far as it outlives its socket and the server's process.

    `key_hash` is the SHA-256 of the resume key in hex, `name_key` the folded name;
    `rooms` maps a room to whether it was joined unlisted; `expires` (seconds since 1970) is
    None while a socket is attached. Of a bot's session `max_calls` are the calls it takes at
    once (None: it did not say), `accepting` whether it takes new ones. `plain`: its client
    cannot be asked anything.
    """

    id: str
    key_hash: str
    user: str
    name: str | None = None
    name_key: str | None = None
    bot: bool = False
    about: str = ""
    rooms: dict[str, bool] = {}
    expires: float | None = None
    max_calls: int | None = None
    accepting: bool = True
    plain: bool = False


class Engine(ABC):
    """Everything shared. All methods may raise `EngineError`."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready. What was live before is there again, waiting for its owners: sessions
        and claims lapse one hold time after this, calls keep their deadlines."""

    @abstractmethod
    async def close(self) -> None:
        """Store everything that must survive and free all resources. May be called twice."""

    @abstractmethod
    async def check(self) -> None:
        """Raise `EngineError` when messages could not be stored now."""

    # --- rooms

    @abstractmethod
    async def publish(self, draft: Draft) -> tuple[ChatMessage, bool]:
        """Store a message and tell the room (topic `room:ROOM`); False if this user's `cid`
        was published in this room before: then the stored message is returned, untold."""

    @abstractmethod
    async def history(self, room: str, after: int, limit: int) -> History:
        """The newest `limit` messages with `seq` greater than `after`."""

    @abstractmethod
    async def join(self, presence: Presence) -> bool:
        """Note a session in a room; True if nobody of that name was in it before."""

    @abstractmethod
    async def leave(self, room: str, session: str) -> bool:
        """Note that a session left; True if nobody of its name is left in the room."""

    @abstractmethod
    async def members(self, room: str) -> list[Presence]:
        """Who is in a room, one entry a name, in the order they came."""

    @abstractmethod
    async def rooms(self) -> list[RoomInfo]:
        """Rooms with somebody in them and nobody who asked to keep them unlisted, fullest
        first, at most `protocol.PEOPLE_LISTED`."""

    # --- names

    @abstractmethod
    async def claim(self, claim: Claim, now: float) -> Claim:
        """Take or renew a name; returns who holds it afterwards (somebody else: refused)."""

    @abstractmethod
    async def claim_of(self, key: str, now: float) -> Claim | None:
        """Who holds a name at `now` (seconds since 1970)."""

    @abstractmethod
    async def claims(self, now: float) -> list[Claim]:
        """All names held at `now`."""

    @abstractmethod
    async def release(self, key: str, user: str) -> bool:
        """Give a name up; False if `user` did not hold it."""

    # --- sessions and their mailboxes

    @abstractmethod
    async def save_session(self, session: StoredSession) -> None:
        """Keep a session as it is now, replacing what was known of it."""

    @abstractmethod
    async def session(self, session: str) -> StoredSession | None:
        """A session by id."""

    @abstractmethod
    async def sessions(self, name_key: str | None = None) -> list[StoredSession]:
        """All sessions, or those with one folded name."""

    @abstractmethod
    async def drop_session(self, session: str, key_hash: str) -> bool:
        """Forget a session and its mailbox if it still has this key."""

    @abstractmethod
    async def push(self, session: str, message: DirectedMessage) -> None:
        """Number a message, put it into a session's mailbox (the oldest of more than
        `protocol.Limits.mailbox` fall out) and tell topic `session:ID`."""

    @abstractmethod
    async def mail(self, session: str, after: int) -> list[bytes] | None:
        """Encoded messages numbered above `after`, in order; None if some of them are gone
        or `after` was never given out."""

    @abstractmethod
    async def last(self, session: str) -> int:
        """The number given out last in a session's mailbox, 0 before the first."""

    # --- calls

    @abstractmethod
    async def call(self, call: str) -> Call | None:
        """A call by id, live or ended."""

    @abstractmethod
    async def put_call(self, call: Call, expect: int | None) -> bool:
        """Replace version `expect` of a call, or create it (`expect` None); False if the
        stored version differs or, for a new one, the id was ever used. An ended call is
        moved to the records."""

    @abstractmethod
    async def live_calls(self, key: str | None = None) -> list[Call]:
        """Calls that have not ended: all, or those a folded name is a party of."""

    @abstractmethod
    async def records(self, user: str, key: str, before: int | None, limit: int) -> list[Call]:
        """Ended calls of a user under one folded name, newest first, placed before `before`
        (ms since 1970); legs are left out."""

    @abstractmethod
    def hold(self, *keys: str) -> AbstractAsyncContextManager[None]:
        """Exclusive use of `keys` among all nodes while the block runs."""

    # --- recordings

    @abstractmethod
    async def recording(self, recording: str) -> Recording | None:
        """A recording by id, live or ended."""

    @abstractmethod
    async def put_recording(self, recording: Recording, expect: int | None) -> bool:
        """Replace version `expect` of a recording, or create it (`expect` None); False if the
        stored version differs or, for a new one, the id is known."""

    @abstractmethod
    async def drop_recording(self, recording: str, version: int) -> bool:
        """Forget a recording if it is at this version."""

    @abstractmethod
    async def live_recordings(self, call: str | None = None) -> list[Recording]:
        """Recordings that have not ended: all, or those of one call."""

    @abstractmethod
    async def recordings(self, user: str, before: int | None, limit: int) -> list[Recording]:
        """Recordings in a user's list, newest first, asked for before `before` (ms since
        1970). Those that have not begun are left out."""

    @abstractmethod
    async def count_recordings(self, user: str) -> int:
        """How many recordings stand in a user's list, or are about to."""

    @abstractmethod
    async def old_recordings(self, before: int, limit: int) -> list[Recording]:
        """Ended recordings, oldest first, asked for before `before` (ms since 1970)."""

    # --- voicemail

    @abstractmethod
    async def holder(self, key: str) -> Holder | None:
        """The person who last held a folded name, bots left out; about 100,000 are remembered."""

    @abstractmethod
    async def voicebox(self, user: str, key: str) -> Voicebox:
        """How a user wants voicemail under a folded name; the usual if they never said."""

    @abstractmethod
    async def put_voicebox(self, box: Voicebox) -> None:
        """Keep how they want it."""

    @abstractmethod
    async def greeting(self, id: str) -> bool:
        """Whether a greeting of this id is somebody's."""

    @abstractmethod
    async def message(self, id: str) -> VoiceMessage | None:
        """A message (or a greeting that is being made) by id."""

    @abstractmethod
    async def put_message(self, message: VoiceMessage) -> None:
        """Keep a message as it is now, replacing what was known of it."""

    @abstractmethod
    async def drop_message(self, id: str) -> bool:
        """Forget a message; False if there is none."""

    @abstractmethod
    async def messages(self, user: str) -> list[VoiceMessage]:
        """All of a user's, complete or not, newest first."""

    @abstractmethod
    async def old_messages(
        self, left_before: int, begun_before: int, limit: int
    ) -> list[VoiceMessage]:
        """Up to `limit` that were left before the one time, or begun before the other and never
        completed (ms since 1970), oldest first."""

    # --- telling

    @abstractmethod
    def subscribe(self, topic: str, sink: Sink) -> Unsubscribe:
        """Call `sink` with what is told to `topic` from now on."""

    @abstractmethod
    async def tell(self, topic: str, payload: bytes) -> None:
        """Give `payload` to everybody who subscribed to `topic`, on every node."""

    @abstractmethod
    async def heartbeat(self, node: str) -> Sequence[str]:
        """Note that a node lives; returns all nodes that lived lately."""
