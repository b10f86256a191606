"""Firefox as a caller of echo and of the recorder, through our own page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import av
import pytest
import pytest_asyncio

from tests.browser.codecs import only
from tests.browser.firefox import Firefox, firefox
from tests.browser.kept import FEW, Place, watch
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


async def calling(
    window: Firefox, url: str, script: str = "", *, camera: bool = True, to: str = "echo"
) -> None:
    """Somebody new, in a call with a bot."""
    await window.visit(f"{url}/")
    await window.somebody(script)
    await window.visit(f"{url}/call/")
    await window.fill("//input[@id='username']", f"Fay {next(NUMBERS)}")
    await window.click("//form[.//input[@id='username']]//button[@type='submit']")
    await window.until("() => document.body.dataset.wire === 'open'")
    if not camera:
        await window.click("//input[@id='with-camera']")
    await window.fill("//input[@id='who']", to)
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


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
async def test_what_it_sends_is_recorded(place: Place, window: Firefox, codec: str) -> None:
    await calling(window, place.url, only(f"video/{codec}"), to="recorder")
    encoded = """async ([enough, patience]) => {
      const end = performance.now() + patience;
      for (let most = 0; most < enough;) {
        if (performance.now() > end) return false;
        await new Promise((resolve) => setTimeout(resolve, 100));
        const stats = await inside.connections.at(-1).getStats();
        for (const row of stats.values()) most = Math.max(most, row.framesEncoded ?? 0);
      }
      return true;
    }"""
    assert await window.run(encoded, [45, PATIENCE * 1000])
    await hang_up(window)
    for _ in range(round(PATIENCE * 10)):
        if any(map(_ended, place.recordings.glob("*/recording.json"))):
            break
        await asyncio.sleep(0.1)
    [path] = place.recordings.glob("*/1.*m")
    film = watch(path)
    assert film.pictures > 30
    assert film.moves >= FEW
    assert film.seconds > 1
    assert film.loud > 100
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name.removeprefix("lib") == codec


def _ended(sidecar: Path) -> bool:
    return json.loads(sidecar.read_text())["ended"] is not None


# The last: the fake camera of Firefox shows nothing any more once it was turned off.
async def test_without_a_camera_and_then_with_it(exchange: str, window: Firefox) -> None:
    await calling(window, exchange, camera=False)
    await receives(window, picture=False)
    await window.press("Camera off")
    await receives(window)
    await window.press("Camera off")
    await receives(window, picture=False)
    await hang_up(window)
