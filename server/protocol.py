"""The wire: every message, error code, close code, end reason and limit.

Rules that hold everywhere:

1. One WebSocket text frame is one JSON object with a ``type``; nothing else is a message.
2. What the server says about who, when and in what order is stamped by the server;
   a client that sends such a field is refused (unknown fields are errors).
3. Codes and reasons are closed lists. Their words may change, they may not.
4. This module does no I/O and imports nothing of Ringback.

``docs/protocol.md`` says the same for people who write a client.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

VERSION = 1

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
Word = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=65536)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class ErrorCode(StrEnum):
    """Why a request was refused. Stable; see ``ERRORS`` for the words."""

    BAD_JSON = "bad_json"
    BAD_MESSAGE = "bad_message"
    UNKNOWN_TYPE = "unknown_type"
    BINARY = "binary"
    MESSAGE_TOO_LONG = "message_too_long"
    HELLO_FIRST = "hello_first"
    HELLO_AGAIN = "hello_again"
    BAD_VERSION = "bad_version"
    BAD_TOKEN = "bad_token"
    BAD_NAME = "bad_name"
    NAME_TAKEN = "name_taken"
    NAME_RESERVED = "name_reserved"
    NAME_NEEDED = "name_needed"
    BAD_ROOM = "bad_room"
    NOT_IN_ROOM = "not_in_room"
    TOO_MANY_ROOMS = "too_many_rooms"
    BAD_TEXT = "bad_text"
    TEXT_TOO_LONG = "text_too_long"
    TOO_FAST = "too_fast"
    NO_SUCH_CALL = "no_such_call"
    NOT_YOUR_CALL = "not_your_call"
    WRONG_STATE = "wrong_state"
    CALL_EXISTS = "call_exists"
    IN_CALL = "in_call"
    BAD_TARGET = "bad_target"
    BAD_DESCRIPTION = "bad_description"
    BAD_CANDIDATE = "bad_candidate"
    TOO_MANY_CANDIDATES = "too_many_candidates"
    CANNOT_RECORD = "cannot_record"
    BEING_RECORDED = "being_recorded"
    NO_SUCH_RECORDING = "no_such_recording"
    NO_CONSENT = "no_consent"
    OLD_TEXT = "old_text"
    NOT_STORED = "not_stored"
    NO_VOICEMAIL = "no_voicemail"
    VOICEMAIL_FULL = "voicemail_full"
    INTERNAL = "internal"


ERRORS: dict[ErrorCode, str] = {
    ErrorCode.BAD_JSON: "The message is not JSON.",
    ErrorCode.BAD_MESSAGE: "The message does not have the agreed form.",
    ErrorCode.UNKNOWN_TYPE: "There is no message of this type.",
    ErrorCode.BINARY: "Messages are text; binary frames are not read.",
    ErrorCode.MESSAGE_TOO_LONG: "The message is too long.",
    ErrorCode.HELLO_FIRST: "Say hello before anything else.",
    ErrorCode.HELLO_AGAIN: "Hello was said already on this socket.",
    ErrorCode.BAD_VERSION: "This server speaks version 1 of the protocol.",
    ErrorCode.BAD_TOKEN: "The token is not valid here, or no longer.",
    ErrorCode.BAD_NAME: "This cannot be a name.",
    ErrorCode.NAME_TAKEN: "Somebody else is using this name now. Choose another.",
    ErrorCode.NAME_RESERVED: "This name is kept for a bot or for the exchange. Choose another.",
    ErrorCode.NAME_NEEDED: "Say hello with a name to do this.",
    ErrorCode.BAD_ROOM: "This cannot be the name of a room.",
    ErrorCode.NOT_IN_ROOM: "Join the room first.",
    ErrorCode.TOO_MANY_ROOMS: "You are in as many rooms as one connection may be.",
    ErrorCode.BAD_TEXT: "There is nothing to send in this message.",
    ErrorCode.TEXT_TOO_LONG: "The text is too long.",
    ErrorCode.TOO_FAST: "Too many messages in a short time. Wait a moment.",
    ErrorCode.NO_SUCH_CALL: "There is no such call, or it has ended.",
    ErrorCode.NOT_YOUR_CALL: "This call is between other people.",
    ErrorCode.WRONG_STATE: "The call is not at the point where this can be done.",
    ErrorCode.CALL_EXISTS: "A call with this id exists already.",
    ErrorCode.IN_CALL: "Hang up the other call first.",
    ErrorCode.BAD_TARGET: "You cannot call yourself.",
    ErrorCode.BAD_DESCRIPTION: "The session description cannot be used.",
    ErrorCode.BAD_CANDIDATE: "The candidate cannot be used.",
    ErrorCode.TOO_MANY_CANDIDATES: "Too many candidates for one call.",
    ErrorCode.CANNOT_RECORD: "This call cannot be recorded.",
    ErrorCode.BEING_RECORDED: "This call is being recorded already, or somebody was asked.",
    ErrorCode.NO_SUCH_RECORDING: "There is no such recording, or it has ended.",
    ErrorCode.NO_CONSENT: "Nobody is recorded who did not agree to it.",
    ErrorCode.OLD_TEXT: "What one agrees to reads otherwise now. Load the page again.",
    ErrorCode.NOT_STORED: "The message could not be stored. Try again.",
    ErrorCode.NO_VOICEMAIL: "A message cannot be left here.",
    ErrorCode.VOICEMAIL_FULL: "There is no room for another message.",
    ErrorCode.INTERNAL: "Something went wrong on our side. It has been logged.",
}


class Reason(StrEnum):
    """Why a call ended (closed list)."""

    HANGUP = "hangup"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    GLARE = "glare"
    LOST = "lost"
    FAILED = "failed"


REASONS: dict[Reason, tuple[str, str]] = {
    # What somebody reads: (when the other side or the exchange did it, when they did it).
    Reason.HANGUP: ("{peer} hung up.", "You hung up."),
    Reason.CANCELLED: ("{peer} gave up calling.", "You cancelled the call."),
    Reason.DECLINED: ("{peer} declined the call.", "You declined the call."),
    Reason.NO_ANSWER: ("{peer} did not answer.", "You did not answer."),
    Reason.UNAVAILABLE: ("{peer} is not here right now.", "You were not reachable."),
    Reason.BUSY: ("{peer} is in another call.", "You were in another call."),
    Reason.GLARE: (
        "You called each other at the same moment; the calls were joined.",
        "You called each other at the same moment; the calls were joined.",
    ),
    Reason.LOST: ("The connection to {peer} was lost.", "Your connection was lost."),
    Reason.FAILED: ("The call to {peer} could not be connected.",) * 2,
}


class RecordingEnd(StrEnum):
    """Why a recording ended, or did not begin (closed list)."""

    STOPPED = "stopped"
    WITHDRAWN = "withdrawn"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    CALL_ENDED = "call_ended"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    DISK_FULL = "disk_full"
    STOPPING = "stopping"
    FAILED = "failed"


RECORDING_ENDS: dict[RecordingEnd, tuple[str, str]] = {
    # As in REASONS: (when the other side or the exchange did it, when they did it).
    RecordingEnd.STOPPED: ("{peer} stopped the recording.", "You stopped the recording."),
    RecordingEnd.WITHDRAWN: (
        "{peer} no longer agrees to being recorded. The recording has stopped.",
        "You no longer agree to being recorded. The recording has stopped.",
    ),
    RecordingEnd.DECLINED: (
        "{peer} does not want to be recorded. Nothing is recorded.",
        "You declined. Nothing is recorded.",
    ),
    RecordingEnd.NO_ANSWER: (
        "{peer} did not say whether they want to be recorded. Nothing is recorded.",
        "You did not answer in time. Nothing is recorded.",
    ),
    RecordingEnd.CANCELLED: (
        "{peer} no longer asks to record this call.",
        "You no longer ask to record this call.",
    ),
    RecordingEnd.CALL_ENDED: ("The call ended, and with it the recording.",) * 2,
    RecordingEnd.TOO_LONG: ("The recording reached its longest duration and has ended.",) * 2,
    RecordingEnd.TOO_LARGE: ("The recording reached its largest size and has ended.",) * 2,
    RecordingEnd.DISK_FULL: ("The server has no room left, so the recording has ended.",) * 2,
    RecordingEnd.STOPPING: ("The recorder is being stopped, so the recording has ended.",) * 2,
    RecordingEnd.FAILED: ("The recorder failed, so the recording has ended.",) * 2,
}


class CloseCode:
    """WebSocket close codes that Ringback sends (RFC 6455, section 7.4)."""

    GOING_AWAY = 1001
    TOO_BIG = 1009
    INTERNAL = 1011
    TOO_MANY_ERRORS = 4400
    REFUSED = 4403
    HELLO_TIMEOUT = 4408
    REPLACED = 4409
    SLOW_READER = 4413
    TOO_MANY = 4429


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may ask of the server. Sizes in bytes of UTF-8, times in seconds."""

    message: int = 64 * 1024
    text: int = 8 * 1024
    sdp: int = 48 * 1024
    candidate: int = 2 * 1024
    candidates: int = 64
    messages_per_second: int = 50
    messages_burst: int = 200
    chats_per_second: int = 5
    chats_burst: int = 20
    calls_per_minute: int = 30
    rooms: int = 32
    sockets_per_address: int = 64
    outbox_messages: int = 1024
    outbox_bytes: int = 1024 * 1024
    outbox_age: float = 15.0
    mailbox: int = 256
    history: int = 100
    people: int = 500
    errors: int = 5
    errors_window: float = 10.0
    hello: float = 5.0
    on: bool = True


class Description(Struct, frozen=True, forbid_unknown_fields=True):
    """An SDP and what it is for (W3C RTCSessionDescriptionInit)."""

    type: Literal["offer", "answer"]
    sdp: Text


class Candidate(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An ICE candidate (W3C RTCIceCandidateInit); an empty string ends the candidates."""

    candidate: Annotated[str, Meta(max_length=4096)]
    sdp_mid: Word | None = None
    sdp_m_line_index: Count | None = None
    username_fragment: Word | None = None


class Media(Struct, frozen=True, forbid_unknown_fields=True):
    """What a side means to send: sound, picture."""

    audio: bool = True
    video: bool = True


class Consent(Struct, frozen=True):
    """Who agreed to be recorded, when (ms since 1970) and to which version of the text."""

    name: str
    time: int
    version: str


class RecordingOrder(Struct, frozen=True, omit_defaults=True):
    """What the recorder is to record: this call is the leg of `name`, one of the participants,
    who all agreed. `call`: the recorded call. `paused`: keep nothing until told to go on."""

    id: str
    call: str
    name: str
    participants: list[Consent]
    paused: bool = False


class MessageOrder(Struct, frozen=True, omit_defaults=True):
    """What voicemail is to keep: a `message` for `to`, after their `greeting` (the id of one
    they recorded, None: the one that ships), or a new `greeting` of `to` themselves. `most`:
    seconds it may last."""

    id: str
    kind: Literal["message", "greeting"]
    to: str
    most: float
    greeting: str | None = None


class RoomMark(Struct, frozen=True, forbid_unknown_fields=True):
    """The last chat message of a room a client saw."""

    epoch: Id
    seq: Count


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client shows to take its session up again; `n`: last directed message seen."""

    session: Id
    key: Id
    n: Count
    rooms: Annotated[dict[Word, RoomMark], Meta(max_length=1024)] = {}


# --- what a client says -----------------------------------------------------------------


class Request(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag=str.lower
):
    """Base of what a client says. With an `id` the reply carries it as `re`."""

    id: Id | None = None


class Hello(Request, frozen=True, kw_only=True):
    """First message on a socket. `about`: one line a bot says of itself (bots only)."""

    v: int
    name: Word | None = None
    token: Annotated[str, Meta(max_length=4096)] | None = None
    resume: Resume | None = None
    about: Annotated[str, Meta(max_length=120)] | None = None


class Join(Request, frozen=True, kw_only=True):
    """Enter a room. It is listed on the home page unless somebody in it asked otherwise."""

    room: Word
    unlisted: bool = False


class Leave(Request, frozen=True, kw_only=True):
    """Leave a room."""

    room: Word


class Chat(Request, frozen=True, kw_only=True):
    """Say something in a room. The same `cid` again is the same message, stored once."""

    room: Word
    text: Text
    cid: Id


class Typing(Request, frozen=True, kw_only=True):
    """Tell a room that one is writing, or no longer."""

    room: Word
    on: bool


class Rooms(Request, frozen=True, kw_only=True):
    """Ask for the listed rooms; `watch` to be told of changes."""

    watch: bool = False


class Contacts(Request, frozen=True, kw_only=True):
    """Ask who is here; `watch` to be told of changes."""

    watch: bool = False


class Settings(Request, frozen=True, kw_only=True):
    """How one wants to be called: with `call_waiting` off, a second caller hears busy; with
    `voicemail` off, nobody can leave a message. None: as before."""

    call_waiting: bool | None = None
    voicemail: bool | None = None


class Capacity(Request, frozen=True, kw_only=True):
    """How many calls a bot's session takes at once, and whether it takes new ones now."""

    max_calls: Annotated[int, Meta(ge=1, le=100_000)]
    accepting: bool = True


class Records(Request, frozen=True, kw_only=True):
    """Ask for one's own past calls, newest first; `before`: only older (ms since 1970)."""

    before: Count | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class Call(Request, frozen=True, kw_only=True):
    """Call somebody by name. The caller chooses the id (random, never used before).

    To the recorder: `recording` names the recording this is one's own leg of, `consent` the
    version of the text agreed to by calling it. To voicemail: `after` names one's own call that
    was not answered, for whose callee one leaves a message; or `greeting` is true, to record
    what one's own callers hear.
    """

    call: Id
    to: Word
    media: Media
    description: Description
    recording: Id | None = None
    consent: Id | None = None
    after: Id | None = None
    greeting: bool = False


class Answer(Request, frozen=True, kw_only=True):
    """Answer a ringing call; the first of one's tabs to do so has it."""

    call: Id
    description: Description


class Decline(Request, frozen=True, kw_only=True):
    """Refuse a ringing call: all one's tabs stop ringing. Bots that are full say `busy`; another
    instance of the bot then gets the call if there is one with room."""

    call: Id
    reason: Literal["declined", "busy"] = "declined"


class Hangup(Request, frozen=True, kw_only=True):
    """End a call. `failed`, with the part that failed, when it could not be connected."""

    call: Id
    reason: Literal["hangup", "failed"] = "hangup"
    part: Part | None = None


class SendDescription(Request, frozen=True, kw_only=True, tag="description"):
    """Renegotiate in an answered call (perfect negotiation, W3C WebRTC section 10.7)."""

    call: Id
    description: Description


class SendCandidate(Request, frozen=True, kw_only=True, tag="candidate"):
    """One more ICE candidate of this side; null when there are no more."""

    call: Id
    candidate: Candidate | None


class SendMedia(Request, frozen=True, kw_only=True, tag="media"):
    """What this side sends now (mute, camera off)."""

    call: Id
    media: Media


class Progress(Request, frozen=True, kw_only=True):
    """How far this side's connection is; the server's timers depend on it."""

    call: Id
    state: Literal["connecting", "connected", "reconnecting"]
    part: Part | None = None


class Report(Request, frozen=True, kw_only=True):
    """What this side measured, for the call record. Times in ms, loss as a fraction."""

    call: Id
    first_media_ms: Count | None = None
    pair: Annotated[str, Meta(max_length=64)] | None = None
    restarts: Count = 0
    loss: Annotated[float, Meta(ge=0, le=1)] | None = None
    round_trip_ms: Count | None = None


class ControlRecording(Request, frozen=True, kw_only=True, tag="record"):
    """Ask to record an answered call, or pause, resume or stop its recording. `version`: of
    the text one agrees to oneself by asking."""

    call: Id
    do: Literal["start", "pause", "resume", "stop"]
    version: Id | None = None


class GiveConsent(Request, frozen=True, kw_only=True, tag="consent"):
    """Agree to be recorded or not, when asked; not, later on, withdraws it."""

    call: Id
    yes: bool
    version: Id


class TellRecording(Request, frozen=True, kw_only=True, tag="recording"):
    """The recorder says that media arrives (`on`), or that it ended a recording and why."""

    recording: Id
    state: Literal["on", "off"]
    reason: Literal["stopped", "too_long", "too_large", "disk_full", "stopping", "failed"] = (
        "stopped"
    )


class TellMessage(Request, frozen=True, kw_only=True, tag="message"):
    """Voicemail says that a message (or a greeting) was left, how long it is in seconds, or
    that nothing is kept of it. `cut`: it breaks off, as what recorded it did."""

    message: Id
    state: Literal["left", "discarded"]
    seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    cut: bool = False


Part = Literal["signalling", "ice", "dtls", "media"]
RecordingState = Literal["asked", "starting", "on", "paused", "off"]

RecordingMessage = ControlRecording | GiveConsent | TellRecording
CallMessage = (
    Call
    | Answer
    | Decline
    | Hangup
    | SendDescription
    | SendCandidate
    | SendMedia
    | Progress
    | Report
)
ClientMessage = (
    Hello | Join | Leave | Chat | Typing | Rooms | Contacts | Settings | Capacity | Records
    | CallMessage | RecordingMessage | TellMessage
)  # fmt: skip


# --- what the server says ---------------------------------------------------------------


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """Base of what the server says."""


class Directed(Event, frozen=True, kw_only=True):
    """Base of messages to one session; `n` counts them from 1 without holes."""

    n: int = 0


class Member(Struct, frozen=True):
    """Somebody in a room."""

    name: str
    bot: bool = False


class Contact(Struct, frozen=True):
    """Somebody who can be called. `away`: the connection dropped a moment ago."""

    name: str
    bot: bool = False
    about: str = ""
    status: Literal["available", "in_call", "away"] = "available"


class RoomInfo(Struct, frozen=True):
    """A listed room and how many people are in it."""

    room: str
    people: int


class RecordingInfo(Struct, frozen=True, omit_defaults=True):
    """The recording of a call as it is now. `from`: who asked for it; `version` and `text`:
    what they agree to."""

    state: RecordingState
    message: str
    from_: str = field(name="from")
    version: str
    text: str
    recording: str | None = None


class CallInfo(Struct, frozen=True, omit_defaults=True):
    """A live call of this session, as the server knows it. `leg`: it carries this side of
    another call to the recorder."""

    call: str
    peer: str
    state: str
    outgoing: bool
    leg: bool = False
    recording: RecordingInfo | None = None


class Record(Struct, frozen=True, omit_defaults=True):
    """A past call of one's own. Times in ms since 1970; `outgoing`: one placed it oneself."""

    call: str
    peer: str
    outgoing: bool
    reason: Reason
    placed: int
    ended: int
    answered: int | None = None
    connected: int | None = None
    video: bool = False
    first_media_ms: int | None = None
    pair: str | None = None
    restarts: int = 0
    loss: float | None = None
    round_trip_ms: int | None = None


class IceServer(Struct, frozen=True, omit_defaults=True):
    """A STUN or TURN server (W3C RTCIceServer)."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


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

CLIENT_TYPES: dict[str, type[Request]] = {
    m.__struct_config__.tag: m for m in get_args(ClientMessage)
}
SERVER_TYPES: dict[str, type[Event]] = {m.__struct_config__.tag: m for m in get_args(ServerMessage)}
PEOPLE_LISTED = 100


class ProtocolError(Exception):
    """A request that cannot be done, whose fault is the client's.

    `code` is stable, `str()` is the sentence for people, `re` the request's id if known.
    """

    def __init__(self, code: ErrorCode, message: str | None = None, re: str | None = None) -> None:
        super().__init__(message or ERRORS[code])
        self.code = code
        self.re = re

    def as_message(self, re: str | None = None) -> Error:
        """The error as it goes over the wire, in reply to `re`."""
        return Error(code=self.code, message=str(self), re=self.re or re)


_client = msgspec.json.Decoder(ClientMessage)
_server = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()


class _Head(Struct):
    type: Any = None
    id: Any = None


_head = msgspec.json.Decoder(_Head)


def decode(text: str | bytes) -> ClientMessage:
    """What a client said.

    Raises `ProtocolError` with `BAD_JSON`, `UNKNOWN_TYPE` or `BAD_MESSAGE`; its `re` is
    the request's id wherever that could still be read.
    """
    try:
        message: ClientMessage = _client.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _explain(text, error) from error
    return message


def _explain(text: str | bytes, error: Exception) -> ProtocolError:
    if isinstance(error, UnicodeError):
        return ProtocolError(ErrorCode.BAD_JSON)
    try:
        head = _head.decode(text)
    except msgspec.ValidationError:
        return ProtocolError(ErrorCode.BAD_MESSAGE, "A message is a JSON object.")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ProtocolError(ErrorCode.BAD_JSON)
    re = head.id if isinstance(head.id, str) and 0 < len(head.id) <= 64 else None
    if isinstance(head.type, str) and head.type not in CLIENT_TYPES:
        return ProtocolError(ErrorCode.UNKNOWN_TYPE, re=re)
    return ProtocolError(
        ErrorCode.BAD_MESSAGE, f"The message is not of the agreed form: {error}", re
    )


def encode(message: Event | Request) -> bytes:
    """A message as it goes over the wire (UTF-8 JSON)."""
    return _encoder.encode(message)


def decode_server(text: str | bytes) -> ServerMessage:
    """What the server said, for clients written in Python.

    Raises `msgspec.DecodeError` when it is nothing this version knows.
    """
    message: ServerMessage = _server.decode(text)
    return message


def sentence(reason: Reason, peer: str, own: bool) -> str:
    """Why a call ended, in words, for somebody whose other side is `peer`.

    `own` is true for the side that brought the end about.
    """
    return REASONS[reason][own].format(peer=peer)


def recording_sentence(reason: RecordingEnd, peer: str, own: bool) -> str:
    """Why a recording ended, in words, as `sentence` does for a call."""
    return RECORDING_ENDS[reason][own].format(peer=peer)
