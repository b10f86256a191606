"""Why a call test did not pass: a closed list, most telling first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What is wrong. The order is that in which reasons are told."""

    LAGGED = "lagged"
    NOT_RUN = "not_run"
    NEVER_ANSWERED = "never_answered"
    NOTHING_RELAYED = "nothing_relayed"
    RELAY_REFUSED = "relay_refused"
    NEVER_CONNECTED = "never_connected"
    ENDED_EARLY = "ended_early"
    BROKE_OFF = "broke_off"
    DEAD_DIRECTION = "dead_direction"
    ECHOES_ITSELF = "echoes_itself"
    SWAPPED_TRACKS = "swapped_tracks"
    WRONG_STREAM = "wrong_stream"
    STALE = "stale"
    KEYFRAMES = "keyframes"
    NO_PICTURE = "no_picture"
    ONE_WAY_SOUND = "one_way_sound"
    SILENT = "silent"
    NO_SOUND = "no_sound"
    CODEC = "codec"
    CLOCK_JUMP = "clock_jump"
    FROZEN = "frozen"
    HALF_SIZE = "half_size"
    DAMAGED = "damaged"
    LOST = "lost"
    REPEATED = "repeated"
    REORDERED = "reordered"
    LOST_SOUND = "lost_sound"
    LATE_SOUND = "late_sound"
    EARLY_SOUND = "early_sound"
    GARBLED_SPEECH = "garbled_speech"
    TOO_FEW = "too_few"
    THRESHOLD = "threshold"
    UNMEASURED = "unmeasured"


MEANING: dict[Code, str] = {
    Code.LAGGED: "The machine that judges was too busy to judge.",
    Code.NOT_RUN: "The test could not run.",
    Code.NEVER_ANSWERED: "The call was never answered.",
    Code.NOTHING_RELAYED: "The server took the call, but passed nothing on.",
    Code.RELAY_REFUSED: "Only a relay was allowed, and there was none.",
    Code.NEVER_CONNECTED: "The two sides found no way to each other.",
    Code.ENDED_EARLY: "The other side hung up before the time was over.",
    Code.BROKE_OFF: "The call broke off.",
    Code.DEAD_DIRECTION: "Nothing at all arrived in one direction.",
    Code.ECHOES_ITSELF: "A side receives its own picture or sound, or pictures go in circles.",
    Code.SWAPPED_TRACKS: "A track carries what belongs in another track of this call.",
    Code.WRONG_STREAM: "Somebody else's picture or sound arrived.",
    Code.STALE: "Pictures or sounds from another time arrived, as of an earlier call.",
    Code.KEYFRAMES: "Packets arrived, but no keyframe to begin with.",
    Code.NO_PICTURE: "No picture of the sender was seen.",
    Code.ONE_WAY_SOUND: "Sound arrived in one direction only.",
    Code.SILENT: "Sound arrived, and it is silence.",
    Code.NO_SOUND: "No sound of the sender was heard.",
    Code.CODEC: "Another codec was used than was asked for.",
    Code.CLOCK_JUMP: "A clock was set during the call.",
    Code.FROZEN: "The picture stood still.",
    Code.HALF_SIZE: "Pictures arrived smaller than they were sent.",
    Code.DAMAGED: "Pictures arrived whose marks cannot be read.",
    Code.LOST: "Pictures were lost.",
    Code.REPEATED: "Pictures arrived twice.",
    Code.REORDERED: "Pictures arrived out of order.",
    Code.LOST_SOUND: "Marked sounds were lost.",
    Code.LATE_SOUND: "Sound is behind the picture.",
    Code.EARLY_SOUND: "Sound is ahead of the picture.",
    Code.GARBLED_SPEECH: "Speech is hard to understand.",
    Code.TOO_FEW: "Too little was identified to prove anything.",
    Code.THRESHOLD: "A threshold of yours was passed.",
    Code.UNMEASURED: "A threshold of yours could not be held against anything.",
}
"""One sentence for each, without numbers."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a call did not pass: a code, a sentence with numbers, and the direction it is about
    (its name; None for the whole call)."""

    code: Code
    sentence: str
    direction: str | None = None
