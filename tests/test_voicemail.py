"""Voicemail, called by real peers: what it keeps is decoded, what it plays is heard."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import av
import pytest

from ringback.bots import announcements
from ringback.bots.announcements import BEEP_PITCH
from ringback.bots.media.record import RecordLimits
from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.keys import EXCHANGE
from tests.callers import PATIENCE, needs_address
from tests.mailboxes import NewBox, new_box
from tests.marked import play

__all__ = ["new_box"]
pytestmark = needs_address


def moments(path: Path) -> list[float]:
    """When (s) each packet of a file is to be heard."""
    with av.open(str(path)) as container:
        [stream] = container.streams
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        return [float(packet.pts * packet.time_base) for packet in packets]  # type: ignore[operator]


async def test_a_message_is_said_heard_again_said_anew_and_sent(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, talk = await box.begun()
    await talk.hear(BEEP_PITCH)
    await talk.says(1.5)
    talk.do("listen")
    await talk.until("playing")
    assert await talk.caller.hears()
    talk.do("redo")
    recorded = await talk.says(2.5)
    assert recorded["seconds"] >= 2.5
    talk.do("send")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).unheard == 1
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP
    [message] = await box.messages()
    assert message.seconds == recorded["seconds"]
    found = play(box.file(message.id), talk.caller.stream)
    assert found.sounds
    at = moments(box.file(message.id))
    assert found.seconds == pytest.approx(len(at) / 50)
    # From the first packet to the last, none is missing.
    assert message.seconds == pytest.approx((len(at) - 1) / 50, abs=0.011)
    # A report of the sender may move what follows it; all else lies where it was said.
    steps = [later - earlier for earlier, later in itertools.pairwise(at)]
    moved = sum(step - 0.02 for step in steps if abs(step - 0.02) > 0.0015)
    assert at[-1] - at[0] == pytest.approx(message.seconds + moved, abs=0.02)
    await box.idle()


async def test_hanging_up_sends_what_was_said(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, talk = await box.begun()
    await talk.until("recording", 1.25)
    await ann.hang_up()
    assert (await bob.event(p.VoicemailChange)).unheard == 1
    [message] = await box.messages()
    assert message.seconds >= 1.25
    assert play(box.file(message.id), talk.caller.stream).sounds


async def test_a_greeting_of_ones_own_is_heard_by_the_next_caller(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = greeter = await box.dial(bob, greeting=True)
    assert (await talk.until("recording"))["most"] == 30
    await talk.says(2.0)
    talk.do("send")
    await talk.until("sent")
    await bob.event(p.Ended)
    assert await box.messages() == []
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    assert await talk.caller.hears(greeter.caller.stream)
    await ann.hang_up()
    await box.idle()


async def test_the_usual_greeting_is_heard_to_its_end(new_box: NewBox) -> None:
    box = await new_box()
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    began = asyncio.get_running_loop().time()
    await talk.until("recording")
    seconds = asyncio.get_running_loop().time() - began
    with av.open(str(announcements.GREETING)) as greeting:
        assert greeting.duration is not None
        assert seconds >= greeting.duration / 1e6
    await ann.hang_up()


async def test_without_room_the_caller_is_told(new_box: NewBox) -> None:
    box = await new_box(RecordLimits(free=2**62))
    ann, _, talk = await box.begun()
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
    ann, _, talk = await box.begun()
    await talk.until("recording", 1.0)
    talk.do("send")
    async with asyncio.timeout(PATIENCE):
        while (state := (await talk.states.get())["state"]) != "failed":
            assert state != "sent"
    assert (await ann.event(p.Ended)).reason is p.Reason.LOST
    assert await box.messages() == []


async def test_a_message_ends_at_its_longest(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.server.voicemails.LONGEST", 1.5)
    monkeypatch.setattr("ringback.bots.leftovers.LEAST", 0.1)
    box = await new_box()
    ann, _, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    talk.do("stop")
    await talk.until("recorded")
    talk.do("discard")
    await ann.event(p.Ended)
