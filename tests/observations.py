"""What a call test might have seen: a clean call, made on paper, and ways to bend it."""

from __future__ import annotations

import random
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ringback.bots.calltest.figures import Figures, figures
from ringback.bots.calltest.hearing import NUMBERS
from ringback.bots.calltest.observed import (
    Clocks,
    Direction,
    HeardChirp,
    Observed,
    Sample,
    SeenPicture,
    SentChirp,
    SentPicture,
    Sound,
    Step,
)
from ringback.bots.calltest.thresholds import threshold
from ringback.bots.calltest.verdict import Verdict, judge
from ringback.bots.values import Kind

BEGAN = 1000.0
ANN, BOB = 0x123, 0x456
BOTH: tuple[Kind, ...] = ("audio", "video")
PACKET = 0.02


def stamp(at: float) -> int:
    """The sender's clock as a mark carries it."""
    return round(1000 * at) % (1 << 16)


def direction(
    sender: str = "ann",
    receiver: str = "bob",
    stream: int = ANN,
    *,
    kinds: tuple[Kind, ...] = BOTH,
    seconds: float = 5.0,
    rate: float = 15.0,
    way: float = 0.04,
    jitter: float = 0.0,
    first: int = 0,
    clocks: Clocks | None = None,
    seed: int = 0,
    round_trip: bool = False,
) -> Direction:
    """One way of a call on which everything arrives, `way` seconds after it was sent and up to
    `jitter` later, in order. Sound takes 10 ms less."""
    made = Direction(
        sender,
        receiver,
        stream,
        kinds,
        rate,
        (320, 240),
        round_trip=round_trip,
        wanted={"video": "vp8"} if "video" in kinds else {},
        codecs={kind: {"video": "VP8", "audio": "opus"}[kind] for kind in kinds},
        clocks=clocks or Clocks(),
    )
    chance = random.Random(seed)
    end = BEGAN + seconds
    if "video" in kinds:
        _pictures(made, end, way, lambda: chance.uniform(0, jitter), first)
    if "audio" in kinds:
        _sounds(made, end, way, lambda: chance.uniform(0, jitter), first)
    _samples(made, end)
    return made


def _pictures(
    made: Direction, end: float, way: float, late: Callable[[], float], first: int
) -> None:
    offset, before = made.clocks.offset, 0.0
    for number in range(round((end - BEGAN) * made.rate)):
        at = BEGAN + number / made.rate
        made.sent.append(SentPicture(first + number, at, 2000, number % 60 == 0))
        arrived = max(at + way - 0.01 + late(), before)
        before = arrived
        if arrived + 0.01 <= end:
            made.seen.append(
                SeenPicture(
                    arrived + offset,
                    arrived + 0.01 + offset,
                    made.stream,
                    (first + number) % (1 << 16),
                    stamp(at),
                    *made.size,
                    bytes=2000,
                    keyframe=number % 60 == 0,
                    similarity=0.97,
                )
            )


def _sounds(made: Direction, end: float, way: float, late: Callable[[], float], first: int) -> None:
    offset = made.clocks.offset
    for number in range(int((end - BEGAN) / 0.5)):
        at = BEGAN + number * 0.5
        sequence = first + round(number * 0.5 * made.rate) if "video" in made.kinds else None
        made.sent_chirps.append(SentChirp(number, at, sequence))
        heard = at + way - 0.01 + late()
        if heard + 0.2 <= end:
            made.heard.append(HeardChirp(heard + offset, made.word, number % NUMBERS, -20.0))
    for number in range(round((end - BEGAN - way) / PACKET)):
        arrived = BEGAN + way - 0.01 + number * PACKET + late()
        made.sounds.append(Sound(arrived + offset, PACKET, -40.0))


def _samples(made: Direction, end: float) -> None:
    offset = made.clocks.offset
    shown = sorted(seen.arrived - offset for seen in made.seen)
    heard = sorted(piece.arrived - offset for piece in made.sounds)
    for number in range(1, round((end - BEGAN) / 0.25) + 1):
        now = BEGAN + number * 0.25
        counts: dict[Kind, int] = {
            "video": 2 * bisect_right(shown, now), "audio": bisect_right(heard, now)
        }  # fmt: skip
        for kind in made.kinds:
            size = {"video": 1000, "audio": 80}[kind]
            made.samples.append(
                Sample(
                    now + offset, kind, counts[kind], counts[kind] * size, 0,
                    jitter=0.002, round_trip=0.03,
                )
            )  # fmt: skip


def observed(*directions: Direction, seconds: float = 5.0, **more: Any) -> Observed:
    """A whole call: by default ann and bob, both ways."""
    if not directions:
        directions = (
            direction("ann", "bob", ANN, seconds=seconds),
            direction("bob", "ann", BOB, seconds=seconds, seed=1),
        )
    made = Observed(
        "http://localhost:8000",
        "bob",
        1_750_000_000.0,
        BEGAN,
        seconds,
        list(directions),
        steps=[
            Step(BEGAN - 0.50, "ann", "placed"),
            Step(BEGAN - 0.40, "ann", "ringing"),
            Step(BEGAN - 0.30, "ann", "answered"),
            *(
                step
                for side in ("ann", "bob")
                for step in (
                    Step(BEGAN - 0.25, side, "gathered", "2 host candidates"),
                    Step(BEGAN - 0.20, side, "ice"),
                    Step(BEGAN - 0.15, side, "dtls"),
                    Step(BEGAN + 0.03, side, "packet", "video"),
                )
            ),
            Step(BEGAN + seconds, "ann", "ended", "hung up"),
        ],
        pairs={"ann": "udp host 192.0.2.1:5000 to host 192.0.2.2:5002"},
    )
    return replace(made, **more) if more else made


def echo(**more: Any) -> Observed:
    """A call to an echo."""
    return observed(direction("ann", "ann", ANN, round_trip=True, **more), to="echo")


def measure(call: Observed) -> list[Figures]:
    """The figures of each direction."""
    return [figures(way, call) for way in call.directions]


def verdict(call: Observed, *thresholds: str) -> Verdict:
    """What is judged of a call."""
    return judge(call, measure(call), [threshold(text) for text in thresholds])


def codes(call: Observed, *thresholds: str) -> list[str]:
    """The codes of the reasons, the most telling first."""
    return [code.value for code in verdict(call, *thresholds).codes]


def png(width: int = 32, height: int = 24, grey: int = 90) -> bytes:
    """A picture of one grey, as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    lines = (b"\0" + bytes([grey]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
