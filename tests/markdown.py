"""Just enough Markdown to ask a document what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Fence(NamedTuple):
    """A block of code, what it is said to be, and the heading it stands under."""

    kind: str
    text: str
    heading: str


def sections(text: str) -> dict[str, str]:
    """What stands under each heading, up to the next heading of any level."""
    parts = re.split(r"^#+ (.+)$", _without_code(text), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def table(section: str) -> list[list[str]]:
    """The rows of a section's first table, without its head."""
    found = re.search(r"(?:^\|.*\|\n?)+", section, flags=re.MULTILINE)
    if found is None:
        return []
    lines = found.group().splitlines()
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def fences(text: str) -> Iterator[Fence]:
    """The blocks of code, in order."""
    heading = ""
    for m in re.finditer(r"^#+ ([^\n]+)$|^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if m[1] is not None:
            heading = m[1]
        else:
            yield Fence(m[2], m[3], heading)


def anchors(text: str) -> set[str]:
    """What `#...` in a link may name: the headings, as they are turned into anchors."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", _without_code(text), flags=re.MULTILINE)
    }


def links(text: str) -> list[str]:
    """Where the links and pictures of a document go."""
    return re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", _without_code(text))


def code(cell: str) -> str:
    """What stands in the back quotes of a cell."""
    found = re.search(r"`([^`]+)`", cell)
    return found[1] if found else ""


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
