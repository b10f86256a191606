"""Voicemail, called by real peers; what it kept is decoded, what it plays is heard."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from ringback.bots import voicemail
from ringback.bots.client import Client
from ringback.bots.host import Host
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.record import RecordLimits
from ringback.bots.voicemail import BEEP_PITCH
from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.identity import mint_bot_token
from ringback.server.keys import EXCHANGE, SECRET
from ringback.server.voicebox import VoiceMessage
from tests.callers import PATIENCE, TONE, Caller, needs_address, pitch
from tests.conftest import Serve
from tests.lines import GENEROUS, Phone
from tests.running import Server
from tests.test_recorder import play

pytestmark = needs_address


class Talk:
    """A call to voicemail: what the caller says on the channel, and hears."""

    def __init__(self, phone: Phone, caller: Caller) -> None:
        self.phone = phone
        self.caller = caller
        self.states: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.channel = caller.pc.createDataChannel("voicemail")
        self.channel.on("message", lambda text: self.states.put_nowait(json.loads(text)))

    def do(self, wish: str) -> None:
        self.channel.send(json.dumps({"do": wish}))

    async def until(self, state: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                told = await self.states.get()
                if told["state"] == state:
                    return told

    async def hear(self, wanted: float) -> None:
        """Wait until a pitch is heard for a tenth of a second."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frames = [await self.caller.tracks["audio"].recv() for _ in range(5)]
                sound = [frame for frame in frames if isinstance(frame, av.AudioFrame)]
                if pitch(sound) == pytest.approx(wanted, rel=0.08):
                    return


@dataclass
class Box:
    """An exchange with voicemail on the line; Bob is a guest whom calls do not reach."""

    server: Server
    files: Path
    service: voicemail.VoicemailService
    url: str
    stack: AsyncExitStack

    async def phone(self, name: str) -> Phone:
        client = Client(self.url, name=name, headers=await self._cookie())
        return Phone(await self.stack.enter_async_context(client))

    async def _cookie(self) -> dict[str, str]:
        """A guest's cookie, and the origin with which it counts."""
        async with aiohttp.ClientSession() as http, http.get(self.server.url) as page:
            cookies = "; ".join(f"{c.key}={c.value}" for c in page.cookies.values())
        return {"Cookie": cookies, "Origin": self.server.url.rstrip("/")}

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

    async def dial(self, phone: Phone, **more: Any) -> Talk:
        caller = Caller(video=None)
        self.stack.push_async_callback(caller.close)
        talk = Talk(phone, caller)
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

    async def idle(self) -> None:
        tasks = [call.task for call in self.service.calls.values()]
        if tasks:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(tasks)

    async def messages(self) -> list[VoiceMessage]:
        engine = self.server.app[EXCHANGE].engine
        holder = await engine.holder("bob")
        assert holder is not None
        return await self.server.app[EXCHANGE].voicemails.listed(holder.user)

    def file(self, id: str) -> Path:
        return self.files / voicemail.FOLDER / id / "1.webm"


NewBox = Callable[..., Awaitable[Box]]


@pytest.fixture
async def new_box(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[NewBox]:
    monkeypatch.setattr("ringback.bots.client.GOODBYE", 0.1)
    monkeypatch.setattr(voicemail, "GOODBYE", 0.1)
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
            return Box(server, tmp_path / "files", service, server.ws + "/ws", stack)

        yield make


async def test_a_message_is_said_heard_again_said_anew_and_sent(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    assert (await talk.until("greeting"))["most"] == 180
    talk.do("stop")
    await talk.hear(BEEP_PITCH)
    await talk.until("recording")
    await asyncio.sleep(1.5)
    talk.do("stop")
    assert (await talk.until("recorded"))["seconds"] >= 1.2
    talk.do("listen")
    await talk.until("playing")
    await talk.hear(TONE)
    talk.do("redo")
    await talk.until("recording")
    await asyncio.sleep(2.5)
    talk.do("stop")
    recorded = await talk.until("recorded")
    assert recorded["seconds"] >= 2.0
    talk.do("send")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).unheard == 1
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP
    [message] = await box.messages()
    assert message.seconds == recorded["seconds"]
    found = play(box.file(message.id))
    assert pitch(found.sound[20:]) == pytest.approx(TONE, rel=0.05)
    seconds = sum(frame.samples for frame in found.sound) / 48_000
    # Where the first packets took longer than later ones, what follows them moves up.
    assert seconds == pytest.approx(message.seconds, abs=0.3)
    await box.idle()


async def test_hanging_up_sends_what_was_said(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recording")
    await asyncio.sleep(1.8)
    await ann.hang_up()
    assert (await bob.event(p.VoicemailChange)).unheard == 1
    [message] = await box.messages()
    assert message.seconds >= 1.0
    assert pitch(play(box.file(message.id)).sound[20:]) == pytest.approx(TONE, rel=0.05)


@pytest.mark.parametrize("how", ["discard", "hang up"])
async def test_what_is_discarded_or_too_short_leaves_nothing(
    new_box: NewBox, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, this caller has said nothing.
    monkeypatch.setattr("ringback.bots.message.LEAST", 1.0 if how == "discard" else 3600.0)
    box = await new_box()
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recording")
    if how == "discard":
        await asyncio.sleep(1.5)
        talk.do("discard")
        await talk.until("discarded")
        await ann.event(p.Ended)
    else:
        await ann.hang_up()
    await box.idle()
    assert await box.messages() == []
    assert list((box.files / voicemail.FOLDER).iterdir()) == []


async def test_a_greeting_of_ones_own_is_heard_by_the_next_caller(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(bob, greeting=True)
    assert (await talk.until("recording"))["most"] == 30
    await asyncio.sleep(2.0)
    talk.do("stop")
    await talk.until("recorded")
    talk.do("send")
    await talk.until("sent")
    await bob.event(p.Ended)
    assert await box.messages() == []
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    await talk.hear(TONE)
    await ann.hang_up()
    await box.idle()


async def test_the_usual_greeting_is_heard_to_its_end(new_box: NewBox) -> None:
    box = await new_box()
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    began = asyncio.get_running_loop().time()
    await talk.until("recording")
    seconds = asyncio.get_running_loop().time() - began
    with av.open(str(Path(voicemail.__file__).parent / "prompts" / "greeting.webm")) as greeting:
        assert greeting.duration is not None
        assert seconds >= greeting.duration / 1e6
    await ann.hang_up()


async def test_without_room_the_caller_is_told(new_box: NewBox) -> None:
    box = await new_box(RecordLimits(free=2**62))
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("failed")
    await talk.until("discarded")
    await ann.event(p.Ended)
    assert await box.messages() == []


async def test_nobody_is_told_that_it_is_sent_before_it_is_stored(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = await new_box()

    async def broken(*_: object) -> None:
        raise EngineError("the disk is full")

    monkeypatch.setattr(box.server.app[EXCHANGE].voicemails, "tell", broken)
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recording")
    await asyncio.sleep(1.5)
    talk.do("send")
    async with asyncio.timeout(PATIENCE):
        while (state := (await talk.states.get())["state"]) != "failed":
            assert state != "sent"
    assert (await ann.event(p.Ended)).reason is p.Reason.LOST
    assert await box.messages() == []


async def test_who_says_nothing_more_has_sent(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voicemail, "PATIENCE", 0.2)
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recording")
    await asyncio.sleep(1.5)
    talk.do("nonsense")
    talk.do("stop")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1


async def test_a_message_ends_at_its_longest(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.server.voicemails.LONGEST", 1.5)
    box = await new_box()
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recording")
    # The limit is looked at twice a second.
    assert (await talk.until("recorded"))["seconds"] >= 1.0
    talk.do("discard")
    await ann.event(p.Ended)


async def test_the_keys_of_a_telephone_do_it_too(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")

    def press(key: str) -> None:
        [line] = box.service.calls.values()
        plane = line.peer.plane
        assert isinstance(plane, Endpoint)
        assert plane.on_digit is not None
        plane.on_digit(key)

    press("#")
    await talk.until("recording")
    await asyncio.sleep(1.5)
    press("5")
    press("#")
    await talk.until("recorded")
    press("1")
    await talk.until("playing")
    press("2")
    await talk.until("recording")
    await asyncio.sleep(1.5)
    press("#")
    await talk.until("recorded")
    press("#")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1
