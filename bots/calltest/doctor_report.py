"""What was found of the ways of media, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .advice import WAYS
from .doctor import Finding

_STATES = {
    "works": Text("works", "green"),
    "fails": Text("does not work", "bold red"),
    "absent": Text("not offered", "dim"),
}


def passed(found: Sequence[Finding]) -> bool:
    """Whether every way that is offered works."""
    return all(finding.state != "fails" for finding in found)


def table(found: Sequence[Finding]) -> RenderableType:
    """A table of all ways, and below it what to do."""
    ways = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for head in ("Way", "State", "Server", "Connected", "By"):
        ways.add_column(head, no_wrap=head in ("Way", "State"))
    for one in found:
        seconds = f"after {one.seconds:.1f} s" if one.seconds is not None else ""
        ways.add_row(
            WAYS[one.way],
            _STATES[one.state],
            one.server,
            seconds,
            (one.pair or "").replace("/", " to "),
        )
    troubles = [one for one in found if one.state == "fails"]
    hints = [one for one in found if one.state == "absent"]
    parts: list[RenderableType] = [ways]
    if troubles:
        parts += [Text(), Text("What to do", "bold")]
        parts += [_trouble(one) for one in troubles]
    if hints:
        parts += [Text(), Text("Might help", "bold")]
        parts += [Text(f"{WAYS[one.way]}: {one.advice}") for one in hints]
    parts += [Text(), _verdict(found)]
    return Group(*parts)


def _trouble(one: Finding) -> Text:
    where = f" ({one.server})" if one.server and one.server not in one.happened else ""
    return Text(f"{WAYS[one.way]}{where}: {one.happened} {one.advice}")


def _verdict(found: Sequence[Finding]) -> Text:
    works = sum(one.state == "works" for one in found)
    tried = sum(one.state != "absent" for one in found)
    if passed(found):
        return Text("Every way that is offered works." if tried > 1 else "It works.", "green")
    if works:
        return Text(f"{works} of {tried} ways work.", "bold red")
    return Text("No way works: no call can come about.", "bold red")


def as_json(url: str, to: str, found: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs. Times in ms."""
    return {
        "ok": passed(found),
        "url": url,
        "to": to,
        "ways": [
            {
                "way": one.way,
                "server": one.server or None,
                "state": one.state,
                "connected_ms": None if one.seconds is None else round(1000 * one.seconds),
                "pair": one.pair,
                "code": one.code,
                "happened": one.happened or None,
                "advice": one.advice or None,
            }
            for one in found
        ],
    }
