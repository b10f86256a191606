"""The command `ringback call`: calls somebody from a terminal, and says whether media flowed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from .calling import Plan

UNUSABLE = 2


_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Seconds, out of `10s`, `500ms`, `2m` or a number. Raises `click.BadParameter`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} is no time: write it like 10s, 500ms or 2m.")
    return seconds


@click.command()
@click.argument("url")
@click.option("--as", "name", metavar="NAME", help="Who calls; not needed with a token.")
@click.option("--to", required=True, metavar="NAME", help="Who is called.")
@click.option("--play", type=Path, metavar="FILE", help="Send this, not a test picture and tone.")
@click.option("--loop", is_flag=True, help="Begin the file again at its end; else hang up then.")
@click.option("--record", type=Path, metavar="FILE", help="Keep what comes: .webm or .mkv.")
@click.option(
    "--for",
    "seconds",
    type=duration,
    metavar="TIME",
    help="Hang up so long after the connection: 10s, 500ms, 2m.",
)
@click.option("--sound-only", is_flag=True, help="Offer no picture.")
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="RINGBACK_BOT_TOKEN",
    help="Call as the bot of this token. [RINGBACK_BOT_TOKEN]",
)
@click.option("--ca", type=Path, metavar="PEM", help="Certificates to trust for https.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    default="warning",
    show_default=True,
    help="What is logged.",
)
def call(
    url: str, name: str | None, to: str, play: Path | None, loop: bool, record: Path | None,
    seconds: float | None, sound_only: bool, token: str | None, ca: Path | None, as_json: bool,
    log_level: str,
) -> None:  # fmt: skip
    """Call somebody at the exchange URL, send a file or a test picture and a tone, and show what
    comes back.

    Ends with 0 when media flowed in every direction in which it was to flow, 1 when it did not
    or nobody answered, 2 when the call could not be placed at all.
    """
    # Imported late, so that --help answers at once.
    from . import process
    from .calling import Plan

    process.log_to_stderr(log_level)
    if name is None and token is None:
        _refuse("Say who calls: --as NAME.")
    if play is not None and not play.is_file():
        _refuse(f"There is no file {play}.")
    if ca is not None and not ca.is_file():
        _refuse(f"There is no file {ca}.")
    try:
        plan = Plan(
            process.socket_url(url), name, to, play, loop, record, seconds, sound_only, token, ca
        )
        sys.exit(_run(plan, as_json))
    except ValueError as error:
        _refuse(str(error))


def _run(plan: Plan, as_json: bool) -> int:
    import asyncio

    from . import process
    from .calling import CannotCall, run

    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        try:
            return runner.run(run(plan, as_json))
        except CannotCall as error:
            _refuse(str(error))


def _refuse(line: str) -> NoReturn:
    click.echo(f"ringback: {line}", err=True)
    sys.exit(UNUSABLE)
