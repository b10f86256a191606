"""Firefox as a caller of echo, through our own page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from tests.browser.codecs import only
from tests.browser.firefox import Firefox, firefox
from tests.browser.person import PATIENCE
from tests.callers import needs_address

pytestmark = needs_address

NUMBERS = count(1)
STATE = "(state) => document.querySelector('#phone').dataset.callState === state"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def window() -> AsyncIterator[Firefox]:
    """The one Firefox of these tests."""
    async with firefox() as opened:
        yield opened


async def calling(window: Firefox, url: str, script: str = "", *, camera: bool = True) -> None:
    """Somebody new, in a call with echo."""
    await window.visit(f"{url}/")
    await window.somebody(script)
    await window.visit(f"{url}/call/")
    await window.fill("//input[@id='username']", f"Fay {next(NUMBERS)}")
    await window.click("//form[.//input[@id='username']]//button[@type='submit']")
    await window.until("() => document.body.dataset.wire === 'open'")
    if not camera:
        await window.click("//input[@id='with-camera']")
    await window.fill("//input[@id='who']", "echo")
    await window.click("//form[@id='dial']//button")
    await window.until(STATE, "connected")


async def receives(window: Firefox, *, picture: bool = True, sound: bool = True) -> dict[str, Any]:
    """Wait until more moving pictures and more sound arrive than now; the last measurement."""
    since = await window.run("() => inside.measure()")
    wanted = {"picture": picture, "sound": sound, "patience": PATIENCE * 1000}
    found = await window.run("([since, wanted]) => inside.grown(since, wanted)", [since, wanted])
    assert found["held"], f"nothing new: {since} -> {found['now']}"
    now: dict[str, Any] = found["now"]
    return now


async def hang_up(window: Firefox) -> None:
    await window.press("Hang up")
    await window.until(STATE, "ended")


@pytest.mark.parametrize("codec", ["video/VP8", "video/VP9", "video/AV1"])
async def test_pictures_in_each_codec(exchange: str, window: Firefox, codec: str) -> None:
    await calling(window, exchange, only(codec))
    now = await receives(window)
    assert now["codecs"] == {"audio": "audio/opus", "video": codec}
    await hang_up(window)


async def test_a_muted_microphone_is_silent(exchange: str, window: Firefox) -> None:
    await calling(window, exchange)
    await receives(window)
    await window.press("Mute")
    found = await window.run("inside.silent", {"patience": PATIENCE * 1000})
    assert found["held"], found["now"]
    await window.press("Mute")
    await receives(window)
    await hang_up(window)


async def test_another_page_ends_the_call(exchange: str, window: Firefox) -> None:
    await calling(window, exchange)
    await receives(window)
    await window.visit(f"{exchange}/")
    assert await window.run("() => location.pathname") == "/"


# The last: the fake camera of Firefox shows nothing any more once it was turned off.
async def test_without_a_camera_and_then_with_it(exchange: str, window: Firefox) -> None:
    await calling(window, exchange, camera=False)
    await receives(window, picture=False)
    await window.press("Camera off")
    await receives(window)
    await window.press("Camera off")
    await receives(window, picture=False)
    await hang_up(window)
