"""What a call test saw, before anything is concluded from it. Pure.

Times are seconds. Each side has a clock of its own (`time.monotonic()` of a Python peer,
`performance.now()` of a page); a `Clocks` says how the two of a direction stand to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ringback.bots.values import Kind

STREAMS = 32
"""How many streams the word of a marked sound tells apart."""


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A marked picture that went out. `sequence` counts on over the 16 bits of its mark; `at`:
    when it was taken, by the sender's clock; `bytes` and `keyframe` once it was coded. `coding`:
    seconds from then until it went out, where known."""

    sequence: int
    at: float
    bytes: int = 0
    keyframe: bool = False
    coding: float = 0.0


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """A picture that arrived and was decoded.

    `stream` and `sequence` are what its marks say, None where they could not be read (an
    erasure) or contradict each other (`torn`: its top and its bottom are of two pictures).
    `stamp`: the sender's clock in ms as the mark carries it, 16 bits. `arrived`: when its last
    packet came, `shown`: when it was decoded, by the receiver's clock. `gap`: something before
    it was lost for good. `similarity` to the picture that was sent, 0 to 1, where compared.
    """

    arrived: float
    shown: float
    stream: int | None
    sequence: int | None
    stamp: int | None
    width: int
    height: int
    bytes: int = 0
    keyframe: bool = False
    torn: bool = False
    gap: bool = False
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class SentChirp:
    """A marked sound that went out: the `number`th since the start, begun at `at` by the
    sender's clock, together with picture `sequence`. `ended`: when the last of it went out,
    infinite while some of it has not; None where that is not known."""

    number: int
    at: float
    sequence: int | None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class HeardChirp:
    """A marked sound that arrived. `number` and `stream` as its word says (modulo what a word
    can hold), None where its check failed. `at`: when its first sample arrived, by the
    receiver's clock: the arrival of its packet, and how far in."""

    at: float
    stream: int | None
    number: int | None
    level: float


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of what was heard: when it arrived, how long it is (seconds), how loud it is (dB
    below full scale, -100 for silence), and whether something before it was lost."""

    arrived: float
    seconds: float
    level: float
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one kind of media in one direction, as the receiver has them, from the start
    of the call until `at`. `jitter` and `round_trip` in seconds."""

    at: float
    kind: Kind
    packets: int
    bytes: int
    lost: int
    repaired: int = 0
    duplicates: int = 0
    reordered: int = 0
    keyframes_asked: int = 0
    jitter: float | None = None
    round_trip: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened at one `side`: `name` is one of a few fixed words (`placed`,
    `ringing`, `answered`, `gathered`, `checked`, `ice`, `dtls`, `packet`, `picture`, `sound`,
    `restart`, `ended`, `log`), `detail` is in words. `at` by that side's clock."""

    at: float
    side: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What to add to the sender's clock to have the receiver's, and how wrong that may be: half
    of the shortest round trip (RFC 5905, section 8). Both 0 where it is one clock."""

    offset: float = 0.0
    error: float = 0.0


@dataclass(slots=True)
class Direction:
    """One way of a call: what `sender` sent and what `receiver` saw and heard of it.

    Against an echo both are the same side, and the way is there and back (`round_trip`).
    `stream` is the identity that its marks carry, and `voice` that of its sounds where it is
    another: many calls may send the same pictures. `kinds` is what was promised; `rate` the
    pictures a second and `size` the width and height that were sent; `wanted` and `codecs` what
    was asked for and what was negotiated, by kind. `bias`: seconds that this receiver is known
    to add, by kind, as measured.
    """

    sender: str
    receiver: str
    stream: int
    kinds: tuple[Kind, ...]
    rate: float
    size: tuple[int, int]
    round_trip: bool = False
    voice: int | None = None
    wanted: dict[Kind, str] = field(default_factory=dict)
    codecs: dict[Kind, str] = field(default_factory=dict)
    clocks: Clocks = field(default_factory=Clocks)
    bias: dict[Kind, float] = field(default_factory=dict)
    sent: list[SentPicture] = field(default_factory=list)
    seen: list[SeenPicture] = field(default_factory=list)
    sent_chirps: list[SentChirp] = field(default_factory=list)
    heard: list[HeardChirp] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    spoken: bool = False
    """Whether speech was promised, too."""
    speech: float | None = None
    """How intelligible it stayed (STOI, 0 to 1)."""

    @property
    def word(self) -> int:
        """What its marked sounds say of whose they are: less than its pictures do."""
        return (self.stream if self.voice is None else self.voice) % STREAMS

    @property
    def name(self) -> str:
        """Like `ann to bob`, or `ann and back`."""
        return f"{self.sender} and back" if self.round_trip else f"{self.sender} to {self.receiver}"


Ending = Literal[
    "hung up", "ended early", "failed", "never answered", "no relay", "never connected"
]  # fmt: skip


@dataclass(slots=True)
class Observed:
    """A whole call test. `began`: when its measured part began, by the clock of the process
    that judges; `seconds`: how long that lasted; `started`: the time of day (seconds since
    1970). `pairs`: the candidates in use, by side. `lag`: the longest this process's own event
    loop was late; `slow`: the longest it took to code or to decode a picture. `ending` and
    `reason` say how the call ended."""

    url: str
    to: str
    started: float
    began: float
    seconds: float
    directions: list[Direction] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    pairs: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    lag: float = 0.0
    slow: float = 0.0
    ending: Ending = "hung up"
    reason: str = ""
    seed: int | None = None
    network: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    """What was kept of it: a name for people, and the path."""
    troubles: list[str] = field(default_factory=list)
    """What of the test itself went wrong, in words: then nothing is concluded from it."""
