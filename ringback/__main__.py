"""The command `ringback`, also as `python -m ringback`.

It puts together what the server and the bots each bring, by name alone: neither half imports
the other, and a command is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

from ringback import __version__

SETTINGS = {"help_option_names": ["-h", "--help"]}


class Entry(NamedTuple):
    """Where a command is (module and name in it) and one line that says what it does."""

    module: str
    name: str
    words: str


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def __init__(self, *, name: str, words: str, commands: Mapping[str, Entry | Lazy]) -> None:
        super().__init__(name, help=words, context_settings=SETTINGS)
        self.entries = dict(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now."""
        entry = self.entries.get(cmd_name)
        if entry is None or isinstance(entry, Lazy):
            return entry
        found: click.Command = getattr(importlib.import_module(entry.module), entry.name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(name, _words(entry)) for name, entry in self.entries.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _words(entry: Entry | Lazy) -> str:
    return entry.words if isinstance(entry, Entry) else entry.help or ""


BOT = Lazy(
    name="bot",
    words="Run bots of your own.",
    commands={
        "run": Entry("ringback.bots.run_command", "run", "Put a bot on the line."),
        "token": Entry(
            "ringback.server.tokens", "token", "Make a token with which a bot may join."
        ),
    },
)

RECORDINGS = Lazy(
    name="recordings",
    words="Look at recordings, finish them, make films of them.",
    commands={
        "list": Entry("ringback.bots.recordings_cli", "list_", "List all recordings."),
        "show": Entry(
            "ringback.bots.recordings_cli", "show", "Show one: its parts and what is missing."
        ),
        "compose": Entry(
            "ringback.bots.recordings_cli", "compose", "Make one film of all its parts."
        ),
        "repair": Entry(
            "ringback.bots.recordings_cli", "repair", "Finish those whose process died."
        ),
    },
)

main = Lazy(
    name="ringback",
    words="A telephone exchange for the browser, with robots on the line.",
    commands={
        "serve": Entry(
            "ringback.server.__main__", "serve", "Open the exchange and print its address."
        ),
        "bot": BOT,
        "call": Entry("ringback.bots.call_command", "call", "Call somebody from the terminal."),
        "check": Entry(
            "ringback.bots.check_command", "check", "Prove that calls carry what they should."
        ),
        "recordings": RECORDINGS,
    },
)
click.version_option(__version__, prog_name="ringback", message="%(prog)s %(version)s")(main)


if __name__ == "__main__":
    main(prog_name="ringback")
