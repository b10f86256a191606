"""Somebody who speaks to voicemail: records, listens, and does it again, over and over."""

from __future__ import annotations

import asyncio

import msgspec
from aiortc import RTCDataChannel
from msgspec import Struct

LABEL = "voicemail"
SAID = 2.5
"""Seconds that each message lasts."""


class _Told(Struct):
    state: str


class Speaker:
    """Drives one call to voicemail by its data channel: half of the time it is recorded, half
    of the time it hears that."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._listened = False
        self._state = ""
        self._timer: asyncio.TimerHandle | None = None
        channel.on("message", self._hear)

    def _hear(self, text: str | bytes) -> None:
        state = msgspec.json.decode(text, type=_Told).state
        # While it records it says again and again how much there is.
        before, self._state = self._state, state
        if state == before:
            return
        if state == "recording":
            self._timer = asyncio.get_running_loop().call_later(SAID, self._say, "stop")
        elif state == "recorded":
            self._say("redo" if self._listened else "listen")
            self._listened = not self._listened

    def _say(self, wish: str) -> None:
        if self._channel.readyState == "open":
            self._channel.send(f'{{"do":"{wish}"}}')

    def stop(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
