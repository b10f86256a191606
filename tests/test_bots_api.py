"""The public interface of bots: what it names, how quick it is, what its documents promise."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback import bots
from ringback.bots.loading import CannotLoad, load

from . import markdown
from .process import ROOT, environment

GUIDE = (ROOT / "docs" / "bots.md").read_text()
README = (ROOT / "README.md").read_text()


def public(name: str) -> Iterator[tuple[str, Any]]:
    """A public name and everything public in it."""
    thing = getattr(bots, name)
    yield name, thing
    if inspect.isclass(thing):
        for part, value in vars(thing).items():
            if not part.startswith("_") or part == "__init__":
                yield f"{name}.{part}", value


def signature(thing: Any) -> str:
    """The types in what something takes and gives, in full."""
    if isinstance(thing, property):
        thing = thing.fget
    if not inspect.isfunction(thing):
        return ""
    return repr(typing.get_type_hints(thing))


def test_every_name_is_there_and_told_of() -> None:
    assert set(bots.__all__) <= set(dir(bots))
    for name in bots.__all__:
        assert f"bots.{name}" in GUIDE, f"docs/bots.md does not tell of {name}"
        thing = getattr(bots, name)
        assert thing.__doc__, name
        assert thing is getattr(bots, name)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Robot'"):
        _ = bots.Robot


def test_no_type_of_aiortc_is_in_a_signature() -> None:
    # What a bot's author writes and reads; what the process itself calls is no part of it.
    own = {"Call.__init__", "Track.__init__", "Room.__init__", "Channel.__init__", "Room.hear"}
    seen = 0
    for name in bots.__all__:
        for part, thing in public(name):
            types = signature(thing)
            seen += bool(types)
            if part not in own:
                for stranger in ("aiortc", "aioice", "pylibsrtp", "av."):
                    assert stranger not in types, f"{part}: {types}"
    assert seen > 40


def test_importing_it_imports_nothing() -> None:
    program = (
        "import sys; from ringback import bots\n"
        "heavy = {'aiortc', 'av', 'aiohttp', 'msgspec', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy)); print(bots.bot.__name__); print('aiortc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
        cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert done.stdout.splitlines()[:2] == ["[]", "bot"]


def whole_bots() -> Iterator[str]:
    """The bots written out in the documents."""
    for text in (GUIDE, README):
        yield from (f.text for f in markdown.fences(text) if f.text.startswith("from ringback"))


@pytest.mark.parametrize("text", list(whole_bots()), ids=lambda text: str(text.count("\n")))
def test_the_bots_in_the_documents_are_bots(text: str, tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    path.write_text(text)
    assert load(str(path)).about
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= 12


def test_there_are_bots_in_the_documents() -> None:
    assert len(list(whole_bots())) >= 4
    assert "from ringback import bots" in README


def test_every_flag_is_told_of() -> None:
    from ringback.bots.call_command import call
    from ringback.bots.run_command import run

    for command in (run, call):
        for option in command.params:
            shown = [name for name in option.opts if name.startswith("--")]
            if shown and not getattr(option, "hidden", False):
                assert f"`{shown[0]}" in GUIDE, f"docs/bots.md does not tell of {shown[0]}"


# --- loading --------------------------------------------------------------------------------


def written(path: Path, text: str) -> str:
    path.write_text("from ringback import bots\n" + text)
    return str(path)


TWO = 'a = bots.Bot("ann")\nb = bots.Bot("bob")\nagain = b\n'


def test_a_bot_is_chosen_by_variable_or_name(tmp_path: Path) -> None:
    where = written(tmp_path / "two.py", TWO)
    assert load(f"{where}:a").name == "ann"
    assert load(f"{where}:bob").name == "bob"
    assert load(f"{where}:again").name == "bob"
    with pytest.raises(CannotLoad, match="one of ann, bob"):
        load(where)
    with pytest.raises(CannotLoad, match="There is no bot carl in .*; there is ann, bob"):
        load(f"{where}:carl")


def test_files_beside_it_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "ringback_test_neighbour.py").write_text('NAME = "neighbour"\n')
    where = written(
        tmp_path / "house.py", "from ringback_test_neighbour import NAME\nx = bots.Bot(NAME)\n"
    )
    assert load(where).name == "neighbour"
    del sys.modules["ringback_test_neighbour"]


def test_a_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    where = written(tmp_path / "ringback_test_broken.py", "1 / 0\n")
    with pytest.raises(CannotLoad) as caught:
        load(where)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "ringback_test_broken" not in sys.modules


@pytest.mark.parametrize("name", ["bot.txt", "folder"])
def test_what_is_no_python_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.write_text("")
    with pytest.raises(CannotLoad, match=r"There is no file|is no Python file"):
        load(str(path))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"about": "x" * 121}, "at most 120"), ({"max_calls": 0}, "at least one")],
)
def test_a_bot_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bots.Bot("bot", **options)
