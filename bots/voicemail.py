"""Voicemail: answers for people who do not, and keeps what is said to them.

For whom a message is, and how they greet, the exchange says in the order that comes with each
ring; what happens in a call is in `attendant`.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from ringback.server.protocol import MessageOrder

from .announcements import GREETING
from .attendant import Attendant
from .call import BotCall
from .client import Client
from .host import Host
from .leftovers import Leftovers
from .media.endpoint import Endpoint
from .media.frames import Kind
from .media.record import RecordLimits
from .media.writer import Writer
from .message import Message
from .rooms import Rooms
from .service import Service
from .talk import Call

NAME = "voicemail"
ABOUT = "Takes messages for people who do not answer."
FOLDER = "voicemail"
MAX_CALLS = 100

SOUND: tuple[Kind, ...] = ("audio",)


class Voicemail:
    """What all calls of one session share. `close` it at the end."""

    def __init__(self, client: Client, folder: Path, limits: RecordLimits) -> None:
        self.rooms = Rooms(client)
        self.folder = folder
        self.limits = limits
        self.writer = Writer()
        self.pool = ThreadPoolExecutor(2, "voicemail")
        self.leftovers = Leftovers(client, folder)
        self._telling = asyncio.create_task(self.leftovers.run())

    async def handle(self, line: BotCall) -> None:
        """Take one message."""
        order = line.ring.voicemail
        if order is None:
            await line.decline()
            return
        call = Call(line, self.rooms, self.pool)
        limits = replace(self.limits, seconds=order.most)
        folder = self.folder / order.id
        message = Message(folder, line.id, line.ring.from_, self.writer, limits)
        greeting = self.greeting(order) if order.kind == "message" else None
        attendant = Attendant(line, call, order, message, greeting, self.leftovers.add)
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
        return GREETING

    async def close(self) -> None:
        """Free everything."""
        self._telling.cancel()
        await asyncio.gather(self._telling, return_exceptions=True)
        self.pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.writer.close)


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
            plane=partial(Endpoint, receives=SOUND, sends=SOUND, patient=True),
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
