"""Codes and reasons, closed lists, and the words for people that go with them. Pure."""

from __future__ import annotations

from enum import StrEnum

VERSION = 1


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


def sentence(reason: Reason, peer: str, own: bool) -> str:
    """Why a call ended, in words, for somebody whose other side is `peer`.

    `own` is true for the side that brought the end about.
    """
    return REASONS[reason][own].format(peer=peer)


def recording_sentence(reason: RecordingEnd, peer: str, own: bool) -> str:
    """Why a recording ended, in words, as `sentence` does for a call."""
    return RECORDING_ENDS[reason][own].format(peer=peer)
