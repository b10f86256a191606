"""The bots' process is started, watched, started again and stopped: with real processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ringback.server.supervise import BUILT_IN, Backoff, Supervisor, lines

# A stand-in for the bots: does what `BEHAVIOUR` says; `note` keeps what it was given.
SCRIPT = """
import json, os, select, signal, sys
tokens = json.loads(os.environ["RINGBACK_BOT_TOKENS"])
with open(os.environ["NOTE"], "a") as note:
    note.write(json.dumps([os.getpid(), sys.argv[1:], tokens]) + "\\n")
behaviour = os.environ["BEHAVIOUR"]
if behaviour.startswith("exit"):
    sys.exit(int(behaviour[4:]))
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for name in tokens:
    print("ready", name, flush=True)
print("ready somebody else", flush=True)
print("a word on the side", file=sys.stderr, flush=True)
if behaviour == "drain":
    def drain(*_):
        # Its input ends with its parent; here that is still there.
        over, _, _ = select.select([sys.stdin], [], [], 0.2)
        # Not by print: the signal may come in the middle of one.
        os.write(1, b"orphaned\\n" if over else b"drained\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, drain)
    print("ready to drain", flush=True)
    while True:
        signal.pause()
if behaviour == "stubborn":
    while True:
        signal.pause()
sys.stdin.read()
"""

QUICK = Backoff(first=0.01, longest=0.04, stable=60)

Make = Callable[..., Supervisor]


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "note"


@pytest.fixture
async def make(tmp_path: Path, note: Path) -> AsyncIterator[Make]:
    script = tmp_path / "bots.py"
    script.write_text(SCRIPT)
    made: list[Supervisor] = []
    minted = iter(range(1000))

    def make(behaviour: str, *names: str, **more: Any) -> Supervisor:
        arguments: dict[str, Any] = {
            "names": names or ("echo",),
            "command": (sys.executable, "-S", "-E", str(script)),
            "environ": {**os.environ, "BEHAVIOUR": behaviour, "NOTE": str(note)},
            "backoff": QUICK,
            **more,
        }
        supervisor = Supervisor(
            "ws://127.0.0.1:9", lambda name: f"{name}-{next(minted)}", **arguments
        )
        made.append(supervisor)
        return supervisor

    yield make
    for supervisor in made:
        await supervisor.stop()


def noted(note: Path) -> list[tuple[int, list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in note.read_text().splitlines()]


async def until(condition: Callable[[], bool], records: Records) -> None:
    """Wait until a condition holds; looked at whenever something is logged."""
    async with asyncio.timeout(10):
        while not condition():
            records.came.clear()
            await records.came.wait()


class Records(logging.Handler):
    """What was logged, and an event for each line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.came = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.came.set()


@pytest.fixture
async def records() -> AsyncIterator[Records]:
    handler, logger = Records(), logging.getLogger("ringback.bots")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


# --- starting ------------------------------------------------------------------------------


async def test_started_with_an_address_and_a_token_for_each(make: Make, note: Path) -> None:
    supervisor = make("serve", "echo", "recorder")
    assert supervisor.ready == frozenset()
    supervisor.start()
    assert await supervisor.wait_ready(10) == {"echo", "recorder"}
    [(pid, arguments, tokens)] = noted(note)
    assert arguments == ["--server", "ws://127.0.0.1:9"]
    assert tokens == {"echo": "echo-0", "recorder": "recorder-1"}
    assert psutil.pid_exists(pid)


async def test_tokens_stand_in_no_command_line(make: Make, note: Path) -> None:
    supervisor = make("serve")
    supervisor.start()
    await supervisor.wait_ready(10)
    assert not any("echo-0" in part for part in psutil.Process(noted(note)[0][0]).cmdline())


async def test_not_ready_in_time(make: Make) -> None:
    supervisor = make("exit1", backoff=Backoff(first=60))
    supervisor.start()
    assert await supervisor.wait_ready(0.05) == frozenset()


async def test_started_once_only(make: Make) -> None:
    supervisor = make("serve")
    supervisor.start()
    with pytest.raises(RuntimeError):
        supervisor.start()


async def test_what_it_says_is_logged_and_strangers_are_not_ready(
    make: Make, records: Records
) -> None:
    supervisor = make("serve")
    supervisor.start()
    await until(lambda: "a word on the side" in records.lines, records)
    await until(lambda: "ready somebody else" in records.lines, records)
    assert "echo is on the line." in records.lines
    assert supervisor.ready == {"echo"}


# --- starting again ------------------------------------------------------------------------


async def test_killed_and_back_with_a_new_token(make: Make, note: Path, records: Records) -> None:
    supervisor = make("serve")
    supervisor.start()
    await supervisor.wait_ready(10)
    os.kill(noted(note)[0][0], signal.SIGKILL)
    await until(lambda: any("exit code -9" in line for line in records.lines), records)
    assert await supervisor.wait_ready(10) == {"echo"}
    (first, _, old), (second, _, new) = noted(note)
    assert first != second
    assert (old, new) == ({"echo": "echo-0"}, {"echo": "echo-1"})
    assert supervisor.starts == 2


async def test_a_refused_token_is_said_and_made_anew(
    make: Make, note: Path, records: Records
) -> None:
    supervisor = make("exit3")
    supervisor.start()
    await until(lambda: supervisor.starts >= 3, records)
    assert any("token was refused" in line for line in records.lines)
    tokens = [entry[2]["echo"] for entry in noted(note)]
    assert len(set(tokens)) == len(tokens)


async def test_nobody_is_ready_while_it_is_down(make: Make, note: Path, records: Records) -> None:
    supervisor = make("serve", backoff=Backoff(first=60))
    supervisor.start()
    await supervisor.wait_ready(10)
    os.kill(noted(note)[0][0], signal.SIGKILL)
    await until(lambda: any("starting them again" in line for line in records.lines), records)
    assert supervisor.ready == frozenset()
    assert await supervisor.wait_ready(0) == frozenset()


async def test_a_command_that_is_not_there_is_tried_again(make: Make, records: Records) -> None:
    supervisor = make("serve", command=("/nowhere/bots",))
    supervisor.start()
    await until(lambda: sum("cannot be started" in line for line in records.lines) > 1, records)
    assert supervisor.starts == 0


def test_waits_double_to_a_bound_and_begin_anew_after_a_stable_run() -> None:
    backoff = Backoff(first=0.5, longest=30, stable=60)
    wait, waits = 0.0, []
    for _ in range(9):
        wait = backoff.after(wait, ran=1)
        waits.append(wait)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff.after(30, ran=59.9) == 30
    assert backoff.after(30, ran=60) == 0.5


# --- stopping ------------------------------------------------------------------------------


async def test_stopped_when_asked(make: Make, note: Path) -> None:
    supervisor = make("serve")
    supervisor.start()
    await supervisor.wait_ready(10)
    await supervisor.stop()
    assert supervisor.ready == frozenset()
    assert not psutil.pid_exists(noted(note)[0][0])
    await supervisor.stop()  # once more does nothing


async def test_killed_when_it_does_not_listen(make: Make, note: Path, records: Records) -> None:
    supervisor = make("stubborn", patience=0.1)
    supervisor.start()
    await supervisor.wait_ready(10)
    await supervisor.stop()
    assert any("killed" in line for line in records.lines)
    assert not psutil.pid_exists(noted(note)[0][0])


async def test_stopped_while_waiting_to_start_again(make: Make, records: Records) -> None:
    supervisor = make("exit1", backoff=Backoff(first=600))
    supervisor.start()
    await until(lambda: any("starting them again" in line for line in records.lines), records)
    async with asyncio.timeout(1):
        await supervisor.stop()
    assert supervisor.starts == 1


async def test_stopped_before_it_began(make: Make) -> None:
    supervisor = make("serve")
    await supervisor.stop()
    supervisor.start()
    await supervisor.stop()
    assert supervisor.starts == 0


async def test_a_cancelled_supervisor_leaves_no_process(make: Make, note: Path) -> None:
    supervisor = make("stubborn")
    supervisor.start()
    await supervisor.wait_ready(10)
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "bots"]
    task.cancel()
    await supervisor.stop()
    assert task.cancelled()
    assert not psutil.pid_exists(noted(note)[0][0])


async def test_its_input_stays_open_until_the_end(make: Make, note: Path) -> None:
    # A process that ends when its input closes would not be there after this.
    supervisor = make("serve")
    supervisor.start()
    await supervisor.wait_ready(10)
    process = psutil.Process(noted(note)[0][0])
    assert process.is_running()
    assert os.getpgid(process.pid) != os.getpgid(0)  # a Ctrl-C here does not reach it


async def test_asked_to_end_it_may_take_its_time_and_is_no_orphan(
    make: Make, records: Records
) -> None:
    supervisor = make("drain")
    supervisor.start()
    await until(lambda: "ready to drain" in records.lines, records)
    await supervisor.stop()
    assert "drained" in records.lines
    assert "orphaned" not in records.lines


async def test_tasks_end_with_it(make: Make) -> None:
    before = asyncio.all_tasks()
    supervisor = make("serve")
    supervisor.start()
    await supervisor.wait_ready(10)
    await supervisor.stop()
    assert asyncio.all_tasks() == before


# --- lines ---------------------------------------------------------------------------------


async def read(*chunks: bytes) -> list[str]:
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return [line async for line in lines(stream)]


async def test_lines_are_split_and_cut() -> None:
    assert await read(b"one\ntwo\r\n\nthree") == ["one", "two", "", "three"]
    assert await read(b"") == []
    assert await read("schön\n".encode("latin-1")) == ["sch\ufffdn"]
    long = await read(b"x" * 20_000 + b"\nnext\n" + b"y" * 5_000)
    assert [line[0] for line in long] == ["x", "n", "y"]
    assert all(len(line) <= 4096 for line in long)
    assert long[1] == "next"


def test_built_in_bots() -> None:
    assert "echo" in BUILT_IN
