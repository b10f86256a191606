"""Call tests with a browser: the real page, its camera and microphone marked, its pictures read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.options import CannotCheck
from ringback.bots.calltest.run import Check, run
from ringback.bots.calltest.verified import proves
from tests.callers import needs_address
from tests.running import Server

pytestmark = needs_address


def held(observed: Observed) -> None:
    """What must hold of a call with a browser that went well, however slow the machine."""
    assert (observed.ending, observed.reason) == ("hung up", "")
    to_page, to_us = observed.directions
    for direction in observed.directions:
        found = figures(direction, observed)
        assert found.frames.identified >= 5, direction.name
        # A browser that lacks time plays its film and its tape later than it should, so they may
        # seem to be of another time; whose they are is certain.
        assert found.frames.wrong == found.frames.torn == 0
        assert found.sound.identified >= 1, direction.name
        assert found.sound.wrong == 0
        assert direction.codecs == direction.wanted
        assert found.frames.width == 320
        assert found.latency.median is not None
        assert -found.latency.error <= found.latency.median
    assert to_page.clocks.offset == -to_us.clocks.offset != 0.0
    assert 0 < to_us.clocks.error < 5.0
    assert all(seen.stamp is None for seen in to_us.seen), "the stamps of a film say nothing"


async def called(check: Check) -> Observed:
    """What was observed of a call in which the browser had time for what it sends and shows: on a
    machine that is busy with other tests it is asked again."""
    observed = await run(check)
    for _ in range(2):
        if not all(map(proves, observed.directions)):
            observed = await run(check)
    return observed


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_both_ways_are_proved(server: Server, tmp_path: Path, codec: str) -> None:
    check = Check(
        server.url, partner="browser", seconds=5, artifacts=tmp_path, seed=3,
        codec="H264" if codec == "H264" else "VP8",
    )  # fmt: skip
    observed = await called(check)
    held(observed)
    page = observed.directions[0].receiver
    steps = {step.name for step in observed.steps if step.side == page}
    assert {"answered", "ice", "dtls", "packet", "picture", "sound"} <= steps
    assert set(observed.pairs) == {page, observed.directions[0].sender}
    kept = {Path(path).name for path in observed.files.values()}
    assert {f"page-{page}.png", f"console-{page}.txt"} <= kept


async def test_sound_alone(server: Server) -> None:
    observed = await called(Check(server.url, partner="browser", seconds=3, sound_only=True))
    assert observed.ending == "hung up"
    for direction in observed.directions:
        assert direction.kinds == ("audio",)
        assert figures(direction, observed).sound.identified >= 1


async def test_without_a_browser_it_says_what_is_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CannotCheck, match="There is no Chromium") as caught:
        await run(Check(server.url, partner="browser", seconds=1))
    assert caught.value.code == "browser_missing"


async def test_a_page_that_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(CannotCheck, match="cannot be opened") as caught:
        await run(Check(f"http://127.0.0.1:{unused_tcp_port}", partner="browser", seconds=1))
    assert caught.value.code == "unreachable"
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "probe"]
