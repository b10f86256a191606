"""An exchange with voicemail on the line, people who leave messages there, and what was kept."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from ringback.bots import attendant, voicemail
from ringback.bots.client import Client
from ringback.bots.host import Host
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.record import RecordLimits
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import EXCHANGE, SECRET
from ringback.server.voicebox import VoiceMessage
from tests.callers import PATIENCE, Caller, pitch
from tests.conftest import Serve
from tests.lines import GENEROUS, Phone
from tests.running import Server


class Talk:
    """A call to voicemail: what the caller says on the channel (one without a `page` has none),
    and hears."""

    def __init__(self, phone: Phone, caller: Caller, *, page: bool = True) -> None:
        self.phone = phone
        self.caller = caller
        self.states: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.channel = caller.pc.createDataChannel("voicemail") if page else None
        if self.channel is not None:
            self.channel.on("message", lambda text: self.states.put_nowait(json.loads(text)))

    def do(self, wish: str) -> None:
        """Wish something."""
        assert self.channel is not None
        self.channel.send(json.dumps({"do": wish}))

    async def until(self, state: str, seconds: float = 0.0) -> dict[str, Any]:
        """Wait until voicemail says that it is so, with so much (s) recorded; what it said."""
        async with asyncio.timeout(PATIENCE):
            while True:
                told = await self.states.get()
                if told["state"] == state and told["seconds"] >= seconds:
                    return told

    async def says(self, seconds: float) -> dict[str, Any]:
        """Say a message of at least so many seconds, and stop."""
        await self.until("recording", seconds)
        self.do("stop")
        return await self.until("recorded")

    async def hear(self, wanted: float) -> None:
        """Wait until a pitch is heard for a tenth of a second."""
        async with asyncio.timeout(PATIENCE):
            while await self._heard(5) != pytest.approx(wanted, rel=0.08):
                pass

    async def hear_words(self) -> None:
        """Wait until something is heard for half a second that is not the tone."""
        async with asyncio.timeout(PATIENCE):
            while not (heard := await self._heard(25)) or heard == pytest.approx(880, rel=0.08):
                pass

    async def _heard(self, count: int) -> float:
        frames = [await self.caller.tracks["audio"].recv() for _ in range(count)]
        return pitch([frame for frame in frames if isinstance(frame, av.AudioFrame)])


@dataclass
class Town:
    """An exchange with voicemail on the line, at `page`; Bob is a guest whom calls do not reach."""

    page: str
    stack: AsyncExitStack
    headers: dict[str, dict[str, str]] = field(default_factory=dict, init=False)

    @property
    def url(self) -> str:
        """Where its socket is."""
        return f"ws{self.page[4:].rstrip('/')}/ws"

    async def phone(self, name: str) -> Phone:
        """The telephone of a guest, who can come back."""
        self.headers[name] = await self._cookie()
        client = Client(self.url, name=name, headers=self.headers[name])
        return Phone(await self.stack.enter_async_context(client))

    async def _cookie(self) -> dict[str, str]:
        """A guest's cookie, and the origin with which it counts."""
        async with aiohttp.ClientSession() as http, http.get(self.page) as page:
            cookies = "; ".join(f"{c.key}={c.value}" for c in page.cookies.values())
        return {"Cookie": cookies, "Origin": self.page.rstrip("/")}

    async def read(self, name: str) -> str:
        """What somebody's page of voicemail says."""
        address, window = f"{self.page}voicemail/", {"as": name}
        async with (
            aiohttp.ClientSession(headers=self.headers[name]) as http,
            http.get(address, params=window) as page,
        ):
            return await page.text()

    async def declined(self) -> tuple[Phone, Phone, str]:
        """Ann has called Bob, who declined: she may leave a message."""
        ann, bob = await self.phone("ann"), await self.phone("bob")
        description = p.Description(type="offer", sdp="v=0\r\n")
        call = secrets.token_hex(8)
        await ann.client.request(
            p.Call(call=call, to="bob", media=p.Media(), description=description)
        )
        await bob.event(p.Ring)
        await bob.client.request(p.Decline(call=call))
        ended = await ann.event(p.Ended)
        assert ended.voicemail
        return ann, bob, call

    async def dial(
        self, phone: Phone, *, page: bool = True, caller: Caller | None = None, **more: Any
    ) -> Talk:
        """Call voicemail."""
        caller = caller or Caller(video=None)
        self.stack.push_async_callback(caller.close)
        talk = Talk(phone, caller, page=page)
        phone.call = secrets.token_hex(8)
        await phone.client.request(
            p.Call(
                call=phone.call, to="voicemail", media=p.Media(video=False),
                description=p.Description(type="offer", sdp=await caller.offer()), **more,
            )
        )  # fmt: skip
        await caller.accept((await phone.event(p.Answered)).description.sdp)
        await caller.connected()
        return talk

    async def begun(self, **options: Any) -> tuple[Phone, Phone, Talk]:
        """Ann, whom Bob has declined, is past the greeting."""
        ann, bob, missed = await self.declined()
        talk = await self.dial(ann, after=missed, **options)
        assert (await talk.until("greeting"))["most"] == 180
        talk.do("stop")
        return ann, bob, talk


@dataclass
class Box(Town):
    """The same in this process, where one sees into it."""

    server: Server
    files: Path
    service: voicemail.VoicemailService

    def press(self, key: str) -> None:
        """The one caller presses a key of their telephone."""
        [line] = self.service.calls.values()
        plane = line.peer.plane
        assert isinstance(plane, Endpoint)
        assert plane.on_digit is not None
        plane.on_digit(key)

    async def idle(self) -> None:
        """Wait until no call is left."""
        tasks = [call.task for call in self.service.calls.values()]
        if tasks:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(tasks)

    async def messages(self) -> list[VoiceMessage]:
        """What was left for Bob."""
        engine = self.server.app[EXCHANGE].engine
        holder = await engine.holder("bob")
        assert holder is not None
        return await self.server.app[EXCHANGE].messages.listed(holder.user)

    def file(self, id: str) -> Path:
        """The sound of a message."""
        return self.files / voicemail.FOLDER / id / "1.webm"


NewBox = Callable[..., Awaitable[Box]]


@pytest.fixture
async def new_box(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[NewBox]:
    monkeypatch.setattr("ringback.bots.client.GOODBYE", 0.1)
    monkeypatch.setattr(attendant, "GOODBYE", 0.1)
    """Makes such exchanges."""
    async with AsyncExitStack() as stack:

        async def make(limits: RecordLimits | None = None) -> Box:
            server = await serve(limits=GENEROUS)
            token = mint_bot_token(server.app[SECRET], "voicemail", 600)
            client = Client(server.ws + "/ws", token=token, about=voicemail.ABOUT)
            await stack.enter_async_context(client)
            limits = limits or RecordLimits(free=0)
            service = voicemail.service(client, Host(), tmp_path / "files", limits)
            running = asyncio.create_task(service.run())

            async def stop() -> None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

            stack.push_async_callback(stop)
            return Box(server.url, stack, server, tmp_path / "files", service)

        yield make
