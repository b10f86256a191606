"""Live captions: writes what callers say into a chat room, by pocketsphinx and its English.

pip install 'ringback[captions]'
ROOM=captions ringback bot run bots/examples/captions.py --server URL --token TOKEN
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from pocketsphinx import Decoder, Endpointer

from ringback import bots

ROOM = os.environ.get("ROOM", "captions")
RATE = 16_000


class Listener:
    """Finds speech in sound, and words in speech. Blocking: for a thread."""

    def __init__(self) -> None:
        self._ears = Endpointer(sample_rate=RATE)
        self._mind = Decoder(samprate=RATE, loglevel="ERROR")
        self._rest = b""
        self._speaking = False

    def hear(self, data: bytes) -> list[str]:
        """What was said up to here and not told yet: a text for each pause."""
        self._rest += data
        return [text for text in self._hear() if text]

    def _hear(self) -> Iterator[str]:
        size = self._ears.frame_bytes
        while len(self._rest) >= size:
            piece, self._rest = self._rest[:size], self._rest[size:]
            speech = self._ears.process(piece)
            if speech is None:
                continue
            if not self._speaking:
                self._mind.start_utt()
                self._speaking = True
            self._mind.process_raw(speech)
            if not self._ears.in_speech:
                self._mind.end_utt()
                self._speaking = False
                found = self._mind.hyp()
                yield found.hypstr if found is not None else ""


@bots.bot("captions", about="Writes what you say into the room captions.", max_calls=2)
async def captions(call: bots.Call) -> None:
    """Listen, and write into the room after each pause."""
    listener = await asyncio.to_thread(Listener)
    async with call.room(ROOM) as room:
        async for sound in call.audio.pcm(RATE, channels=1):
            for text in await asyncio.to_thread(listener.hear, sound.data):
                await room.say(f"{call.caller}: {text}")
