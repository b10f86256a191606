"""Finds a bot in a Python file: `FILE` or `FILE:NAME`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from .robot import Bot


class CannotLoad(Exception):
    """There is no bot to be had; `str()` is one line that says why and what to do.

    Where the file itself failed, its exception is the cause.
    """


def load(where: str) -> Bot:
    """The bot of a file: the only one in it, or the one whose variable or name is `NAME`.

    The file is run, with its folder first on the path for imports, as `python FILE` would.
    Raises `CannotLoad`.
    """
    path, name = Path(where), ""
    if not path.exists() and ":" in where:
        text, _, name = where.rpartition(":")
        path = Path(text)
    if not path.is_file():
        raise CannotLoad(f"There is no file {path}.")
    found = {key: value for key, value in vars(_run(path)).items() if isinstance(value, Bot)}
    return _choose(found, path, name)


def _run(path: Path) -> ModuleType:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CannotLoad(f"{path} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if before is not None:
            sys.modules[path.stem] = before
        else:
            del sys.modules[path.stem]
        raise CannotLoad(f"{path} cannot be run: {error!r:.300}") from error
    return module


def _choose(found: dict[str, Bot], path: Path, name: str) -> Bot:
    # One bot under two variables is one bot.
    bots = list(dict.fromkeys(found.values()))
    if not bots:
        raise CannotLoad(
            f'There is no bot in {path}: write @bots.bot("name") over a coroutine function.'
        )
    names = ", ".join(bot.name for bot in bots)
    if name:
        bots = [b for b in bots if b is found.get(name) or b.name == name]
        if not bots:
            raise CannotLoad(f"There is no bot {name} in {path}; there is {names}.")
    if len(bots) > 1:
        raise CannotLoad(f"There are several bots in {path}: say {path}:NAME, one of {names}.")
    return bots[0]
