"""Call tests with a browser: the real page, its camera and microphone marked, its pictures read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median

import pytest

from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.options import CannotCheck
from ringback.bots.calltest.run import Check, Partner, run
from ringback.bots.calltest.verified import proves
from ringback.bots.media.payload import Codec
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


async def called(check: Check) -> Observed:
    """What was observed of a call in which the browser had time for what it sends and shows: on a
    machine that is busy with other tests it is asked again."""
    observed = await run(check)
    for _ in range(2):
        if not all(map(proves, observed.directions)):
            observed = await run(check)
    return observed


@pytest.mark.parametrize(
    ("partner", "codec"), [("browser", "VP8"), ("browser", "H264"), ("firefox", "VP8")]
)
async def test_both_ways_are_proved(
    server: Server, tmp_path: Path, partner: Partner, codec: Codec
) -> None:
    check = Check(server.url, partner=partner, seconds=5, artifacts=tmp_path, seed=3, codec=codec)
    observed = await called(check)
    held(observed)
    _, to_us = observed.directions
    if partner == "browser":
        assert all(seen.stamp is None for seen in to_us.seen), "the stamps of a film say nothing"
    # What is painted in a page is what was meant.
    assert median(seen.similarity for seen in to_us.seen if seen.similarity is not None) > 0.8
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


async def test_h264_in_firefox_is_proved_or_said_to_be_missing(server: Server) -> None:
    check = Check(server.url, partner="firefox", seconds=3, codec="H264")
    missing: CannotCheck | None = None
    try:
        observed = await called(check)
    except CannotCheck as error:
        missing = error
    else:
        held(observed)
    if missing is not None:
        assert missing.code == "codec_missing"
        assert "MOZ_GMP_PATH" in str(missing)


@pytest.mark.parametrize(
    ("partner", "words"), [("browser", "There is no Chromium"), ("firefox", "There is no Firefox")]
)
async def test_without_a_browser_it_says_what_is_missing(
    server: Server, monkeypatch: pytest.MonkeyPatch, partner: Partner, words: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CannotCheck, match=words) as caught:
        await run(Check(server.url, partner=partner, seconds=1))
    assert caught.value.code == "browser_missing"


async def test_a_page_that_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(CannotCheck, match="cannot be opened") as caught:
        await run(Check(f"http://127.0.0.1:{unused_tcp_port}", partner="browser", seconds=1))
    assert caught.value.code == "unreachable"
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "probe"]
