"""Calls that are not answered, or not by whom one thinks; each side reads why."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

from tests.browser.person import NewPerson, Person, connected, two
from tests.conftest import Serve
from tests.running import Server


async def test_declined(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.call("Bob")
    await bob.rung("Ann")
    await bob.press("Decline")
    await ann.sees_end("Bob declined the call.")
    await bob.phone_is("idle")
    await expect(ann.button("Call again")).to_be_visible()


async def test_not_answered(serve: Serve, new_person: NewPerson) -> None:
    ann, bob = await two((await serve(ring=2.0)).url, new_person)
    await ann.call("Bob")
    await bob.rung("Ann")
    await ann.sees_end("Bob did not answer.")
    await bob.phone_is("idle")
    await expect(bob.page.locator("#notes")).to_contain_text("You missed a call from Ann.")
    await expect(bob.page.locator("#records li")).to_contain_text("Missed")


async def test_given_up(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.call("Bob")
    await bob.rung("Ann")
    await ann.press("Hang up")
    await ann.sees_end("You cancelled the call.")
    await bob.phone_is("idle")
    await expect(bob.page.locator("#notes")).to_contain_text("You missed a call from Ann.")


async def test_nobody_there(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    await ann.call("Nobody")
    await ann.sees_end("Nobody is not here right now.")
    await ann.press("Back")
    for own in ("Ann", "ANN"):
        await ann.call(own)
        await expect(ann.page.locator("#dial-error")).to_contain_text("This is you.")


async def test_a_second_caller_rings_softly(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    cat = await new_person(server.url, "Cat")
    await cat.open_calls()
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)

    await cat.call("Bob")
    await expect(cat.page.locator("#phone-status")).to_have_text(
        "Ringing… They are in another call."
    )
    second = bob.page.get_by_role("region", name="Cat")
    await expect(second).to_contain_text("Cat is calling too. Answering hangs up this call.")
    await bob.press("Decline")
    await cat.sees_end("Bob declined the call.")
    await expect(second).to_be_hidden()
    await connected(ann, bob)

    await cat.press("Call again")
    await expect(second).to_be_visible()
    await bob.press("Answer")
    await ann.sees_end("Bob hung up.")
    await connected(bob, cat)
    await cat.receives()
    await bob.receives()


async def test_busy_without_call_waiting(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    cat = await new_person(server.url, "Cat")
    await cat.open_calls()
    await bob.page.get_by_text("Devices and settings").click()
    await bob.page.get_by_label("Let a second caller ring during a call").uncheck()
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await cat.call("Bob")
    await cat.sees_end("Bob is in another call.")
    await connected(ann, bob)


async def test_both_call_at_once(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    for person, other in ((ann, "Bob"), (bob, "Ann")):
        await person.dial.fill(other)
    # Clicks by the page itself: nothing comes between the two.
    press = "document.querySelector('#dial button').click()"
    await asyncio.gather(ann.page.evaluate(press), bob.page.evaluate(press))
    await connected(ann, bob)
    assert [m for m in ann.heard + bob.heard if '"reason":"glare"' in m]
    await ann.receives()
    await bob.receives()
    for person in (ann, bob):
        assert (await person.measure())["connections"] == 1
        await expect(person.page.locator("#second-call")).to_be_hidden()
    await ann.press("Hang up")
    await bob.sees_end("Ann hung up.")
    for person in (ann, bob):
        await person.press("Back")
        await expect(person.page.locator("#records li")).to_have_count(1)


async def rings_twice(bob: Person, tab: Person, ann: Person) -> None:
    await ann.call("Bob")
    await bob.rung("Ann")
    await tab.rung("Ann")


async def test_every_window_rings_and_one_answers(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    tab = await new_person(server.url, "Bob", beside=bob)
    await tab.goto("/call/")
    await tab.at_calls()
    await rings_twice(bob, tab, ann)
    await tab.press("Answer")
    await connected(ann, tab)
    await bob.phone_is("idle")
    words = "You answered this call in another window."
    await expect(bob.page.locator("#notes")).to_contain_text(words)
    await tab.receives()
    await ann.press("Hang up")
    await tab.sees_end("Ann hung up.")
    await bob.phone_is("idle")
    await ann.press("Back")

    await tab.press("Back")
    await rings_twice(bob, tab, ann)
    await bob.press("Decline")
    await ann.sees_end("Bob declined the call.")
    await tab.phone_is("idle")
