"""The process of the built-in bots: `python -m ringback.bots --server ws://host:port`.

Tokens come in the environment as `RINGBACK_BOT_TOKENS`, JSON from name to token. One line
`ready NAME` on standard output for each bot that is on the line. Ends with 0 on SIGTERM,
SIGINT or the end of standard input (so it dies with its parent), 2 on bad arguments, 3 when
a token is refused, 1 when a session ends otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ringback.server.protocol import ErrorCode, ProtocolError

from . import echo
from .client import Client
from .host import Host
from .media import network
from .service import Service

TOKENS = "RINGBACK_BOT_TOKENS"
TOKEN_REFUSED = 3

logger = logging.getLogger("ringback.bots")


class BuiltIn(NamedTuple):
    """A bot of this process: what it says of itself, and what puts it on a client's line."""

    about: str
    service: Callable[[Client, argparse.Namespace], Service]


BOTS = {echo.NAME: BuiltIn(echo.ABOUT, lambda client, options: echo.service(client, options.host))}


def main(arguments: list[str] | None = None) -> int:
    """Run the bots until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="ringback.bots", description=__doc__)
    parser.add_argument("--server", required=True, metavar="URL", help="ws:// or wss:// address")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust for wss")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning"))
    _add_media(parser)
    _add_recordings(parser)
    options = parser.parse_args(arguments)
    options.network = _network(parser, options)
    logging.basicConfig(level=options.log_level.upper(), stream=sys.stderr)
    # They tell of every candidate and every handshake.
    for name in ("aioice", "aiortc"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        tokens = msgspec.json.decode(os.environ.pop(TOKENS, "{}"), type=dict[str, str])
    except msgspec.DecodeError:
        parser.error(f"{TOKENS} is not an object from names to tokens")
    if not tokens or not tokens.keys() <= BOTS.keys():
        parser.error(f"{TOKENS} must hold a token for one or more of: {', '.join(BOTS)}")
    url = options.server.rstrip("/")
    options.server = url if url.endswith("/ws") else url + "/ws"
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run(tokens, options))


def _add_media(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--files", type=Path, metavar="DIR", help="the folder shared with the server")
    add("--media-ports", metavar="LOW-HIGH", help="UDP ports for media")
    add("--public-address", action="append", default=[], metavar="ADDRESS", help="by NAT")
    add("--allow-peers", action="append", default=[], metavar="RANGE", help="private, local-names")
    add("--call-bandwidth", type=int, default=network.BANDWIDTH // 1000, metavar="KBITS")


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    """What one recording may take, and how much of the disk stays free; 10^6 bytes each."""
    add = parser.add_argument
    add("--record-minutes", type=float, default=120.0, metavar="N")
    add("--record-megabytes", type=float, default=2_000.0, metavar="N")
    add("--record-free-megabytes", type=float, default=1_000.0, metavar="N")


def _network(parser: argparse.ArgumentParser, options: argparse.Namespace) -> network.Network:
    """What the arguments say of the network; ends the program where they cannot be."""
    try:
        ports = network.read_ports(options.media_ports) if options.media_ports else None
        public = tuple(network.read_address(text) for text in options.public_address)
        allow, names = network.read_allowed(options.allow_peers)
    except ValueError as error:
        parser.error(str(error))
    return network.Network(ports, public, allow, names, options.call_bandwidth * 1000)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def run(tokens: dict[str, str], options: argparse.Namespace) -> int:
    """Keep all bots on the line until asked to stop or one cannot be; the exit code."""
    stop = asyncio.Event()
    _stop_when_told(stop)
    options.host = Host(options.network)
    bots: list[Coroutine[Any, Any, None]] = [
        run_bot(name, token, options) for name, token in tokens.items()
    ]
    tasks = [asyncio.create_task(bot) for bot in bots]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    return max(map(_exit_code, results))


def _exit_code(result: BaseException | None) -> int:
    match result:
        case None | asyncio.CancelledError():
            return 0
        case ProtocolError(code=ErrorCode.BAD_TOKEN):
            logger.warning("The token was refused.")
            return TOKEN_REFUSED
    logger.warning("A bot ended: %s", result)
    return 1


async def run_bot(name: str, token: str, options: argparse.Namespace) -> None:
    """One bot's session, from hello to its end. Raises what ended it."""
    bot = BOTS[name]
    async with Client(
        options.server, token=token, name=name, about=bot.about, ca=options.ca
    ) as client:
        sys.stdout.write(f"ready {client.name}\n")
        sys.stdout.flush()
        await bot.service(client, options).run()


def _stop_when_told(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def read() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, read)


if __name__ == "__main__":
    sys.exit(main())
