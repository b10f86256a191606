"""A tone and a test picture, for calls that have nothing else to send. Plain bytes, no codec."""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import AsyncIterator

from .values import Picture, Sound

RATE = 48_000
PIECE = 960
WIDTH, HEIGHT = 320, 240
PICTURES = 15
# Luma, blue and red difference of white, yellow, cyan, green, magenta, red, blue and black
# bars (ITU-R BT.601, three quarters of full colour).
_BARS = ((180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58),
         (84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128))  # fmt: skip


async def tone(pitch: float = 440.0, loudness: float = 0.1) -> AsyncIterator[Sound]:
    """A tone without end, in pieces of 20 ms; `loudness` 1 is as loud as can be."""
    step = 2 * math.pi * pitch / RATE
    for piece in itertools.count():
        wave = (
            round(32767 * loudness * math.sin(step * (piece * PIECE + n))) for n in range(PIECE)
        )
        yield Sound(array.array("h", wave).tobytes(), RATE)


async def card() -> AsyncIterator[Picture]:
    """Colour bars without end, 15 a second, with a line that wanders over them."""
    planes = [_plane(channel) for channel in range(3)]
    for number in itertools.count():
        luma = bytearray(planes[0])
        line = number * 2 % HEIGHT
        luma[line * WIDTH : (line + 2) * WIDTH] = bytes([235]) * (2 * WIDTH)
        data = bytes(luma) + planes[1] + planes[2]
        yield Picture(data, WIDTH, HEIGHT, "yuv420p", number / PICTURES)


def _plane(channel: int) -> bytes:
    half = 1 if channel == 0 else 2
    bar = WIDTH // half // len(_BARS)
    row = b"".join(bytes([colour[channel]]) * bar for colour in _BARS)
    return row * (HEIGHT // half)
