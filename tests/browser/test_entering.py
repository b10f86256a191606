"""Home, forms and the pages around them, in a real browser."""

from __future__ import annotations

from playwright.async_api import expect

from tests.browser.person import SENT_BACK, NewPerson
from tests.running import Server

BAD = [
    # room, name, which of them is wrong, why
    ("kitchen", "echo", "Your name", "This name is kept for a bot"),
    ("kitchen", "Ann\u202e", "Your name", "cannot"),
    ("kitchen", "x" * 40, "Your name", "32"),
    ("..", "Ann", "Room", "letter or digit"),
]


async def test_bad_names_come_back_with_the_reason(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    ann.allow(SENT_BACK)
    await ann.goto("/")
    unlisted = ann.page.get_by_label("Do not list this room here")
    await unlisted.check()
    for room, name, field, words in BAD:
        await ann.fill_join(room, name)
        reason = ann.page.locator(".field-error:visible")
        await expect(reason).to_contain_text(words)
        await expect(reason).to_have_count(1)
        wrong = ann.page.get_by_label(field, exact=True)
        await expect(wrong).to_have_attribute("aria-invalid", "true")
        await expect(wrong).to_be_focused()
        assert await reason.get_attribute("id") == await wrong.get_attribute("aria-describedby")
        await expect(ann.page.get_by_label("Room", exact=True)).to_have_value(room)
        await expect(ann.page.get_by_label("Your name")).to_have_value(name)
        await expect(unlisted).to_be_checked()
    await ann.fill_join("kitchen", "Ann")
    await ann.inside_room()


async def test_an_empty_form_says_what_is_missing(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.goto("/")
    await ann.button("Join room").click()
    await expect(ann.page.get_by_text("Which room?")).to_be_visible()
    await expect(ann.page.get_by_text("What do others call you?")).to_be_visible()
    await expect(ann.page.get_by_label("Room", exact=True)).to_be_focused()


async def test_a_taken_name_comes_back(server: Server, new_person: NewPerson) -> None:
    ann, other = await new_person(server.url, "Ann"), await new_person(server.url, "ann")
    other.allow(SENT_BACK)
    await ann.join("kitchen")
    taken = other.page.get_by_text("Somebody else is using this name now. Choose another.")
    await other.goto("/")
    await other.fill_join("kitchen", "ann")
    await expect(taken).to_be_visible()
    await expect(other.page.get_by_label("Your name")).to_have_value("ann")

    await other.goto("/room/kitchen/ANN/")
    await expect(taken).to_be_visible()
    await expect(other.page.get_by_label("Room", exact=True)).to_have_value("kitchen")

    await other.goto("/call/")
    await other.page.get_by_label("Your name").fill("Ann")
    await other.button("Go to calls").click()
    await expect(taken).to_be_visible()
    other.name = "Anna"
    await other.open_calls()


async def test_two_windows_of_one_browser_chat_under_two_names(
    server: Server, new_person: NewPerson
) -> None:
    ann = await new_person(server.url, "Ann")
    bob = await new_person(server.url, "Bob", beside=ann)
    await ann.join("kitchen")
    await bob.join("kitchen")
    await ann.page.reload()
    await ann.inside_room()
    await ann.say("Hello, other window")
    await expect(bob.stored("Hello, other window")).to_contain_text("Ann")


async def test_each_window_keeps_its_name_at_home(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    bob = await new_person(server.url, "Bob", beside=ann)
    await ann.join("kitchen")
    await bob.join("kitchen")
    # The browser remembers the name that was given last, and that is Bob's.
    await ann.goto("/")
    await expect(ann.page.get_by_label("Your name")).to_have_value("Ann")
    await ann.page.get_by_role("button", name="Make a call").click()
    await ann.at_calls()
    await ann.page.reload()
    await ann.at_calls()


async def test_open_rooms_are_live(server: Server, new_person: NewPerson) -> None:
    guest, ann = await new_person(server.url, "Guest"), await new_person(server.url, "Ann")
    hidden = await new_person(server.url, "Hidden")
    await guest.goto("/")
    await expect(guest.page.get_by_text("Nobody is in a room right now.")).to_be_visible()
    await hidden.goto("/")
    await hidden.page.get_by_label("Do not list this room here").check()
    await hidden.fill_join("den", "Hidden")
    await hidden.inside_room()
    await ann.join("kitchen")
    rows = guest.page.locator("#rooms li")
    await expect(rows).to_have_text(["kitchen1 person"])
    await guest.page.get_by_label("Your name").fill("Guest")
    await rows.get_by_role("button").click()
    await guest.inside_room()
    await expect(ann.here("Guest")).to_be_visible()


async def test_pages_that_are_not_there(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    ann.allow(SENT_BACK)
    await ann.goto("/nowhere")
    await expect(ann.page.get_by_role("heading", name="Nothing here")).to_be_visible()
    await ann.page.get_by_role("button", name="Back to the start").click()
    await expect(ann.button("Join room")).to_be_visible()


async def test_the_link_to_a_room_asks_for_a_name(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann", permissions=["clipboard-read", "clipboard-write"])
    bob = await new_person(server.url, "Bob")
    await ann.join("tea & cake")
    await ann.button("Copy link").click()
    await expect(ann.page.locator("#notes")).to_contain_text("The link to this room is copied.")
    announced = ann.page.locator("body > [data-announcer]")
    await expect(announced).to_have_text("The link to this room is copied. Send it to somebody.")
    link: str = await ann.page.evaluate("navigator.clipboard.readText()")
    await bob.page.goto(link)
    await expect(bob.page.get_by_label("Room", exact=True)).to_have_value("tea & cake")
    await expect(bob.page.get_by_label("Your name")).to_be_focused()
    await bob.page.get_by_label("Your name").fill("Bob")
    await bob.button("Join room").click()
    await bob.inside_room()
    await expect(ann.here("Bob")).to_be_visible()


async def test_scripts_in_the_page_do_not_run(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    await ann.goto("/")
    async with ann.page.expect_console_message(lambda message: message.type == "error"):
        await ann.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.pwned = 1";
                document.body.append(script);
            }"""
        )
    assert await ann.page.evaluate("window.pwned") is None
    # It is told as a fault, so that no other test overlooks one.
    assert "content security policy" in ann.faults[0].lower()
    ann.faults.clear()
