"""A browser of one's own for a call test: what is asked of it, whichever it is.

`chromium.py` and `firefox.py` each open a `Window`. Its page has the same probe (probe.js) in both.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Literal, get_args

Browser = Literal["chromium", "firefox"]
BROWSERS: tuple[Browser, ...] = get_args(Browser)
TITLES: Mapping[Browser, str] = {"chromium": "Chromium", "firefox": "Firefox"}
LINES = 500
"""Lines of a page's console that are kept; later ones are not."""


class BrowserError(Exception):
    """What a browser refused, or that it is gone: one line of its own."""


class Window(ABC):
    """One page of a browser, which is gone at the end with everything it started.

    Selectors are CSS. All methods raise `BrowserError`. `console` is what the page wrote, and
    `on_crash` is called when there is no page any more.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.on_crash: Callable[[], None] | None = None

    @abstractmethod
    async def visit(self, url: str) -> None:
        """Load a page, with all that belongs to it."""

    @abstractmethod
    async def run(self, script: str) -> Any:
        """What an expression of the page comes to, or what its promise becomes: as JSON has it."""

    @abstractmethod
    async def appears(self, selector: str, seconds: float) -> bool:
        """Whether such an element can be seen before so many seconds are over; it may be on the
        next page."""

    @abstractmethod
    async def fill(self, selector: str, text: str) -> None:
        """Type into an empty field."""

    @abstractmethod
    async def press(self, selector: str) -> None:
        """Press a button, as a mouse does."""

    @abstractmethod
    async def screenshot(self) -> bytes:
        """What the page shows, as PNG."""

    def write(self, line: str) -> None:
        """Keep what the page wrote."""
        if len(self.console) < LINES:
            self.console.append(line)

    def crashed(self) -> None:
        """Tell that the page is gone."""
        if self.on_crash is not None:
            self.on_crash()


def probe() -> str:
    """The script that reads marks in a page, with the module it needs."""
    return script("probe", MARKS=module("marks"))


def script(name: str, **given: str) -> str:
    """A script of this folder, in which stands what it is given: `= NAME;` says where."""
    source = resources.files("ringback").joinpath(f"bots/calltest/{name}.js").read_text()
    for constant, value in given.items():
        source = source.replace(f"= {constant};", f"= {value};")
    return source


def module(name: str) -> str:
    """A module of the browser code as an expression: an object of what it exports."""
    source = resources.files("ringback").joinpath(f"static/js/{name}.js").read_text()
    names = [
        line.split("(")[0].split()[2]
        for line in source.splitlines()
        if line.startswith(("export function ", "export const ", "export class "))
    ]
    return f"(() => {{ {source.replace('export ', '')}\nreturn {{ {', '.join(names)} }}; }})()"


def literal(value: object) -> str:
    """A value as it stands in a script."""
    return json.dumps(value)
