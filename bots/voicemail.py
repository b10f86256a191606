"""Voicemail: answers for people who do not, and keeps what is said to them.

For whom a message is, and how they greet, the exchange says in the order that comes with each
ring. The caller is in charge: by a data channel, by the keys of a telephone, or by hanging up.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import logging
import math
from array import array
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ringback.server import protocol
from ringback.server.protocol import MessageOrder

from .call import BotCall
from .channel import Channel
from .client import Client
from .host import Host
from .media.endpoint import Endpoint
from .media.frames import Frame, Kind
from .media.reading import CannotPlay
from .media.record import RecordLimits
from .media.repair import repair, unfinished
from .media.writer import Writer
from .message import Message
from .rooms import Rooms
from .service import Service
from .talk import Call
from .values import Digit, Sound

NAME = "voicemail"
ABOUT = "Takes messages for people who do not answer."
FOLDER = "voicemail"
MAX_CALLS = 100
PATIENCE = 60.0
"""Seconds a caller may think about what they said; then it is sent."""
GOODBYE = 1.0
RATE, BEEP, BEEP_PITCH = 48_000, 0.4, 880.0
KEYS = {"#": "stop", "1": "listen", "2": "redo", "*": "discard"}

SOUND: tuple[Kind, ...] = ("audio",)

Do = Literal["stop", "listen", "redo", "send", "discard"]
State = Literal["greeting", "recording", "recorded", "playing", "sent", "discarded", "failed"]

logger = logging.getLogger(__name__)


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller says on the channel."""

    do: Do


class Told(Struct, frozen=True):
    """What they are told there: `seconds` is how long what is meant is, `most` how long a
    message may be."""

    state: State
    seconds: float
    most: float


_wish = msgspec.json.Decoder(Wish)


class Voicemail:
    """What all calls of one session share. `close` it at the end."""

    def __init__(self, client: Client, folder: Path, limits: RecordLimits) -> None:
        self.rooms = Rooms(client)
        self.folder = folder
        self.limits = limits
        self.writer = Writer()
        self.pool = ThreadPoolExecutor(2, "voicemail")
        self._repairs = asyncio.create_task(self._repair(unfinished(folder)))

    async def handle(self, line: BotCall) -> None:
        """Take one message."""
        order = line.ring.voicemail
        if order is None:
            await line.decline()
            return
        call = Call(line, self.rooms, self.pool)
        attendant = Attendant(self, line, call, order)
        try:
            await line.answer()
            await line.connected()
            await attendant.attend()
        finally:
            await attendant.finish()
            await call.close()

    def greeting(self, order: MessageOrder) -> Path:
        """The file with which a caller is greeted."""
        if order.greeting is not None:
            for suffix in (".webm", ".mkv"):
                path = self.folder / order.greeting / f"1{suffix}"
                if path.is_file():
                    return path
        return Path(str(importlib.resources.files("ringback"))) / "bots/prompts/greeting.webm"

    async def close(self) -> None:
        """Free everything."""
        self._repairs.cancel()
        self.pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.writer.close)

    async def _repair(self, folders: list[Path]) -> None:
        for folder in folders:
            with suppress(OSError, ValueError):
                await asyncio.to_thread(repair, folder)


class Attendant:
    """One caller, from the greeting to the end."""

    def __init__(self, bot: Voicemail, line: BotCall, call: Call, order: MessageOrder) -> None:
        self._bot = bot
        self._line = line
        self._call = call
        self._order = order
        limits = replace(bot.limits, seconds=order.most)
        self._message = Message(bot.folder / order.id, line.id, line.ring.from_, bot.writer, limits)
        self._wishes: asyncio.Queue[Do] = asyncio.Queue(64)
        self._channel: Channel | None = None
        self._told: State | None = None
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def attend(self) -> None:
        """Greet, record, and do what the caller wishes, until it is sent or discarded."""
        self._tasks = [
            asyncio.create_task(self._hear_channel()),
            asyncio.create_task(self._hear_keys()),
        ]
        wish: Do | None = await self._greet()
        while wish not in ("send", "discard"):
            if wish == "listen" and self._message.said:
                wish = await self._play()
            elif wish == "redo" or not self._message.said:
                wish = await self._record()
            else:
                wish = await self._think()
        await self._end(wish == "send")
        await asyncio.sleep(GOODBYE)

    async def finish(self) -> None:
        """The call is over, however that came: what was said and not discarded is sent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._over:
            await self._end(True)

    async def _greet(self) -> Do | None:
        if self._order.kind == "greeting":
            return None
        self._tell("greeting", 0.0)
        wish = await self._until_wish(self._play_file(self._bot.greeting(self._order)))
        return wish if wish == "discard" else None

    async def _record(self) -> Do | None:
        """Beep and record; what was wished, None when nothing more can be said."""
        await self._call.publish(_beep())
        self._tell("recording", 0.0)
        frames = _sound(self._call)
        try:
            wish = await self._until_wish(self._message.take(frames))
            await self._message.end()
        except OSError as error:
            logger.warning("A message cannot be kept: %s", error)
            self._tell("failed", 0.0)
            return "discard"
        if not self._message.said and wish in (None, "stop", "send"):
            # Nothing was said: nothing is sent.
            return "discard"
        if wish == "stop" or wish is None:
            self._tell("recorded", self._message.seconds)
            return await self._think()
        return wish

    async def _think(self) -> Do:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._wishes.get()
        except TimeoutError:
            return "send"

    async def _play(self) -> Do:
        self._tell("playing", self._message.seconds)
        wish = await self._until_wish(self._play_file(self._message.path))
        self._tell("recorded", self._message.seconds)
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
        self._over = True
        await self._message.end()
        send = send and self._message.said
        if not send:
            await self._message.discard()
        told = protocol.TellMessage(
            message=self._order.id,
            state="left" if send else "discarded",
            seconds=round(self._message.seconds, 2),
        )
        try:
            await self._line.ask(told)
        except Exception:
            self._tell("failed", 0.0)
            await asyncio.sleep(GOODBYE)
            raise
        # Not before: what the exchange did not take nobody will ever hear.
        self._tell("sent" if send else "discarded", self._message.seconds)

    def _tell(self, state: State, seconds: float) -> None:
        self._told = state
        if self._channel is not None:
            with suppress(ConnectionError):
                told = Told(state, round(seconds, 2), self._order.most)
                self._channel.send(msgspec.json.encode(told).decode())

    async def _hear_channel(self) -> None:
        self._channel = await self._call.channel(NAME)
        if self._told is not None:
            self._tell(self._told, self._message.seconds)
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


async def _sound(call: Call) -> AsyncIterator[Frame]:
    async for frame in call.audio.frames():
        yield frame


async def _beep() -> AsyncIterator[Sound]:
    """The tone after which one speaks."""
    count = round(BEEP * RATE)
    edge = RATE // 100
    wave = array("h", bytes(2 * count))
    for n in range(count):
        loud = min(1.0, n / edge, (count - n) / edge)
        wave[n] = round(9_000 * loud * math.sin(2 * math.pi * BEEP_PITCH * n / RATE))
    yield Sound(wave.tobytes(), RATE, 1)


class VoicemailService(Service):
    """Voicemail on the line; what it keeps is complete when the session ends."""

    def __init__(
        self,
        client: Client,
        host: Host,
        voicemail: Voicemail,
        max_calls: int,
        max_load: float | None,
    ) -> None:
        super().__init__(
            client, voicemail.handle, max_calls=max_calls, max_load=max_load, host=host,
            plane=partial(Endpoint, receives=SOUND, sends=SOUND),
            on_event=voicemail.rooms.hear,
        )  # fmt: skip
        self.voicemail = voicemail

    async def run(self) -> None:
        """As `Service.run`."""
        try:
            await super().run()
        finally:
            await self.voicemail.close()


def service(
    client: Client, host: Host, files: Path, limits: RecordLimits | None = None, *,
    max_calls: int = MAX_CALLS, max_load: float | None = None,
) -> VoicemailService:  # fmt: skip
    """The bot on the line of a client; messages go into a folder below `files`.
    `max_calls`, `max_load`: see `Service`."""
    voicemail = Voicemail(client, files / FOLDER, limits or RecordLimits())
    return VoicemailService(client, host, voicemail, max_calls, max_load)
