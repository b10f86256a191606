"""The command `ringback`: what it puts together, how late, and what it says of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ringback import __version__
from ringback.__main__ import Entry, Lazy, main

from .process import ROOT, environment


def entries(group: Lazy) -> Iterator[tuple[Lazy, str, Entry]]:
    for name, entry in group.entries.items():
        if isinstance(entry, Lazy):
            yield from entries(entry)
        else:
            yield group, name, entry


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"ringback {__version__}\n"


def test_help_names_every_command() -> None:
    said = CliRunner().invoke(main, ["-h"]).output
    for name, entry in main.entries.items():
        words = entry.words if isinstance(entry, Entry) else entry.help
        assert f"{name}  " in said
        assert words
        assert words in said


@pytest.mark.parametrize(
    ("group", "name", "entry"), list(entries(main)), ids=lambda value: getattr(value, "name", value)
)
def test_every_command_is_where_the_table_says(group: Lazy, name: str, entry: Entry) -> None:
    command = group.get_command(click.Context(group), name)
    assert isinstance(command, click.Command)
    assert command.help


def test_a_command_that_is_none() -> None:
    done = CliRunner().invoke(main, ["sing"])
    assert done.exit_code == 2
    assert "No such command 'sing'" in done.output


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["bot", "--help"]])
def test_words_need_neither_half(arguments: list[str]) -> None:
    program = (
        "import sys; from ringback.__main__ import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('ringback.') and m.count('.') == 1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
        cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "['ringback.__main__']"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ringback", "--version"], capture_output=True, text=True,
        check=True, timeout=60, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert done.stdout == f"ringback {__version__}\n"
