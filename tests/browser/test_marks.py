"""Marks in a real browser: painted on a canvas, sent, received, scaled, and read from a canvas."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark
from tests.browser.conftest import NewPerson
from tests.running import Server

SCRIPT = (Path(__file__).parent / "marks.js").read_text()
WANTED = 30


def mark_of(said: dict[str, int] | None) -> Mark | None:
    return None if said is None else Mark(said["stream"], said["sequence"], said["stamp"])


@pytest.mark.parametrize(
    ("codec", "sent", "shown"),
    [
        ("VP8", (640, 480), (320, 240)),
        ("VP8", (320, 240), (160, 120)),
        ("H264", (640, 480), (320, 240)),
        ("VP9", (640, 480), (333, 251)),
    ],
)
async def test_a_received_video_is_read_at_another_size(
    codec: str, sent: tuple[int, int], shown: tuple[int, int],
    server: Server, new_person: NewPerson,
) -> None:  # fmt: skip
    ann = await new_person(server.url, "Ann")
    await ann.goto("/")
    script = await ann.page.get_attribute("script[type=module]", "src")
    assert script is not None
    folder = script.rsplit("/", 1)[0]
    about = {"folder": folder, "codec": codec, "sent": sent, "shown": shown, "wanted": WANTED}
    told: dict[str, Any] = await ann.page.evaluate(SCRIPT, about)
    painted = {mark_of(mark) for mark in told["painted"]}
    read = [mark_of(reading["mark"]) for reading in told["readings"]]
    whole = [mark for mark in read if mark is not None]
    assert len(whole) >= WANTED, told["readings"][-3:]
    assert set(whole) <= painted, "no mark that nobody painted"
    assert not any(reading["torn"] for reading in told["readings"])
    # The picture is read the same here, from the very pixels that the browser had.
    assert any(picture["reading"]["mark"] for picture in told["pictures"])
    for picture in told["pictures"]:
        flat = np.frombuffer(base64.b64decode(picture["data"]), np.uint8)
        colours = flat.reshape(shown[1], shown[0], 4).astype(int)
        red, green, blue = (colours[..., n] for n in range(3))
        luma = (77 * red + 150 * green + 29 * blue >> 8).astype(np.uint8)
        here = marks.read(luma)
        reading = picture["reading"]
        assert (here.mark, here.top, here.bottom, here.torn) == (
            mark_of(reading["mark"]), mark_of(reading["top"]), mark_of(reading["bottom"]),
            reading["torn"],
        )  # fmt: skip
