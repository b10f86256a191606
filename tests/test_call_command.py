"""`ringback call`: a real process calls bots and people, and says whether media flowed."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from ringback import bots
from ringback.bots.arguments import duration
from ringback.bots.measure import Flow, Measured
from ringback.bots.progress import Progress
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.callers import needs_address
from tests.clips import clip
from tests.lines import Line, Start, start
from tests.marked import growing, play
from tests.process import PATIENCE, ended, starting
from tests.robots import Host, host

__all__ = ["host", "start"]

Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts the command."""
    async with starting("ringback", "call") as start:

        async def begin(line: Line | str, *arguments: str, name: str | None = "carla") -> Process:
            url = line if isinstance(line, str) else line.server.url
            who = ["--as", name] if name is not None else []
            return await start(url, *who, *arguments)

        yield begin


async def said(process: Process) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON."""
    code, out, errors = await ended(process)
    assert out, errors
    found: dict[str, Any] = json.loads(out)
    return code, found


@needs_address
async def test_echo_is_called_and_media_flows_both_ways(start: Start, run: Run) -> None:
    line = await start()
    code, told = await said(await run(line, "--to", "echo", "--for", "2s", "--json"))
    assert code == 0
    assert told["ok"] is True
    assert (told["to"], told["reason"], told["message"]) == ("echo", "hangup", "You hung up.")
    assert 0 <= told["ringing_ms"] <= told["answered_ms"] <= told["connected_ms"]
    assert told["ended_ms"] - told["connected_ms"] == pytest.approx(2000, abs=700)
    for kind, least in (("audio", 60), ("video", 15)):
        flow = told["media"][kind]
        assert flow["sent"] >= least
        assert flow["received"] >= least * 0.7
        assert flow["received_frames"] >= least * 0.7
    assert told["media"]["audio"]["codec"] == "opus"
    assert told["loss"] is not None
    await line.idle()


@needs_address
async def test_it_says_in_words_how_it_went(start: Start, run: Run) -> None:
    line = await start()
    process = await run(line, "--to", "echo", "--for", "1s", "--sound-only")
    code, out, errors = await ended(process)
    assert code == 0
    assert out == ""
    for words in (
        "Calling echo.", "echo is being rung.", "In a call with echo.", "You hung up.",
        "sound: opus,", "Media flowed as it should.",
    ):  # fmt: skip
        assert words in errors
    assert "picture" not in errors


@needs_address
async def test_a_file_is_played_to_its_end_and_what_comes_is_kept(
    start: Start, run: Run, tmp_path: Path
) -> None:
    line = await start()
    played = clip(tmp_path / "clip.webm", seconds=3)
    kept = tmp_path / "kept.webm"
    process = await run(
        line, "--to", "echo", "--play", str(played), "--record", str(kept), "--json"
    )
    code, told = await said(process)
    assert code == 0
    assert told["connected_ms"] + 2500 < told["ended_ms"] < told["connected_ms"] + 6000
    found = play(kept)
    assert len(found.pictures) >= 25
    assert growing(found.numbers)
    assert found.sounds


@needs_address
async def test_nothing_comes_back_and_that_is_a_failure(host: Host, run: Run) -> None:
    @bots.bot("mute")
    async def mute(call: bots.Call) -> None:
        await asyncio.Event().wait()

    line = await host(mute)
    code, told = await said(await run(line, "--to", "mute", "--for", "1s", "--json"))
    assert code == 1
    assert told["ok"] is False
    assert told["media"]["audio"]["sent"] > 0
    assert told["media"]["audio"]["received_frames"] == 0


@needs_address
async def test_the_other_side_hangs_up(host: Host, run: Run) -> None:
    @bots.bot("brief")
    async def brief(call: bots.Call) -> None:
        async def some() -> AsyncIterator[bots.Sound]:
            for _ in range(50):
                yield bots.Sound(bytes(1920), 48_000)

        await call.publish(some())

    line = await host(brief)
    process = await run(line, "--to", "brief", "--sound-only", "--json")
    code, told = await said(process)
    assert (code, told["message"]) == (0, "brief hung up.")


@needs_address
async def test_ctrl_c_hangs_up(start: Start, run: Run) -> None:
    line = await start()
    process = await run(line, "--to", "echo")
    await in_a_call(process)
    process.send_signal(signal.SIGINT)
    _, _, errors = await ended(process)
    assert "You hung up." in errors
    await line.idle()


@needs_address
async def test_an_exchange_that_goes_away_in_mid_call_does_not_hold_it(
    start: Start, run: Run
) -> None:
    line = await start()
    process = await run(line, "--to", "echo", "--for", "2s")
    await in_a_call(process)
    await line.server.stop()
    code, _, errors = await ended(process)
    assert code == 1
    assert "sound: opus," in errors
    assert "Media did not flow as it should." in errors


async def in_a_call(process: Process) -> None:
    """Wait until it says so."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while b"In a call" not in await process.stderr.readline():
            pass


@needs_address
async def test_a_bot_may_call_with_its_token(start: Start, run: Run) -> None:
    line = await start()
    token = mint_bot_token(line.server.app[SECRET], "dialler", 600)
    process = await run(line, "--to", "echo", "--token", token, "--for", "1s", "--json", name=None)
    code, _ = await said(process)
    assert code == 0


async def test_nobody_of_that_name(start: Start, run: Run) -> None:
    line = await start()
    code, told = await said(await run(line, "--to", "nobody", "--json"))
    assert code == 1
    assert (told["reason"], told["message"]) == ("unavailable", "nobody is not here right now.")
    assert told["media"] == {}


@pytest.mark.parametrize(
    ("arguments", "name", "words"),
    [
        (["--to", "echo", "--play", "/nowhere.webm"], "carla", "There is no file /nowhere.webm."),
        (["--to", "echo", "--record", "x.mp4"], "carla", "a recording ends in .webm or .mkv"),
        (["--to", "echo"], None, "Say who calls: --as NAME."),
        (["--to", "echo"], "echo", "This name is kept for a bot"),
        (["--to", "echo", "--ca", "/nowhere.pem"], "carla", "There is no file /nowhere.pem."),
        (["--to", "echo", "--for", "soon"], "carla", "'soon' is no time"),
    ],
)
async def test_what_cannot_be_placed(
    start: Start, run: Run, arguments: list[str], name: str | None, words: str
) -> None:
    line = await start()
    code, out, errors = await ended(await run(line, *arguments, name=name))
    assert code == 2
    assert out == ""
    assert words in errors
    assert "Traceback" not in errors


async def test_an_exchange_that_is_not_there(run: Run, unused_tcp_port: int) -> None:
    process = await run(f"http://127.0.0.1:{unused_tcp_port}", "--to", "echo")
    code, _, errors = await ended(process)
    assert code == 2
    assert "cannot be reached" in errors
    assert len(errors.splitlines()) == 1


# --- parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("500ms", 0.5), ("2m", 120.0), ("1.5", 1.5), ("1h", 3600.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "0", "10 s", "1d", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        duration(text)


def test_what_counts_as_flowing() -> None:
    both = Flow("audio", sent=5, received=5, received_frames=5, expects_sent=True)
    both.expects_received = True
    silent = Flow("video", expects_sent=True)
    assert Measured([both]).flowed
    assert not Measured([both, silent]).flowed
    silent.expects_sent = False
    assert Measured([both, silent]).flowed, "a camera that is off is not missed"
    assert not Measured([silent]).flowed, "nothing at all is not enough"
    assert not Measured().flowed


def test_the_table_shows_rates_and_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    now = [100.0]
    monkeypatch.setattr("ringback.bots.progress.time.monotonic", lambda: now[0])
    progress = Progress("echo", console=console)
    progress.reach("connected")
    progress.show(Measured([Flow("video", "VP8")], loss=0.0))
    now[0] += 2.0
    flow = Flow("video", "VP8", sent=60, received=50, received_frames=30)
    progress.show(Measured([flow], loss=0.25, round_trip_ms=12))
    console.print(progress._draw())
    shown = out.getvalue()
    assert "In a call with echo, 2 s" in shown
    assert [word for word in shown.split() if word.isdigit()][-4:-1] == ["30", "25", "15"]
    assert "25.0% lost, 12 ms" in shown
