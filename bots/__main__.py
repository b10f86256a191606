"""The process of the built-in bots: `python -m ringback.bots --server ws://host:port`.

Tokens come in the environment as `RINGBACK_BOT_TOKENS`, JSON from name to token. One line
`ready NAME` on standard output for each bot that is on the line. On SIGTERM or SIGINT it takes no
new calls and ends when its calls have, or hangs up after `--drain` seconds; a second signal, or
the end of standard input (so it dies with its parent), ends it at once. The code is then 0; it is
2 on bad arguments, 3 when a token is refused, 1 when a session ends otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import msgspec

from ringback.server.protocol import ErrorCode, ProtocolError

from . import echo, process, recorder, voicemail
from .client import Client
from .ending import Ending
from .host import Host
from .media import network
from .media.record import RecordLimits
from .service import Service

TOKENS = "RINGBACK_BOT_TOKENS"

logger = logging.getLogger("ringback.bots")


class BuiltIn(NamedTuple):
    """A bot of this process: what it says of itself, and what puts it on a client's line."""

    about: str
    service: Callable[[Client, argparse.Namespace], Service]


class Room(TypedDict):
    """What each bot takes at most; see `Service`."""

    max_calls: int
    max_load: float


def _voicemail(client: Client, options: argparse.Namespace) -> Service:
    limits = RecordLimits(free=round(1e6 * options.record_free_megabytes))
    return voicemail.service(client, options.host, options.files, limits, **_room(options))


def _recorder(client: Client, options: argparse.Namespace) -> Service:
    limits = RecordLimits(
        seconds=60 * options.record_minutes,
        bytes=round(1e6 * options.record_megabytes),
        free=round(1e6 * options.record_free_megabytes),
    )
    return recorder.service(client, options.host, options.files, limits, **_room(options))


def _echo(client: Client, options: argparse.Namespace) -> Service:
    return echo.service(client, options.host, **_room(options))


def _room(options: argparse.Namespace) -> Room:
    return {"max_calls": options.max_calls, "max_load": options.max_load}


BOTS = {
    echo.NAME: BuiltIn(echo.ABOUT, _echo),
    recorder.NAME: BuiltIn(recorder.ABOUT, _recorder),
    voicemail.NAME: BuiltIn(voicemail.ABOUT, _voicemail),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the bots until told to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="ringback.bots", description=__doc__)
    parser.add_argument("--server", required=True, metavar="URL", help="ws:// or wss:// address")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust for wss")
    parser.add_argument("--log-level", default="warning", choices=process.LOG_LEVELS)
    _add_calls(parser)
    _add_media(parser)
    _add_recordings(parser)
    options = parser.parse_args(arguments)
    options.network = _network(parser, options)
    process.log_to_stderr(options.log_level)
    try:
        tokens = msgspec.json.decode(os.environ.pop(TOKENS, "{}"), type=dict[str, str])
    except msgspec.DecodeError:
        parser.error(f"{TOKENS} is not an object from names to tokens")
    if not tokens or not tokens.keys() <= BOTS.keys():
        parser.error(f"{TOKENS} must hold a token for one or more of: {', '.join(BOTS)}")
    if options.files is None and tokens.keys() - {echo.NAME}:
        parser.error("bots that keep something need --files")
    try:
        options.server = process.socket_url(options.server)
    except ValueError as error:
        parser.error(str(error))
    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        return runner.run(run(tokens, options))


def _add_calls(parser: argparse.ArgumentParser) -> None:
    """What each bot takes at once, and how its calls end with the process."""
    add = parser.add_argument
    add("--max-calls", type=int, default=100, metavar="N", help="calls at once to each bot")
    add("--max-load", type=float, default=0.9, metavar="X", help="no new calls above; 1 is most")
    add("--drain", type=float, default=5.0, metavar="SECONDS", help="how long calls may go on")


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
        return network.read_network(
            options.media_ports, options.public_address, options.allow_peers,
            options.call_bandwidth * 1000,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))


async def run(tokens: dict[str, str], options: argparse.Namespace) -> int:
    """Keep all bots on the line until asked to stop or one cannot be; the exit code."""
    ending = Ending()
    ending.watch(with_parent=True)
    options.host = Host(options.network)
    process.settle()
    services: list[Service] = []
    tasks = [
        asyncio.create_task(run_bot(name, token, options, services))
        for name, token in tokens.items()
    ]
    end = asyncio.create_task(ending.over(lambda: drain(services, options.drain)))
    try:
        await asyncio.wait([*tasks, end], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*tasks, end):
            task.cancel()
        results = await asyncio.gather(*tasks, end, return_exceptions=True)
    return max(map(_exit_code, results))


def _exit_code(result: BaseException | None) -> int:
    match result:
        case None | asyncio.CancelledError():
            return 0
        case ProtocolError(code=ErrorCode.BAD_TOKEN):
            logger.warning("The token was refused.")
            return process.TOKEN_REFUSED
    logger.warning("A bot ended: %s", result)
    return 1


async def drain(services: Sequence[Service], seconds: float) -> None:
    """Let all bots drain beside each other; see `Service.drain`."""
    if calls := sum(len(service.calls) for service in services):
        process.say(f"No new calls to the bots; {calls} go on for at most {seconds:g} s.")
    await asyncio.gather(*(service.drain(seconds) for service in services))


async def run_bot(
    name: str, token: str, options: argparse.Namespace, services: list[Service]
) -> None:
    """One bot's session, from hello to its end; its service stands in `services`. Raises what
    ended it."""
    bot = BOTS[name]
    async with Client(
        options.server, token=token, name=name, about=bot.about, ca=options.ca
    ) as client:
        service = bot.service(client, options)
        services.append(service)
        process.ready(client.name or name)
        await service.run()


if __name__ == "__main__":
    sys.exit(main())
