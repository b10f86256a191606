"""What the recorder kept of a page: its files decoded, its list, and how long a call went on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import av
from playwright.async_api import expect

from tests.browser.person import Person
from tests.marked import Played

FEW = 5
"""Pictures that move, at least: a busy machine has its browsers send few."""


@dataclass
class Place:
    """A `ringback serve` with its bots, and the folder of its recordings."""

    url: str
    recordings: Path


@dataclass
class Film:
    """What a file holds: pictures, how many of them differ from the one before, seconds of
    sound, whether it is ever loud, and in which codecs."""

    pictures: int = 0
    moves: int = 0
    seconds: float = 0.0
    loud: int = 0
    codecs: set[str] = field(default_factory=set)


def watch(path: Path) -> Film:
    """Decode a file to its end."""
    film, last = Film(), b""
    with av.open(str(path)) as container:
        film.codecs = {s.codec_context.codec.canonical_name for s in container.streams}
        for frame in container.decode(video=0):
            small = bytes(frame.reformat(64, 48, "gray").planes[0])
            film.pictures += 1
            film.moves += small != last
            last = small
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono")
        for sound in container.decode(audio=0):
            film.seconds += sound.samples / sound.sample_rate
            for part in resampler.resample(sound):
                samples = memoryview(bytes(part.planes[0])).cast("h")[: part.samples]
                film.loud = max(film.loud, *map(abs, samples))
    return film


async def items(person: Person) -> list[dict[str, Any]]:
    """One's list, as scripts get it."""
    answer = await person.page.request.get(f"{person.url}/recordings/list.json")
    found: list[dict[str, Any]] = (await answer.json())["recordings"]
    return found


async def finished(person: Person) -> str:
    """Go to the page and wait until the newest recording is finished; its id."""
    await person.goto("/recordings/")
    newest = person.page.locator("li.recording").first
    await expect(newest).to_have_attribute("data-state", "finished")
    return str(await newest.get_attribute("data-recording"))


async def clock(person: Person) -> float:
    """The time by a page's clock (s)."""
    return float(await person.page.evaluate("performance.now()")) / 1000


async def passes(person: Person, seconds: float) -> None:
    """Wait until a call has gone on for so long, by its own clock."""
    await person.page.wait_for_function(
        "until => performance.now() / 1000 > until", arg=await clock(person) + seconds
    )


def apart(one: Played, offset: float, other: Played, other_offset: float) -> float:
    """How far (s) two recordings of one camera are apart, in the median of the pictures that are
    in both. `offset`: where its file begins on the time line (s)."""
    at = {picture.mark.sequence: picture.time + offset for picture in one.pictures}
    found = [
        abs(picture.time + other_offset - at[picture.mark.sequence])
        for picture in other.pictures
        if picture.mark.sequence in at
    ]
    assert len(found) > FEW, (one.numbers, other.numbers)
    return median(found)


def parts(place: Place, id: str) -> dict[str, Any]:
    """Each person's part, as the sidecar says."""
    sidecar = json.loads((place.recordings / id / "recording.json").read_text())
    return {part["name"]: part for part in sidecar["participants"]}
