"""What the recorder kept of a page: its files decoded, its list, and how long a call went on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import av
from playwright.async_api import expect

from tests.browser.person import Person

DISC = 0.271
"""How wide the fake camera's disc is, of the picture's width."""
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


def turns(path: Path, offset_ms: float) -> list[tuple[float, float]]:
    """Each picture of the fake camera in a file: when it was (s, on the recording's time line),
    and how far its disc was turned (0 to 1)."""
    whole, found = math.pi * (320 * DISC / 2) ** 2, []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            small = frame.reformat(320, 180, "rgb24")
            rows, width = bytes(small.planes[0]), small.planes[0].line_size
            # The disc's green has some red in it, the ground has none.
            red = b"".join(rows[y * width + 300 : y * width + 660 : 3] for y in range(30, 150))
            assert frame.time is not None
            bright = sum(value > 40 for value in red)
            found.append((offset_ms / 1000 + frame.time, bright / whole))
    return found


def out_of_step(one: list[tuple[float, float]], other: list[tuple[float, float]]) -> float:
    """How far (s) two recordings of one camera are apart, in the median of the pictures that are
    in both. Its disc turns 1.75 times a second: within a quarter no two pictures are the same."""
    apart = []
    for at, turned in one:
        near = [(abs(turned - t), abs(at - a)) for a, t in other if abs(at - a) < 0.25]
        if near and min(near)[0] < 0.02:
            apart.append(min(near)[1])
    assert len(apart) > FEW, (one, other)
    return median(apart)


def parts(place: Place, id: str) -> dict[str, Any]:
    """Each person's part, as the sidecar says."""
    sidecar = json.loads((place.recordings / id / "recording.json").read_text())
    return {part["name"]: part for part in sidecar["participants"]}
