"""What bots and calls hand each other: sound, pictures, events. Plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["audio", "video"]
PictureFormat = Literal["rgb24", "bgr24", "rgba", "gray", "yuv420p"]
DIGITS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound: signed 16-bit samples, native byte order, channels interleaved.

    `rate` in samples a second. `time`: seconds since the track began, of its first sample; in
    what a bot publishes None puts it right after the piece before.
    """

    data: bytes
    rate: int
    channels: int = 1
    time: float | None = None

    @property
    def samples(self) -> int:
        """How many samples each channel has."""
        return len(self.data) // (2 * self.channels)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: its pixels row by row without padding, planes one after another.

    `format` is `rgb24`, `bgr24`, `rgba`, `gray` or `yuv420p` (even width and height). `time`:
    seconds since the track began; in what a bot publishes None shows it at once.
    """

    data: bytes
    width: int
    height: int
    format: PictureFormat = "rgb24"
    time: float | None = None


def picture_bytes(width: int, height: int, form: PictureFormat) -> int:
    """How many bytes a picture's `data` has."""
    match form:
        case "rgb24" | "bgr24":
            return width * height * 3
        case "rgba":
            return width * height * 4
        case "gray":
            return width * height
    return width * height * 3 // 2


# --- what happens in a call -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Muted:
    """The other side has stopped sending sound or picture, or (`on` false) sends it again."""

    kind: Kind
    on: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The other side has put the call on hold: it does not listen; or (`on` false) is back."""

    on: bool


@dataclass(frozen=True, slots=True)
class Digit:
    """The other side has pressed a key (RFC 4733): one of `0123456789*#ABCD`."""

    key: str


@dataclass(frozen=True, slots=True)
class KeyframeWanted:
    """The other side needs a keyframe of the coded pictures that are passed on to it."""


CallEvent = Muted | Held | Digit | KeyframeWanted

# --- what happens in a room -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody else said something in a room. `time`: ms since 1970; `bot`: it was a bot."""

    who: str
    text: str
    time: int
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Came:
    """Somebody came into a room."""

    who: str
    bot: bool = False


@dataclass(frozen=True, slots=True)
class Went:
    """Somebody left a room."""

    who: str
    bot: bool = False


RoomEvent = Said | Came | Went
