"""Voicemail as people use it, for tests: the real server with the real bot, and who calls there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, expect

from tests.browser.person import NewPerson, Person
from tests.process import running


class Line:
    """A `ringback serve` with its bots, and its data folder."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data

    def files(self) -> list[Path]:
        """The files of all messages and greetings."""
        return sorted(self.data.glob("voicemail/*/1.*"))


@asynccontextmanager
async def serving(data: Path, *arguments: str) -> AsyncIterator[Line]:
    """A `ringback serve` with these arguments, once voicemail is there."""
    async with running("--data", str(data), *arguments) as process:
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


async def plays(person: Person, seconds: float, audio: str = "#messages audio") -> None:
    """Play a message, until so much (s) of it was heard."""
    await person.page.locator(audio).evaluate("audio => audio.play()")
    await person.page.wait_for_function(
        "([audio, least]) => document.querySelector(audio).currentTime > least",
        arg=[audio, seconds],
    )


async def says(person: Person, seconds: int) -> None:
    """Wait until so much (s) has been recorded."""
    await voicemail_is(person, "recording")
    await person.page.wait_for_function(
        "least => document.querySelector('#voicemail-progress').value >= least", arg=seconds
    )


async def both(line: Line, new_person: NewPerson, number: str) -> tuple[Person, Person]:
    """Ann and Bob on the page of calls, both with a number: names are held for a while."""
    ann = await new_person(line.url, f"Ann{number}")
    bob = await new_person(line.url, f"Bob{number}")
    await ann.open_calls()
    await bob.open_calls()
    return ann, bob


async def declined(line: Line, new_person: NewPerson, number: str) -> tuple[Person, Person]:
    """Ann has called Bob, who has declined."""
    ann, bob = await both(line, new_person, number)
    await ann.call(bob.name)
    await bob.rung(ann.name)
    await bob.press("Decline")
    await ann.phone_is("ended")
    return ann, bob
