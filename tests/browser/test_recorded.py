"""From the page into files and back: real browsers, the real recorder, and what it kept decoded."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from ringback.bots.calltest.chirps import Chirps
from ringback.bots.calltest.reels import film, tape
from ringback.bots.calltest.scene import Scene
from tests.browser.codecs import only
from tests.browser.conftest import launched
from tests.browser.kept import (
    FEW,
    Place,
    apart,
    clock,
    finished,
    items,
    parts,
    passes,
)
from tests.browser.person import SENT_BACK, SERVER_AWAY, NewPerson, Person, connected, talking
from tests.browser.test_recording import ask, mark, shows
from tests.callers import needs_address
from tests.marked import RATE, STREAM, Played, play
from tests.process import running

pytestmark = needs_address
SECONDS = 16
"""How long the camera's film is, in which no sound bears the same number twice; then it begins
again."""
PLAIN = """
const devices = navigator.mediaDevices;
const ask = devices.getUserMedia.bind(devices);
const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
devices.getUserMedia = ({ audio, ...wanted }) => ask({ ...wanted, audio: audio && plain });
"""
"""What is kept of a microphone is to be what it was given."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One whose camera and microphone play marked pictures and sounds."""
    folder = tmp_path_factory.mktemp("devices")
    film(folder / "film.y4m", Scene(STREAM, 320, 240), RATE, SECONDS)
    (folder / "tape.wav").write_bytes(tape(Chirps(STREAM), SECONDS))
    async with launched(
        f"--use-file-for-fake-video-capture={folder / 'film.y4m'}",
        f"--use-file-for-fake-audio-capture={folder / 'tape.wav'}",
    ) as browser:
        yield browser


@pytest.fixture
def new_person(new_person: NewPerson) -> NewPerson:
    """People whose microphones are left as they are."""

    async def seat(url: str, name: str, *, script: str = "", **more: Any) -> Person:
        return await new_person(url, name, script=f"{{{PLAIN}}}{script}", **more)

    return seat


def check(played: Played, *, begun: int = 1) -> None:
    """Both were kept: the camera's pictures, none twice and each after the one before but where
    its film had `begun` anew, and the microphone's sounds."""
    length = SECONDS * RATE
    steps = [(after - before) % length for before, after in itertools.pairwise(played.numbers)]
    assert len(steps) >= FEW, played.numbers
    assert sum(not 0 < step < length / 2 for step in steps) < begun, played.numbers
    assert played.sounds


async def test_a_call_is_recorded_and_played(place: Place, new_person: NewPerson) -> None:
    ann, bob = await talking(place.url, new_person)
    await ask(ann)
    await bob.press("Agree")
    for person in (ann, bob):
        await shows(person, "Recording")
    await passes(ann, 4.0)
    await ann.receives()
    await mark(bob).click()
    await bob.press("Stop")
    await expect(mark(ann)).to_be_hidden()
    await bob.receives()
    await ann.press("Hang up")
    id = await finished(bob)
    both = parts(place, id)
    assert set(both) == {"Ann", "Bob"}
    for part in both.values():
        played = play(place.recordings / id / part["file"])
        check(played)
        assert played.seconds > 3.0
        assert part["duration_ms"] == pytest.approx(1000 * played.seconds, abs=1500)
    sidecar = json.loads((place.recordings / id / "recording.json").read_text())
    assert sorted(consent["name"] for consent in sidecar["consent"]) == ["Ann", "Bob"]
    # It plays where it is listed, both sides in step.
    row = bob.page.locator(f"#r-{id}")
    await expect(row.get_by_role("heading")).to_have_text("With Ann")
    assert await row.locator("img.thumbnail").evaluate("i => i.decode().then(() => i.naturalWidth)")
    await row.locator("summary").click()
    drift = await bob.page.evaluate(
        """async () => {
          const [a, b] = document.querySelectorAll('details[open] video');
          const at = (v) => v.currentTime + Number(v.dataset.offset) / 1000;
          const playing = () => [a, b].every((v) => !v.paused && v.currentTime > 1);
          while (!playing()) await new Promise(requestAnimationFrame);
          let worst = 0;
          for (let n = 0; n < 60 && playing(); n += 1) {
            await new Promise(requestAnimationFrame);
            worst = Math.max(worst, Math.abs(at(a) - at(b)));
          }
          return worst;
        }"""
    )
    assert drift < 0.1
    await bob.press("Pause")
    # Both had the same camera: what it showed stands at one place of the time line.
    one, other = (play(place.recordings / id / part["file"]) for part in both.values())
    begins = [part["offset_ms"] / 1000 for part in both.values()]
    assert apart(one, begins[0], other, begins[1]) < 0.020
    await row.get_by_role("slider", name="Position").press("Home")
    await bob.page.wait_for_function(
        "() => [...document.querySelectorAll('details[open] video')].every(v => v.currentTime < 1)"
    )
    # Both delete it: then it is gone.
    for person in (ann, bob):
        await person.goto(f"/recordings/{id}/delete")
        await person.press("Delete")
        await expect(person.page.locator(f"#r-{id}")).to_have_count(0)
    assert id not in [path.name for path in place.recordings.iterdir()]


async def test_oneself_is_recorded(place: Place, new_person: NewPerson) -> None:
    ann = await new_person(place.url, "Ann")
    ann.allow(SENT_BACK)
    await ann.open_calls()
    await ann.dial.fill("recorder")
    await ann.press("Record me")
    await connected(ann)
    await shows(ann, "Recording")
    await passes(ann, 3.0)
    await ann.press("Camera off")
    await passes(ann, 1.0)
    await ann.press("Camera off")
    await passes(ann, 2.0)
    await ann.press("Hang up")
    id = await finished(ann)
    part = parts(place, id)["Ann"]
    played = play(place.recordings / id / part["file"], blank=True)
    check(played, begun=2)
    assert played.seconds > 5.0
    await expect(ann.page.locator(f"#r-{id}").get_by_role("heading")).to_have_text("You alone")
    eve = await new_person(place.url, "Eve")
    eve.allow(SENT_BACK)
    await eve.goto("/recordings/")
    assert await items(eve) == []
    for path in (part["file"], part["thumbnail"]):
        answer = await eve.page.request.get(f"{place.url}/recordings/{id}/{path}")
        assert answer.status == 404


async def test_h264_is_kept_as_it_came_and_played(place: Place, new_person: NewPerson) -> None:
    ann = await new_person(place.url, "Ann", script=only("video/H264"))
    await ann.open_calls()
    await ann.dial.fill("recorder")
    await ann.press("Record me")
    await connected(ann)
    await shows(ann, "Recording")
    await passes(ann, 4.0)
    await ann.press("Hang up")
    id = await finished(ann)
    part = parts(place, id)["Ann"]
    assert part["file"].endswith(".mkv")
    assert part["video"]["codec"] == "H264"
    played = play(place.recordings / id / part["file"])
    assert played.codecs == {"h264", "opus"}
    assert len(played.pictures) == part["video"]["frames"]
    check(played)
    assert played.seconds > 3.0
    row = ann.page.locator(f"#r-{id}")
    assert await row.locator("img.thumbnail").evaluate("i => i.decode().then(() => i.naturalWidth)")
    await row.locator("summary").click()
    video = row.locator("video")
    shown = "v => [v.videoWidth, v.videoHeight, v.getVideoPlaybackQuality().totalVideoFrames]"
    await ann.page.wait_for_function(
        "() => document.querySelector('details[open] video').currentTime > 1"
    )
    width, height, frames = await video.evaluate(shown)
    # A browser that lacks time sends smaller pictures meanwhile; noted is the largest size.
    largest = part["video"]["width"], part["video"]["height"]
    assert (width, height) <= largest
    assert width * largest[1] == height * largest[0]
    assert frames >= FEW
    async with ann.page.expect_download() as download:
        await row.get_by_role("button", name="Download your part").click()
    got = await download.value
    assert got.suggested_filename.endswith(".mkv")
    assert play(Path(await got.path())) == played


async def test_a_reload_goes_on_in_the_same_recording(place: Place, new_person: NewPerson) -> None:
    ann, bob = await talking(place.url, new_person)
    await ask(bob)
    await ann.press("Agree")
    await shows(bob, "Recording")
    await passes(bob, 2.0)
    await bob.page.reload()
    await connected(bob)
    await shows(bob, "Recording")
    await passes(bob, 4.0)
    await ann.press("Hang up")
    id = await finished(ann)
    both = parts(place, id)
    assert set(both) == {"Ann", "Bob"}
    for part in both.values():
        check(play(place.recordings / id / part["file"]), begun=2)
    # Both files reach the same end, though one of them has a hole.
    ends = [part["offset_ms"] + part["duration_ms"] for part in both.values()]
    assert max(ends) - min(ends) < 1500


async def test_nothing_is_kept_in_a_pause(place: Place, new_person: NewPerson) -> None:
    ann, bob = await talking(place.url, new_person)
    await ask(ann)
    await bob.press("Agree")
    await shows(ann, "Recording")
    times = [await clock(ann)]
    await passes(ann, 2.0)
    await mark(ann).click()
    for words, button, seconds in (("Paused", "Pause", 5.0), ("Recording", "Go on", 2.0)):
        await ann.press(button)
        await shows(bob, words)
        times.append(await clock(ann))
        await passes(ann, seconds)
    await ann.press("Stop")
    await expect(mark(bob)).to_be_hidden()
    begun, paused, resumed, over = *times, await clock(ann)
    await ann.press("Hang up")
    id = await finished(ann)
    kept, pause = paused - begun + over - resumed, resumed - paused
    for part in parts(place, id).values():
        played = play(place.recordings / id / part["file"])
        check(played, begun=2)  # A pause may be longer than half of the film.
        assert kept / 2 < played.seconds < kept + pause / 2, times


async def test_the_longest_recording_is_told(new_person: NewPerson, tmp_path: Path) -> None:
    limits = ("--record-limit", "minutes=0.05,free_megabytes=0")
    async with running("--data", str(tmp_path), *limits) as process:
        await process.until("Bots on the line: .*recorder")
        ann = await new_person(process.url.rstrip("/"), "Ann")
        ann.allow(SERVER_AWAY)
        await ann.open_calls()
        await ann.dial.fill("recorder")
        await ann.press("Record me")
        await connected(ann)
        news = ann.page.locator("#recording-news")
        await expect(news).to_have_text("The recording reached its longest duration and has ended.")
        await ann.phone_is("ended")
        id = await finished(ann)
        await expect(ann.page.locator(f"#r-{id}")).to_contain_text("reached its longest duration")


async def test_a_recorder_that_dies_loses_a_moment_and_says_so(
    new_person: NewPerson, tmp_path: Path
) -> None:
    """What was kept before is in order after its next start, and the call goes on."""
    async with running("--data", str(tmp_path), "--record-limit", "free_megabytes=0") as process:
        await process.until("Bots on the line: .*recorder")
        place = Place(process.url.rstrip("/"), tmp_path / "recordings")
        ann, bob = await talking(place.url, new_person)
        for person in (ann, bob):
            person.allow(SERVER_AWAY)  # it ends before their pages do
        await ask(ann)
        await bob.press("Agree")
        await shows(ann, "Recording")
        await passes(ann, 5.0)
        [bots] = [child for child in process.children() if "ringback.bots" in child.cmdline()]
        bots.kill()
        for person in (ann, bob):
            news = person.page.locator("#recording-news")
            await expect(news).to_have_text("The recorder failed, so the recording has ended.")
            await expect(mark(person)).to_be_hidden()
        await ann.receives()
        await ann.press("Hang up")
        id = await finished(ann)
        for part in parts(place, id).values():
            played = play(place.recordings / id / part["file"])
            check(played)
            assert played.seconds > 3.0
