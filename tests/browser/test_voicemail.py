"""Voicemail as people use it: leaving a message, hearing it, the greeting; with the real bot."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from ringback.server.keys import EXCHANGE
from tests.browser.person import NewPerson, Person
from tests.browser.test_access import everything_has_a_name, one_page, tab_to
from tests.browser.test_recordings_page import seated
from tests.callers import needs_address
from tests.clients import eventually
from tests.process import running
from tests.running import Server
from tests.tapes import START, leave

ID = "0123456789abcdef"


class Line:
    """A `ringback serve` with its bots, and its data folder."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data

    def files(self) -> list[Path]:
        """The files of all messages and greetings."""
        return sorted(self.data.glob("voicemail/*/1.*"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """The real server with the real bot."""
    data = tmp_path_factory.mktemp("voicemail")
    async with running("--data", str(data)) as process:
        await process.until("Bots on the line: .*voicemail")
        yield Line(process.url.rstrip("/"), data)


def stage(person: Person) -> Locator:
    """Where a message is left."""
    return person.page.locator("#voicemail")


async def voicemail_is(person: Person, state: str) -> None:
    """Wait until the call to voicemail is in a state."""
    await expect(stage(person)).to_have_attribute("data-voicemail-state", state)


async def read_aloud(person: Person, words: str) -> None:
    """Wait until something is said to screen readers in the dialogue of voicemail."""
    await expect(person.page.locator("#voicemail > [data-announcer]")).to_have_text(words)


def badge(person: Person) -> Locator:
    """How many new messages the link to voicemail shows."""
    return person.page.locator("a[data-voicemail] .badge")


async def says(person: Person, seconds: int) -> None:
    """Wait until so much (s) has been recorded."""
    await voicemail_is(person, "recording")
    await person.page.wait_for_function(
        "least => document.querySelector('#voicemail-progress').value >= least", arg=seconds
    )


def loudest(path: Path) -> int:
    """The largest sample of a file with sound."""
    loud = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", 48_000)
        for frame in container.decode(audio=0):
            for plain in resampler.resample(frame):
                wave = array("h", bytes(plain.planes[0])[: plain.samples * 2])
                loud = max(loud, *map(abs, wave))
    return loud


async def declined(line: Line, new_person: NewPerson, number: str) -> tuple[Person, Person]:
    """Ann has called Bob, who has declined; both with a number: names are held for a while."""
    ann = await new_person(line.url, f"Ann{number}")
    bob = await new_person(line.url, f"Bob{number}")
    await ann.open_calls()
    await bob.open_calls()
    await ann.call(bob.name)
    await bob.rung(ann.name)
    await bob.press("Decline")
    await ann.phone_is("ended")
    return ann, bob


# --- the page


async def with_messages(server: Server, new_person: NewPerson) -> Person:
    """Bob, for whom Ann and Carol left messages; the one of Carol he has heard."""
    bob, user = await seated(server, new_person, name="Bob")
    await leave(server, ID, user)
    await leave(server, "heard", user, by="Carol", heard=True, at=START + 1)
    await bob.goto("/voicemail/")
    await bob.online()
    return bob


async def test_one_gets_there_and_nothing_is_there_yet(
    server: Server, new_person: NewPerson
) -> None:
    bob, _ = await seated(server, new_person, name="Bob")
    await bob.page.get_by_role("link", name="Voicemail").click()
    await expect(bob.page.get_by_role("heading", name="No messages")).to_be_visible()
    await one_page(bob, "Voicemail")
    assert await everything_has_a_name(bob) >= 6


async def test_played_in_place_and_new_no_longer(server: Server, new_person: NewPerson) -> None:
    bob = await with_messages(server, new_person)
    other = await new_person(server.url, "Bob", beside=bob)
    await other.goto("/call/?as=Bob")
    await other.at_calls()
    await expect(other.page.get_by_role("link", name="Voicemail, 1 new")).to_be_visible()
    row = bob.page.locator(f"#m-{ID}")
    await expect(row).to_contain_text("New")
    assert await row.locator(".who-name").evaluate("e => getComputedStyle(e).fontWeight") == "700"
    await expect(bob.page.locator("#m-heard")).not_to_contain_text("New")
    assert await everything_has_a_name(bob) >= 10
    await row.locator("audio").evaluate("audio => audio.play()")
    await bob.page.wait_for_function(
        "id => document.querySelector(`#m-${id} audio`).currentTime > 0.3", arg=ID
    )
    await expect(row).not_to_contain_text("New")
    await expect(badge(other)).to_be_hidden()
    await expect(other.page.get_by_role("link", name="Voicemail", exact=True)).to_be_visible()
    # Of two messages only one is heard.
    await bob.page.locator("#m-heard audio").evaluate("audio => audio.play()")
    assert await row.locator("audio").evaluate("audio => audio.paused")


async def test_deleting_asks_first(server: Server, new_person: NewPerson) -> None:
    bob = await with_messages(server, new_person)
    delete = bob.page.get_by_role("button", name="Delete the message of Ann")
    await delete.click()
    await one_page(bob, "Delete a message")
    assert await everything_has_a_name(bob) >= 3
    await bob.page.get_by_role("button", name="Keep it").click()
    await delete.click()
    await bob.press("Delete")
    await expect(bob.page.locator(".note")).to_contain_text("The message is deleted.")
    await expect(bob.page.locator(".message-row")).to_have_count(1)


async def test_off_and_on(server: Server, new_person: NewPerson) -> None:
    bob = await with_messages(server, new_person)
    switch = bob.page.get_by_role("switch", name="Callers can leave a message")
    await expect(switch).to_be_checked()
    async with bob.page.expect_response("**/voicemail/settings*") as answer:
        await switch.uncheck()
    assert (await answer.value).status == 204
    await expect(bob.page.locator("body > [data-announcer]")).to_have_text(
        "Callers cannot leave a message."
    )
    await bob.page.reload()
    await expect(switch).not_to_be_checked()


async def test_a_new_one_shows_at_once_and_stops_nothing(
    server: Server, new_person: NewPerson
) -> None:
    bob, user = await seated(server, new_person, name="Bob")
    await leave(server, ID, user, heard=True)
    await bob.goto("/voicemail/")
    await bob.online()
    tell_owner = server.app[EXCHANGE].voicemails.tell_owner
    sound = bob.page.locator(f"#m-{ID} audio")
    await sound.evaluate("audio => { audio.loop = true; return audio.play(); }")
    await leave(server, "new", user, by="Dan", at=START + 1)
    await tell_owner(user, "bob")
    await expect(bob.page.locator(".message-row").first).to_contain_text("Dan")
    await expect(bob.page.locator(".note")).to_contain_text("You have a new message.")
    assert not await sound.evaluate("audio => audio.paused")
    await sound.evaluate("audio => audio.pause()")
    await server.app[EXCHANGE].voicemails.delete(user, ID)
    await expect(bob.page.locator(".message-row")).to_have_count(1)


async def test_one_calls_back(server: Server, new_person: NewPerson) -> None:
    bob = await with_messages(server, new_person)
    await bob.page.get_by_role("button", name="Call Ann back").click()
    await expect(bob.dial).to_have_value("Ann")


# --- leaving one


@needs_address
async def test_left_after_a_decline_and_heard(line: Line, new_person: NewPerson) -> None:
    before = set(line.files())
    ann, bob = await declined(line, new_person, "1")
    await ann.press("Leave a message")
    await expect(stage(ann).get_by_role("heading")).to_have_text("A message for Bob1")
    await voicemail_is(ann, "greeting")
    await read_aloud(ann, "This is the greeting of Bob1. Speak after the tone.")
    assert await everything_has_a_name(ann) >= 2
    await ann.press("Skip to the tone")
    await says(ann, 2)
    await expect(stage(ann)).to_contain_text("of 3:00")
    await ann.press("Stop")
    await voicemail_is(ann, "recorded")
    await expect(ann.button("Send")).to_be_focused()
    await ann.press("Listen")
    await voicemail_is(ann, "playing")
    await ann.press("Send")
    await voicemail_is(ann, "sent")
    await read_aloud(ann, "Your message is sent to Bob1.")
    await expect(badge(bob)).to_be_visible()
    await expect(bob.page.locator(".note")).to_contain_text("You have a new message.")
    await ann.press("Back")
    await expect(stage(ann)).to_be_hidden()
    [made] = set(line.files()) - before
    assert await asyncio.to_thread(loudest, made) > 1000
    await bob.page.get_by_role("link", name="Voicemail, 1 new").click()
    row = bob.page.locator(".message-row")
    await expect(row.get_by_role("heading")).to_have_text("Ann1 New")
    await row.locator("audio").evaluate("audio => audio.play()")
    await bob.page.wait_for_function("() => document.querySelector('main audio').currentTime > 1")
    await expect(row).not_to_contain_text("New")


@needs_address
async def test_hanging_up_by_leaving_the_page_sends(line: Line, new_person: NewPerson) -> None:
    ann, bob = await declined(line, new_person, "2")
    await ann.press("Leave a message")
    await ann.press("Skip to the tone")
    await says(ann, 2)
    shown = await badge(bob).inner_text()
    await ann.page.reload()
    await expect(badge(bob)).not_to_have_text(shown)


@needs_address
async def test_discarded_by_keyboard(line: Line, new_person: NewPerson) -> None:
    before = line.files()
    ann, _ = await declined(line, new_person, "3")
    await tab_to(ann, ann.button("Leave a message"))
    await ann.page.keyboard.press("Enter")
    await voicemail_is(ann, "greeting")
    await expect(ann.button("Skip to the tone")).to_be_focused()
    await ann.page.keyboard.press("Enter")
    await says(ann, 1)
    await ann.page.keyboard.press("Escape")
    await voicemail_is(ann, "recorded")
    await tab_to(ann, ann.button("Record again"))
    await ann.page.keyboard.press("Enter")
    await says(ann, 1)
    await tab_to(ann, ann.button("Discard"))
    await ann.page.keyboard.press("Enter")
    await voicemail_is(ann, "discarded")
    await read_aloud(ann, "Nothing was sent.")
    await ann.page.keyboard.press("Escape")
    await expect(stage(ann)).to_be_hidden()
    await eventually(lambda: line.files() == before)


@needs_address
async def test_refused_in_words(line: Line, new_person: NewPerson) -> None:
    ann, bob = await declined(line, new_person, "4")
    await bob.page.get_by_role("link", name="Voicemail").click()
    async with bob.page.expect_response("**/voicemail/settings*"):
        await bob.page.get_by_role("switch").uncheck()
    await ann.press("Leave a message")
    await voicemail_is(ann, "over")
    await expect(stage(ann)).to_contain_text("Bob4 takes no messages.")
    await ann.press("Back")
    async with bob.page.expect_response("**/voicemail/settings*"):
        await bob.page.get_by_role("switch").check()


@needs_address
async def test_a_greeting_of_one_s_own(line: Line, new_person: NewPerson) -> None:
    bob = await new_person(line.url, "Robert")
    await bob.open_calls()
    await bob.page.get_by_role("link", name="Voicemail").click()
    await bob.online()
    await bob.press("Record your own")
    await expect(stage(bob).get_by_role("heading")).to_have_text("Your greeting")
    await says(bob, 1)
    await expect(stage(bob)).to_contain_text("of 0:30")
    await bob.press("Stop")
    await bob.press("Save")
    await voicemail_is(bob, "sent")
    await read_aloud(bob, "Your greeting is saved.")
    await expect(bob.page.locator("#greeting")).to_contain_text("your own greeting")
    await bob.press("Back")
    await bob.page.locator("#greeting audio").evaluate("audio => audio.play()")
    await bob.page.wait_for_function(
        "() => document.querySelector('#greeting audio').currentTime > 0.5"
    )
    await bob.press("Back to the usual one")
    await expect(bob.page.locator("#greeting")).to_contain_text("the usual greeting")


@needs_address
async def test_who_is_called_meanwhile_answers_and_has_sent(
    line: Line, new_person: NewPerson
) -> None:
    ann, bob = await declined(line, new_person, "5")
    await ann.press("Leave a message")
    await ann.press("Skip to the tone")
    await says(ann, 2)
    shown = await badge(bob).inner_text()
    await bob.call(ann.name)
    await ann.rung(bob.name)
    await ann.press("Answer")
    await ann.phone_is("connected")
    await expect(stage(ann)).to_be_hidden()
    await expect(badge(bob)).not_to_have_text(shown)
    await ann.press("Hang up")
