"""Recordings as the recorder leaves them, made without a call: marked pictures and sounds in files,
and the sidecar that says where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringback.bots.media import avc, matroska, sidecar
from ringback.bots.media.matroska import Block, MatroskaFile
from ringback.bots.media.payload import Codec
from ringback.bots.media.sidecar import Participant, Pictures, Sidecar, Sound
from ringback.server.protocol import Consent
from tests.coded import coded_pictures, coded_sounds
from tests.marked import RATE, SIZE, STREAM

START = 1_700_000_000_000


@dataclass(frozen=True)
class Reel:
    """One person's part. `begin`: seconds. `stream`: by whose marks it is known."""

    name: str = "Ann"
    seconds: float = 2.0
    begin: float = 0.0
    video: Codec | None = "VP8"
    audio: Codec | None = "opus"
    stream: int = STREAM
    size: tuple[int, int] = SIZE


def write(path: Path, reel: Reel, *, finish: bool = True) -> None:
    """Write somebody's file, as the recorder does; without `finish` as a killed one leaves it."""
    made = MatroskaFile(path)
    blocks: list[Block] = []
    if reel.audio is not None:
        track = made.add(reel.audio, None)
        sounds = coded_sounds(reel.seconds, reel.audio, reel.stream)
        blocks += [Block(track.number, n * 20, True, data) for n, data in enumerate(sounds)]
    if reel.video is not None:
        count = round(reel.seconds * RATE)
        pictures = coded_pictures(reel.video, count, size=reel.size, stream=reel.stream)
        private = b""
        if reel.video == "H264":
            private = avc.private(pictures[0])
            pictures = tuple(map(avc.picture, pictures))
        track = made.add(reel.video, reel.size, private)
        blocks += [
            Block(track.number, round(n * 1000 / RATE), n == 0, data)
            for n, data in enumerate(pictures)
        ]
    blocks.sort(key=lambda block: block.at)
    for second in range(math.ceil(reel.seconds)):
        made.write([block for block in blocks if second * 1000 <= block.at < second * 1000 + 1000])
    if finish:
        made.finish()
    else:
        made.abandon()


def lay(data: Path, id: str, reels: Sequence[Reel], *, finish: bool = True, **more: Any) -> Path:
    """Lay a recording where the recorder lays its own; its folder."""
    folder = data / "recordings" / id
    folder.mkdir(parents=True)
    about = Sidecar(id, f"call of {id}", START)
    about.consent = [Consent(reel.name, START - 1000, "1") for reel in reels]
    if finish:
        about.ended, about.reason = START + 60_000, "stopped"
    for number, reel in enumerate(reels, 1):
        codecs = [codec for codec in (reel.video, reel.audio) if codec is not None]
        part = Participant(reel.name, offset_ms=round(reel.begin * 1000))
        if codecs:
            path = folder / f"{number}{matroska.suffix(codecs)}"
            write(path, reel, finish=finish)
            part.file, part.bytes = path.name, path.stat().st_size
            part.duration_ms = round(reel.seconds * 1000)
        if reel.audio is not None:
            part.audio = Sound(reel.audio)
        if reel.video is not None:
            part.video = Pictures(reel.video, *reel.size, round(reel.seconds * RATE))
        about.participants.append(part)
    for name, value in more.items():
        setattr(about, name, value)
    sidecar.write(folder, about)
    return folder
