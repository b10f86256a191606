"""The command `ringback serve`, also as `python -m ringback.server serve`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from ringback import __version__

from . import logs, settings
from .config import Config

UNUSABLE = 2
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ringback", message="%(prog)s %(version)s")
def main() -> None:
    """A telephone exchange for the browser, with robots on the line."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each setting, in the order of the table."""
    for setting in reversed(settings.SETTINGS):
        names = [setting.flag, *([setting.also] if setting.also else []), setting.name]
        help_text = f"{setting.help} [{setting.variable}]"
        option = (
            click.option(*names, default=None, help=help_text)
            if setting.switch
            else click.option(
                *names, default=None, multiple=setting.many, metavar=setting.form, help=help_text
            )
        )
        command = option(command)
    return command


@main.command()
@_options
def serve(**flags: Any) -> None:
    """Open the exchange and print the address to go to.

    Every flag can be given by the environment variable named beside it.
    """
    try:
        config = settings.read(flags, os.environ)
    except settings.SettingError as error:
        _refuse(str(error))
    logs.setup(config.log_level)
    for name in settings.unknown(os.environ):
        click.echo(f"{name} is no setting and has no effect.", err=True)
    sys.exit(_run(config))


def _run(config: Config) -> int:
    # Imported late, so that --help and --version answer at once.
    from .serve import CannotServe, serve

    try:
        asyncio.run(serve(config, click.echo, picture=sys.stdout.isatty()))
    except CannotServe as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _refuse(line: str) -> NoReturn:
    click.echo(f"ringback: {line}", err=True)
    sys.exit(UNUSABLE)


if __name__ == "__main__":
    main(prog_name="ringback")
