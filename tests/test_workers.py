"""The processes of one bot: how they are started, and what becomes of those that die."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from ringback.bots import workers as module
from ringback.bots.keep import Options
from ringback.bots.run_command import run as run_command
from ringback.bots.workers import Workers, command, flags

OPTIONS = Options(
    url="ws://example.org/ws", token="secret", ca=Path("ca.pem"), max_calls=7, max_load=0.5,
    drain=1.5,
)  # fmt: skip


def test_a_worker_is_told_all_but_the_token() -> None:
    words = command("bot.py:x", OPTIONS)
    words += flags("40000-40099", ["192.0.2.7", "192.0.2.8"], ["private"])
    assert "secret" not in words
    context = run_command.make_context(
        "run", [*words[5:], "--log-level", "info", "--token", "by the environment"]
    )
    told = context.params
    assert (told["file"], told["server"], told["with_parent"]) == ("bot.py:x", OPTIONS.url, True)
    assert (told["ca"], told["max_calls"], told["max_load"]) == (Path("ca.pem"), 7, 0.5)
    assert (told["drain"], told["workers"]) == (1.5, 1)
    assert told["media_ports"] == "40000-40099"
    assert told["public_address"] == ("192.0.2.7", "192.0.2.8")
    assert told["allow_peers"] == ("private",)


async def test_one_that_cannot_begin_ends_them_all() -> None:
    words = [sys.executable, "-c", "import sys, os; sys.exit(3)"]
    async with asyncio.timeout(30):
        assert await Workers(2, words, OPTIONS).run() == 3


async def test_those_that_do_not_end_are_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The first one refuses to end, the second one gives a reason to end both.
    script = (
        "import signal, sys, time, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        "try: mark.touch(exist_ok=False)\n"
        "except FileExistsError: sys.exit(2)\n"
        "time.sleep(600)"
    )
    workers = Workers(2, [sys.executable, "-c", script], OPTIONS)
    monkeypatch.setattr(workers, "_patience", 0.3)
    async with asyncio.timeout(30):
        assert await workers.run() == 2


async def test_one_that_keeps_dying_is_started_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSE_FIRST", 0.01)
    monkeypatch.setattr(module, "PAUSE_MOST", 0.04)
    ends: list[int] = []
    workers = Workers(1, ["unused"], OPTIONS)

    async def once() -> int:
        ends.append(1)
        return 3 if len(ends) == 5 else 1

    monkeypatch.setattr(workers, "_once", once)
    assert await workers.run() == 3
    pauses = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert pauses == [0.01, 0.02, 0.04, 0.04]
