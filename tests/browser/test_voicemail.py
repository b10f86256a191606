"""Leaving messages and recording a greeting, in Chromium and with the real bot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.person import NewPerson, Person
from tests.browser.test_access import everything_has_a_name, tab_to
from tests.browser.voicemail import (
    Line,
    badge,
    both,
    declined,
    plays,
    read_aloud,
    says,
    serving,
    stage,
    voicemail_is,
)
from tests.callers import needs_address
from tests.clients import eventually
from tests.marked import play

pytestmark = needs_address
STOP_AT_ONCE = """
() => {
  const stage = document.querySelector("#voicemail");
  new MutationObserver((_, observer) => {
    if (stage.dataset.voicemailState !== "recording") return;
    observer.disconnect();
    stage.querySelector("[data-do=stop]").click();
  }).observe(stage, { attributeFilter: ["data-voicemail-state"] });
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """The real server with the real bot."""
    async with serving(tmp_path_factory.mktemp("voicemail")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def brisk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """The same, where telephones ring, and names are held, for a short while."""
    data = tmp_path_factory.mktemp("brisk")
    async with serving(data, "--ring", "5", "--hold", "1") as made:
        yield made


async def leaves(ann: Person, bob: Person, why: str) -> None:
    """Ann, who was told why Bob does not answer, leaves a message."""
    await ann.sees_end(why)
    await ann.press("Leave a message")
    await expect(stage(ann).get_by_role("heading")).to_have_text(f"A message for {bob.name}")
    await ann.press("Skip to the tone")
    await says(ann, 1)
    await ann.press("Stop")
    await ann.press("Send")
    await voicemail_is(ann, "sent")
    await ann.press("Back")


async def test_declined_to_deleted(line: Line, new_person: NewPerson) -> None:
    """The whole way of a message."""
    before = set(line.files())
    ann, bob = await declined(line, new_person, "1")
    await ann.press("Leave a message")
    await expect(stage(ann).get_by_role("heading")).to_have_text("A message for Bob1")
    await voicemail_is(ann, "greeting")
    await read_aloud(ann, "This is the greeting of Bob1. Speak after the tone.")
    assert await everything_has_a_name(ann) >= 2
    await ann.press("Skip to the tone")
    await says(ann, 1)
    await expect(stage(ann)).to_contain_text("of 3:00")
    await ann.press("Stop")
    await voicemail_is(ann, "recorded")
    await expect(ann.button("Send")).to_be_focused()
    await ann.press("Listen")
    await voicemail_is(ann, "playing")
    await ann.press("Record again")
    await says(ann, 2)
    await ann.press("Stop")
    await voicemail_is(ann, "recorded")
    await ann.press("Send")
    await voicemail_is(ann, "sent")
    await read_aloud(ann, "Your message is sent to Bob1.")
    await expect(badge(bob)).to_be_visible()
    await expect(bob.page.locator(".note")).to_contain_text("You have a new message.")
    await ann.press("Back")
    await expect(stage(ann)).to_be_hidden()
    [made] = set(line.files()) - before
    assert (await asyncio.to_thread(play, made)).loudest > 0.03
    await bob.page.get_by_role("link", name="Voicemail, 1 new").click()
    row = bob.page.locator(".message-row")
    await expect(row.get_by_role("heading")).to_have_text("Ann1 New")
    await plays(bob, 1)
    await expect(row).not_to_contain_text("New")
    await bob.page.get_by_role("button", name="Call Ann1 back").click()
    await bob.at_calls()
    await bob.press("Call")
    await ann.rung("Bob1")
    await ann.press("Answer")
    await bob.phone_is("connected")
    await ann.press("Hang up")
    await bob.phone_is("ended")
    await bob.press("Back")
    await bob.page.get_by_role("link", name="Voicemail", exact=True).click()
    await bob.page.get_by_role("button", name="Delete the message of Ann1").click()
    await bob.press("Delete")
    await expect(bob.page.get_by_role("heading", name="No messages")).to_be_visible()
    await eventually(lambda: set(line.files()) == before)


async def test_left_where_nobody_answered(brisk: Line, new_person: NewPerson) -> None:
    ann, bob = await both(brisk, new_person, "7")
    await ann.call(bob.name)
    await leaves(ann, bob, "Bob7 did not answer.")
    await expect(bob.page.get_by_role("link", name="Voicemail, 1 new")).to_be_visible()


async def test_left_where_somebody_else_was_first(line: Line, new_person: NewPerson) -> None:
    ann, bob = await both(line, new_person, "8")
    cat = await new_person(line.url, "Cat8")
    await cat.open_calls()
    await cat.call(bob.name)
    await bob.rung(cat.name)
    await ann.call(bob.name)
    await leaves(ann, bob, "Bob8 is in another call.")
    await bob.press("Decline")
    await expect(bob.page.get_by_role("link", name="Voicemail, 1 new")).to_be_visible()


async def test_left_for_who_is_away_and_seen_on_coming_back(
    brisk: Line, new_person: NewPerson
) -> None:
    ann, bob = await both(brisk, new_person, "9")
    await bob.page.close()
    await ann.page.wait_for_function("name => !document.body.innerText.includes(name)", arg="Bob9")
    await ann.call(bob.name)
    await leaves(ann, bob, "Bob9 is not here right now.")
    back = await new_person(brisk.url, bob.name, beside=bob)
    await back.goto("/call/")
    await back.at_calls()
    await back.page.get_by_role("link", name="Voicemail, 1 new").click()
    await expect(back.page.locator(".message-row")).to_contain_text("Ann9")
    await plays(back, 0.5)


async def test_what_is_too_short_is_said_to_be(line: Line, new_person: NewPerson) -> None:
    before = line.files()
    ann, _ = await declined(line, new_person, "6")
    await ann.press("Leave a message")
    await voicemail_is(ann, "greeting")
    await ann.page.evaluate(STOP_AT_ONCE)
    await ann.press("Skip to the tone")
    await voicemail_is(ann, "too_short")
    await read_aloud(ann, "That was too short to be a message.")
    await expect(ann.button("Record again")).to_be_focused()
    await expect(ann.button("Send")).to_be_hidden()
    assert await everything_has_a_name(ann) >= 2
    await ann.page.keyboard.press("Escape")
    await voicemail_is(ann, "too_short")
    await ann.page.keyboard.press("Enter")
    await says(ann, 1)
    await ann.press("Stop")
    await voicemail_is(ann, "recorded")
    await ann.press("Discard")
    await voicemail_is(ann, "discarded")
    await eventually(lambda: line.files() == before)


async def test_hanging_up_by_leaving_the_page_sends(line: Line, new_person: NewPerson) -> None:
    ann, bob = await declined(line, new_person, "2")
    await ann.press("Leave a message")
    await ann.press("Skip to the tone")
    await says(ann, 2)
    shown = await badge(bob).inner_text()
    await ann.page.reload()
    await expect(badge(bob)).not_to_have_text(shown)


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
    await plays(bob, 0.5, "#greeting audio")
    await bob.press("Back to the usual one")
    await expect(bob.page.locator("#greeting")).to_contain_text("the usual greeting")


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
