"""One caller of voicemail, from the greeting to the end.

The caller is in charge: by a data channel, by the keys of a telephone, or by hanging up.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ringback.server import protocol
from ringback.server.protocol import MessageOrder, ProtocolError

from .announcements import TOO_SHORT, beep
from .call import BotCall
from .channel import Channel
from .client import Lost
from .media.reading import CannotPlay
from .media.writer import Full
from .message import Message
from .talk import Call
from .values import Digit

CHANNEL = "voicemail"
"""The label of the channel on which a page and the bot agree what happens."""
PATIENCE = 60.0
"""Seconds a caller may think about what they said; then it is sent."""
GOODBYE = 1.0
COUNT_EVERY = 0.25
"""Seconds of sound after which the caller is told again how much there is."""
KEYS = {"#": "stop", "1": "listen", "2": "redo", "*": "discard"}

Do = Literal["stop", "listen", "redo", "send", "discard"]
State = Literal[
    "greeting", "recording", "recorded", "too_short", "playing", "sent", "discarded", "failed"
]

logger = logging.getLogger(__name__)


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller says on the channel."""

    do: Do


class Told(Struct, frozen=True):
    """What they are told there: `seconds` of sound are recorded, `most` may be."""

    state: State
    seconds: float
    most: float


_wish = msgspec.json.Decoder(Wish)


class Attendant:
    """Takes one message: `attend`, and `finish` when the call is over.

    `greeting` is what the caller hears first; None: they record their own. `untold` is called
    with the folder of a message of which the exchange could not be told.
    """

    def __init__(
        self, line: BotCall, call: Call, order: MessageOrder, message: Message,
        greeting: Path | None, untold: Callable[[Path], None],
    ) -> None:  # fmt: skip
        self._line = line
        self._call = call
        self._order = order
        self._message = message
        self._greeting = greeting
        self._untold = untold
        self._wishes: asyncio.Queue[Do] = asyncio.Queue(64)
        self._channel: Channel | None = None
        self._told: State | None = None
        self._counted = 0.0
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def attend(self) -> None:
        """Greet, record, and do what the caller wishes, until it is sent or discarded."""
        self._tasks = [
            asyncio.create_task(self._hear_channel()),
            asyncio.create_task(self._hear_keys()),
        ]
        wish = await self._greet()
        while wish != "discard" and not (wish == "send" and self._message.said):
            wish = await self._next(wish)
        try:
            await self._end(wish == "send")
        except ProtocolError:
            # What they are told is true: it is not kept.
            self._tell("failed")
            await self._message.discard()
            await asyncio.sleep(GOODBYE)
            raise
        # Not before: what the exchange did not take nobody will ever hear.
        self._tell("sent" if self._message.said else "discarded")
        await asyncio.sleep(GOODBYE)

    async def finish(self) -> None:
        """The call is over, however that came: what was said and not discarded is sent, and
        breaks off where nobody but us has ended it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._over:
            return
        if self._line.leaving and self._told == "recording":
            await self._message.end("stopping")
        try:
            await self._end(True)
        except ProtocolError:
            # Nobody is there who could say it again.
            self._untold(self._message.folder)
            raise
        if self._line.leaving:
            self._tell("sent" if self._message.said else "discarded")

    # --- what happens

    async def _greet(self) -> Do | None:
        if self._greeting is None:
            return None
        self._tell("greeting")
        wish = await self._until_wish(self._play_file(self._greeting))
        return wish if wish == "discard" else None

    async def _next(self, wish: Do | None) -> Do:
        """Do what was wished (None: begin); what is wished then."""
        if wish is None or wish == "redo":
            return await self._record()
        if not self._message.said:
            return await self._say_too_short()
        return await (self._play() if wish == "listen" else self._think())

    async def _record(self) -> Do:
        """Beep and record, until something else is wished or nothing more can be said."""
        await self._call.publish(beep())
        self._counted = -COUNT_EVERY
        try:
            taken = self._message.take(self._call.audio.frames(), self._count)
            wish = await self._until_wish(taken)
            await self._message.end()
        except (OSError, Full) as error:
            logger.warning("A message cannot be kept: %s", error)
            self._tell("failed")
            return "discard"
        if wish in ("redo", "discard"):
            return wish
        if self._message.said:
            self._tell("recorded")
            return wish if wish in ("send", "listen") else await self._think()
        if self._message.broken:
            self._tell("failed")
            return "discard"
        return await self._say_too_short()

    async def _say_too_short(self) -> Do:
        """Nobody's words go without one of ours: why, and what can be done."""
        self._tell("too_short")
        wish = None
        if self._channel is None:
            # Who has a page reads it there.
            wish = await self._until_wish(self._play_file(TOO_SHORT))
        return wish or await self._think()

    async def _think(self) -> Do:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._wishes.get()
        except TimeoutError:
            return "send" if self._message.said else "discard"

    async def _play(self) -> Do:
        self._tell("playing")
        wish = await self._until_wish(self._play_file(self._message.path))
        self._tell("recorded")
        return await self._think() if wish in (None, "stop") else wish

    async def _play_file(self, path: Path) -> None:
        try:
            await self._call.play(path)
        except CannotPlay as error:
            logger.warning("%s", error)

    async def _until_wish(self, work: Coroutine[Any, Any, None]) -> Do | None:
        """Do something until it is done (None) or the caller wishes something else.

        Raises what the work raised.
        """
        doing = asyncio.create_task(work)
        wishing = asyncio.create_task(self._wishes.get())
        try:
            await asyncio.wait((doing, wishing), return_when=asyncio.FIRST_COMPLETED)
            if wishing.done():
                return wishing.result()
            doing.result()
            return None
        finally:
            for task in (doing, wishing):
                task.cancel()
            await asyncio.gather(doing, wishing, return_exceptions=True)

    async def _end(self, send: bool) -> None:
        await self._message.end()
        send = send and self._message.said
        if not send:
            await self._message.discard()
        told = protocol.TellMessage(
            message=self._order.id,
            state="left" if send else "discarded",
            seconds=_whole(self._message.seconds),
            cut=self._message.broken,
        )
        try:
            await self._line.ask(told)
        except (Lost, TimeoutError):
            self._over = True
            if send:
                self._untold(self._message.folder)
            raise
        self._over = True
        if send:
            await self._message.settle()

    # --- what is said and heard meanwhile

    def _count(self) -> None:
        """There is more sound than a moment ago, or now there can be."""
        if self._message.seconds - self._counted >= COUNT_EVERY:
            self._counted = self._message.seconds
            self._tell("recording")

    def _tell(self, state: State) -> None:
        self._told = state
        if self._channel is not None:
            with suppress(ConnectionError):
                told = Told(state, _whole(self._message.seconds), self._order.most)
                self._channel.send(msgspec.json.encode(told).decode())

    async def _hear_channel(self) -> None:
        self._channel = await self._call.channel(CHANNEL)
        if self._told is not None:
            self._tell(self._told)
        async for said in self._channel:
            try:
                self._wish(_wish.decode(said).do)
            except msgspec.DecodeError as error:
                logger.info("A caller of voicemail says what cannot be read: %s", error)

    async def _hear_keys(self) -> None:
        async for event in self._call.events():
            if isinstance(event, Digit) and event.key in KEYS:
                # The key that stops also sends: then there is nothing left to stop.
                sends = event.key == "#" and self._told in ("recorded", "playing")
                self._wish("send" if sends else KEYS[event.key])  # type: ignore[arg-type]

    def _wish(self, do: Do) -> None:
        # Somebody who presses so much is not waiting for anything.
        with suppress(asyncio.QueueFull):
            self._wishes.put_nowait(do)


def _whole(seconds: float) -> float:
    """Hundredths of seconds that are whole: never more than there is."""
    return math.floor(seconds * 100) / 100
