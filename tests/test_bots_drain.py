"""The built-in bots turn away what is too much, and end gently: real processes, real calls."""

from __future__ import annotations

import asyncio
import secrets
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ringback.bots.client import Client
from ringback.bots.media.sidecar import NAME as SIDECAR
from ringback.bots.media.sidecar import Sidecar
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import EXCHANGE, SECRET
from ringback.server.recording import VERSION
from tests.callers import PATIENCE, Caller, needs_address
from tests.lines import GENEROUS, Phone
from tests.marked import play
from tests.process import running
from tests.running import Server
from tests.test_bots_process import Run, end, first_line, run

__all__ = ["run"]
pytestmark = needs_address


class Street:
    """An exchange, the process of one built-in bot, and people with telephones."""

    def __init__(self, server: Server, run: Run, files: Path, stack: AsyncExitStack) -> None:
        self.server = server
        self.files = files
        self._run = run
        self._stack = stack

    async def bot(self, name: str, *arguments: str) -> Process:
        """The process of a bot, on the line."""
        tokens = {name: mint_bot_token(self.server.app[SECRET], name, 600)}
        made = await self._run(
            "--server", self.server.ws, "--files", str(self.files),
            "--record-free-megabytes", "1", *arguments, tokens=tokens,
        )  # fmt: skip
        assert await first_line(made) == f"ready {name}\n"
        return made

    async def phone(self, name: str, url: str | None = None) -> Phone:
        """Somebody's telephone, a guest's with a cookie."""
        url = url or self.server.url
        async with aiohttp.ClientSession() as http, http.get(url) as page:
            cookies = "; ".join(f"{c.key}={c.value}" for c in page.cookies.values())
        headers = {"Cookie": cookies, "Origin": url}
        client = Client(f"ws{url.removeprefix('http')}/ws", name=name, headers=headers)
        return Phone(await self._stack.enter_async_context(client))

    def caller(self, **options: Any) -> Caller:
        """A peer that hangs up at the end."""
        made = Caller(**options)
        self._stack.push_async_callback(made.close)
        return made

    async def dial(self, phone: Phone, caller: Caller, to: str, **more: Any) -> None:
        """Call a bot; wait for its media."""
        phone.call = secrets.token_hex(8)
        description = p.Description(type="offer", sdp=await caller.offer())
        await phone.client.request(
            p.Call(call=phone.call, to=to, media=p.Media(), description=description, **more)
        )
        await caller.accept((await phone.event(p.Answered)).description.sdp)
        await caller.connected()

    async def refused(self, name: str) -> p.Reason:
        """How a call to echo ends that is not taken."""
        phone = await self.phone(name)
        await phone.dial(await self.caller(video=None).offer())
        return (await phone.event(p.Ended)).reason


@pytest.fixture
async def street(
    serve: Callable[..., Awaitable[Server]],
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Street]:
    monkeypatch.setattr("ringback.bots.client.GOODBYE", 0.1)
    async with AsyncExitStack() as stack:
        yield Street(await serve(limits=GENEROUS), run, tmp_path / "files", stack)


async def said(made: Process) -> str:
    """The next line of a process."""
    return await first_line(made)


async def test_full_is_busy(street: Street) -> None:
    await street.bot("echo", "--max-calls", "1")
    ann = await street.phone("ann")
    await street.dial(ann, street.caller(video=None), "echo")
    assert await street.refused("bob") is p.Reason.BUSY
    await ann.hang_up()


async def test_too_loaded_is_busy(street: Street) -> None:
    # More than this every process needs to say hello.
    await street.bot("echo", "--max-load", "0.000000001")
    assert await street.refused("ann") is p.Reason.BUSY


async def test_asked_to_end_it_takes_no_new_calls_and_the_others_go_on(street: Street) -> None:
    bot = await street.bot("echo", "--drain", "600")
    ann, caller = await street.phone("ann"), street.caller(video=None)
    await street.dial(ann, caller, "echo")
    bot.send_signal(signal.SIGTERM)
    assert await said(bot) == "No new calls to the bots; 1 go on for at most 600 s.\n"
    assert await street.refused("bob") is p.Reason.BUSY
    assert await caller.hears()
    assert bot.returncode is None
    await ann.hang_up()
    assert await end(bot) == 0


async def test_after_the_limit_calls_are_hung_up(street: Street) -> None:
    bot = await street.bot("echo", "--drain", "0.2")
    ann = await street.phone("ann")
    await street.dial(ann, street.caller(video=None), "echo")
    bot.send_signal(signal.SIGTERM)
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP
    assert await end(bot) == 0


async def test_a_second_signal_ends_it_at_once(street: Street) -> None:
    bot = await street.bot("echo", "--drain", "600")
    await street.dial(await street.phone("ann"), street.caller(video=None), "echo")
    bot.send_signal(signal.SIGTERM)
    await said(bot)
    bot.send_signal(signal.SIGTERM)
    assert await end(bot) == 0


async def test_a_recording_is_completed_and_its_person_told_why_it_ended(street: Street) -> None:
    bot = await street.bot("recorder", "--drain", "0.5")
    ann, caller = await street.phone("ann"), street.caller()
    await street.dial(ann, caller, "recorder", consent=VERSION)
    while (await ann.event(p.RecordingChange)).state != "on":
        pass
    assert caller.pictures is not None
    await caller.pictures.reached(15)
    bot.send_signal(signal.SIGTERM)
    change = await ann.event(p.RecordingChange)
    assert (change.state, change.reason) == ("off", p.RecordingEnd.STOPPING)
    assert change.message == "The recorder is being stopped, so the recording has ended."
    await ann.event(p.Ended)
    assert await end(bot) == 0
    [folder] = (street.files / "recordings").iterdir()
    about = msgspec.json.decode((folder / SIDECAR).read_bytes(), type=Sidecar)
    assert about.reason == "stopping"
    assert about.ended
    [part] = about.participants
    played = play(folder / part.file, caller.stream)
    assert len(played.numbers) >= 10
    assert part.video is not None
    assert len(played.numbers) == part.video.frames, "all that was counted can be played"


async def test_a_message_that_is_being_said_is_sent_as_one_that_breaks_off(street: Street) -> None:
    bot = await street.bot("voicemail", "--drain", "0.2")
    ann, bob = await street.phone("ann"), await street.phone("bob")
    await ann.dial(await street.caller(video=None).offer(), "bob")
    ring = await bob.event(p.Ring)
    await bob.client.request(p.Decline(call=ring.call))
    await ann.event(p.Ended)
    caller = street.caller(video=None)
    channel = caller.pc.createDataChannel("voicemail")
    states: asyncio.Queue[str] = asyncio.Queue()
    channel.on("message", lambda text: states.put_nowait(msgspec.json.decode(text)["state"]))
    await street.dial(ann, caller, "voicemail", after=ring.call)
    async with asyncio.timeout(PATIENCE):
        while (state := await states.get()) != "recording":
            if state == "greeting":
                channel.send('{"do": "stop"}')
    await asyncio.sleep(1.5)  # what is shorter than a second is no message
    bot.send_signal(signal.SIGTERM)
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP
    assert await end(bot) == 0
    exchange = street.server.app[EXCHANGE]
    holder = await exchange.engine.holder("bob")
    assert holder is not None
    [message] = await exchange.messages.listed(holder.user)
    assert message.seconds >= 1.0
    assert message.cut
    assert play(street.files / "voicemail" / message.id / "1.webm", caller.stream).sounds


async def test_a_server_that_stops_lets_calls_to_its_bots_end(
    street: Street, tmp_path: Path
) -> None:
    async with running("--data", str(tmp_path / "other"), "--bot-drain", "600") as process:
        await process.until("Bots on the line: echo")
        ann, caller = await street.phone("ann", process.url.rstrip("/")), street.caller(video=None)
        await street.dial(ann, caller, "echo")
        process.process.send_signal(signal.SIGTERM)
        await process.until("No new calls to the bots; 1 go on for at most 600 s")
        assert await caller.hears()
        await ann.hang_up()
        assert await process.end() == 0
