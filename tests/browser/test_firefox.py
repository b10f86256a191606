"""Firefox as a caller of echo and of the recorder, through our own page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
import pytest_asyncio

from tests.browser.codecs import only
from tests.browser.firefox import Firefox, firefox
from tests.browser.kept import FEW, Place, finished, parts, passes, watch
from tests.browser.person import PATIENCE, NewPerson, connected
from tests.browser.test_recording import ask, shows
from tests.callers import needs_address

pytestmark = needs_address


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fay() -> AsyncIterator[Firefox]:
    """Who is in front of the one Firefox of these tests."""
    async with firefox() as opened:
        yield opened


async def calling(
    fay: Firefox, url: str, script: str = "", *, camera: bool = True, to: str = "echo"
) -> None:
    """Somebody new, in a call with a bot."""
    await fay.open_calls(url, script)
    if not camera:
        await fay.window.press("#with-camera")
    await fay.window.fill("#who", to)
    await fay.window.press("#dial button")
    await fay.phone_is("connected")


async def hang_up(fay: Firefox) -> None:
    await fay.press("Hang up")
    await fay.phone_is("ended")


@pytest.mark.parametrize("codec", ["video/VP8", "video/VP9", "video/AV1"])
async def test_pictures_in_each_codec(exchange: str, fay: Firefox, codec: str) -> None:
    await calling(fay, exchange, only(codec))
    now = await fay.receives()
    assert now["codecs"] == {"audio": "audio/opus", "video": codec}
    await hang_up(fay)


async def test_a_muted_microphone_is_silent(exchange: str, fay: Firefox) -> None:
    await calling(fay, exchange)
    await fay.receives()
    await fay.press("Mute")
    found = await fay.run("inside.silent", {"patience": PATIENCE * 1000})
    assert found["held"], found["now"]
    await fay.press("Mute")
    await fay.receives()
    await hang_up(fay)


async def test_another_page_ends_the_call(exchange: str, fay: Firefox) -> None:
    await calling(fay, exchange)
    await fay.receives()
    await fay.window.visit(f"{exchange}/")
    assert await fay.run("() => location.pathname") == "/"


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
async def test_what_it_sends_is_recorded(place: Place, fay: Firefox, codec: str) -> None:
    await calling(fay, place.url, only(f"video/{codec}"), to="recorder")
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
    assert await fay.run(encoded, [45, PATIENCE * 1000])
    await hang_up(fay)
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


async def test_a_call_with_chromium_is_recorded(
    place: Place, fay: Firefox, new_person: NewPerson
) -> None:
    ann = await new_person(place.url, "Ann")
    await ann.open_calls()
    name = await fay.open_calls(place.url)
    await ann.call(name)
    assert await fay.window.appears("#answer", PATIENCE)
    await fay.press("Answer")
    await connected(ann)
    await ann.receives()
    await ask(ann)
    assert await fay.window.appears("#recording-question", PATIENCE)
    await fay.press("Agree")
    await shows(ann, "Recording")
    assert await fay.window.appears("#recording-mark", PATIENCE)
    await passes(ann, 4.0)
    await ann.receives()
    await fay.receives()
    await ann.press("Hang up")
    id = await finished(ann)
    both = parts(place, id)
    assert set(both) == {"Ann", name}
    for part in both.values():
        film = watch(place.recordings / id / part["file"])
        assert film.codecs == {"vp8", "opus"}
        assert film.moves >= FEW
        assert film.seconds > 2.0
        assert film.loud > 100


# The last: the fake camera of Firefox shows nothing any more once it was turned off.
async def test_without_a_camera_and_then_with_it(exchange: str, fay: Firefox) -> None:
    await calling(fay, exchange, camera=False)
    await fay.receives(picture=False)
    await fay.press("Camera off")
    await fay.receives()
    await fay.press("Camera off")
    await fay.receives(picture=False)
    await hang_up(fay)
