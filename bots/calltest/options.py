"""What a side of a call test sends and asks for, and what keeps a test from running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ringback.bots.media.payload import Codec
from ringback.bots.values import Kind

from .observed import Ending

CODECS: dict[str, Codec] = {"vp8": "VP8", "h264": "H264"}
SOUND: Codec = "opus"

Missing = Literal[
    "bad_option", "extra_missing", "browser_missing", "codec_missing", "unreachable", "refused",
    "name_taken", "no_address", "no_relay", "interrupted",
]  # fmt: skip


class CannotCheck(Exception):
    """A call test that could not run at all. `code` is one of `Missing`; `str()` is a sentence
    that says what is missing."""

    def __init__(self, code: Missing, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class NoCall(Exception):
    """The call did not come about, or was over before its time: `ending`, and why in words."""

    def __init__(self, ending: Ending, reason: str) -> None:
        super().__init__(reason)
        self.ending = ending


@dataclass(frozen=True, slots=True)
class Options:
    """`size`: width and height of the pictures (even, at least 64 by 48), `rate`: how many a
    second (1 to 60), `bit_rate`: bits a second they may take. `codec` is that of the pictures.
    `speech`: a voice speaks between the marks of the sound, and how intelligible it stays is
    judged. `patience`: seconds to wait for an answer. Raises `ValueError` in words."""

    size: tuple[int, int] = (320, 240)
    rate: float = 15.0
    bit_rate: int = 300_000
    codec: Codec = "VP8"
    sound_only: bool = False
    relay_only: bool = False
    speech: bool = False
    patience: float = 20.0

    def __post_init__(self) -> None:
        width, height = self.size
        if width % 2 or height % 2 or not (64 <= width <= 1920 and 48 <= height <= 1080):
            raise ValueError(
                "Pictures are between 64 by 48 and 1920 by 1080 pixels, both numbers even."
            )
        if not 1 <= self.rate <= 60:
            raise ValueError("Between 1 and 60 pictures are sent a second.")
        if not 20_000 <= self.bit_rate <= 4_000_000:
            raise ValueError("Pictures take between 20,000 and 4,000,000 bits a second.")
        if self.codec not in CODECS.values():
            raise ValueError(f"Marked pictures are sent as {' or '.join(CODECS.values())}.")
        if not 0 < self.patience <= 120:
            raise ValueError("An answer is waited for up to 120 seconds.")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is offered."""
        return ("audio",) if self.sound_only else ("audio", "video")
