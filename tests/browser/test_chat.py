"""Rooms: two people chat, in real browsers."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.person import SENT_BACK, SERVER_AWAY, NewPerson, Person
from tests.conftest import Serve
from tests.running import Server

TALL = "\n".join(f"line {number}" for number in range(80))
NASTY = """<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"""


async def test_two_people_chat(server: Server, new_person: NewPerson) -> None:
    ann, bob = await new_person(server.url, "Ann"), await new_person(server.url, "Bob")
    await ann.join("kitchen")
    await expect(ann.page.get_by_text("Nothing has been said here yet.")).to_be_visible()
    await ann.say("Is anybody here?")
    await expect(ann.stored("Is anybody here?")).to_contain_class("own")

    await bob.join("kitchen")
    earlier = bob.stored("Is anybody here?")
    await expect(earlier).to_contain_text("Ann")
    await expect(earlier).not_to_contain_class("own")
    await expect(bob.page.get_by_role("log").get_by_role("listitem").first).to_have_text("Today")
    for person in (ann, bob):
        await expect(person.page.locator("#people-list li")).to_have_count(2)

    await bob.page.get_by_label("Message", exact=True).press_sequentially("I am")
    await expect(ann.page.locator("#typing")).to_have_text("Bob is writing…")
    await bob.say("I am.")
    await expect(ann.stored("I am.")).to_contain_text("Bob")
    await expect(ann.page.locator("#typing")).to_be_empty()

    await bob.page.get_by_role("link", name="Leave room").click()
    await expect(ann.here("Bob")).to_have_count(0)
    await expect(ann.page.get_by_text("Nobody else is here yet.")).to_be_visible()


async def test_history_outlives_everybody(serve: Serve, new_person: NewPerson) -> None:
    old = await serve()
    ann = await new_person(old.url, "Ann")
    await ann.join("kitchen")
    await ann.say("Remember me")
    await expect(ann.stored("Remember me")).to_be_visible()
    await ann.context.close()
    await old.stop()
    bob = await new_person((await serve(data=old.data)).url, "Bob")
    await bob.join("kitchen")
    await expect(bob.stored("Remember me")).to_contain_text("Ann")


async def test_text_is_never_read_as_html(server: Server, new_person: NewPerson) -> None:
    ann, bob = await new_person(server.url, "Ann"), await new_person(server.url, "<b>Bob</b>")
    dialogs: list[str] = []
    ann.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await ann.join("kitchen")
    bob.allow(SENT_BACK)
    await bob.goto("/")
    await bob.fill_join("kitchen", bob.name)
    # A name that holds a slash is refused, and stands in the form as it was written.
    await expect(bob.page.get_by_label("Your name")).to_have_value("<b>Bob</b>")
    bob.name = "<i>Bob"
    await bob.fill_join("kitchen", bob.name)
    await bob.inside_room()
    await bob.say(NASTY)
    await bob.say("see javascript:alert(1) and https://example.org/?a=1&b=2.")

    for person in (ann, bob):
        await expect(person.stored(NASTY)).to_be_visible()
        assert await person.page.locator("#messages :is(img, script, i, b)").count() == 0
        assert await person.page.evaluate("window.pwned") is None
    await expect(ann.here("<i>Bob").locator("bdi")).to_have_text("<i>Bob")
    link = ann.page.locator("#messages a")
    await expect(link).to_have_count(1)
    await expect(link).to_have_attribute("href", "https://example.org/?a=1&b=2")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert dialogs == []


async def test_what_is_new_is_counted_and_marked(server: Server, new_person: NewPerson) -> None:
    ann, bob = await new_person(server.url, "Ann"), await new_person(server.url, "Bob")
    await ann.join("kitchen")
    await bob.join("kitchen")
    await bob.say(TALL)
    await expect(ann.page.locator("#messages li[data-seq]")).to_have_count(1)
    await expect(ann.page).to_have_title("kitchen · Ringback")

    await ann.page.locator("#scroller").evaluate("place => { place.scrollTop = 0; }")
    jump = ann.page.locator("#jump")
    await expect(jump).to_be_visible()
    await bob.say("one")
    await expect(ann.page).to_have_title("(1) kitchen · Ringback")
    await bob.say("two")
    await expect(ann.page).to_have_title("(2) kitchen · Ringback")
    await expect(jump).to_have_text("2 new messages")
    assert await ann.page.locator("#scroller").evaluate("place => place.scrollTop") == 0

    await jump.click()
    await expect(ann.page).to_have_title("kitchen · Ringback")
    await expect(jump).to_be_hidden()
    await expect(ann.message("two")).to_be_in_viewport()
    lines = ann.page.locator("#messages li")
    await expect(lines.get_by_text(re.compile("^(Today|New messages|one|two|line)"))).to_have_text(
        ["Today", re.compile("line 79$"), "New messages", "one", "two"]
    )


async def test_a_long_message_leaves_the_newest_in_view(
    server: Server, new_person: NewPerson
) -> None:
    ann = await new_person(server.url, "Ann", viewport={"width": 390, "height": 700})
    await ann.join("kitchen")
    await ann.say(TALL)
    await ann.say("newest")
    await expect(ann.stored("newest")).to_be_in_viewport(ratio=1)
    text = ann.page.get_by_label("Message", exact=True)
    jump = ann.page.locator("#jump")
    await text.fill("word " * 200)
    await expect(ann.stored("newest")).to_be_in_viewport(ratio=1)
    await expect(jump).to_be_hidden()

    # Up at the old messages, the button lies over them, not over what is being written.
    await ann.page.locator("#scroller").evaluate("place => { place.scrollTop = 0; }")
    await expect(jump).to_be_visible()
    above, below = await jump.bounding_box(), await text.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    await jump.press("Enter")
    await expect(ann.page.get_by_role("log")).to_be_focused()
    await expect(ann.stored("newest")).to_be_in_viewport(ratio=1)


async def waits(person: Person, text: str) -> None:
    await expect(person.message(text)).to_contain_text("Waiting")
    await expect(person.stored(text)).to_have_count(0)


async def test_messages_wait_for_the_server(serve: Serve, new_person: NewPerson) -> None:
    old = await serve()
    ann, bob = await new_person(old.url, "Ann"), await new_person(old.url, "Bob")
    for person in (ann, bob):
        person.allow(SERVER_AWAY)
        await person.join("kitchen")
    await old.stop()
    await expect(ann.page.locator("#banner")).to_contain_text("Reconnecting")
    await ann.say("first")
    await ann.say("second")
    await waits(ann, "first")
    await waits(ann, "second")
    connection = ann.page.get_by_role("region", name="Connection")
    await expect(connection).to_contain_text("2 messages wait.")

    await serve(port=old.port, data=old.data)
    for person in (ann, bob):
        await person.online()
        await expect(person.stored("second")).to_be_visible()
        await expect(person.page.locator("#banner")).to_be_hidden()
        sent = person.page.locator("#messages .message .text")
        await expect(sent).to_have_text(["first", "second"])


async def test_messages_wait_for_the_network(server: Server, new_person: NewPerson) -> None:
    ann, bob = await new_person(server.url, "Ann"), await new_person(server.url, "Bob")
    ann.allow(SERVER_AWAY)
    await ann.join("kitchen")
    await bob.join("kitchen")
    await ann.context.set_offline(True)
    # The socket that was open may live on; a page without one waits as it would in a tunnel.
    await expect(ann.page.locator("body")).to_have_attribute("data-wire", "offline")
    await ann.say("from the tunnel")
    await waits(ann, "from the tunnel")
    await ann.context.set_offline(False)
    await expect(bob.stored("from the tunnel")).to_have_count(1)
    await expect(ann.message("from the tunnel")).to_have_count(1)
    await expect(ann.stored("from the tunnel")).to_have_count(1)
