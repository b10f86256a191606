"""Chromium as a caller of echo: each codec it has, with less than everything, with changes."""

from __future__ import annotations

from itertools import count

import pytest
from playwright.async_api import expect

from tests.browser.codecs import only
from tests.browser.person import NewPerson, Person, connected
from tests.callers import needs_address

pytestmark = needs_address

NO_MICROPHONE = """
const { mediaDevices } = navigator;
const ask = mediaDevices.getUserMedia.bind(mediaDevices);
mediaDevices.getUserMedia = async (wanted) => {
  if (wanted.audio) throw new DOMException("Requested device not found", "NotFoundError");
  return ask(wanted);
};
"""
NUMBERS = count(1)
DEVICE = """kind => inside.connections.at(-1).getSenders()
  .find(({ track }) => track?.kind === kind).track.getSettings().deviceId"""


async def calling(url: str, new_person: NewPerson, script: str = "") -> Person:
    """Somebody in a call with echo; the exchange keeps names for a while, so each has another."""
    ann = await new_person(url, f"Ann {next(NUMBERS)}", script=script)
    await ann.open_calls()
    await ann.call("echo")
    await connected(ann)
    return ann


async def hang_up(ann: Person) -> None:
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264", "video/VP9", "video/AV1"])
async def test_pictures_in_each_codec(exchange: str, new_person: NewPerson, codec: str) -> None:
    ann = await calling(exchange, new_person, only(codec))
    await ann.receives()
    assert (await ann.measure())["codecs"] == {"audio": "audio/opus", "video": codec}
    await hang_up(ann)


@pytest.mark.parametrize("codec", ["audio/PCMU", "audio/PCMA", "audio/G722"])
async def test_sound_in_each_codec(exchange: str, new_person: NewPerson, codec: str) -> None:
    ann = await calling(exchange, new_person, only(codec))
    await ann.receives()
    assert (await ann.measure())["codecs"]["audio"] == codec
    await hang_up(ann)


async def test_a_picture_without_sound(exchange: str, new_person: NewPerson) -> None:
    ann = await calling(exchange, new_person, NO_MICROPHONE)
    await ann.receives(sound=False)
    assert (await ann.measure())["energy"] == 0
    await hang_up(ann)


async def test_the_camera_goes_off_and_on_again(exchange: str, new_person: NewPerson) -> None:
    ann = await calling(exchange, new_person)
    await ann.receives()
    for _ in range(2):
        await ann.press("Camera off")
        await expect(ann.button("Camera off")).to_have_attribute("aria-pressed", "true")
        await ann.receives(picture=False)
        await ann.press("Camera off")
        await ann.receives()
    await hang_up(ann)


async def test_another_camera_and_microphone(exchange: str, new_person: NewPerson) -> None:
    ann = await calling(exchange, new_person)
    await ann.receives()
    for kind, label in (("video", "Camera"), ("audio", "Microphone")):
        before = await ann.page.evaluate(DEVICE, kind)
        await ann.press("More")
        choice = ann.page.locator("#more-menu").get_by_label(label)
        values = await choice.locator("option").evaluate_all("all => all.map(one => one.value)")
        # The second camera of Chromium's fakes shows depth, which it does not send.
        other = values[-1]
        assert other not in ("", "default", before)
        await choice.select_option(other)
        await ann.page.wait_for_function(
            f"([kind, other]) => ({DEVICE})(kind) === other", arg=[kind, other]
        )
        await ann.press("More")
        await ann.receives()
    await hang_up(ann)


async def test_a_chosen_camera_that_is_gone(exchange: str, new_person: NewPerson) -> None:
    chosen = '{"videoId": "gone", "audioId": "gone"}'
    script = f"localStorage.setItem('ringback.devices', '{chosen}')"
    ann = await calling(exchange, new_person, script)
    await ann.receives()
    await hang_up(ann)
