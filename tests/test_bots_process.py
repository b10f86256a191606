"""The process of the built-in bots, started as the server starts it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from aiohttp import web

from ringback.bots import __main__ as main
from ringback.bots import process
from ringback.bots.client import Client
from ringback.bots.media.network import Network
from ringback.server import protocol as p
from ringback.server.config import Config, RecordingLimits
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from ringback.server.serve import bots_arguments
from tests.callers import Caller, needs_address
from tests.lines import Phone
from tests.process import PATIENCE, starting
from tests.running import Server
from tests.test_bot_client import welcome

Run = Callable[..., Awaitable[Process]]


def token(server: Server, seconds: float = 600) -> dict[str, str]:
    return {"echo": mint_bot_token(server.app[SECRET], "echo", seconds)}


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts the process."""
    async with starting("ringback.bots", stdin=PIPE) as begin:

        async def start(*arguments: str, tokens: object = None) -> Process:
            environ: dict[str, str] = {}
            if tokens is not None:
                environ[main.TOKENS] = tokens if isinstance(tokens, str) else json.dumps(tokens)
            return await begin(*arguments, **environ)

        yield start


async def first_line(made: Process) -> str:
    assert made.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await made.stdout.readline()).decode()


async def end(made: Process) -> int:
    async with asyncio.timeout(PATIENCE):
        return await made.wait()


@needs_address
async def test_it_says_when_echo_is_ready_and_echo_then_answers(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await run("--server", server.ws, tokens=token(server))
    assert await first_line(made) == "ready echo\n"
    async with Client(server.ws + "/ws", name="ann") as client:
        phone, caller = Phone(client), Caller(video=None)
        await phone.talk(caller)
        assert await caller.hears()
        await phone.hang_up()
        await caller.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_well(server: Server, run: Run, number: signal.Signals) -> None:
    made = await run("--server", server.ws, tokens=token(server))
    await first_line(made)
    made.send_signal(number)
    assert await end(made) == 0


async def test_it_ends_with_its_parent(server: Server, run: Run) -> None:
    made = await run("--server", server.ws, tokens=token(server))
    await first_line(made)
    assert made.stdin is not None
    made.stdin.close()
    assert await end(made) == 0


async def test_it_ends_when_the_server_goes_at_the_same_moment(run: Run) -> None:
    """As when the parent is killed: its socket and our standard input end together."""
    gone = asyncio.Event()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive_str()
        await ws.send_str(p.encode(welcome(name="echo")).decode())
        await gone.wait()
        assert request.transport is not None
        request.transport.abort()
        return ws

    app = web.Application()
    app.router.add_get("/ws", accept)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    processes = [
        await run("--server", f"ws://127.0.0.1:{runner.addresses[0][1]}", tokens={"echo": "x"})
        for _ in range(3)
    ]
    for made in processes:
        assert await first_line(made) == "ready echo\n"
    gone.set()
    for made in processes:
        assert made.stdin is not None
        made.stdin.close()
    assert [await end(made) for made in processes] == [0, 0, 0]
    await runner.cleanup()


async def test_a_refused_token_has_an_exit_code_of_its_own(server: Server, run: Run) -> None:
    for tokens in ({"echo": "nonsense"}, token(server, seconds=-1)):
        made = await run("--server", server.ws, tokens=tokens)
        assert await end(made) == process.TOKEN_REFUSED


async def test_a_server_that_is_not_there_ends_it(run: Run, unused_tcp_port: int) -> None:
    made = await run("--server", f"ws://127.0.0.1:{unused_tcp_port}", tokens={"echo": "x"})
    assert await end(made) == 1
    assert made.stderr is not None
    assert b"A bot ended" in await made.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "tokens", "words"),
    [
        ([], {"echo": "x"}, b"--server"),
        (["--server", "ws://127.0.0.1:1"], None, b"must hold a token"),
        (["--server", "ws://127.0.0.1:1"], "{", b"is not an object"),
        (["--server", "ws://127.0.0.1:1"], {"parrot": "x"}, b"must hold a token"),
        (["--server", "127.0.0.1"], {"echo": "x"}, b"is no address"),
    ],
    ids=["no server", "no token", "broken tokens", "unknown bot", "no address"],
)
async def test_bad_arguments_are_said_in_a_line(
    run: Run, arguments: list[str], tokens: object, words: bytes
) -> None:
    made = await run(*arguments, tokens=tokens)
    assert await end(made) == 2
    assert made.stderr is not None
    assert words in await made.stderr.read()


async def test_it_comes_back_to_a_server_that_restarted(
    server: Server, serve: Callable[..., Awaitable[Server]], run: Run
) -> None:
    made = await run("--server", server.ws, tokens=token(server))
    await first_line(made)
    await server.stop()
    again = await serve(port=server.port, data=server.data)
    async with Client(again.ws + "/ws", name="ann") as client:
        people = await client.request(p.Contacts(watch=True))
        assert isinstance(people, p.ContactList)
        async with asyncio.timeout(PATIENCE):
            here = any(c.name == "echo" and c.status != "away" for c in people.people)
            while not here:
                event = await anext(client)
                here = isinstance(event, p.ContactChange) and event.person.status == "available"
    assert made.returncode is None


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://localhost:8000", "ws://localhost:8000/ws"),
        ("https://example.org/", "wss://example.org/ws"),
        ("ws://127.0.0.1:1/ws", "ws://127.0.0.1:1/ws"),
        ("WSS://example.org/ring", "wss://example.org/ring/ws"),
    ],
)
def test_addresses_of_pages_and_of_sockets(given: str, meant: str) -> None:
    assert process.socket_url(given) == meant


@pytest.mark.parametrize("given", ["", "localhost:8000", "ftp://example.org", "http://", "ws:///"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        process.socket_url(given)


def test_the_loop_is_uvloops_where_that_is_installed() -> None:
    factory = process.loop_factory()
    if factory is None:
        pytest.skip("uvloop is not installed here")
    loop = factory()
    assert type(loop).__module__.startswith("uvloop")
    loop.close()


def test_the_server_speaks_to_the_process_as_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[argparse.Namespace] = []

    async def run(tokens: dict[str, str], options: argparse.Namespace) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(main, "run", run)
    monkeypatch.setenv(main.TOKENS, '{"echo": "token"}')
    config = Config(
        data=tmp_path, media_ports=(40_000, 40_099), public_addresses=("192.0.2.7", "2001:db8::7"),
        allow_peers=("192.168.0.0/16", "local-names"), call_bandwidth=1_500,
        bot_calls=7, bot_load=0.5, bot_drain=9,
        recordings=RecordingLimits(minutes=2.5, megabytes=7, free_megabytes=0),
    )  # fmt: skip
    assert main.main(["--server", "ws://127.0.0.1:1", *bots_arguments(config)]) == 0
    [options] = seen
    assert options.files == tmp_path
    assert (options.max_calls, options.max_load, options.drain) == (7, 0.5, 9)
    assert options.record_minutes == 2.5
    assert options.record_megabytes == 7
    assert options.record_free_megabytes == 0
    assert options.network == Network(
        ports=(40_000, 40_099),
        public=(ip_address("192.0.2.7"), ip_address("2001:db8::7")),
        allow=(ip_network("192.168.0.0/16"),),
        names=True,
        bandwidth=1_500_000,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--media-ports", "9-10"], ["--public-address", "here"], ["--allow-peers", "everybody"]],
)
def test_a_network_that_cannot_be_ends_the_start(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(main.TOKENS, '{"echo": "token"}')
    with pytest.raises(SystemExit) as ended:
        main.main(["--server", "ws://127.0.0.1:1", *arguments])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_there_before_calls_is_left_to_itself_by_the_collector() -> None:
    try:
        before = gc.get_freeze_count()
        process.settle()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
