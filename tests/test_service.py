"""What every bot gets: one coroutine is one call; the end of either is the end of both."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback.bots import call as module
from ringback.bots import service
from ringback.bots.call import BotCall
from ringback.bots.media.plane import Plane
from ringback.server import protocol as p
from ringback.server.keys import EXCHANGE
from tests.callers import PATIENCE, mirror_of, needs_address
from tests.clients import eventually
from tests.lines import Line, Start, line, start

__all__ = ["line", "start"]
pytestmark = needs_address


async def test_returning_hangs_up(start: Start) -> None:
    async def handle(call: BotCall) -> None:
        await call.answer()
        await call.connected()

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP
    await line.idle()


async def test_returning_without_an_answer_declines(start: Start) -> None:
    async def handle(call: BotCall) -> None:
        assert call.ring.from_ == "ann"

    line = await start(handle)
    phone = await line.phone("ann")
    await phone.dial(await line.caller(video=None).offer())
    assert (await phone.event(p.Ended)).reason is p.Reason.DECLINED
    await line.idle()


async def test_declining_may_give_a_reason_and_may_come_too_late(start: Start) -> None:
    rings, gone = asyncio.Event(), asyncio.Event()

    async def handle(call: BotCall) -> None:
        rings.set()
        try:
            await call.over()
        finally:
            await call.decline("busy")
            gone.set()

    line = await start(handle)
    phone = await line.phone("ann")
    await phone.dial(await line.caller(video=None).offer())
    await rings.wait()
    await phone.client.request(p.Hangup(call=phone.call))
    assert (await phone.event(p.Ended)).reason is p.Reason.CANCELLED
    async with asyncio.timeout(PATIENCE):
        await gone.wait()
    await line.idle()


async def test_the_other_sides_end_cancels_and_the_bot_may_tidy_up(start: Start) -> None:
    tidied = asyncio.Event()

    async def handle(call: BotCall) -> None:
        await call.answer()
        try:
            await call.over()
        finally:
            # The media is still there: what a bot has to finish it can finish.
            assert call.peer.leg is not None
            assert call.peer.leg.state == "connected"
            await asyncio.sleep(0)
            tidied.set()

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    await phone.hang_up()
    async with asyncio.timeout(PATIENCE):
        await tidied.wait()
    await line.idle()


@pytest.mark.parametrize("answered", [True, False])
async def test_a_bot_that_fails_ends_its_call_as_failed_and_the_next_call_works(
    start: Start, caplog: pytest.LogCaptureFixture, answered: bool
) -> None:
    calls: list[str] = []

    async def handle(call: BotCall) -> None:
        calls.append(call.id)
        first = len(calls) == 1
        if answered or not first:
            await call.answer()
            await call.connected()
        if first:
            raise TimeoutError("the oven was not warm")
        await call.over()

    line = await start(handle)
    phone, caller = await line.phone("ann"), line.caller(video=None)
    await phone.dial(await caller.offer())
    if answered:
        await caller.accept((await phone.event(p.Answered)).description.sdp)
    ended = await phone.event(p.Ended)
    assert ended.reason is (p.Reason.LOST if answered else p.Reason.FAILED)
    assert ended.part == "media"
    await line.idle()
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "the oven was not warm" in str(record.exc_info[1])
    again = line.caller(video=None)
    await phone.talk(again)
    assert await again.hears()


async def test_a_bot_that_fails_while_it_tidies_up_is_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(call: BotCall) -> None:
        await call.answer()
        try:
            await call.over()
        finally:
            raise RuntimeError("the cupboard is full")

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    await phone.hang_up()
    await line.idle()
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert "the cupboard is full" in str(record.exc_info[1])


async def test_a_bot_that_does_not_end_is_left_to_itself(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIDY", 0.05)
    release = asyncio.Event()
    handlers: list[asyncio.Task[None] | None] = []

    async def handle(call: BotCall) -> None:
        handlers.append(asyncio.current_task())
        await call.answer()
        try:
            await call.over()
        finally:
            await release.wait()

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    await phone.hang_up()
    await line.idle()
    assert "its bot does not end" in caplog.text
    release.set()
    [handler] = handlers
    assert handler is not None
    await asyncio.wait((handler,))


async def test_the_bot_is_given_the_plane_before_the_media(start: Start) -> None:
    planes: list[tuple[Plane, int]] = []

    async def handle(call: BotCall) -> None:
        call.on_plane = lambda plane: planes.append((plane, plane.counts.packets))
        await call.answer()
        await call.over()

    line = await start(handle)
    phone, first = await line.talking(audio=None)
    await first.numbers(2)
    [call] = line.bot.calls.values()
    assert planes == [(mirror_of(call.peer), 0)]
    second = line.caller(audio=None)
    await phone.renegotiate(second)
    await second.connected()
    assert planes[1:] == [(mirror_of(call.peer), 0)]


async def test_what_the_caller_sends_is_told(start: Start) -> None:
    told: asyncio.Queue[p.Media] = asyncio.Queue()

    async def handle(call: BotCall) -> None:
        call.on_media = told.put_nowait
        await call.answer()
        await call.over()

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    muted = p.Media(audio=False, video=False)
    await phone.client.request(p.SendMedia(call=phone.call, media=muted))
    async with asyncio.timeout(PATIENCE):
        assert await told.get() == muted
    [call] = line.bot.calls.values()
    assert call.media == muted


async def test_candidates_that_come_before_the_answer_are_kept(start: Start) -> None:
    rings, pick_up = asyncio.Event(), asyncio.Event()

    async def handle(call: BotCall) -> None:
        rings.set()
        await pick_up.wait()
        await call.answer()
        await call.answer()
        await call.over()

    line = await start(handle)
    phone, caller = await line.phone("ann"), line.caller(video=None)
    await phone.dial(await caller.offer())
    for port in (50001, 50002):
        text = f"candidate:1 1 udp 1 192.0.2.77 {port} typ host"
        candidate = p.Candidate(candidate=text, sdp_mid="0", sdp_m_line_index=0)
        await phone.client.request(p.SendCandidate(call=phone.call, candidate=candidate))
    await rings.wait()
    pick_up.set()
    await caller.accept((await phone.event(p.Answered)).description.sdp)
    await caller.connected()
    [call] = line.bot.calls.values()
    there = {c.port for c in mirror_of(call.peer).connection.remote_candidates}
    assert there >= {50001, 50002}


async def test_what_is_no_matter_of_a_call_goes_to_the_bot(line: Line) -> None:
    heard: asyncio.Queue[p.ServerMessage] = asyncio.Queue()
    line.bot._on_event = heard.put_nowait
    await line.bot.client.request(p.Join(room="garden"))
    ann = await line.phone("ann")
    await ann.client.request(p.Join(room="garden"))
    await ann.client.request(p.Chat(room="garden", text="Hello, echo.", cid="1"))
    seen: list[p.ServerMessage] = []
    async with asyncio.timeout(PATIENCE):
        while not seen or not isinstance(seen[-1], p.ChatMessage):
            seen.append(await heard.get())
    assert [type(event) for event in seen] == [p.Presence, p.ChatMessage]


# --- how many calls -------------------------------------------------------------------------


async def capacity(line: Line, **fields: int | bool) -> None:
    """Wait until the exchange knows that the bot takes so many calls."""

    def known() -> bool:
        sessions = line.server.app[EXCHANGE]._registrar._sessions.values()
        said = [s.stored for s in sessions if s.stored.bot and s.line is not None]
        return bool(said) and all(
            getattr(one, name) == value for one in said for name, value in fields.items()
        )

    await eventually(known)


async def test_the_exchange_is_told_how_many_calls_are_taken(start: Start) -> None:
    line = await start(max_calls=7)
    await capacity(line, max_calls=7, accepting=True)
    # A new session has to be told anew.
    old = line.bot.client.welcome
    line.bot.client._memory.forget()
    assert line.bot.client._ws is not None
    await line.bot.client._ws.close()
    await eventually(lambda: line.bot.client.welcome is not old)
    await capacity(line, max_calls=7)


async def test_load_makes_it_busy_and_rest_makes_it_answer(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SAMPLE", 0.01)
    load = [0.2]
    line = await start(max_load=0.8, meter=lambda: load[0])
    first, caller = await line.talking(video=None)
    load[0] = 1.0
    await capacity(line, accepting=False)
    second = await line.phone("bob")
    await second.dial(await line.caller(video=None).offer())
    assert (await second.event(p.Ended)).reason is p.Reason.BUSY
    assert await caller.hears()
    load[0] = 0.1
    await capacity(line, accepting=True)
    await second.talk(line.caller(video=None))


# --- draining -------------------------------------------------------------------------------


async def test_draining_lets_calls_end_by_themselves(start: Start) -> None:
    line = await start()
    phone, caller = await line.talking(video=None)
    draining = asyncio.create_task(line.bot.drain(PATIENCE))
    await capacity(line, accepting=False)
    other = await line.phone("bob")
    await other.dial(await line.caller(video=None).offer())
    assert (await other.event(p.Ended)).reason is p.Reason.BUSY
    assert await caller.hears()
    assert not draining.done()
    await phone.hang_up()
    async with asyncio.timeout(PATIENCE):
        await draining
    assert line.bot.calls == {}


async def test_draining_hangs_up_what_does_not_end(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    tidied = asyncio.Event()

    async def handle(call: BotCall) -> None:
        await call.answer()
        try:
            await call.over()
        finally:
            tidied.set()

    line = await start(handle)
    phone, _ = await line.talking(video=None)
    await line.bot.drain(0.05)
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP
    assert tidied.is_set()
    assert line.bot.calls == {}
    assert "Hanging up 1 calls" in caplog.text
