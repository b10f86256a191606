"""What the commands have in common: options of the same name, and how they refuse."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

UNUSABLE = 2
"""The exit code of a command that could not begin."""

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_Command = TypeVar("_Command", bound=Callable[..., Any])


def duration(text: str) -> float:
    """Seconds, out of `10s`, `500ms`, `2m` or a number. Raises `click.BadParameter`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} is no time: write it like 10s, 500ms or 2m.")
    return seconds


def token_option(command: _Command) -> _Command:
    """`--token`: who calls is a bot."""
    return click.option(
        "--token",
        metavar="TOKEN",
        envvar="RINGBACK_BOT_TOKEN",
        help="Call as the bot of this token. [RINGBACK_BOT_TOKEN]",
    )(command)


def ca_option(command: _Command) -> _Command:
    """`--ca`: whom to trust; hold it against `existing`."""
    return click.option("--ca", type=Path, metavar="PEM", help="Certificates to trust for https.")(
        command
    )


def log_level_option(default: str) -> Callable[[_Command], _Command]:
    """`--log-level`, for `process.log_to_stderr`."""
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning"]),
        default=default,
        show_default=True,
        help="What is logged.",
    )


def existing(file: Path | None) -> None:
    """Raises `ValueError` in words where a file that was named is not there."""
    if file is not None and not file.is_file():
        raise ValueError(f"There is no file {file}.")


def refuse(line: str) -> NoReturn:
    """End the command, which cannot begin: with a line that says why, and `UNUSABLE`."""
    click.echo(f"ringback: {line}", err=True)
    sys.exit(UNUSABLE)
