"""The page of voicemail: messages played in place, deleted and answered, and the switch."""

from __future__ import annotations

from playwright.async_api import expect

from ringback.server.keys import EXCHANGE
from tests.browser.person import NewPerson, Person
from tests.browser.test_access import everything_has_a_name, one_page
from tests.browser.test_recordings_page import seated
from tests.browser.voicemail import badge
from tests.running import Server
from tests.tapes import START, leave

ID = "0123456789abcdef"


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
    tell_owner = server.app[EXCHANGE].messages.tell_owner
    sound = bob.page.locator(f"#m-{ID} audio")
    await sound.evaluate("audio => { audio.loop = true; return audio.play(); }")
    await leave(server, "new", user, by="Dan", at=START + 1)
    await tell_owner(user, "bob")
    await expect(bob.page.locator(".message-row").first).to_contain_text("Dan")
    await expect(bob.page.locator(".note")).to_contain_text("You have a new message.")
    assert not await sound.evaluate("audio => audio.paused")
    await sound.evaluate("audio => audio.pause()")
    await server.app[EXCHANGE].messages.delete(user, ID)
    await expect(bob.page.locator(".message-row")).to_have_count(1)


async def test_one_calls_back(server: Server, new_person: NewPerson) -> None:
    bob = await with_messages(server, new_person)
    await bob.page.get_by_role("button", name="Call Ann back").click()
    await expect(bob.dial).to_have_value("Ann")
