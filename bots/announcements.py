"""What voicemail lets its callers hear beside messages: the tone, and the sentences that ship."""

from __future__ import annotations

import importlib.resources
import math
from array import array
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

from .sounds import Cue
from .values import Sound

RATE, BEEP, BEEP_PITCH = 48_000, 0.4, 880.0

_FOLDER = Path(str(importlib.resources.files("ringback"))) / "bots" / "prompts"
GREETING = _FOLDER / "greeting.webm"
"""The greeting of those who recorded none."""
TOO_SHORT = _FOLDER / "too-short.webm"
"""That a message was too short, and which keys go on from there."""


async def beep() -> AsyncIterator[Cue]:
    """The tone after which one speaks, for `Call.publish`."""
    yield _tone()


@cache
def _tone() -> Cue:
    """Made once: that takes longer than making a call."""
    count = round(BEEP * RATE)
    edge = RATE // 100
    wave = array("h", bytes(2 * count))
    for n in range(count):
        loud = min(1.0, n / edge, (count - n) / edge)
        wave[n] = round(9_000 * loud * math.sin(2 * math.pi * BEEP_PITCH * n / RATE))
    return Cue(Sound(wave.tobytes(), RATE, 1))
