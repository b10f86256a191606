"""What the packets of one kind of media in one direction came to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.bots.values import Kind

from .observed import Direction, Sample
from .units import about


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets as the receiver counted them. `wanted` and `codec` are names in lower case, like
    `vp8`, `h264`, `opus`."""

    codec: str | None = field(default=None, metadata=about("word", "negotiated"))
    wanted: str | None = field(default=None, metadata=about("word", "asked for"))
    bitrate: float | None = field(
        default=None, metadata=about("rate", "received, from the first sample to the last")
    )
    packets: int = field(default=0, metadata=about("count", "received"))
    bytes: int = field(default=0, metadata=about("count", "received"))
    lost: int = field(default=0, metadata=about("count", "packets that never came"))
    loss: float = field(default=0.0, metadata=about("share", "of all packets"))
    repaired: int = field(default=0, metadata=about("count", "packets asked for again that came"))
    duplicates: int = field(default=0, metadata=about("count", "packets that came twice"))
    reordered: int = field(default=0, metadata=about("count", "packets that came out of order"))
    keyframes_asked: int = field(default=0, metadata=about("count", "times one was asked for"))
    jitter: float | None = field(
        default=None, metadata=about("time", "between arrivals (RFC 3550), the last")
    )
    round_trip: float | None = field(default=None, metadata=about("time", "by RTCP, the last"))


def flow(direction: Direction, kind: Kind) -> Flow:
    """The packets of one kind."""
    samples = of_kind(direction.samples, kind)
    codec, wanted = direction.codecs.get(kind), direction.wanted.get(kind)
    names = {
        "codec": codec.lower() if codec else None,
        "wanted": wanted.lower() if wanted else None,
    }
    if not samples:
        return Flow(codec=names["codec"], wanted=names["wanted"])
    last = samples[-1]
    jitters = [s.jitter for s in samples if s.jitter is not None]
    trips = [s.round_trip for s in samples if s.round_trip is not None]
    return Flow(
        codec=names["codec"],
        wanted=names["wanted"],
        bitrate=bitrate(samples[0], last),
        packets=last.packets,
        bytes=last.bytes,
        lost=last.lost,
        loss=last.lost / (last.packets + last.lost) if last.packets + last.lost > 0 else 0.0,
        repaired=last.repaired,
        duplicates=last.duplicates,
        reordered=last.reordered,
        keyframes_asked=last.keyframes_asked,
        jitter=jitters[-1] if jitters else None,
        round_trip=trips[-1] if trips else None,
    )


def of_kind(samples: Sequence[Sample], kind: Kind) -> list[Sample]:
    """The samples of one kind, in order of time."""
    return sorted((s for s in samples if s.kind == kind), key=lambda s: s.at)


def bitrate(before: Sample, after: Sample) -> float | None:
    """Bits a second between two samples; None if no time is between them."""
    if after.at <= before.at:
        return None
    return 8 * (after.bytes - before.bytes) / (after.at - before.at)
