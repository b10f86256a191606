"""Cameras and microphones that are missing, refused, or kept from pages that are not secure."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.async_api import expect

from tests.browser.person import NewPerson, Person, connected, two
from tests.running import Server

NO_CAMERA = """
const { mediaDevices } = navigator;
const ask = mediaDevices.getUserMedia.bind(mediaDevices);
mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.video) throw new DOMException("Requested device not found", "NotFoundError");
  return ask(wanted);
};
const list = mediaDevices.enumerateDevices.bind(mediaDevices);
mediaDevices.enumerateDevices = async () =>
  (await list()).filter(({ kind }) => kind !== "videoinput");
"""
NOTHING = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Requested device not found", "NotFoundError");
};
navigator.mediaDevices.enumerateDevices = async () => [];
"""
REFUSED = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Permission denied", "NotAllowedError");
};
"""


async def says(person: Person, *words: str) -> None:
    """Wait until the telephone says this of the devices, and nothing else."""
    said = person.page.locator("#phone-problems li")
    await expect(said).to_have_count(len(words))
    for line in words:
        await expect(said.filter(has_text=line)).to_be_visible()


async def test_sound_only(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann", script=NO_CAMERA)
    bob = await new_person(server.url, "Bob", script=NO_CAMERA)
    await ann.open_calls()
    await bob.open_calls()
    await ann.call("Bob")
    await bob.rung("Ann")
    await expect(bob.page.locator("#phone-status")).to_have_text("is calling you, sound only")
    await says(ann, "No camera was found.")
    await bob.press("Answer")
    await connected(ann, bob)
    for person in (ann, bob):
        await person.receives(picture=False)
        await expect(person.page.locator("#remote-camera-off")).to_be_visible()
        await expect(person.page.locator("#remote-video")).to_be_hidden()
        await expect(person.page.locator("#phone-peer")).to_be_visible()
        await says(person, "No camera was found.")


async def test_sound_becomes_a_picture(server: Server, new_person: NewPerson) -> None:
    ann, bob = await two(server.url, new_person)
    for person in (ann, bob):
        await person.page.get_by_label("Use my camera in calls").uncheck()
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives(picture=False)
    await bob.receives(picture=False)
    await ann.press("Camera off")
    await expect(ann.button("Camera off")).to_have_attribute("aria-pressed", "false")
    await bob.receives()
    await ann.receives(picture=False)


async def test_no_devices_at_all(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann", script=NOTHING)
    bob = await new_person(server.url, "Bob")
    await ann.open_calls()
    await bob.open_calls()
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await says(ann, "No microphone and no camera was found.")
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
    await expect(bob.page.locator("#remote-camera-off")).to_be_visible()


async def test_refused(server: Server, new_person: NewPerson) -> None:
    ann = await new_person(server.url, "Ann", script=REFUSED)
    bob = await new_person(server.url, "Bob")
    await ann.open_calls()
    await bob.open_calls()
    await ann.button("Show my camera and microphone").click()
    shown = ann.page.locator("#preview-problems li")
    await expect(shown.filter(has_text="camera")).to_contain_text("Allow it")
    await ann.call("Bob")
    await bob.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    said = ann.page.locator("#phone-problems")
    await expect(said).to_contain_text("may not use your")
    await expect(said).to_contain_text("microphone")


async def test_a_page_that_is_not_secure(server: Server, new_person: NewPerson) -> None:
    port = urlsplit(server.url).port
    ann = await new_person(f"http://elsewhere.test:{port}", "Ann")
    ann.allow("Cross-Origin-Opener-Policy header has been ignored")
    bob = await new_person(server.url, "Bob")
    await ann.open_calls()
    await bob.open_calls()
    assert await ann.page.evaluate("isSecureContext") is False
    await ann.button("Show my camera and microphone").click()
    shown = ann.page.locator("#preview-problems")
    await expect(shown).to_contain_text("https://")
    await expect(shown).to_contain_text("camera")
    await expect(shown).to_contain_text("microphone")
    # One still sees and hears the other side, and can be called.
    await bob.call("Ann")
    await ann.press("Answer")
    await connected(ann, bob)
    await ann.receives()
    await expect(bob.page.locator("#remote-muted")).to_be_visible()
