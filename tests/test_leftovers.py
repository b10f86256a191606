"""Messages whose bot died, or whose exchange did not listen: they reach their people."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import av
import psutil
import pytest

from ringback.bots import leftovers
from ringback.bots.leftovers import MARK
from ringback.server import protocol as p
from ringback.server.engine.base import EngineError
from ringback.server.keys import EXCHANGE
from tests.callers import Caller, Sounds, needs_address
from tests.clients import eventually
from tests.mailboxes import NewBox, Town, new_box
from tests.marked import play
from tests.process import Process, running
from tests.rivals import rivals_at

__all__ = ["new_box"]
pytestmark = needs_address
BRIEF = 10
"""Packets of sound that are far less than a second."""


class Brief(Sounds):
    """Sound that soon ends for good."""

    async def recv(self) -> av.AudioFrame:
        if self._sent >= BRIEF * 960:
            await asyncio.Event().wait()
        return await super().recv()


class Shop(Town):
    """A `ringback serve` whose bots may die."""

    def __init__(self, process: Process, data: Path, stack: AsyncExitStack) -> None:
        super().__init__(process.url, stack)
        self.process = process
        self.data = data

    def bots(self) -> list[psutil.Process]:
        """The processes of its bots that live."""
        return [child for child in self.process.children() if "ringback.bots" in child.cmdline()]

    def kill(self) -> None:
        """End the bots as if by the kernel."""
        [bots] = self.bots()
        bots.kill()

    async def tidied(self) -> None:
        """Wait until the bots that are started next have cleared up."""
        await eventually(lambda: not list(self.data.glob("voicemail/*")), patience=60)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with running("--data", str(tmp_path)) as process, AsyncExitStack() as stack:
        await process.until("Bots on the line: .*voicemail")
        yield Shop(process, tmp_path, stack)


async def test_a_message_outlives_the_process_that_recorded_it(shop: Shop) -> None:
    ann, bob, talk = await shop.begun()
    # What came last had not been written yet.
    await talk.until("recording", 6.0)
    shop.kill()
    change = await bob.event(p.VoicemailChange)
    assert (change.unheard, change.total) == (1, 1)
    ended = await ann.event(p.Ended)
    assert ended.reason is p.Reason.LOST
    assert ended.message.endswith("What you said until then is sent to bob.")
    text = await shop.read("bob")
    assert "It breaks off" in text
    found = re.search(r"/voicemail/(\w+)/(1\.webm)", text)
    assert found is not None
    folder = shop.data / "voicemail" / found[1]
    played = play(folder / found[2], talk.caller.stream)
    assert 1 <= played.seconds < 10
    assert played.sounds
    await eventually(lambda: not (folder / MARK).exists(), patience=60)


async def test_what_was_too_short_when_it_broke_off_is_not_sent(shop: Shop) -> None:
    caller = Caller(audio=None, video=None)
    caller.add(Brief(), "opus")
    ann, _, talk = await shop.begun(caller=caller)
    await talk.until("recording")
    shop.kill()
    ended = await ann.event(p.Ended)
    assert ended.reason is p.Reason.LOST
    assert ended.message.endswith("Nothing was sent.")
    assert "No messages" in await shop.read("bob")
    await shop.tidied()


async def test_half_a_greeting_greets_nobody(shop: Shop) -> None:
    _, bob, missed = await shop.declined()
    assert missed
    talk = await shop.dial(bob, greeting=True)
    await talk.until("recording", 6.0)
    shop.kill()
    assert (await bob.event(p.Ended)).message.endswith("Your greeting is not saved.")
    assert "the usual greeting" in await shop.read("bob")
    await shop.tidied()


def test_a_folder_goes_whoever_else_removes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "message"
    folder.mkdir()
    for name in (MARK, "1.webm", "recording.json"):
        (folder / name).touch()
    rivals_at(monkeypatch, 2)
    leftovers.remove(folder)
    assert not folder.exists()
    leftovers.remove(folder)


async def test_what_the_exchange_did_not_take_is_told_again(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leftovers, "AGAIN", 0.1)
    box = await new_box()
    voicemails = box.server.app[EXCHANGE].voicemails
    tell, refused = voicemails.tell, 0

    async def moody(*arguments: object) -> None:
        nonlocal refused
        refused += 1
        if refused < 4:
            raise EngineError("the disk is full")
        await tell(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(voicemails, "tell", moody)
    ann, bob, talk = await box.begun()
    await talk.until("recording", 1.25)
    await ann.hang_up()
    assert (await bob.event(p.VoicemailChange)).total == 1
    [message] = await box.messages()
    assert message.seconds >= 1
    assert not message.cut
    assert "The exchange does not take the message" in caplog.text
    await eventually(lambda: not (box.file(message.id).parent / MARK).exists())


async def test_what_cannot_be_read_is_left_alone(
    new_box: NewBox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leftovers, "AGAIN", 0.1)
    box = await new_box()
    folder = box.service.voicemail.folder / "odd"
    folder.mkdir(parents=True)
    (folder / "recording.json").write_text("{")
    leftovers.mark(folder)
    box.service.voicemail.leftovers.add(folder)
    await eventually(lambda: caplog.text.count("cannot be finished") >= 2)
    (folder / "recording.json").unlink()
    (folder / MARK).unlink()
    folder.rmdir()
    await eventually(lambda: not box.service.voicemail.leftovers.waiting)
