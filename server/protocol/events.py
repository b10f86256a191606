"""What the server says. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from .codes import ErrorCode, Reason, RecordingEnd
from .values import (
    CallInfo,
    Candidate,
    Contact,
    Description,
    IceServer,
    Limits,
    Media,
    Member,
    MessageOrder,
    Part,
    Record,
    RecordingOrder,
    RecordingState,
    RoomInfo,
)


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """Base of what the server says."""


class Directed(Event, frozen=True, kw_only=True):
    """Base of messages to one session; `n` counts them from 1 without holes."""

    n: int = 0


class Welcome(Event, frozen=True, kw_only=True):
    """The session is open. `key` is the secret for the next resume; `ping` in seconds."""

    session: str
    key: str
    name: str | None
    resumed: bool
    calls: list[CallInfo]
    ice_servers: list[IceServer]
    limits: Limits
    ping: float
    time: int
    v: int
    re: str | None = None


class Drain(Event, frozen=True, kw_only=True):
    """The server is about to stop; reconnect after `after_ms`, calls go on meanwhile."""

    after_ms: int


class Resync(Event, frozen=True, kw_only=True):
    """What was missed is not known in full. With `room`: join it again. Without: directed
    messages are gone, those from `last` + 1 on follow; go by `welcome.calls`."""

    room: str | None = None
    last: int | None = None


class Ok(Event, frozen=True, kw_only=True):
    """A request was done."""

    re: str


class Error(Event, frozen=True, kw_only=True):
    """A request was refused; the connection goes on."""

    code: ErrorCode
    message: str
    re: str | None = None


class ChatMessage(Event, frozen=True, kw_only=True, tag="chat"):
    """Something said in a room; `seq` counts from 1 without holes within one `epoch`."""

    room: str
    seq: int
    from_: str = field(name="from")
    text: str
    time: int
    cid: str


class Joined(Event, frozen=True, kw_only=True):
    """One is in a room: who is here and what was said (on resume: what was missed). `more` are
    here besides those named."""

    room: str
    members: list[Member]
    history: list[ChatMessage]
    seq: int
    epoch: str
    resumed: bool = False
    more: int = 0
    re: str | None = None


class Presence(Event, frozen=True, kw_only=True):
    """Somebody came to a room or left it."""

    room: str
    name: str
    here: bool
    bot: bool = False


class TypingNow(Event, frozen=True, kw_only=True, tag="typing"):
    """Somebody in a room is writing, or no longer."""

    room: str
    from_: str = field(name="from")
    on: bool


class RoomList(Event, frozen=True, kw_only=True, tag="rooms"):
    """The listed rooms, fullest first, at most 100."""

    rooms: list[RoomInfo]
    re: str | None = None


class ContactList(Event, frozen=True, kw_only=True, tag="contacts"):
    """Who can be called now, and how many `more` there are."""

    people: list[Contact]
    more: int = 0
    re: str | None = None


class ContactChange(Event, frozen=True, kw_only=True, tag="contact"):
    """Somebody came, changed or (`online` false) went."""

    person: Contact
    online: bool


class RecordList(Event, frozen=True, kw_only=True, tag="records"):
    """Past calls, newest first."""

    records: list[Record]
    re: str | None = None


class Ring(Directed, frozen=True, kw_only=True):
    """Somebody calls. `waiting`: one is in another call; ring softly."""

    call: str
    from_: str = field(name="from")
    media: Media
    description: Description
    bot: bool = False
    waiting: bool = False
    recording: RecordingOrder | None = None
    voicemail: MessageOrder | None = None


class Ringing(Directed, frozen=True, kw_only=True):
    """To the caller: their telephone rings. `waiting`: they are in another call."""

    call: str
    waiting: bool = False


class Answered(Directed, frozen=True, kw_only=True):
    """To the caller: they answered."""

    call: str
    description: Description


class Elsewhere(Directed, frozen=True, kw_only=True):
    """To the callee's other sessions: stop ringing, it was handled in another tab. `moved`: it
    rings at another instance of a bot instead."""

    call: str
    reason: Literal["answered", "declined", "moved"]


class Ended(Directed, frozen=True, kw_only=True):
    """The call is over. `message` says why in words; `winner`: the call that goes on (glare);
    `voicemail`: the caller may leave a message."""

    call: str
    reason: Reason
    message: str
    part: Part | None = None
    winner: str | None = None
    voicemail: bool = False


class RelayedDescription(Directed, frozen=True, kw_only=True, tag="description"):
    """The other side renegotiates."""

    call: str
    description: Description


class RelayedCandidate(Directed, frozen=True, kw_only=True, tag="candidate"):
    """One more ICE candidate of the other side; null when there are no more."""

    call: str
    candidate: Candidate | None


class RelayedMedia(Directed, frozen=True, kw_only=True, tag="media"):
    """What the other side sends now."""

    call: str
    media: Media


class RecordAsked(Directed, frozen=True, kw_only=True, tag="record_asked"):
    """The other side asks to record the call; `text` is what one would agree to."""

    call: str
    from_: str = field(name="from")
    version: str
    text: str


class RecordingChange(Directed, frozen=True, kw_only=True, tag="recording"):
    """How the recording of a call is now, in words too. `call` is the recorded call; to the
    recorder it is each of its legs, and it hears of `paused`, `on` after it, and `off`."""

    call: str
    state: RecordingState
    message: str
    recording: str | None = None
    reason: RecordingEnd | None = None


class VoicemailChange(Directed, frozen=True, kw_only=True, tag="voicemail"):
    """One's voicemail as it is now: how many messages, and how many of them were not heard.
    `nearly_full`: soon the oldest will have to go for new ones."""

    unheard: int
    total: int
    nearly_full: bool = False


DirectedMessage = (
    Ring | Ringing | Answered | Elsewhere | Ended | RelayedDescription | RelayedCandidate
    | RelayedMedia | RecordAsked | RecordingChange | VoicemailChange
)  # fmt: skip

ServerMessage = (
    Welcome | Drain | Resync | Ok | Error | ChatMessage | Joined | Presence | TypingNow | RoomList
    | ContactList | ContactChange | RecordList | DirectedMessage
)  # fmt: skip
