"""Calls from a page to the bot that sends back what it gets, through a real `ringback serve`."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.person import NewPerson, connected
from tests.callers import needs_address


@needs_address
async def test_echo_returns_picture_and_sound(exchange: str, new_person: NewPerson) -> None:
    ann = await new_person(exchange, "Ann")
    await ann.open_calls()
    row = ann.page.locator('#contacts li[data-name="echo"]')
    await expect(row).to_contain_text("bot")
    await row.get_by_role("button", name="Call echo").click()
    await connected(ann)
    await ann.receives()
    await ann.press("Mute")
    await ann.hears_nothing()
    await ann.press("Mute")
    await ann.receives()
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")
    assert (await ann.measure())["connections"] == 0


@needs_address
async def test_test_my_setup(exchange: str, new_person: NewPerson) -> None:
    ben = await new_person(exchange, "Ben")
    await ben.goto("/")
    await ben.page.get_by_role("button", name="Test my setup").click()
    await ben.page.get_by_label("Your name").fill("Ben")
    await ben.button("Go to calls").click()
    await ben.at_calls()
    await expect(ben.dial).to_have_value("echo")
    await ben.press("Call")
    await connected(ben)
    await ben.receives()
    await ben.page.reload()
    await ben.sees_end("Loading the page again ended the call with echo.")
    await ben.press("Call again")
    await connected(ben)
    await ben.receives()
    await ben.press("Hang up")
    await ben.press("Back")
    await expect(ben.page.locator("#records li").first).to_contain_text("echo")


@needs_address
async def test_echo_without_a_camera(exchange: str, new_person: NewPerson) -> None:
    cat = await new_person(exchange, "Cat")
    await cat.open_calls()
    await cat.page.get_by_label("Use my camera in calls").uncheck()
    await cat.call("echo")
    await connected(cat)
    await cat.receives(picture=False)
    await cat.press("Camera off")
    await cat.receives()
