"""Somebody in front of a browser: what they do on Ringback's pages, and what they see."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Locator, Page, expect

PATIENCE = 30.0
"""How long (s) anything may take to show: machines that run tests are small and busy."""

SERVER_AWAY = r"WebSocket connection to .* failed"
"""What Chromium itself writes when a server is away."""
SENT_BACK = r"status of 4(00|04|09) (?!.*/static/)"
"""What Chromium itself writes about a page that comes with such a status."""


class Person:
    """One page of one person. `tab()` opens another one in the same browser."""

    def __init__(self, context: BrowserContext, page: Page, url: str, name: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.name = name
        self.console: list[str] = []
        """Everything the page wrote to its console."""
        self.faults: list[str] = []
        """Errors and violations among it; a test that leaves any fails."""
        self.heard: list[str] = []
        """Every message of the server to this page."""
        self._allowed: list[str] = []
        self.phone = page.locator("#phone")
        self.dial = page.get_by_role("searchbox", name="Who do you want to call?")
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", self._wrote)
        page.on("pageerror", self._broke)
        page.on("websocket", lambda socket: socket.on("framereceived", self._heard))

    def allow(self, pattern: str) -> None:
        """From now on, errors that match are none."""
        self._allowed.append(pattern)

    def _wrote(self, message: ConsoleMessage) -> None:
        line = f"{message.type}: {message.text}"
        self.console.append(line)
        # What cannot be loaded is named in the place of the message, not in its text.
        where = f"{line} ({message.location['url']})"
        if message.type == "error" and not any(re.search(p, where) for p in self._allowed):
            self.faults.append(where)

    def _heard(self, frame: str | bytes) -> None:
        self.heard.append(str(frame))

    def _broke(self, error: Error) -> None:
        self.console.append(f"uncaught: {error}")
        self.faults.append(f"uncaught: {error}")

    # --- getting about

    async def goto(self, path: str) -> None:
        """Open a page of the server."""
        await self.page.goto(self.url + path)

    async def online(self) -> None:
        """Wait until the page is connected to the server."""
        await expect(self.page.locator("body")).to_have_attribute("data-wire", "open")

    async def fill_join(self, room: str, name: str) -> None:
        """Fill in the form on the home page and send it."""
        await self.page.get_by_label("Room", exact=True).fill(room)
        await self.page.get_by_label("Your name").fill(name)
        await self.button("Join room").click()

    async def join(self, room: str) -> None:
        """Enter a room by the form on the home page."""
        await self.goto("/")
        await self.fill_join(room, self.name)
        await self.page.wait_for_url(f"**/room/{quote(room)}/{quote(self.name)}/")
        await self.inside_room()

    async def inside_room(self) -> None:
        """Wait until one stands among the people of the room, who are in a drawer on a phone."""
        await expect(self.here(self.name)).to_be_attached()
        await self.online()

    async def open_calls(self) -> None:
        """Enter the call page under one's name."""
        await self.goto("/call/")
        await self.page.get_by_label("Your name").fill(self.name)
        await self.button("Go to calls").click()
        await self.at_calls()

    async def at_calls(self) -> None:
        """Wait until the call page is connected and shows one's name."""
        await expect(self.page.get_by_role("heading", name=f"You are {self.name}")).to_be_visible()
        await self.online()

    # --- looking

    def button(self, name: str) -> Locator:
        """The one button of exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def here(self, name: str) -> Locator:
        """Somebody in the list of people of the room."""
        return self.page.locator(f'#people-list li[data-name="{name}"]')

    def message(self, text: str) -> Locator:
        """Messages of exactly this text, also those that wait."""
        exactly = self.page.get_by_text(text, exact=True)
        return self.page.locator("#messages .message").filter(has=exactly)

    def stored(self, text: str) -> Locator:
        """Messages of exactly this text that the server has numbered."""
        exactly = self.page.get_by_text(text, exact=True)
        return self.page.locator("#messages li[data-seq]").filter(has=exactly)

    # --- doing

    async def say(self, text: str) -> None:
        """Write a message and press Send."""
        await self.page.get_by_label("Message", exact=True).fill(text)
        await self.button("Send").click()

    async def call(self, name: str) -> None:
        """Type a name on the call page and press Call."""
        await self.dial.fill(name)
        await self.button("Call").click()

    async def press(self, name: str) -> None:
        """Press a button; moving to it shows controls that have faded."""
        await self.button(name).click()

    async def rung(self, by: str) -> None:
        """Wait until somebody calls, with their name in view."""
        await self.phone_is("incoming")
        await expect(self.page.locator("#phone-peer")).to_have_text(by)

    async def phone_is(self, state: str) -> None:
        """Wait until the telephone is in a state."""
        await expect(self.phone).to_have_attribute("data-call-state", state)

    async def sees_end(self, words: str) -> None:
        """Wait until the telephone says why the call ended."""
        await self.phone_is("ended")
        await expect(self.page.locator("#call-end-reason")).to_have_text(words)

    # --- measuring

    async def measure(self) -> dict[str, Any]:
        """What arrives from the other side; see `inside.js`."""
        found: dict[str, Any] = await self.page.evaluate("inside.measure()")
        return found

    async def receives(self, *, picture: bool = True, sound: bool = True) -> None:
        """Wait until more moving pictures and more sound arrive than now, and are played."""
        since = await self.measure()
        wanted = {"picture": picture, "sound": sound, "patience": PATIENCE * 1000}
        found = await self.page.evaluate("([since, w]) => inside.grown(since, w)", [since, wanted])
        assert found["held"], f"{self.name} sees or hears nothing new: {since} -> {found['now']}"

    async def hears_nothing(self) -> None:
        """Wait until what arrives is silence."""
        found = await self.page.evaluate("w => inside.silent(w)", {"patience": PATIENCE * 1000})
        assert found["held"], f"{self.name} still hears something: {found['now']}"

    async def describe(self) -> str:
        """The page as screen readers know it, and its console, for somebody who reads a failure."""
        lines = [f"--- {self.name}: {self.page.url}"]
        try:
            lines.append(await self.page.locator("body").aria_snapshot(timeout=5000))
        except Error as error:
            lines.append(f"(no picture of the page: {error})")
        return "\n".join([*lines, *self.console])


NewPerson = Callable[..., Awaitable[Person]]
"""Seats somebody in front of a browser; see the fixture `new_person`."""


async def two(url: str, new_person: NewPerson) -> tuple[Person, Person]:
    """Ann and Bob on the call page."""
    ann, bob = await new_person(url, "Ann"), await new_person(url, "Bob")
    await ann.open_calls()
    await bob.open_calls()
    return ann, bob


async def connected(*people: Person) -> None:
    """Wait until the calls of all of them are connected."""
    for person in people:
        await person.phone_is("connected")


async def talking(url: str, new_person: NewPerson) -> tuple[Person, Person]:
    """Ann has called Bob, who has answered; Bob sees and hears her."""
    ann, bob = await two(url, new_person)
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await bob.receives()
    return ann, bob
