"""Calls that go on: when a page is loaded again, and when the server is started again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.person import SERVER_AWAY, NewPerson, connected, talking, two
from tests.conftest import Serve
from tests.process import running
from tests.running import Server


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_a_reload_in_a_call(server: Server, new_person: NewPerson, who: str) -> None:
    ann, bob = await talking(server.url, new_person)
    reloads, stays = (ann, bob) if who == "caller" else (bob, ann)
    await reloads.page.reload()
    await connected(ann, bob)
    await stays.receives()
    await reloads.receives()
    for person in (ann, bob):
        assert (await person.measure())["connections"] == 1
        await expect(person.page.locator("#call-timer")).to_be_visible()
    await reloads.press("Hang up")
    await stays.sees_end(f"{reloads.name} hung up.")


async def test_a_reload_keeps_what_was_off(server: Server, new_person: NewPerson) -> None:
    ann, bob = await talking(server.url, new_person)
    await ann.press("Mute")
    await ann.press("Camera off")
    await expect(bob.page.locator("#remote-camera-off")).to_be_visible()
    await ann.page.reload()
    await connected(ann, bob)
    await ann.receives()
    await expect(ann.button("Mute")).to_have_attribute("aria-pressed", "true")
    await expect(ann.button("Camera off")).to_have_attribute("aria-pressed", "true")
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
    await expect(bob.page.locator("#remote-camera-off")).to_be_visible()
    await ann.press("Mute")
    await bob.receives(picture=False)


async def test_a_reload_while_it_rings(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    await ann.call("Bob")
    await bob.rung("Ann")
    await bob.page.reload()
    await bob.rung("Ann")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await bob.receives()


async def test_the_server_starts_again_in_a_call(serve: Serve, new_person: NewPerson) -> None:
    old = await serve()
    ann, bob = await talking(old.url, new_person)
    for person in (ann, bob):
        person.allow(SERVER_AWAY)
    await old.stop()
    for person in (ann, bob):
        await expect(person.page.locator("body")).to_have_attribute("data-wire", "reconnecting")
        await expect(person.page.get_by_text("Reconnecting to the server")).to_be_visible()
    # Nobody is there to carry a message, and they still see and hear each other.
    await ann.receives()
    await bob.receives()

    await serve(port=old.port, data=old.data)
    for person in (ann, bob):
        await person.online()
        await connected(person)
        await expect(person.page.get_by_text("Reconnecting to the server")).to_be_hidden()
    await ann.press("Mute")
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
    await bob.receives(sound=False)
    await ann.press("Hang up")
    await bob.sees_end("Ann hung up.")
    await ann.sees_end("You hung up.")


async def test_hung_up_while_the_server_was_away(serve: Serve, new_person: NewPerson) -> None:
    old = await serve()
    ann, bob = await talking(old.url, new_person)
    for person in (ann, bob):
        person.allow(SERVER_AWAY)
    await old.stop()
    await expect(ann.page.locator("body")).to_have_attribute("data-wire", "reconnecting")
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")
    await serve(port=old.port, data=old.data)
    await bob.sees_end("Ann hung up.")


async def test_somebody_who_closes_the_window_is_lost(serve: Serve, new_person: NewPerson) -> None:
    ann, bob = await talking((await serve(hold=2.0, reconnect=4.0)).url, new_person)
    await ann.page.close()
    await bob.sees_end("The connection to Ann was lost.")


async def test_walking_home_hangs_up(server: Server, new_person: NewPerson) -> None:
    ann, bob = await talking(server.url, new_person)
    await ann.press("Make the call small")
    await ann.page.get_by_role("link", name="Ringback").click()
    await bob.sees_end("Ann hung up.")


async def test_the_server_is_killed_in_a_call(tmp_path: Path, new_person: NewPerson) -> None:
    async with running("--data", str(tmp_path), "--no-bots") as old:
        url, port = old.url.rstrip("/"), str(old.port)
        ann, bob = await talking(url, new_person)
        for person in (ann, bob):
            person.allow(SERVER_AWAY)
        old.process.kill()
        await old.process.wait()
        await ann.receives()
        await bob.receives()
    async with running("--data", str(tmp_path), "--no-bots", "--port", port):
        for person in (ann, bob):
            await person.online()
        await connected(ann, bob)
        await bob.receives()
        await ann.press("Hang up")
        await bob.sees_end("Ann hung up.")
