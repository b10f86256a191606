"""The command `ringback call`: calls somebody from a terminal, and says whether media flowed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import ca_option, duration, existing, log_level_option, refuse, token_option

if TYPE_CHECKING:
    from .calling import Plan


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
@token_option
@ca_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@log_level_option("warning")
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
        refuse("Say who calls: --as NAME.")
    try:
        existing(play)
        existing(ca)
        plan = Plan(
            process.socket_url(url), name, to, play, loop, record, seconds, sound_only, token, ca
        )
        sys.exit(_run(plan, as_json))
    except ValueError as error:
        refuse(str(error))


def _run(plan: Plan, as_json: bool) -> int:
    import asyncio

    from . import process
    from .calling import CannotCall, run

    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        try:
            return runner.run(run(plan, as_json))
        except CannotCall as error:
            refuse(str(error))
