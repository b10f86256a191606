"""The workshop's own call page, unchanged, with people on our pages and with echo."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ringback.server.keys import EXCHANGE
from tests.browser.person import PATIENCE, NewPerson, Person
from tests.running import Server

WORKSHOP = (Path(__file__).parent / "workshop.js").read_text()


async def workshop(url: str, new_person: NewPerson, name: str) -> Person:
    """Somebody with the workshop's page, logged in. It stands where a camera is allowed."""
    person = await new_person(url, name)
    await person.goto("/call/")
    await person.page.evaluate(WORKSHOP, name)
    await told(person, "connection")
    return person


async def reachable(server: Server, name: str) -> None:
    """Wait until somebody who has logged in can be called: nothing tells the workshop's page."""
    exchange = server.app[EXCHANGE]
    async with asyncio.timeout(PATIENCE):
        while True:
            if await exchange.engine.claim_of(name.lower(), time.time()) is not None:
                return
            await asyncio.sleep(0.01)


async def told(person: Person, type_: str) -> None:
    """Wait until the workshop's page was told something."""
    found = await person.page.evaluate(
        """async ([type, patience]) => {
          const end = performance.now() + patience;
          while (!workshop.events.includes(type) && performance.now() < end)
            await new Promise((resolve) => setTimeout(resolve, 50));
          return workshop.events;
        }""",
        [type_, PATIENCE * 1000],
    )
    assert type_ in found, found


async def test_the_workshop_calls_a_person_on_our_page(
    server: Server, new_person: NewPerson
) -> None:
    bob = await new_person(server.url, "Bob")
    await bob.open_calls()
    wanda = await workshop(server.url, new_person, "Wanda")
    await wanda.page.evaluate("workshop.call('Bob')")
    await bob.rung("Wanda")
    await bob.press("Answer")
    await bob.phone_is("connected")
    await told(wanda, "call_answered")
    await bob.receives()
    await wanda.receives(sound=False)
    await bob.press("Hang up")
    await told(wanda, "call_ended")


async def test_a_person_on_our_page_calls_the_workshop(
    server: Server, new_person: NewPerson
) -> None:
    bob = await new_person(server.url, "Bob")
    await bob.open_calls()
    wanda = await workshop(server.url, new_person, "Wanda")
    await reachable(server, "Wanda")
    await bob.call("Wanda")
    await told(wanda, "call_received")
    await wanda.page.evaluate("workshop.answer()")
    await bob.phone_is("connected")
    await bob.receives()
    await wanda.receives(sound=False)
    await wanda.page.close()
    await bob.sees_end("Wanda hung up.")


async def test_two_pages_of_the_workshop_call_each_other(
    server: Server, new_person: NewPerson
) -> None:
    wanda = await workshop(server.url, new_person, "Wanda")
    walt = await workshop(server.url, new_person, "Walt")
    await reachable(server, "Walt")
    await wanda.page.evaluate("workshop.call('Walt')")
    await told(walt, "call_received")
    await walt.page.evaluate("workshop.answer()")
    await wanda.receives(sound=False)
    await walt.receives(sound=False)


async def test_the_workshop_calls_echo(exchange: str, new_person: NewPerson) -> None:
    wanda = await workshop(exchange, new_person, "Wanda")
    await wanda.page.evaluate("workshop.call('echo')")
    await told(wanda, "call_answered")
    await wanda.receives(sound=False)
