"""Calls between two people: both see and hear each other, and know what the other does."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.person import NewPerson, connected, talking, two
from tests.running import Server


async def test_one_calls_the_other_by_name(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.call("bob")
    await ann.phone_is("calling")
    await expect(ann.page.locator("#phone-status")).to_have_text("Ringing…")
    await expect(ann.page.locator("#phone-peer")).to_have_text("Bob")
    await bob.rung("Ann")
    await expect(bob.page.locator("#phone-status")).to_have_text("is calling you, with a picture")
    await expect(bob.page).to_have_title(re.compile("^Ann is calling"))
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await bob.receives()
    for person in (ann, bob):
        await expect(person.page.locator("#call-timer")).to_have_text(re.compile(r"0:0[1-9]"))
        await expect(person.page.locator("#local-video")).to_be_visible()
    await expect(bob.page).to_have_title("Calls · Ringback")

    await ann.press("Hang up")
    await ann.sees_end("You hung up.")
    await bob.sees_end("Ann hung up.")
    assert (await ann.measure())["connections"] == 0
    assert (await bob.measure())["connections"] == 0
    await bob.press("Back")
    await bob.phone_is("idle")
    records = bob.page.locator("#records li")
    await expect(records).to_contain_text(["Ann"])
    await expect(records).to_contain_text([re.compile(r"Incoming, 0:\d\d")])


async def test_each_sees_what_the_other_turns_off(server: Server, new_person: NewPerson) -> None:
    ann, bob = await talking(server.url, new_person)
    silent = bob.page.locator("#remote-muted")
    dark = bob.page.locator("#remote-camera-off")
    await expect(silent).to_be_hidden()

    mute = ann.button("Mute")
    await mute.click()
    await expect(mute).to_have_attribute("aria-pressed", "true")
    await expect(silent).to_be_visible()
    await mute.click()
    await expect(silent).to_be_hidden()
    await bob.receives()

    camera = ann.button("Camera off")
    await camera.click()
    await expect(camera).to_have_attribute("aria-pressed", "true")
    await expect(dark).to_be_visible()
    await expect(bob.page.locator("#remote-video")).to_be_hidden()
    await expect(ann.page.locator("#local-video")).to_be_hidden()
    await bob.receives(picture=False)
    await camera.click()
    await expect(dark).to_be_hidden()
    await bob.receives()

    await bob.press("Hang up")
    await ann.sees_end("Bob hung up.")


async def test_a_muted_microphone_is_silent(server: Server, new_person: NewPerson) -> None:
    ann, bob = await talking(server.url, new_person)
    await ann.press("Mute")
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
    await bob.hears_nothing()
    await ann.receives()


async def test_call_again(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.page.get_by_role("button", name="Call Bob").click()
    await bob.press("Answer without camera")
    await connected(ann, bob)
    await bob.receives()
    await ann.receives(picture=False)
    await expect(ann.page.locator("#remote-camera-off")).to_be_visible()
    await expect(bob.button("Camera off")).to_have_attribute("aria-pressed", "true")
    await bob.press("Hang up")
    await ann.sees_end("Bob hung up.")
    await ann.press("Call again")
    await bob.rung("Ann")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await ann.press("Hang up")
    await bob.sees_end("Ann hung up.")


async def test_a_call_out_of_a_room(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    # Two windows of one browser are how Ringback is tried first.
    bob = await new_person(server.url, "Bob", beside=ann)
    await ann.join("kitchen")
    await bob.join("kitchen")
    await ann.page.get_by_role("button", name="Call Bob").click()
    await bob.rung("Ann")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await bob.receives()
    await bob.press("Make the call small")
    await bob.say("We can talk and write")
    await expect(ann.stored("We can talk and write")).to_have_count(1)
    await bob.receives()
    await bob.press("Hang up")
    await ann.sees_end("Bob hung up.")
    await ann.press("Back")
    await ann.say("We can")
    await expect(bob.stored("We can")).to_be_attached()


async def test_two_windows_of_one_browser_call_each_other(
    server: Server, new_person: NewPerson
) -> None:
    ann = await new_person(server.url, "Ann")
    bob = await new_person(server.url, "Bob", beside=ann)
    await ann.open_calls()
    await bob.goto("/call/")
    await expect(bob.page.get_by_role("heading", name="You are Ann")).to_be_visible()
    await bob.page.get_by_text("Devices and settings").click()
    await bob.page.get_by_label("Your name").fill("Bob")
    await bob.press("Change name")
    await bob.at_calls()
    await ann.page.reload()
    await ann.at_calls()
    await bob.page.get_by_role("button", name="Call Ann", exact=True).click()
    await ann.rung("Bob")
    await ann.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await bob.receives()
    await bob.press("Hang up")
    await ann.sees_end("Bob hung up.")
