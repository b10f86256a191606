"""What a caller of voicemail can do, by the channel of a page and by the keys of a telephone."""

from __future__ import annotations

import pytest

from ringback.bots import attendant
from ringback.bots.announcements import BEEP_PITCH
from ringback.server import protocol as p
from tests.callers import needs_address
from tests.clients import eventually
from tests.mailboxes import Box, NewBox, new_box

__all__ = ["new_box"]
pytestmark = needs_address
NEVER = 3600.0


def least(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a message be too short below so many seconds, however slow the machine is."""
    monkeypatch.setattr("ringback.bots.leftovers.LEAST", seconds)


def kept(box: Box) -> list[str]:
    """The folders of messages."""
    folder = box.service.voicemail.folder
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


async def test_what_is_recorded_is_counted_as_it_comes(new_box: NewBox) -> None:
    box = await new_box()
    ann, _, talk = await box.begun()
    assert (await talk.until("recording"))["seconds"] == 0
    counted = [(await talk.until("recording"))["seconds"] for _ in range(4)]
    assert all(later - before >= 0.24 for before, later in zip(counted, counted[1:], strict=False))
    talk.do("stop")
    assert (await talk.until("recorded"))["seconds"] >= counted[-1]
    await ann.hang_up()
    await box.idle()


async def test_what_is_too_short_is_said_to_be_and_said_anew(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    least(monkeypatch, NEVER)
    box = await new_box()
    _, bob, talk = await box.begun()
    await talk.until("recording")
    talk.do("stop")
    await talk.until("too_short")
    for nothing_there in ("send", "listen", "stop"):
        talk.do(nothing_there)
        await talk.until("too_short")
    least(monkeypatch, 1.0)
    talk.do("redo")
    recorded = await talk.says(1.0)
    talk.do("send")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1
    [message] = await box.messages()
    assert message.seconds == recorded["seconds"]


@pytest.mark.parametrize("how", ["discard", "hang up", "wait"])
async def test_what_was_too_short_leaves_nothing(
    new_box: NewBox, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    least(monkeypatch, NEVER)
    monkeypatch.setattr(attendant, "PATIENCE", 0.2 if how == "wait" else 60.0)
    box = await new_box()
    ann, _, talk = await box.begun()
    await talk.until("recording", 0.25)
    talk.do("stop")
    assert (await talk.until("too_short"))["seconds"] >= 0.25
    if how == "hang up":
        await ann.hang_up()
    else:
        if how == "discard":
            talk.do("discard")
        assert (await talk.until("discarded"))["seconds"] == 0
        await ann.event(p.Ended)
    await box.idle()
    assert await box.messages() == []
    assert kept(box) == []


async def test_a_message_is_discarded_in_the_middle(new_box: NewBox) -> None:
    box = await new_box()
    ann, _, talk = await box.begun()
    await talk.until("recording", 1.25)
    talk.do("discard")
    await talk.until("discarded")
    await ann.event(p.Ended)
    await box.idle()
    assert await box.messages() == []
    assert kept(box) == []


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_call_that_its_bot_ends_leaves_what_was_said(
    new_box: NewBox, stopped: bool
) -> None:
    """A process that ends hangs up: in the middle of a sentence, or after it."""
    box = await new_box()
    ann, bob, talk = await box.begun()
    if stopped:
        await talk.says(1.0)
    else:
        await talk.until("recording", 1.25)
    [call] = box.service.calls.values()
    call.hang_up()
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP
    [message] = await box.messages()
    assert message.cut == (not stopped)
    assert message.seconds >= 1.0
    await box.idle()


async def test_who_says_nothing_more_has_sent(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendant, "PATIENCE", 0.2)
    box = await new_box()
    _, bob, talk = await box.begun()
    await talk.until("recording", 1.0)
    talk.do("nonsense")
    talk.do("stop")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1


async def test_the_keys_of_a_telephone_do_it_too(new_box: NewBox) -> None:
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, after=missed)
    await talk.until("greeting")
    box.press("#")
    await talk.until("recording", 1.0)
    box.press("5")
    box.press("#")
    await talk.until("recorded")
    box.press("1")
    await talk.until("playing")
    box.press("2")
    await talk.until("recording", 1.0)
    box.press("#")
    await talk.until("recorded")
    box.press("#")
    await talk.until("sent")
    assert (await bob.event(p.VoicemailChange)).total == 1


async def test_who_has_no_page_hears_that_it_was_too_short(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    least(monkeypatch, NEVER)
    box = await new_box()
    ann, bob, missed = await box.declined()
    talk = await box.dial(ann, page=False, after=missed)
    await talk.hear_words()
    box.press("#")
    await talk.hear(BEEP_PITCH)
    box.press("#")
    await talk.hear_words()
    least(monkeypatch, 0.1)
    box.press("2")
    await talk.hear(BEEP_PITCH)
    # Nothing is in the file before it was held back for longer than that.
    await eventually(lambda: any(box.files.glob("*/*/1.webm")))
    await ann.hang_up()
    assert (await bob.event(p.VoicemailChange)).total == 1
