"""The command `ringback bot token`: lets a bot join under a name of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from . import identity, names, settings

UNUSABLE = 2
DAY = 86_400


@click.command()
@click.argument("name")
@click.option(
    "--data", type=Path, metavar="DIR", help="The exchange's data folder. [RINGBACK_DATA]"
)
@click.option(
    "--days", type=click.FloatRange(0, min_open=True), default=365.0, show_default=True,
    metavar="N", help="How long it is good for.",
)  # fmt: skip
def token(name: str, data: Path | None, days: float) -> None:
    """Make a token with which a bot may be called NAME, and print it.

    Whoever has it can join as that bot until it expires: keep it like a password. It is
    signed with the secret in the exchange's data folder, so this runs where the exchange runs.
    """
    try:
        name = names.clean(name)
        folder = settings.read({"data": str(data) if data else None}, _only_data()).data
        # A new secret would sign tokens that no exchange takes.
        if not (folder / "secret").exists():
            _refuse(f"{folder} is no data folder of a Ringback that has run. Name it with --data.")
        secret = identity.load_secret(folder)
    except (names.BadName, identity.SecretError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{error.filename}: {error.strerror}.")
    click.echo(identity.mint_bot_token(secret, name, days * DAY))


def _only_data() -> dict[str, str]:
    # Another setting that cannot be used is no reason to refuse a token.
    return {key: value for key, value in os.environ.items() if key == "RINGBACK_DATA"}


def _refuse(line: str) -> NoReturn:
    click.echo(f"ringback: {line}", err=True)
    sys.exit(UNUSABLE)
