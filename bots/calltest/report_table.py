"""What the terminal shows of a call test that is over: a table, the reasons, the verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .outcome import Outcome, tally
from .rows import rows

# Two directions beside each other fit into 80 columns.
ABREAST = 2
# Names and reasons come from elsewhere; none may steer the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_STYLES = {"passed": "bold green", "failed": "bold red", "unproven": "bold yellow"}


def show(outcome: Outcome, console: Console) -> None:
    """Print one call test, ending with one line that is its verdict."""
    console.print(_text(outcome.title, "bold"))
    for start in range(0, len(outcome.figures), ABREAST):
        console.print(_table(outcome, start))
    for side, pair in outcome.observed.pairs.items():
        console.print(_text(f"{side}: {pair}", "dim"))
    console.print(_text(f"restarts: {outcome.observed.restarts or 'none'}", "dim"))
    if len(outcome.verdict.reasons) > 1:
        for reason in outcome.verdict.reasons:
            line = Text("  - ")
            line.append(reason.code.value, style=_STYLES[outcome.verdict.state])
            where = f" ({reason.direction})" if reason.direction else ""
            console.print(line + _text(f"{where}: {reason.sentence}"))
    console.print(_line(outcome.verdict.sentence, outcome.verdict.state))


def show_all(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print several call tests: the last one that did not pass as a whole, and a count of all."""
    bad = [outcome for outcome in outcomes if outcome.verdict.state != "passed"]
    for outcome in bad[-1:] or outcomes[-1:]:
        show(outcome, console)
    if len(outcomes) == 1:
        return
    counted = tally(outcomes)
    if counted.reasons:
        table = Table("reason", "calls", box=None, pad_edge=False)
        table.columns[1].justify = "right"
        for code, calls in counted.reasons.items():
            table.add_row(code, str(calls))
        console.print(table)
    state = {0: "passed", 1: "failed", 2: "unproven"}[counted.exit_code]
    console.print(_line(counted.sentence, state))


def _line(sentence: str, state: str) -> Text:
    return _text(sentence, _STYLES[state])


def _text(words: str, style: str = "") -> Text:
    return Text(_CONTROL.sub(" ", words), style=style)


def _table(outcome: Outcome, start: int) -> Table:
    shown = outcome.figures[start : start + ABREAST]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", style="dim", no_wrap=True)
    columns = [dict(rows(f)) for f in shown]
    for f in shown:
        table.add_column(_text(f.name), overflow="fold")
    labels = dict.fromkeys(label for column in columns for label in column)
    for label in labels:
        table.add_row(label, *(_text(column.get(label, "")) for column in columns))
    return table
