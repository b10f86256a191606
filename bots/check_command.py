"""The command `ringback check`: proves, picture by picture, that a call carries what it should."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from .arguments import ca_option, duration, existing, log_level_option, refuse

if TYPE_CHECKING:
    from .calltest.checking import Plan

_CODECS = ("vp8", "h264")


def size(text: str) -> tuple[int, int]:
    """Width and height, out of `320x240`. Raises `click.BadParameter`."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no size: write it like 320x240.")
    return int(match[1]), int(match[2])


class _Check(click.Command):
    """`check URL`, and `check doctor URL`, which is a command of its own."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:  # fmt: skip
        """The context of whichever is meant."""
        if args[:1] == ["doctor"]:
            from .doctor_command import doctor

            return doctor.make_context(f"{info_name} doctor", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_Check)
@click.argument("url")
@click.option(
    "--to",
    default="echo",
    show_default=True,
    metavar="NAME",
    help="Who is called, and sends back what comes.",
)
@click.option("--between", is_flag=True, help="Two peers of its own call each other instead.")
@click.option(
    "--with",
    "partner",
    type=click.Choice(["bot", "browser", "firefox"]),
    default="bot",
    show_default=True,
    help="Who is called: a bot, or a page in a browser of its own, Chromium or Firefox.",
)
@click.option(
    "--for",
    "seconds",
    type=duration,
    default="5s",
    show_default=True,
    metavar="TIME",
    help="How long the call is judged: 5s, 500ms, 2m.",
)
@click.option(
    "--codec",
    type=click.Choice(_CODECS),
    default="vp8",
    show_default=True,
    help="That of the pictures.",
)
@click.option(
    "--size",
    type=size,
    default="320x240",
    show_default=True,
    metavar="SIZE",
    help="Of the pictures.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 60),
    default=15.0,
    show_default=True,
    metavar="NUMBER",
    help="Pictures a second.",
)
@click.option("--audio-only", is_flag=True, help="Sound alone.")
@click.option("--speech", is_flag=True, help="Judge how intelligible a voice stays, too (STOI).")
@click.option("--relay", is_flag=True, help="Only by the exchange's TURN server.")
@click.option(
    "--net",
    metavar="PROFILE",
    help="By a bad network: wifi, 4g, train, satellite, lossy, 'loss=2%,delay=40ms', or a file.",
)
@click.option(
    "--fail",
    "fails",
    multiple=True,
    metavar="THRESHOLD",
    help="Fail when this is true, as 'latency.p95 > 150ms'; may be given again.",
)
@click.option("--json", "json_file", type=Path, metavar="FILE", help="Write all figures there.")
@click.option("--junit", type=Path, metavar="FILE", help="Write a JUnit report there.")
@click.option("--html", type=Path, metavar="FILE", help="Write a report for people there.")
@click.option(
    "--artifacts",
    type=Path,
    metavar="FOLDER",
    help="Keep what came, frame by frame, of calls that did not pass.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100_000),
    default=1,
    metavar="NUMBER",
    help="So many calls, one after another.",
)
@click.option(
    "--calls",
    type=click.IntRange(1, 500),
    default=1,
    metavar="NUMBER",
    help="So many at once. Pictures are then coded once for all of them.",
)
@click.option("--seed", type=click.IntRange(0), metavar="NUMBER", help="Lose the same again.")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="TOKEN",
    envvar="RINGBACK_BOT_TOKEN",
    help="Call as the bot of this token; again for who is called. [RINGBACK_BOT_TOKEN]",
)
@ca_option
@log_level_option("warning")
def check(
    url: str, to: str, between: bool, partner: str, seconds: float, codec: str,
    size: tuple[int, int], rate: float, audio_only: bool, speech: bool, relay: bool,
    net: str | None, fails: tuple[str, ...], json_file: Path | None, junit: Path | None,
    html: Path | None, artifacts: Path | None, repeat: int, calls: int, seed: int | None,
    tokens: tuple[str, ...], ca: Path | None, log_level: str,
) -> None:  # fmt: skip
    """Call at the exchange URL with marked pictures and sounds, read every one that arrives, and
    say whether they are those that were sent: by default against the bot `echo`.

    `ringback check doctor URL` tries every way by which media can go, and says what to mend.

    Ends with 0 when the call is proved, 1 when it is not or a threshold is passed, 2 when the
    test could not run at all.
    """
    # Imported late, so that --help answers at once.
    from . import process

    process.log_to_stderr(log_level)
    try:
        from .calltest.checking import Plan
        from .calltest.options import CODECS
        from .calltest.profiles import profile
        from .calltest.run import Check, Partner
        from .calltest.thresholds import threshold
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ringback"):
            raise
        refuse(f"Call tests need {error.name}: pip install 'ringback[check]'.")
    try:
        existing(ca)
        process.socket_url(url)
        asked = Check(
            url, to, between, cast(Partner, partner), seconds, CODECS[codec], size, rate,
            audio_only, relay, profile(net) if net is not None else None, seed, tokens, ca,
            artifacts, speech,
        )  # fmt: skip
        rules = tuple(map(threshold, fails))
        if not speech and (about := next((r for r in rules if r.name == "speech"), None)):
            raise ValueError(f"'{about.text}' is about speech, which is sent with --speech only.")
        plan = Plan(asked, rules, repeat, calls, json_file, junit, html)
    except ValueError as error:
        refuse(str(error))
    sys.exit(_run(plan))


def _run(plan: Plan) -> int:
    import asyncio

    from . import process
    from .calltest import checking
    from .calltest.options import CannotCheck

    with asyncio.Runner(loop_factory=process.loop_factory()) as runner:
        try:
            return runner.run(checking.check(plan))
        except CannotCheck as error:
            refuse(str(error))
