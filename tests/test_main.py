"""The command `ringback`: real processes on free ports, from start to Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from click.testing import CliRunner

from ringback import __version__
from ringback.server import settings
from ringback.server.__main__ import main

from .process import COMMAND, ROOT, Process, environment, running

SOON = 10.0


async def fetch(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, ssl=context or True) as response,
    ):
        return response.status, await response.text()


def refused(*arguments: str, **environ: str) -> str:
    """What a `serve` that cannot start says; fails unless it is one line and exit code 2."""
    done = subprocess.run(
        [*COMMAND, "serve", *arguments], capture_output=True, text=True, timeout=60,
        cwd=ROOT, env=environment(**environ), stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("ringback: ")
    return done.stderr.removeprefix("ringback: ").strip()


# --- words ---------------------------------------------------------------------------------


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"ringback {__version__}\n"


def test_help_names_every_setting() -> None:
    text = CliRunner().invoke(main, ["serve", "--help"], terminal_width=200).output
    for setting in settings.SETTINGS:
        assert setting.variable in text
        for flag in setting.flag.split("/"):
            assert flag in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "http"], "--port is a whole number"),
        (["--limit", "text=1", "--limit", "words=2"], "--limit 'words=2' is none of"),
        (["--limits", "off", "--host", "0.0.0.0"], "--limit can be off only"),
        (["--log-level", "loud"], "--log-level is one of"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, ["serve", *arguments])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"ringback: {words}")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


# --- what cannot be served -----------------------------------------------------------------


def test_a_bad_variable() -> None:
    assert refused(RINGBACK_PORT="http").startswith("RINGBACK_PORT is a whole number")


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused("--port", port, "--data", str(tmp_path))
    assert said == f"Port {port} is in use already. Choose another with --port."


def test_address_of_another_machine(tmp_path: Path) -> None:
    said = refused("--host", "203.0.113.7", "--port", "0", "--data", str(tmp_path))
    assert said.startswith("203.0.113.7 is no address of this machine")


def test_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / "data")
    said = refused("--data", folder)
    assert said.startswith(f"The data folder {folder} cannot be written")


def test_certificate_that_is_not_there(tmp_path: Path) -> None:
    said = refused("--data", str(tmp_path), "--tls", "/nowhere/c.pem,/nowhere/k.pem")
    assert said == "There is no file /nowhere/c.pem for TLS."


def test_damaged_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    assert "secret" in refused("--data", str(tmp_path))


def test_history_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ringback.sqlite3").write_bytes(b"not a database " * 100)
    said = refused("--port", "0", "--data", str(tmp_path))
    assert said.startswith(f"The data folder {tmp_path} cannot be used: ")


# --- a server ------------------------------------------------------------------------------


async def test_pages_then_ctrl_c(tmp_path: Path) -> None:
    async with running("--data", str(tmp_path / "new" / "data"), "--no-bots") as process:
        assert process.url.startswith("http://localhost:")
        assert __version__ in process.said
        status, _ = await fetch(f"{process.url}healthz")
        assert status == 200
        status, page = await fetch(process.url)
        assert status == 200
        assert "Join room" in page
        async with asyncio.timeout(SOON):
            assert await process.end(signal.SIGINT) == 0
        assert "Traceback" not in process.said
    check_left_behind(tmp_path / "new" / "data")


def check_left_behind(data: Path) -> None:
    """Nothing half written, nothing held: another server could start here at once."""
    assert data.stat().st_mode & 0o077 == 0
    left = {str(p.relative_to(data)) for p in data.rglob("*") if p.is_file()}
    history = {"ringback.sqlite3", "ringback.sqlite3-lock"}
    assert left <= {"secret", *history, "tls/cert.pem", "tls/key.pem"}
    with (data / "ringback.sqlite3-lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with sqlite3.connect(data / "ringback.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


async def test_by_environment_then_sigterm(tmp_path: Path) -> None:
    environ = environment(
        RINGBACK_DATA=str(tmp_path), RINGBACK_BOTS="off", RINGBACK_DRAIN="0.1", RINGBACK_PROT="1"
    )
    async with running(environ=environ) as process:
        assert process.children() == []
        async with asyncio.timeout(SOON):
            assert await process.end(signal.SIGTERM) == 0
        assert "RINGBACK_PROT is no setting" in process.said
    check_left_behind(tmp_path)


async def test_clients_are_told(tmp_path: Path) -> None:
    async with (
        running("--data", str(tmp_path), "--no-bots", "--drain", "5") as process,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{process.url}ws") as ws,
    ):
        await ws.send_json({"type": "hello", "v": 1})
        assert (await ws.receive_json())["type"] == "welcome"
        process.process.send_signal(signal.SIGINT)
        assert await ws.receive_json() == {"type": "drain", "after_ms": 5000}
        # It goes as told, and so nobody is waited for.
        await ws.close()
        async with asyncio.timeout(4):
            assert await process.end() == 0


async def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    async with (
        running("--data", str(tmp_path), "--no-bots", "--drain", "600") as process,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{process.url}ws") as ws,
    ):
        await ws.send_json({"type": "hello", "v": 1})
        assert (await ws.receive_json())["type"] == "welcome"
        process.process.send_signal(signal.SIGINT)
        assert (await ws.receive_json())["type"] == "drain"
        async with asyncio.timeout(SOON):
            assert await process.end(signal.SIGINT) == -signal.SIGINT


async def test_one_folder_one_server(tmp_path: Path) -> None:
    async with running("--data", str(tmp_path), "--no-bots"):
        said = await asyncio.to_thread(refused, "--port", "0", "--data", str(tmp_path))
    assert "another Ringback is using it" in said


async def test_https(tmp_path: Path) -> None:
    async with running(
        "--data", str(tmp_path), "--no-bots", "--tls", "self-signed", "--host", "127.0.0.1"
    ) as process:
        assert process.url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=tmp_path / "tls" / "cert.pem")
        status, _ = await fetch(f"{process.url}healthz", trusting)
        assert status == 200
        assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
        assert await process.end(signal.SIGINT) == 0
    check_left_behind(tmp_path)


# --- the bots ------------------------------------------------------------------------------


async def bots_of(process: Process) -> list[psutil.Process]:
    await process.until(r"Bots on the line: echo, recorder, voicemail\.")
    [bots] = process.children()
    assert "ringback.bots" in " ".join(bots.cmdline())
    return [bots]


@pytest.mark.parametrize("scheme", ["off", "self-signed"])
async def test_bots_are_named_and_end_with_ctrl_c(tmp_path: Path, scheme: str) -> None:
    host = ("--host", "127.0.0.1")
    async with running("--data", str(tmp_path), "--tls", scheme, *host) as process:
        bots = await bots_of(process)
        async with asyncio.timeout(SOON):
            assert await process.end(signal.SIGINT) == 0
        gone, alive = psutil.wait_procs(bots, timeout=0)
        assert not alive
        assert gone


async def test_bots_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    async with running("--data", str(tmp_path)) as process:
        bots = await bots_of(process)
        process.process.kill()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, bots, SOON)
        for orphan in alive:
            orphan.kill()
        assert not alive
        assert gone


async def test_bots_that_are_killed_come_back(tmp_path: Path) -> None:
    async with running("--data", str(tmp_path)) as process:
        [first] = await bots_of(process)
        first.kill()
        await process.until(r"(?s)starting them again.*echo is on the line")
        [second] = await bots_of(process)
        assert second.pid != first.pid
        assert await process.end(signal.SIGTERM) == 0


# --- the terminal --------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_a_terminal_gets_a_picture_of_the_address(
    tmp_path: Path, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "ringback.server", "serve", "--port", "0", "--host", "0.0.0.0",
         "--no-bots", "--data", str(tmp_path)],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment(),
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while b"--tls self-signed" not in shown:
            shown += os.read(ours, 4096)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "▄▄▄▄▄" in shown.decode()
