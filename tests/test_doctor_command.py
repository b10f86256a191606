"""`ringback check doctor` as it is typed: a real process, its output and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.callers import needs_address
from tests.lines import Start, start
from tests.process import ended, starting
from tests.turn import ice_server, needs_turn, turn_server

__all__ = ["start"]
pytestmark = needs_address


async def doctor(*arguments: str) -> tuple[int, str, str]:
    """Run it to its end: the exit code and what was said."""
    async with starting("ringback", "check", "doctor") as begin:
        return await ended(await begin(*arguments))


async def test_all_is_well(start: Start) -> None:
    line = await start()
    code, out, errors = await doctor(line.server.url)
    assert (code, errors) == (0, "")
    assert "direct" in out
    assert "It works." in out
    assert "Might help" in out
    await line.idle()


@needs_turn
async def test_a_turn_server_that_refuses(start: Start, tmp_path: Path) -> None:
    async with turn_server(tmp_path) as where:
        line = await start(config={"ice_servers": (ice_server(where, "wrong"),)})
        code, out, errors = await doctor(line.server.url, "--json")
    assert code == 1, errors
    told = json.loads(out)
    assert told["ok"] is False
    found = [(way["way"], way["state"], way["code"]) for way in told["ways"]]
    assert found == [
        ("direct", "works", None), ("udp", "fails", "wrong_secret"), ("tcp", "absent", "absent"),
    ]  # fmt: skip
    assert "wrong" not in json.dumps({**told, "ways": [w["server"] for w in told["ways"]]})
    await line.idle()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "nobody"], "nobody is not here right now"),
        (["--as", "echo"], "This name is kept for a bot"),
        (["--ca", "/nowhere.pem"], "There is no file /nowhere.pem."),
        (["--patience", "soon"], "'soon' is no time"),
    ],
)
async def test_what_cannot_be_examined(start: Start, arguments: list[str], words: str) -> None:
    line = await start()
    code, out, errors = await doctor(line.server.url, *arguments)
    assert (code, out) == (2, "")
    assert words in errors
    assert "Traceback" not in errors


async def test_no_address() -> None:
    code, _, errors = await doctor("nowhere")
    assert code == 2
    assert "is no address" in errors
