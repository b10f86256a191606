"""One server from start to stop: what `ringback serve` does once its settings are read."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import resource
import signal
import ssl
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from aiohttp import web

from . import identity, terminal, tls
from .app import create_app
from .config import Config
from .engine.base import EngineError
from .keys import SECRET
from .supervise import Supervisor

TOKEN_SECONDS = 30 * 86_400
BOTS_PATIENCE = 20.0
# What the bots need once their calls were hung up: recordings are completed, messages sent.
BOTS_TIDY = 30.0
# What a request under way is given to end after everybody was told to leave.
REQUESTS_PATIENCE = 1.0

Say = Callable[[str], None]


class CannotServe(Exception):
    """The server cannot start; `str()` is one line that says why and what to do."""


async def serve(config: Config, say: Say, *, picture: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; `say` gets the lines for the terminal.

    `picture`: show the address as a QR code too. A second signal during the stop ends the
    process at once. Raises `CannotServe`.
    """
    raise_file_limit()
    own_folder(config.data)
    async with AsyncExitStack() as stack:
        try:
            pair = tls.files(config)
            context = tls.context(pair)
            app = create_app(config)
        except (tls.TlsError, identity.SecretError) as error:
            raise CannotServe(str(error)) from error
        except OSError as error:
            raise CannotServe(f"{error.filename}: {error.strerror}.") from error
        stopped = stop_signal()
        runner = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=REQUESTS_PATIENCE
        )
        stack.push_async_callback(runner.cleanup)
        try:
            await runner.setup()
        except EngineError as error:
            raise CannotServe(f"The data folder {config.data} cannot be used: {error}.") from error
        port = await listen(runner, config.host, config.port, context)
        print_of = tls.fingerprint(pair[0]) if pair else None
        say(terminal.text(config, port, print_of, picture))
        if config.bots:
            supervisor = await start_bots(config, runner, port)
            stack.push_async_callback(supervisor.stop)
            await announce(supervisor, stopped, say)
        await stopped.wait()
        say("Saying goodbye.")


def raise_file_limit() -> None:
    """Allow as many open files as this user may have: every client's socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # Some systems name a hard limit that they do not grant; the soft one then stays.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def own_folder(folder: Path) -> None:
    """Make the data folder where it is missing, for its owner alone.

    Raises `CannotServe` when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass  # it can be written
    except OSError as error:
        raise CannotServe(
            f"The data folder {folder} cannot be written ({error.strerror}). "
            "Choose another with --data."
        ) from error


def stop_signal() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the next one ends the process at once.

    Ending at once is safe: what is stored is stored whole, and the bots end with us.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return stopped


async def listen(
    runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None
) -> int:
    """Open the port; the one that was opened. Raises `CannotServe`."""
    if host == "localhost":
        # It may stand for two addresses, and those would get two free ports.
        host = "127.0.0.1"
    site = web.TCPSite(runner, host, port, ssl_context=context, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise CannotServe(_why_not(error, host, port)) from error
    opened: int = runner.addresses[-1][1]
    return opened


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is in use already. Choose another with --port."
        case errno.EACCES:
            return f"Port {port} is not open to this user. Choose one above 1023 with --port."
        case _:
            return f"{host} is no address of this machine. Choose another with --host."


async def start_bots(config: Config, runner: web.AppRunner, port: int) -> Supervisor:
    """Start the built-in bots against this server."""
    if config.secure or not _reached_by_loopback(config.host):
        # A certificate seldom names the loopback, so the bots get a door of their own.
        port = await listen(runner, "127.0.0.1", 0, None)
    secret = runner.app[SECRET]
    supervisor = Supervisor(
        f"ws://127.0.0.1:{port}",
        lambda name: identity.mint_bot_token(secret, name, TOKEN_SECONDS),
        arguments=bots_arguments(config),
        environ={**os.environ, "RINGBACK_LOG_LEVEL": config.log_level},
        patience=config.bot_drain + BOTS_TIDY,
    )
    supervisor.start()
    return supervisor


def bots_arguments(config: Config) -> list[str]:
    """What the bots' process is told of the configuration, as its command line takes it."""
    arguments = ["--files", str(config.data.absolute())]
    arguments += ["--max-calls", str(config.bot_calls), "--max-load", str(config.bot_load)]
    arguments += ["--drain", str(config.bot_drain)]
    if config.media_ports is not None:
        low, high = config.media_ports
        arguments += ["--media-ports", f"{low}-{high}"]
    for address in config.public_addresses:
        arguments += ["--public-address", address]
    for allowed in config.allow_peers:
        arguments += ["--allow-peers", allowed]
    arguments += ["--call-bandwidth", str(config.call_bandwidth)]
    recordings = config.recordings
    return [
        *arguments,
        *("--record-minutes", str(recordings.minutes)),
        *("--record-megabytes", str(recordings.megabytes)),
        *("--record-free-megabytes", str(recordings.free_megabytes)),
    ]


def _reached_by_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host) in _V4_LOOPBACK
    except ValueError:
        return False


_V4_LOOPBACK = frozenset(ipaddress.ip_address(text) for text in ("127.0.0.1", "0.0.0.0"))


async def announce(supervisor: Supervisor, stopped: asyncio.Event, say: Say) -> None:
    """Say which bots are on the line, once they are or should be."""
    ready = asyncio.create_task(supervisor.wait_ready(BOTS_PATIENCE))
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait((ready, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        say(terminal.bots_text(supervisor.names, ready.result()))
    for task in (ready, stopping):
        task.cancel()
    await asyncio.gather(ready, stopping, return_exceptions=True)
