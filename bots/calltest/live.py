"""What the terminal shows while a call test goes on: its steps, and what was identified so far."""

from __future__ import annotations

from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ringback.bots.display import Display

from .observed import Direction, Observed, Step
from .span import offsets

_WORDS = {
    "placed": "{side} calls",
    "ringing": "{side}: ringing",
    "answered": "{side}: answered",
    "gathered": "{side}: its addresses are known",
    "checked": "{side}: a first check was answered",
    "ice": "{side}: a way was found",
    "dtls": "{side}: connected",
    "packet": "{side}: the first packet came",
    "picture": "{side}: the first picture was identified",
    "sound": "{side}: the first sound was identified",
    "restart": "{side}: the connection is made anew",
    "ended": "{side}: the call is over",
}


class Progress(Display):
    """Shows one call test on standard error; on what is no terminal, a line for each step. Enter
    it, and give `watch` to `run`."""

    def __init__(self, head: str, *, shown: bool = True, console: Console | None = None) -> None:
        super().__init__(shown=shown, console=console)
        self._head = head
        self._told: set[Step] = set()
        self._first: float | None = None
        self._observed: Observed | None = None
        self._spinner = Spinner("dots", head)

    def _begin(self) -> None:
        self._console.print(Text(f"{self._head}."))

    def watch(self, observed: Observed) -> None:
        """Take what there is by now."""
        self._observed = observed
        if observed.steps and self._first is None:
            self._first = observed.steps[0].at
        if not self._console.is_terminal:
            for step in observed.steps:
                # When a sound began is known a while later: the order is not that of telling.
                if step not in self._told:
                    self._told.add(step)
                    self._console.print(Text(self.line(step)), soft_wrap=True)

    def line(self, step: Step) -> str:
        """A step as a line for people, with the time since the first one."""
        words = _WORDS.get(step.name, "{side}: " + step.name).format(side=step.side)
        offset = offsets(self._observed).get(step.side, 0.0) if self._observed else 0.0
        at = step.at - offset
        since = at - (self._first if self._first is not None else at)
        return f"{since:7.3f} s  {words}{f' ({step.detail})' if step.detail else ''}"

    def _draw(self) -> Table:
        table = Table.grid()
        table.add_row(self._spinner)
        observed = self._observed
        if observed is None:
            return table
        for step in observed.steps[-6:]:
            table.add_row(Text(self.line(step), style="dim"))
        ways = Table(box=None, pad_edge=False)
        for column in ("", "pictures sent", "identified", "sounds sent", "identified", "late"):
            ways.add_column(column, justify="left" if not column else "right")
        for direction in observed.directions:
            ways.add_row(*_row(direction))
        table.add_row(ways)
        return table


def _row(direction: Direction) -> list[str]:
    ours = direction.stream
    pictures = sum(seen.stream == ours for seen in direction.seen)
    sounds = sum(heard.stream is not None for heard in direction.heard)
    return [
        direction.name,
        str(len(direction.sent)) if "video" in direction.kinds else "",
        str(pictures) if "video" in direction.kinds else "",
        str(len(direction.sent_chirps)),
        str(sounds),
        _late(direction),
    ]


def _late(direction: Direction) -> str:
    """How long the last picture that was identified was under way."""
    last = next((s for s in reversed(direction.seen) if s.stream == direction.stream), None)
    if last is None:
        return ""
    for sent in reversed(direction.sent[-64:]):
        if sent.sequence == last.sequence:
            return f"{1000 * (last.shown - sent.at - direction.clocks.offset):.0f} ms"
    return ""
