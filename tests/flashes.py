"""A flash and a beep at the same moments, coded, and when a player shows and sounds them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av

from tests.coded import video_encoder

RATE = 25
FLASHES = (1.0, 3.0, 5.0)
SECONDS = 6.0
LONG = 0.08


@dataclass(frozen=True)
class FlashAndBeep:
    """Pictures at `RATE` a second and sounds of 20 ms, as they would be sent."""

    pictures: tuple[bytes, ...]
    sounds: tuple[bytes, ...]


def _on(moment: float) -> bool:
    return any(0 <= moment - at < LONG for at in FLASHES)


@cache
def flash_and_beep() -> FlashAndBeep:
    """The clip: dark and silent but for `LONG` seconds from each of `FLASHES` on."""
    encoder = video_encoder("VP8", 64, 48)
    pictures = []
    for number in range(round(SECONDS * RATE)):
        frame = av.VideoFrame(64, 48, "yuv420p")
        shade = 235 if _on(number / RATE) else 16
        for plane, value in zip(frame.planes, (shade, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = number * 90_000 // RATE, Fraction(1, 90_000)
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return FlashAndBeep(tuple(pictures), tuple(_beeps()))


def _beeps() -> Iterator[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.options = {"application": "lowdelay"}
    for first in range(0, round(SECONDS * 48_000), 960):
        frame = av.AudioFrame("s16", "mono", 960)
        wave = array("h", bytes(2 * 960))
        for n in range(960):
            if _on((first + n) / 48_000):
                wave[n] = round(16_000 * math.sin(2 * math.pi * 1000 * (first + n) / 48_000))
        frame.planes[0].update(wave.tobytes())
        frame.pts, frame.sample_rate, frame.time_base = first, 48_000, Fraction(1, 48_000)
        for packet in encoder.encode(frame):
            yield bytes(packet)


def seen_and_heard(path: Path) -> tuple[list[float], list[float]]:
    """When (s) flashes begin to be seen, and beeps to be heard, in a file."""
    flashes: list[float] = []
    beeps: list[float] = []
    bright, loud = False, 0.0
    with av.open(str(path)) as container:
        frames: Iterator[Any] = container.decode()
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                now = bytes(frame.planes[0])[frame.planes[0].line_size * 20 + 20] > 128
                if now and not bright:
                    flashes.append(float(frame.time or 0.0))
                bright = now
            else:
                for part in av.AudioResampler("s16", "mono").resample(frame):
                    wave = array("h", bytes(part.planes[0])[: 2 * part.samples])
                    for n, value in enumerate(wave):
                        at = frame.time + n / part.sample_rate
                        if abs(value) > 3000:
                            if at - loud > 0.5:
                                beeps.append(at)
                            loud = at
    return flashes, beeps
