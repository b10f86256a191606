"""The command `ringback check doctor`: which ways media can go, and what to mend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import ca_option, duration, existing, refuse, token_option

if TYPE_CHECKING:
    from .calltest.doctor import Plan


@click.command()
@click.argument("url")
@click.option("--to", default="echo", show_default=True, metavar="NAME", help="Who is called.")
@click.option("--as", "name", metavar="NAME", help="Who calls; a new name if not given.")
@token_option
@ca_option
@click.option(
    "--patience",
    type=duration,
    default="12s",
    show_default=True,
    metavar="TIME",
    help="How long each call may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    url: str, to: str, name: str | None, token: str | None, ca: Path | None, patience: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Try every way by which media can go between here and a bot at the exchange URL: direct,
    and by each TURN server that the exchange names, over UDP, TCP and TLS. Show which work, and
    what to do about the others.

    Ends with 0 when every way that is offered works, 1 when one does not, 2 when nothing could
    be tried.
    """
    # Imported late, so that --help answers at once.
    from . import process
    from .calltest.doctor import CannotExamine, Plan

    process.log_to_stderr("warning")
    try:
        existing(ca)
        plan = Plan(process.socket_url(url), to, name, token, ca, patience)
        sys.exit(_run(plan, as_json))
    except (ValueError, CannotExamine) as error:
        refuse(str(error))


def _run(plan: Plan, print_json: bool) -> int:
    import asyncio

    from rich.console import Console

    from . import process
    from .calltest import doctor_report
    from .calltest.advice import WAYS
    from .calltest.doctor import examine

    console = Console(stderr=print_json)
    with (
        asyncio.Runner(loop_factory=process.loop_factory()) as runner,
        console.status("Reaching the exchange") as status,
    ):
        found = runner.run(
            examine(plan, lambda way, where: status.update(f"Trying {WAYS[way]} {where}".rstrip()))
        )
    if print_json:
        click.echo(json.dumps(doctor_report.as_json(plan.url, plan.to, found)))
    else:
        console.print(doctor_report.table(found))
    return 0 if doctor_report.passed(found) else 1
