"""Bots in rooms: they hear, they speak, they come back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback import bots
from ringback.bots import online
from ringback.server import protocol as p
from tests.callers import PATIENCE, needs_address
from tests.clients import eventually
from tests.lines import GENEROUS, Line, Phone
from tests.robots import Host, host

__all__ = ["host"]


async def say(phone: Phone, text: str, cid: str) -> None:
    await phone.client.request(p.Chat(room="kitchen", text=text, cid=cid))


async def told(phone: Phone) -> str:
    """The next thing that somebody else says."""
    while True:
        message = await phone.event(p.ChatMessage)
        if message.from_ != phone.client.name:
            return message.text


async def in_kitchen(line: Line, name: str) -> Phone:
    """Somebody in the kitchen, where the bot is already."""
    phone = await line.phone(name)
    while True:
        joined = await phone.client.request(p.Join(room="kitchen"))
        assert isinstance(joined, p.Joined)
        if any(member.bot for member in joined.members):
            return phone
        await phone.event(p.Presence)


def clerk() -> bots.Bot:
    made = bots.Bot("clerk", about="Answers in the kitchen.")

    @made.room("Kitchen")
    async def kitchen(room: bots.Room) -> None:
        assert room.name == "kitchen"
        async for event in room:
            match event:
                case bots.Said(who=who, text=text, bot=False):
                    await room.say(f"{who} said {text}")
                case bots.Came(who=who):
                    await room.say(f"Welcome, {who}; we are {', '.join(room.members)}")
                case bots.Went(who=who):
                    await room.say(f"Goodbye, {who}")

    return made


async def test_it_hears_who_comes_speaks_and_goes_and_answers(host: Host) -> None:
    line = await host(clerk())
    ann = await in_kitchen(line, "ann")
    assert await told(ann) == "Welcome, ann; we are clerk, ann"
    await say(ann, "tea?", "1")
    assert await told(ann) == "ann said tea?"
    bob = await in_kitchen(line, "bob")
    assert await told(ann) == "Welcome, bob; we are clerk, ann, bob"
    await bob.client.request(p.Leave(room="kitchen"))
    assert await told(ann) == "Goodbye, bob"


async def test_who_only_chats_declines_calls(host: Host) -> None:
    line = await host(clerk())
    ann = await line.phone("ann")
    await ann.dial("v=0\r\n", "clerk")
    assert (await ann.event(p.Ended)).reason is p.Reason.DECLINED


async def test_what_was_said_while_its_socket_was_away_is_heard(host: Host) -> None:
    line = await host(clerk())
    ann = await in_kitchen(line, "ann")
    await told(ann)
    ws = line.bot.client._ws
    assert ws is not None
    await ws.close()
    await say(ann, "still there?", "1")
    assert await told(ann) == "ann said still there?"


async def test_it_joins_again_in_a_new_session(host: Host) -> None:
    line = await host(clerk())
    ann = await in_kitchen(line, "ann")
    await told(ann)
    line.bot.client._memory.forget()
    ws = line.bot.client._ws
    assert ws is not None
    old = line.bot.client.welcome
    await ws.close()
    await eventually(lambda: line.bot.client.welcome is not old)
    await say(ann, "hello again", "1")
    assert await told(ann) == "ann said hello again"


async def test_one_that_fails_is_logged_and_comes_back(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "PAUSE_FIRST", 0.01)
    made = bots.Bot("clerk")

    @made.room("kitchen")
    async def kitchen(room: bots.Room) -> None:
        async for event in room:
            if isinstance(event, bots.Said):
                if event.text == "trip":
                    raise LookupError("the carpet is loose")
                await room.say("fine")

    line = await host(made)
    ann = await in_kitchen(line, "ann")
    await say(ann, "trip", "1")
    await ann.event(p.Presence)
    while not (await ann.event(p.Presence)).here:
        pass
    await say(ann, "how are you?", "2")
    assert await told(ann) == "fine"
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "the carpet is loose" in str(record.exc_info[1])


async def test_a_room_that_cannot_be_is_said(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    made = bots.Bot("clerk")

    @made.room("")
    async def nowhere(room: bots.Room) -> None:
        raise AssertionError("there is no such room")

    await host(made)
    await eventually(
        lambda: "This cannot be the name of a room" in caplog.text or bool(caplog.text)
    )
    assert "clerk in " in caplog.text


async def test_returning_leaves_the_room(host: Host) -> None:
    made = bots.Bot("clerk")

    @made.room("kitchen")
    async def kitchen(room: bots.Room) -> None:
        async for event in room:
            if isinstance(event, bots.Said):
                return

    line = await host(made)
    ann = await in_kitchen(line, "ann")
    await say(ann, "bye", "1")
    while (gone := await ann.event(p.Presence)).name != "clerk":
        pass
    assert not gone.here


@needs_address
async def test_a_call_may_visit_a_room(host: Host) -> None:
    @bots.bot("herald")
    async def herald(call: bots.Call) -> None:
        async with call.room("kitchen") as room:
            await room.say(f"{call.caller} is calling")
            async with call.room("KITCHEN") as same:
                assert same is room
            await room.say("still here")

    line = await host(herald)
    ann = await line.phone("ann")
    await ann.client.request(p.Join(room="kitchen"))
    bob = await line.phone("bob")
    await bob.talk(line.caller(video=None), "herald")
    assert await told(ann) == "bob is calling"
    assert await told(ann) == "still here"
    while (gone := await ann.event(p.Presence)).here:
        pass
    assert gone.name == "herald"
    assert (await bob.event(p.Ended)).reason is p.Reason.HANGUP


async def test_what_is_refused_is_raised(host: Host) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    made = bots.Bot("clerk")

    @made.room("kitchen")
    async def kitchen(room: bots.Room) -> None:
        try:
            await room.say("x" * (GENEROUS.text + 1))
        except bots.ProtocolError as error:
            said.put_nowait(str(error))

    await host(made)
    async with asyncio.timeout(PATIENCE):
        assert await said.get() == "The text is too long."
