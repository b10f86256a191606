"""What the terminal shows of a call: a table kept up to date, or lines where none can be."""

from __future__ import annotations

import time

from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .dial import Dialled, State
from .display import Display
from .measure import Flow, Measured

LEAST = 0.25
_WORDS: dict[State, str] = {
    "calling": "Calling {to}",
    "ringing": "{to} is being rung",
    "answered": "{to} has answered",
    "connected": "In a call with {to}",
    "ended": "The call is over",
}
_KINDS = {"audio": "sound", "video": "picture"}


class Progress(Display):
    """Shows one call on standard error, and at the end how it went. Enter it first."""

    def __init__(self, to: str, *, shown: bool = True, console: Console | None = None) -> None:
        super().__init__(shown=shown, console=console)
        self._to = to
        self._state: State = "calling"
        self._began = time.monotonic()
        self._connected: float | None = None
        self._before: tuple[float, Measured] = (self._began, Measured())
        self._rates: dict[str, tuple[float, float, float]] = {}
        self._measured = Measured()
        self._spinner = Spinner("dots")

    def _begin(self) -> None:
        self._say("calling")

    def reach(self, state: State) -> None:
        """The call is so far."""
        self._state = state
        if state == "connected" and self._connected is None:
            self._connected = time.monotonic()
        if not self._console.is_terminal:
            self._say(state)

    def show(self, measured: Measured) -> None:
        """What was measured just now."""
        now = time.monotonic()
        then, before = self._before
        if now - then < LEAST and measured.flows and before.flows:
            # A rate over the blink of an eye says nothing.
            return
        earlier = {flow.kind: flow for flow in before.flows}
        for flow in measured.flows:
            known = earlier.get(flow.kind, Flow(flow.kind))
            span = max(LEAST, now - then)
            self._rates[flow.kind] = (
                (flow.sent - known.sent) / span,
                (flow.received - known.received) / span,
                (flow.received_frames - known.received_frames) / span,
            )
        self._before = now, measured
        self._measured = measured

    def conclude(self, call: Dialled, measured: Measured, ok: bool) -> None:
        """Say how it went."""
        if call.ended is not None:
            self._console.print(Text(call.ended.message))
        for flow in measured.flows:
            self._console.print(
                f"{_KINDS[flow.kind]}: {flow.codec or 'no codec'}, {flow.sent} packets sent, "
                f"{flow.received} received, {flow.received_frames} whole"
            )
        if measured.loss is not None:
            self._console.print(f"lost on the way here: {measured.loss:.1%}")
        words = "Media flowed as it should." if ok else "Media did not flow as it should."
        self._console.print(words, style="green" if ok else "red")

    def _say(self, state: State) -> None:
        self._console.print(Text(_WORDS[state].format(to=self._to) + "."))

    def _draw(self) -> Table:
        table = Table(box=None, pad_edge=False)
        head = _WORDS[self._state].format(to=self._to)
        if self._connected is not None:
            head += f", {time.monotonic() - self._connected:.0f} s"
        for column in (head, "codec", "sent/s", "received/s", "pictures/s"):
            table.add_column(column, justify="left" if column in (head, "codec") else "right")
        if not self._measured.flows:
            table.add_row(self._spinner)
        for flow in self._measured.flows:
            sent, received, whole = self._rates.get(flow.kind, (0.0, 0.0, 0.0))
            pictures = f"{whole:.0f}" if flow.kind == "video" else ""
            table.add_row(
                _KINDS[flow.kind], flow.codec or "", f"{sent:.0f}", f"{received:.0f}", pictures
            )
        if self._measured.loss is not None:
            trip = self._measured.round_trip_ms
            words = f"{self._measured.loss:.1%} lost" + (f", {trip} ms" if trip is not None else "")
            table.add_row(words)
        return table
