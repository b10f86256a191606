"""What a client says. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .values import Candidate, Count, Description, Id, Media, Part, Resume, Text, Word


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
