"""The parts of a start and a stop, each by itself; `test_main.py` runs them whole."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ringback.server import serve
from ringback.server.serve import CannotServe
from ringback.server.supervise import Supervisor

from .conftest import Serve
from .running import Server


async def test_fixture_gives_a_whole_server(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/healthz") as response:
            assert response.status == 200
        async with session.ws_connect(f"{server.ws}/ws") as ws:
            await ws.send_json({"type": "hello", "v": 1})
            assert (await ws.receive_json())["type"] == "welcome"


async def test_fixture_starts_again_where_it_was(
    serve: Serve,
) -> None:
    first = await serve()
    await first.stop()
    second = await serve(port=first.port, data=first.data)
    assert (second.port, second.data) == (first.port, first.data)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{second.url}/healthz") as response,
    ):
        assert response.status == 200


# --- the data folder -----------------------------------------------------------------------


def test_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    serve.own_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    serve.own_folder(folder)
    assert list(folder.iterdir()) == []


def test_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(CannotServe, match="No space left") as caught:
        serve.own_folder(tmp_path)
    assert "\n" not in str(caught.value)


# --- the port ------------------------------------------------------------------------------


@pytest.fixture
async def runner() -> web.AppRunner:
    runner = web.AppRunner(web.Application(), handle_signals=False)
    await runner.setup()
    return runner


async def test_port_that_was_opened(runner: web.AppRunner) -> None:
    first = await serve.listen(runner, "localhost", 0, None)
    second = await serve.listen(runner, "127.0.0.1", 0, None)
    assert first != second
    assert [address[1] for address in runner.addresses] == [first, second]
    await runner.cleanup()


async def test_ports_that_cannot_be(runner: web.AppRunner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=f"Port {port} is in use"):
            await serve.listen(runner, "127.0.0.1", port, None)
    with pytest.raises(CannotServe, match="no address of this machine"):
        await serve.listen(runner, "203.0.113.7", 0, None)
    await runner.cleanup()


def test_a_port_for_root_only() -> None:
    said = serve._why_not(PermissionError(errno.EACCES, "Permission denied"), "127.0.0.1", 80)
    assert "--port" in said
    assert "1023" in said


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", True),
        ("127.0.0.2", False),
        ("::1", False),
        ("::", False),
        ("192.168.1.5", False),
        ("talk.example.org", False),
    ],
)
def test_bots_come_in_by_loopback_where_it_leads_here(host: str, reached: bool) -> None:
    assert serve._reached_by_loopback(host) is reached


# --- signals and words ----------------------------------------------------------------------


async def test_first_signal_asks_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        stopped = serve.stop_signal()
        assert not stopped.is_set()
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            await stopped.wait()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_open_files_are_as_many_as_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        serve.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Ready(Supervisor):
    """Bots that come when told to."""

    def __init__(self) -> None:
        super().__init__("ws://127.0.0.1:9", lambda name: name)
        self.come = asyncio.Event()

    async def wait_ready(self, seconds: float) -> frozenset[str]:
        await self.come.wait()
        return frozenset(self.names)


async def test_bots_are_announced_when_they_come() -> None:
    said: list[str] = []
    supervisor, stopped = Ready(), asyncio.Event()
    task = asyncio.create_task(serve.announce(supervisor, stopped, said.append))
    await asyncio.sleep(0)
    assert said == []
    supervisor.come.set()
    await task
    assert said == ["Bots on the line: echo, recorder, voicemail. Ctrl-C stops."]


async def test_a_stop_does_not_wait_for_bots() -> None:
    said: list[str] = []
    supervisor, stopped = Ready(), asyncio.Event()
    stopped.set()
    async with asyncio.timeout(5):
        await serve.announce(supervisor, stopped, said.append)
    assert said == []
