"""Pages for everybody: names for screen readers, everything by keyboard, narrow screens."""

from __future__ import annotations

import re

from playwright.async_api import Locator, expect

from tests.browser.person import SENT_BACK, NewPerson, Person, connected, two
from tests.running import Server

# Roles that people act on (WAI-ARIA 1.2); each must say what it is.
ACTING = {
    "button", "checkbox", "combobox", "link", "listbox", "menuitem", "option", "radio",
    "searchbox", "slider", "spinbutton", "switch", "tab", "textbox", "DisclosureTriangle",
}  # fmt: skip
NAMED = ACTING | {"dialog", "region", "heading", "image", "video", "Video", "log"}
LONG = "Maximiliana Wolfeschlegelstein-B"
NARROW = {"width": 320, "height": 568}
MOST_TABS = 60


async def everything_has_a_name(person: Person) -> int:
    """Fail where the browser tells a screen reader of a control without a name; their number."""
    session = await person.context.new_cdp_session(person.page)
    tree = await session.send("Accessibility.getFullAXTree")
    await session.detach()
    roles = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in tree["nodes"]
        if not node["ignored"]
    ]
    assert [role for role, name in roles if role in NAMED and not name] == []
    return sum(role in ACTING for role, _ in roles)


async def one_page(person: Person, title: str) -> None:
    """What a page must have to be found one's way about in."""
    page = person.page
    await expect(page).to_have_title(re.compile(title))
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.get_by_role("main")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    ids: list[str] = await page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert sorted(ids) == sorted(set(ids))


async def test_every_control_has_a_name(server: Server, new_person: NewPerson) -> None:
    ann, bob = await new_person(server.url, "Ann"), await new_person(server.url, "Bob")
    ann.allow(SENT_BACK)
    await ann.goto("/nowhere")
    await one_page(ann, "Nothing here")
    assert await everything_has_a_name(ann) >= 2
    await ann.goto("/")
    await one_page(ann, "^Ringback$")
    assert await everything_has_a_name(ann) >= 6
    await bob.join("kitchen")
    await bob.say("Hello https://example.org/")
    await ann.join("kitchen")
    await expect(ann.stored("Hello https://example.org/")).to_be_visible()
    await one_page(ann, "kitchen")
    assert await everything_has_a_name(ann) >= 6
    await ann.goto("/call/")
    await one_page(ann, "Calls")
    assert await everything_has_a_name(ann) >= 3


async def test_every_control_of_a_call_has_a_name(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.page.get_by_text("Devices and settings").click()
    await one_page(ann, "Calls")
    assert await everything_has_a_name(ann) >= 9
    await ann.call("Bob")
    await bob.rung("Ann")
    assert await everything_has_a_name(bob) == 3
    assert await everything_has_a_name(ann) >= 5
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await ann.press("More")
    assert await everything_has_a_name(ann) >= 9
    await ann.press("Hang up")
    await bob.sees_end("Ann hung up.")
    assert await everything_has_a_name(bob) == 2


async def test_calls_are_read_aloud(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    heard = bob.page.locator("#phone > [data-announcer]")
    await ann.call("Bob")
    await expect(heard).to_have_text("Ann is calling you, with a picture. Answer or decline.")
    await bob.press("Answer")
    await expect(heard).to_have_text("Connected with Ann.")
    await ann.press("Hang up")
    await expect(heard).to_have_text("Ann hung up.")
    await bob.press("Back")
    await ann.press("Call again")
    await bob.rung("Ann")
    await ann.press("Hang up")
    # The dialogue is closed: what is said in there would reach nobody.
    outside = bob.page.locator("body > [data-announcer]")
    await expect(outside).to_have_text("You missed a call from Ann.")


async def tab_to(person: Person, control: Locator) -> None:
    """Press Tab until a control has the focus, and shows it."""
    await expect(control).to_be_visible()
    for _ in range(MOST_TABS):
        if await control.evaluate("element => element === document.activeElement"):
            break
        await person.page.keyboard.press("Tab")
    await expect(control).to_be_focused()
    outline = await control.evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline != "none"


async def enter(person: Person, name: str) -> None:
    """Go to a button by Tab and press Enter."""
    await tab_to(person, person.button(name))
    await person.page.keyboard.press("Enter")


async def test_a_room_by_keyboard(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann")
    keys = ann.page.keyboard
    await ann.goto("/")
    await tab_to(ann, ann.page.get_by_label("Room", exact=True))
    await keys.type("kitchen")
    await tab_to(ann, ann.page.get_by_label("Your name"))
    await keys.type("Ann")
    await enter(ann, "Join room")
    await ann.inside_room()
    text = ann.page.get_by_label("Message", exact=True)
    await tab_to(ann, text)
    await keys.type("first")
    await keys.press("Shift+Enter")
    await keys.type("line")
    await keys.press("Enter")
    await expect(ann.page.locator("#messages .text")).to_have_text(["first\nline"])
    await keys.type("second")
    await enter(ann, "Send")
    await expect(ann.stored("second")).to_be_visible()
    await expect(text).to_be_focused()


async def test_a_call_by_keyboard(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await tab_to(ann, ann.dial)
    await ann.page.keyboard.type("Bob")
    await enter(ann, "Call")
    await bob.rung("Ann")
    await enter(bob, "Answer")
    await connected(ann, bob)
    await bob.receives()
    await enter(ann, "Mute")
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
    await bob.page.keyboard.press("Escape")
    await connected(bob)
    await expect(bob.button("Make the call large")).to_be_focused()
    await bob.page.keyboard.press("Enter")
    await enter(bob, "Hang up")
    await ann.sees_end("Bob hung up.")
    await enter(ann, "Call again")
    await bob.rung("Ann")
    await enter(bob, "Decline")
    await ann.sees_end("Bob declined the call.")
    await ann.page.keyboard.press("Escape")
    await ann.phone_is("idle")


async def test_the_focus_is_never_lost(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann", viewport=NARROW)
    bob, cat = await new_person(server.url, "Bob"), await new_person(server.url, "Cat")
    await ann.join("kitchen")
    await bob.join("kitchen")
    await cat.open_calls()
    toggle = ann.page.locator("#people-toggle")
    await tab_to(ann, toggle)
    await ann.page.keyboard.press("Enter")
    # What lies beneath the list cannot be reached while it is open.
    await expect(ann.page.locator("#room-bar")).to_have_js_property("inert", True)
    await enter(ann, "Call Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await cat.call("Ann")
    await enter(ann, "Decline")
    await cat.sees_end("Ann declined the call.")
    await expect(ann.page.locator("#phone-focus")).to_be_focused()
    await bob.press("Hang up")
    await ann.sees_end("Bob hung up.")
    await ann.page.keyboard.press("Escape")
    await ann.phone_is("idle")
    await expect(toggle).to_be_focused()


async def fits(*people: Person) -> None:
    """Nothing stands out at the sides, of the page or of the telephone."""
    for person in people:
        wide: list[str] = await person.page.evaluate(
            """() => [document.scrollingElement, ...document.querySelectorAll("#phone, #stage")]
                .filter((place) => place.scrollWidth > place.clientWidth)
                .map((place) => `${place.id || "page"} ${place.scrollWidth}`)"""
        )
        assert wide == []


async def test_narrow_pages_do_not_scroll_sideways(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, LONG, viewport=NARROW)
    bob = await new_person(server.url, "Bob")
    await bob.join("r" * 64)
    ann.allow(SENT_BACK)
    await ann.goto("/nowhere")
    await fits(ann)
    await ann.goto("/")
    await ann.fill_join("r" * 64, "echo")
    await expect(ann.page.get_by_text("kept for a bot")).to_be_visible()
    await fits(ann)
    await ann.fill_join("r" * 64, LONG)
    await ann.inside_room()
    await ann.say("w" * 200 + " https://example.org/" + "x" * 200)
    await expect(ann.page.locator("#messages li[data-seq]")).to_have_count(1)
    await fits(ann)
    await ann.page.get_by_role("button", name="people").click()
    await expect(ann.here(LONG)).to_be_visible()
    await fits(ann)
    await ann.goto("/")
    await expect(ann.page.locator("#rooms li")).to_have_count(1)
    await fits(ann)


async def test_narrow_calls_do_not_scroll_sideways(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, LONG, viewport=NARROW)
    bob = await new_person(server.url, LONG[::-1], viewport=NARROW)
    await ann.open_calls()
    await bob.open_calls()
    await fits(ann, bob)
    await ann.call(bob.name)
    await bob.rung(ann.name)
    await fits(ann, bob)
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await ann.press("More")
    await bob.press("Mute")
    await expect(ann.page.locator("#remote-muted")).to_be_visible()
    await fits(ann, bob)
    for name in ("Mute", "Camera off", "Hang up"):
        await expect(ann.button(name)).to_be_in_viewport(ratio=1)
    await ann.press("Hang up")
    await bob.phone_is("ended")
    await fits(ann, bob)
