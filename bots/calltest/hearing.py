"""What was heard: marked sounds told apart, gaps, silence, level. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .observed import Direction, HeardChirp, SentChirp, Sound
from .span import Span
from .spread import Latency
from .units import about

# How many numbers the word of a marked sound can hold.
NUMBERS = 32
# The longest way on which a sound still counts as one of this call.
LONGEST = 4.0
# How long one is, and how much more must be heard to tell.
LENGTH = 0.25
# The quiet background of a marked sound is louder than this; below it a line is dead.
SILENT = -70.0
# A pause between two pieces beyond this is a gap; a jitter buffer bridges less.
PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Chirped:
    """A marked sound that was sent and heard, and how long it took in seconds."""

    sent: SentChirp
    heard: HeardChirp
    took: float


@dataclass(slots=True)
class Told:
    """What came of looking at every marked sound that was heard."""

    chirps: list[Chirped] = field(default_factory=list)
    repeated: int = 0
    unread: int = 0
    stale: int = 0
    strange: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sounds:
    """The sound of one direction. `due`, `delivered` and `lost` as for pictures, of the marked
    sounds, of which there are about two a second."""

    sent: int = field(default=0, metadata=about("count", "marked sounds sent at all"))
    due: int = field(default=0, metadata=about("count", "sent, and should have arrived by the end"))
    heard: int = field(default=0, metadata=about("count", "heard, whatever they were"))
    identified: int = field(
        default=0, metadata=about("count", "different ones of this call whose word was read")
    )
    delivered: int = field(default=0, metadata=about("count", "of those due, identified"))
    lost: int = field(default=0, metadata=about("count", "of those due, never heard"))
    loss: float = field(default=0.0, metadata=about("share", "lost, of those due"))
    repeated: int = field(default=0, metadata=about("count", "heard again"))
    unread: int = field(default=0, metadata=about("count", "heard with a word nobody can read"))
    wrong: int = field(default=0, metadata=about("count", "of another stream"))
    stale: int = field(default=0, metadata=about("count", "of another time: an earlier call"))
    seconds: float = field(default=0.0, metadata=about("time", "sound received, together"))
    gaps: int = field(
        default=0, metadata=about("count", "pieces lost for good, or pauses above 200 ms")
    )
    gap_seconds: float = field(default=0.0, metadata=about("time", "their length together"))
    silence: float = field(
        default=0.0, metadata=about("time", "sound below -70 dB, which is a dead line")
    )
    silent: float = field(default=0.0, metadata=about("share", "silence, of what was received"))
    level: float | None = field(
        default=None, metadata=about("level", "mean power, below full scale")
    )
    latency: Latency = field(default_factory=Latency)


def tell(direction: Direction) -> Told:
    """Name each marked sound. A word holds a number only modulo thirty-two, so it is the latest
    of those sent with that number within four seconds before."""
    told = Told()
    taken = set[int]()
    for heard in direction.heard:
        if heard.stream is None or heard.number is None:
            told.unread += 1
        elif heard.stream != direction.word:
            told.strange.append(heard.stream)
        else:
            chirp = _source(direction, heard)
            if chirp is None:
                told.stale += 1
            elif chirp.sent.number in taken:
                told.repeated += 1
            else:
                taken.add(chirp.sent.number)
                told.chirps.append(chirp)
    return told


def _source(direction: Direction, heard: HeardChirp) -> Chirped | None:
    assert heard.number is not None
    # Clocks may be wrong by their error, so a sound may seem to come before it was sent.
    earliest = -direction.clocks.error - 0.02
    for sent in reversed(direction.sent_chirps):
        took = heard.at - sent.at - direction.clocks.offset
        if (sent.number - heard.number) % NUMBERS == 0 and earliest <= took <= LONGEST:
            return Chirped(sent, heard, took)
    return None


def expected(direction: Direction, told: Told, span: Span, worst: float | None) -> list[SentChirp]:
    """The marked sounds that were due: of the call as `span` says, from the first that came
    through on (see `Span.opened`)."""
    span = span.opened(chirp.sent.at for chirp in told.chirps)
    delivered = {chirp.sent.number for chirp in told.chirps}
    return [
        chirp
        for chirp in direction.sent_chirps
        if span.due(chirp.at + LENGTH if chirp.ended is None else chirp.ended, worst)
        or (chirp.number in delivered and span.begin <= chirp.at <= span.end)
    ]


def sounds(direction: Direction, told: Told, span: Span, latency: Latency) -> Sounds:
    """The sound of a direction as figures."""
    delivered = {chirp.sent.number for chirp in told.chirps}
    due = expected(direction, told, span, latency.worst)
    found = sum(chirp.number in delivered for chirp in due)
    received = sum(piece.seconds for piece in direction.sounds)
    silence = sum(piece.seconds for piece in direction.sounds if piece.level < SILENT)
    missing = gaps(direction.sounds)
    return Sounds(
        sent=len(direction.sent_chirps),
        due=len(due),
        heard=len(direction.heard),
        identified=len(told.chirps),
        delivered=found,
        lost=len(due) - found,
        loss=(len(due) - found) / len(due) if due else 0.0,
        repeated=told.repeated,
        unread=told.unread,
        wrong=len(told.strange),
        stale=told.stale,
        seconds=received,
        gaps=len(missing),
        gap_seconds=sum(length for _, length in missing),
        silence=silence,
        silent=silence / received if received else 0.0,
        level=_level(direction.sounds),
        latency=latency,
    )


def gaps(pieces: Sequence[Sound]) -> list[tuple[float, float]]:
    """Where sound was missing: when it went on, by the receiver's clock, and how long nothing
    had come, in seconds (0 where what is missing was bridged in time)."""
    found = []
    for before, after in zip(pieces, pieces[1:], strict=False):
        pause = after.arrived - before.arrived - before.seconds
        if after.gap or pause > PAUSE:
            found.append((after.arrived, max(0.0, pause)))
    return found


def _level(pieces: Sequence[Sound]) -> float | None:
    whole = sum(piece.seconds for piece in pieces)
    if not whole:
        return None
    power = sum(piece.seconds * 10 ** (piece.level / 10) for piece in pieces) / whole
    return 10 * math.log10(max(power, 1e-10))
