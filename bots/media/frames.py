"""A coded picture or packet of sound, as an endpoint gives it. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .payload import Codec

Kind = Literal["audio", "video"]


class Frame(NamedTuple):
    """One picture or packet of sound, still coded.

    `timestamp`: RTP ticks at `clock_rate`, counted on over wraps, each greater than the one
    before; it goes on where a new source begins. `source` counts these from 0: the sender's
    clock speaks of the timestamps of one source. `size`: width and height, of keyframes.
    `arrived`: when its last packet came (`time.monotonic()`, seconds). `gap`: something before
    it was lost for good; pictures come only from a keyframe on, so all can be decoded.
    """

    kind: Kind
    codec: Codec
    data: bytes
    timestamp: int
    clock_rate: int
    keyframe: bool
    size: tuple[int, int] | None
    arrived: float
    source: int
    gap: bool
