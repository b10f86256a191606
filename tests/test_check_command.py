"""`ringback check`: a real process calls, and says whether the call is proved."""

from __future__ import annotations

import asyncio
import json
import signal
import xml.etree.ElementTree as ET
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from ringback import bots
from ringback.__main__ import main
from ringback.bots.calltest.live import Progress
from ringback.bots.calltest.observed import (
    Direction,
    HeardChirp,
    Observed,
    SeenPicture,
    SentChirp,
    SentPicture,
    Step,
)
from ringback.bots.check_command import size
from tests.callers import needs_address
from tests.lines import Line, Start, start
from tests.process import PATIENCE, ended, starting
from tests.robots import Host, host
from tests.turn import ice_server, needs_turn, turn_server

__all__ = ["host", "start"]
# A busy machine shows late pictures; what is asked here is whether they come.
CALM = (
    "--fail", "freezes.still > 50s", "--fail", "skew.median > 9s", "--fail", "skew.median < -9s",
)  # fmt: skip
TRIES = 5

Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts the command."""
    async with starting("ringback", "check") as start:

        async def begin(line: Line | str, *arguments: str, **environ: str) -> Process:
            url = line if isinstance(line, str) else line.server.url
            return await start(url, *arguments, **environ)

        yield begin


async def end(process: Process) -> tuple[int, str]:
    """The exit code and what was said."""
    code, out, errors = await ended(process)
    assert out == ""
    return code, errors


async def verdict(run: Run, line: Line, *arguments: str) -> tuple[int, str]:
    """The exit code and what was said, once the machine was not too busy to judge."""
    code, said = 2, "too busy to judge"
    for _ in range(TRIES):
        if code != 2 or "too busy to judge" not in said:
            break
        code, said = await end(await run(line, *arguments))
    return code, said


@needs_address
async def test_a_call_is_proved_and_reported(start: Start, run: Run, tmp_path: Path) -> None:
    line = await start()
    files = {name: tmp_path / f"report.{name}" for name in ("json", "junit", "html")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    kept = str(tmp_path / "kept")
    code, said = await verdict(
        run, line, "--for", "3s", "--seed", "4", *CALM, *options, "--artifacts", kept, "--speech",
        "--fail", "speech < 0.01",
    )  # fmt: skip
    assert code == 0, said
    for words in ("Calling echo at", "ringing", "connected", "the first picture", "Passed."):
        assert words in said
    told: dict[str, Any] = json.loads(files["json"].read_text())
    (call,) = told["calls"]
    assert (told["exit_code"], call["state"], call["seed"]) == (0, "passed", 4)
    figures = call["directions"][0]["figures"]
    assert figures["frames.lost"] == 0
    assert 0.01 <= figures["speech"] <= 1
    assert ET.parse(files["junit"]).getroot().get("failures") == "0"
    html = files["html"].read_text()
    assert html.count("data:image/png;base64,") >= 1
    assert not (tmp_path / "kept").exists(), "what passed is not kept"
    await line.idle()


@needs_address
async def test_two_of_its_own_more_than_once(start: Start, run: Run, tmp_path: Path) -> None:
    line = await start()
    report = tmp_path / "report.json"
    code, said = await verdict(
        run, line, "--between", "--for", "800ms", "--repeat", "2", "--calls", "2", *CALM,
        "--json", str(report),
    )  # fmt: skip
    assert code == 0, said
    assert "2 calls at once." in said
    assert "4: Passed." in said
    assert "4 of 4 calls passed." in said
    told = json.loads(report.read_text())
    assert [len(call["directions"]) for call in told["calls"]] == [2] * 4
    first = told["calls"][0]["seed"]
    assert [call["seed"] for call in told["calls"]] == list(range(first, first + 4))


@needs_address
async def test_a_threshold_fails_it_and_everything_is_kept(
    start: Start, run: Run, tmp_path: Path
) -> None:
    line = await start()
    kept = tmp_path / "kept"
    code, said = await verdict(
        run, line, "--for", "1s", "--fail", "frames.sent > 2", "--artifacts", str(kept)
    )
    assert code == 1, said
    assert "Failed." in said
    assert "frames.sent" in said
    assert {"received.webm", "frames.csv", "first.png"} <= {path.name for path in kept.iterdir()}


@needs_address
async def test_a_bad_network_is_logged(start: Start, run: Run, tmp_path: Path) -> None:
    line = await start()
    kept = tmp_path / "kept"
    code, said = await verdict(
        run,
        line,
        "--for",
        "1s",
        "--net",
        "delay=30ms",
        "--seed",
        "1",
        "--artifacts",
        str(kept),
        "--fail",
        "latency.median > 0ms",
    )
    assert code == 1, said
    assert "latency.median" in said
    lines = (kept / "packets.csv").read_text().splitlines()
    assert {"rtp", "stun", "dtls"} <= {line.split(",")[2] for line in lines[1:]}


@needs_address
async def test_nothing_comes_back(host: Host, run: Run) -> None:
    @bots.bot("mute")
    async def mute(call: bots.Call) -> None:
        await asyncio.Event().wait()

    line = await host(mute)
    code, said = await verdict(run, line, "--to", "mute", "--for", "1s")
    assert code == 1
    assert "Failed." in said


@needs_turn
@needs_address
@pytest.mark.parametrize(
    "options", [["--net", "delay=20ms"], ["--between"]], ids=["udp-net-echo", "tcp-between"]
)
async def test_by_a_relay_alone(start: Start, run: Run, tmp_path: Path, options: list[str]) -> None:
    kept, report = tmp_path / "kept", tmp_path / "report.json"
    transport = "tcp" if "--between" in options else "udp"
    async with turn_server(tmp_path) as where:
        line = await start(config={"ice_servers": (ice_server(where, transport=transport),)})
        code, said = await verdict(
            run, line, "--relay", *options, "--for", "1s", "--fail", "frames.sent > 2",
            "--artifacts", str(kept), "--json", str(report),
        )  # fmt: skip
    assert code == 1, said
    [call] = json.loads(report.read_text())["calls"]
    assert all(pair.startswith("relay ") for pair in call["pairs"].values())
    assert len(call["pairs"]) == 1 + ("--between" in options)
    assert all(way["figures"]["frames.identified"] > 2 for way in call["directions"])
    assert (kept / "packets.csv").exists() is ("--net" in options)


@needs_turn
@needs_address
async def test_a_relay_that_refuses(start: Start, run: Run, tmp_path: Path) -> None:
    async with turn_server(tmp_path) as where:
        line = await start(config={"ice_servers": (ice_server(where, "wrong"),)})
        code, said = await verdict(run, line, "--relay")
    assert code == 1, said
    words = " ".join(said.split())
    assert "Failed. Only a relay was allowed, and there was none:" in words
    assert "says: 401 Unauthorized. Let user and secret in --ice-server be those" in words


async def test_no_relay_at_all(start: Start, run: Run) -> None:
    line = await start()
    code, said = await end(await run(line, "--relay"))
    assert code == 2
    assert "The exchange names no TURN server" in said
    assert "--ice-server turn:HOST:3478,USER,SECRET" in said


async def test_nobody_of_that_name(start: Start, run: Run) -> None:
    line = await start()
    code, said = await end(await run(line, "--to", "nobody"))
    assert code == 1
    assert "nobody is not here right now." in said
    assert "passed nothing on" not in said


@needs_address
async def test_ctrl_c_proves_nothing(start: Start, run: Run, tmp_path: Path) -> None:
    line = await start()
    process = await run(line, "--for", "10m")
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while b"the first picture" not in await process.stderr.readline():
            pass
    process.send_signal(signal.SIGINT)
    code, said = await end(process)
    assert code == 2
    assert "Interrupted: nothing is proved." in said
    await line.idle()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fail", "latency.p59 > 3ms"], "there is no figure latency.p59"),
        (["--net", "nowhere"], "nowhere"),
        (["--ca", "/nowhere.pem"], "There is no file /nowhere.pem."),
        (["--for", "2h"], "at most an hour"),
        (["--size", "321x241"], "both numbers even"),
        (["--size", "large"], "'large' is no size"),
        (["--between", "--with", "browser"], "there is no browser"),
        (["--with", "firefox", "--for", "2m"], "at most 60 s"),
        (["--fail", "speech < 0.9"], "sent with --speech only"),
    ],
)
def test_what_cannot_be_asked(arguments: list[str], words: str) -> None:
    told = CliRunner().invoke(main, ["check", "http://127.0.0.1:9", *arguments])
    assert told.exit_code == 2
    assert words in told.output


async def test_an_exchange_that_is_not_there(run: Run, unused_tcp_port: int) -> None:
    code, said = await end(await run(f"http://127.0.0.1:{unused_tcp_port}"))
    assert code == 2
    assert "cannot be reached" in said
    assert "Traceback" not in said


async def test_without_numpy_it_says_what_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('gone', name='numpy')")
    code, said = await end(await run("http://127.0.0.1:9", PYTHONPATH=str(tmp_path)))
    assert code == 2
    assert "pip install 'ringback[check]'" in said


async def test_without_pystoi_speech_is_not_asked_for(
    start: Start, run: Run, tmp_path: Path
) -> None:
    line = await start()
    (tmp_path / "pystoi.py").write_text("raise ModuleNotFoundError('gone', name='pystoi')")
    code, said = await end(await run(line, "--speech", PYTHONPATH=str(tmp_path)))
    assert code == 2
    assert "pip install 'ringback[speech]'" in said
    assert "Traceback" not in said


def test_the_doctor_is_a_part_of_it() -> None:
    told = CliRunner().invoke(main, ["check", "doctor", "--help"])
    assert told.exit_code == 0
    assert "Try every way by which media can go" in told.output
    told = CliRunner().invoke(main, ["check", "--help"])
    assert "check doctor URL" in told.output


# --- parts ----------------------------------------------------------------------------------


def test_sizes() -> None:
    assert size("640x480") == (640, 480)
    for text in ("640", "x", "640x", "-1x2", "640 x 480"):
        with pytest.raises(click.BadParameter):
            size(text)


def observed() -> Observed:
    seen = SeenPicture(2.02, 2.03, 7, 1, None, 320, 240)
    way = Direction(
        "ann", "bob", 7, ("audio", "video"), 15.0, (320, 240),
        sent=[SentPicture(0, 1.9), SentPicture(1, 2.0)],
        seen=[replace_stream(seen), seen],
        sent_chirps=[SentChirp(0, 1.9, 0)],
        heard=[HeardChirp(2.0, 7, 0, -20.0), HeardChirp(2.1, None, None, -40.0)],
    )  # fmt: skip
    steps = [Step(1.0, "ann", "placed", "to bob"), Step(1.5, "ann", "ringing")]
    return Observed("http://x", "bob", 0.0, 1.9, 1.0, [way], steps)


def replace_stream(seen: SeenPicture) -> SeenPicture:
    return SeenPicture(seen.arrived, seen.shown, 8, 0, None, 320, 240)


def test_the_terminal_shows_steps_and_what_was_identified() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    progress = Progress("Calling bob", console=console)
    progress.watch(observed())
    console.print(progress._draw())
    shown = out.getvalue()
    assert "0.500 s  ann: ringing" in shown
    row = next(line for line in shown.splitlines() if line.startswith("ann to bob"))
    assert row.split()[3:] == ["2", "1", "1", "1", "30", "ms"]


def test_each_step_is_a_line_once_where_there_is_no_terminal() -> None:
    out = StringIO()
    progress = Progress("Calling bob", console=Console(file=out, width=40))
    with progress:
        given = observed()
        progress.watch(given)
        # It is known later that it was earlier.
        given.steps.insert(0, Step(0.9, "ann", "gathered"))
        given.steps.sort(key=lambda step: step.at)
        progress.watch(given)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Calling bob."
    assert len(lines) == 4
    assert len(set(lines)) == 4
