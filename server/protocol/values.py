"""What messages are made of, and what one client may ask. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from .codes import Reason

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
Word = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=65536)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]

Part = Literal["signalling", "ice", "dtls", "media"]
RecordingState = Literal["asked", "starting", "on", "paused", "off"]


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


PEOPLE_LISTED = 100
