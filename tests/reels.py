"""Recordings as the recorder leaves them, made without a call: coded pictures and tones in files,
and the sidecar that says where they lie."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from ringback.bots.media import avc, matroska, sidecar
from ringback.bots.media.matroska import Block, MatroskaFile
from ringback.bots.media.payload import Codec
from ringback.bots.media.sidecar import Participant, Pictures, Sidecar, Sound
from ringback.server.protocol import Consent
from tests.coded import coded_pictures

RATE = 15
START = 1_700_000_000_000
_CODERS = {"opus": ("libopus", 48_000), "PCMU": ("pcm_mulaw", 8_000), "PCMA": ("pcm_alaw", 8_000)}


@dataclass(frozen=True)
class Reel:
    """One person's part. `first`: the number of the first picture. `begin`: seconds. `beep`: the
    tone sounds only for 100 ms from this second on (and otherwise all the time)."""

    name: str = "Ann"
    seconds: float = 2.0
    begin: float = 0.0
    video: Codec | None = "VP8"
    audio: Codec | None = "opus"
    pitch: float = 500.0
    first: int = 0
    size: tuple[int, int] = (160, 128)
    flash: float | None = None


@cache
def coded_tone(codec: Codec, seconds: float, pitch: float, beep: float | None) -> tuple[bytes, ...]:
    """A tone, or a beep of it, in packets of 20 ms."""
    name, rate = _CODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    coded: list[bytes] = []
    size = rate // 50
    for first in range(0, round(seconds * rate), size):
        frame = av.AudioFrame("s16", "mono", size)
        frame.planes[0].update(
            array(
                "h", (_sample(n / rate, pitch, beep) for n in range(first, first + size))
            ).tobytes()
        )
        frame.pts, frame.sample_rate, frame.time_base = first, rate, Fraction(1, rate)
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(coded)


def _sample(time: float, pitch: float, beep: float | None) -> int:
    if beep is not None and not beep <= time < beep + 0.1:
        return 0
    return round(8000 * math.sin(2 * math.pi * pitch * time))


@cache
def coded_flash(seconds: float, size: tuple[int, int], flash: float) -> tuple[bytes, ...]:
    """Black pictures (VP8), white from a moment on for 100 ms."""
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(30)
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    coded = []
    for number in range(round(seconds * 30)):
        frame = av.VideoFrame(*size, "yuv420p")
        white = flash - 0.001 <= number / 30 < flash + 0.1
        for plane, value in zip(frame.planes, (235 if white else 16, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(coded)


def write(path: Path, reel: Reel, *, finish: bool = True) -> None:
    """Write somebody's file, as the recorder does; without `finish` as a killed one leaves it."""
    made = MatroskaFile(path)
    blocks: list[Block] = []
    if reel.audio is not None:
        track = made.add(reel.audio, None)
        tone = coded_tone(reel.audio, reel.seconds, reel.pitch, reel.flash)
        blocks += [Block(track.number, n * 20, True, data) for n, data in enumerate(tone)]
    if reel.video is not None:
        rate = RATE
        if reel.flash is not None:
            rate, pictures = 30, coded_flash(reel.seconds, reel.size, reel.flash)
        else:
            count = round(reel.seconds * RATE)
            pictures = coded_pictures(reel.video, count, (0,), reel.size, reel.first)
        private = b""
        if reel.video == "H264":
            private = avc.private(pictures[0])
            pictures = tuple(map(avc.picture, pictures))
        track = made.add(reel.video, reel.size, private)
        blocks += [
            Block(track.number, round(n * 1000 / rate), n == 0, data)
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
