"""Bots of one's own: `from ringback import bots`. See docs/bots.md.

    @bots.bot("parrot", about="Repeats what it hears and sees.")
    async def parrot(call: bots.Call) -> None:
        async for frame in call.frames():
            call.send(frame)

What is named here is imported when it is used, so that importing this costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringback.server.protocol import ProtocolError as ProtocolError

    from .channel import Channel as Channel
    from .channel import ChannelFull as ChannelFull
    from .client import Lost as Lost
    from .media.frames import Frame as Frame
    from .media.reading import CannotPlay as CannotPlay
    from .media.writing import CannotRecord as CannotRecord
    from .recording import Recording as Recording
    from .robot import Bot as Bot
    from .robot import bot as bot
    from .rooms import Room as Room
    from .talk import Call as Call
    from .track import Track as Track
    from .values import Came as Came
    from .values import Digit as Digit
    from .values import Held as Held
    from .values import KeyframeWanted as KeyframeWanted
    from .values import Muted as Muted
    from .values import Picture as Picture
    from .values import Said as Said
    from .values import Sound as Sound
    from .values import Went as Went

_WHERE = {
    "channel": ("Channel", "ChannelFull"),
    "client": ("Lost",),
    "media.frames": ("Frame",),
    "media.reading": ("CannotPlay",),
    "media.writing": ("CannotRecord",),
    "recording": ("Recording",),
    "robot": ("Bot", "bot"),
    "rooms": ("Room",),
    "talk": ("Call",),
    "track": ("Track",),
    "values": (
        "Came", "Digit", "Held", "KeyframeWanted", "Muted", "Picture", "Said", "Sound", "Went",
    ),
}  # fmt: skip
_MODULES = {name: f"{__name__}.{module}" for module, names in _WHERE.items() for name in names}
_MODULES["ProtocolError"] = "ringback.server.protocol"

__all__ = [  # noqa: F822 - imported when they are used
    "Bot", "Call", "Came", "CannotPlay", "CannotRecord", "Channel", "ChannelFull", "Digit",
    "Frame", "Held", "KeyframeWanted", "Lost", "Muted", "Picture", "ProtocolError",
    "Recording", "Room", "Said", "Sound", "Track", "Went", "bot",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
