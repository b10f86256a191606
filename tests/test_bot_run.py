"""`ringback bot run`: real processes against a real exchange, from hello to drained."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from ringback.bots.client import Client
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import EXCHANGE, SECRET
from tests.callers import Caller, needs_address
from tests.lines import GENEROUS, Phone
from tests.process import PATIENCE, Process, starting
from tests.running import Server

PARROT = """
from ringback import bots

@bots.bot("parrot", about="Repeats.", max_calls=2)
async def parrot(call: bots.Call) -> None:
    if call.caller == "eve":
        raise LookupError("the cracker is lost")
    async for frame in call.frames():
        call.send(frame)
"""


Run = Callable[..., Awaitable[Process]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "parrot.py"
    path.write_text(PARROT)
    return path


@pytest.fixture
async def exchange(serve: Callable[..., Awaitable[Server]]) -> Server:
    return await serve(limits=GENEROUS)


@pytest.fixture
async def run(exchange: Server) -> AsyncIterator[Run]:
    """Starts the command."""
    async with starting("ringback", "bot", "run", stderr=STDOUT) as begin:

        async def start(
            file: Path | str, *arguments: str, token: str | None = None, server: str | None = None
        ) -> Process:
            token = mint_bot_token(exchange.app[SECRET], "parrot", 600) if token is None else token
            words = (str(file), "--server", server or exchange.url, *arguments)
            return Process(await begin(*words, RINGBACK_BOT_TOKEN=token))

        yield start


@pytest.fixture
async def phones(exchange: Server) -> AsyncIterator[Callable[[str], Awaitable[Phone]]]:
    async with AsyncExitStack() as stack:

        async def phone(name: str) -> Phone:
            client = Client(exchange.ws + "/ws", name=name)
            return Phone(await stack.enter_async_context(client))

        yield phone


Phones = Callable[[str], Awaitable[Phone]]


@pytest.fixture
async def callers() -> AsyncIterator[Callable[[], Caller]]:
    made: list[Caller] = []

    def call() -> Caller:
        made.append(Caller(video=None))
        return made[-1]

    yield call
    for caller in made:
        await caller.close()


Callers = Callable[[], Caller]


async def instances(exchange: Server) -> list[int]:
    """How many calls each connected instance of the bot has."""
    engine = exchange.app[EXCHANGE].engine
    live = await engine.live_calls("parrot")
    here = [s.id for s in await engine.sessions("parrot") if s.expires is None]
    return sorted(sum(c.callee.session == one for c in live) for one in here)


@needs_address
async def test_a_bot_in_a_file_answers(
    run: Run, file: Path, phones: Phones, callers: Callers
) -> None:
    bot = await run(file)
    await bot.until("ready parrot")
    ann, caller = await phones("ann"), callers()
    people = await ann.client.request(p.Contacts())
    assert isinstance(people, p.ContactList)
    assert p.Contact(name="parrot", bot=True, about="Repeats.") in people.people
    await ann.talk(caller, "parrot")
    assert await caller.hears()
    await ann.hang_up()
    assert await bot.end(signal.SIGTERM) == 0


@needs_address
async def test_a_call_that_fails_is_logged_and_the_next_one_works(
    run: Run, file: Path, phones: Phones, callers: Callers
) -> None:
    bot = await run(file)
    await bot.until("ready parrot")
    eve, ann = await phones("eve"), await phones("ann")
    await eve.talk(callers(), "parrot")
    ended = await eve.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.LOST, "media")
    await bot.until("LookupError: the cracker is lost")
    assert "Traceback" in bot.said
    assert str(file) in bot.said
    caller = callers()
    await ann.talk(caller, "parrot")
    assert await caller.hears()


@needs_address
async def test_told_to_end_it_takes_no_new_calls_and_lets_the_others_end(
    run: Run, file: Path, phones: Phones, callers: Callers
) -> None:
    bot = await run(file)
    await bot.until("ready parrot")
    ann, bob, caller = await phones("ann"), await phones("bob"), callers()
    await ann.talk(caller, "parrot")
    bot.process.send_signal(signal.SIGTERM)
    await bot.until("No new calls; 1 go on for at most 30 s")
    await bob.dial(await callers().offer(), "parrot")
    assert (await bob.event(p.Ended)).reason is p.Reason.BUSY
    assert await caller.hears()
    assert bot.process.returncode is None
    await ann.hang_up()
    assert await bot.end() == 0


@needs_address
async def test_calls_that_do_not_end_are_hung_up_after_the_limit(
    run: Run, file: Path, phones: Phones, callers: Callers
) -> None:
    bot = await run(file, "--drain", "0.3")
    await bot.until("ready parrot")
    ann = await phones("ann")
    await ann.talk(callers(), "parrot")
    assert await bot.end(signal.SIGINT) == 0
    assert (await ann.event(p.Ended)).reason is p.Reason.HANGUP


@needs_address
async def test_a_second_signal_ends_it_at_once(
    run: Run, file: Path, phones: Phones, callers: Callers
) -> None:
    bot = await run(file)
    await bot.until("ready parrot")
    await (await phones("ann")).talk(callers(), "parrot")
    bot.process.send_signal(signal.SIGTERM)
    await bot.until("No new calls")
    assert await bot.end(signal.SIGTERM) == 0


@needs_address
async def test_two_processes_share_the_calls_and_one_takes_over_for_the_other(
    run: Run, file: Path, exchange: Server, phones: Phones, callers: Callers
) -> None:
    first, second = await run(file), await run(file)
    for bot in (first, second):
        await bot.until("ready parrot")
    people = [await phones(name) for name in ("ann", "bob", "cleo", "dora")]
    for phone in people:
        await phone.talk(callers(), "parrot")
    assert await instances(exchange) == [2, 2]
    late = await phones("late")
    await late.dial(await callers().offer(), "parrot")
    assert (await late.event(p.Ended)).reason is p.Reason.BUSY, "two calls each, no more"
    first.process.kill()
    await first.process.wait()
    # The other one is full; once it has room it is called.
    for phone in people:
        await phone.client.request(p.Hangup(call=phone.call))
    caller = callers()
    await late.talk(caller, "parrot")
    assert await caller.hears()


@needs_address
async def test_workers_share_the_calls_and_one_that_dies_is_started_again(
    run: Run, file: Path, exchange: Server, phones: Phones, callers: Callers
) -> None:
    bot = await run(file, "--workers", "2", "--max-calls", "1")
    await bot.until("ready parrot", times=2)
    ann, bob, caller = await phones("ann"), await phones("bob"), callers()
    await ann.talk(caller, "parrot")
    await bob.talk(callers(), "parrot")
    assert await instances(exchange) == [1, 1]
    workers = psutil.Process(bot.process.pid).children()
    assert len(workers) == 2
    workers[0].kill()
    await bot.until("ready parrot", times=3)
    assert "A worker ended (code -9)" in bot.said
    assert len(psutil.Process(bot.process.pid).children()) == 2
    for phone in (ann, bob):
        await phone.client.request(p.Hangup(call=phone.call))
    assert await bot.end(signal.SIGTERM) == 0
    assert bot.said.count("No new calls") == 2


async def test_workers_end_with_their_parent(run: Run, file: Path) -> None:
    bot = await run(file, "--workers", "2")
    await bot.until("ready parrot", times=2)
    workers = psutil.Process(bot.process.pid).children()
    bot.process.kill()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, workers, PATIENCE)
    assert not alive
    assert len(gone) == 2


async def test_the_server_may_be_away_at_first(
    run: Run, file: Path, unused_tcp_port: int, serve: Callable[..., Awaitable[Server]],
    exchange: Server,
) -> None:  # fmt: skip
    bot = await run(file, server=f"http://127.0.0.1:{unused_tcp_port}")
    await bot.until("Trying again in", times=2)
    await exchange.stop()
    await serve(port=unused_tcp_port, data=exchange.data)
    await bot.until("ready parrot")
    assert await bot.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_refused_token_ends_it(run: Run, file: Path, workers: str) -> None:
    bot = await run(file, "--workers", workers, token="nonsense")
    assert await bot.end() == 3
    assert "refused the token" in bot.said


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (None, "", "There is no file"),
        ("x = 1", "", "There is no bot in"),
        (PARROT, ":crow", "There is no bot crow in"),
        (PARROT.replace("@", "other = bots.Bot('other')\n@"), "", "There are several bots in"),
        ("import nowhere", "", "cannot be run: ModuleNotFoundError"),
        ("x = (", "", "cannot be run: SyntaxError"),
    ],
    ids=["no file", "no bot", "no such bot", "several", "import", "syntax"],
)
async def test_what_cannot_begin_is_said_in_a_line(
    run: Run, tmp_path: Path, text: str | None, name: str, words: str
) -> None:
    path = tmp_path / "bot.py"
    if text is not None:
        path.write_text(text)
    bot = await run(f"{path}{name}", "--workers", "2")
    assert await bot.end() == 2
    assert words in bot.said.splitlines()[-1]
    assert bot.said.splitlines()[-1].startswith("ringback: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--server", "example.org"], "is no address"),
        (["--ca", "/nowhere/ca.pem"], "There is no file /nowhere/ca.pem"),
    ],
)
async def test_bad_options(run: Run, file: Path, arguments: list[str], words: str) -> None:
    bot = await run(file, *arguments)
    assert await bot.end() == 2
    assert words in bot.said


async def test_a_server_with_a_certificate_of_its_own(
    run: Run, file: Path, serve: Callable[..., Awaitable[Server]], exchange: Server
) -> None:
    await exchange.stop()
    secure = await serve(tls="self-signed", data=exchange.data)
    address = f"https://localhost:{secure.port}"
    stranger = await run(file, server=address)
    await stranger.until("certificate verify failed")
    bot = await run(file, "--ca", str(secure.data / "tls" / "cert.pem"), server=address)
    await bot.until("ready parrot")
    for one in (stranger, bot):
        assert await one.end(signal.SIGTERM) == 0
