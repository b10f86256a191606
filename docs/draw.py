"""Draws the parts of the documents that are tables in the code: `python -m docs.draw`.

A drawn part stands between `<!-- drawn: NAME -->` and `<!-- end of NAME -->`; the rest of a
document is written by hand and left alone. A test compares what is drawn with the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ringback.bots.calltest.figures import NAMES
from ringback.bots.calltest.link import QUEUE, Link
from ringback.bots.calltest.profiles import PROFILES
from ringback.bots.calltest.reasons import MEANING, Code
from ringback.bots.calltest.thresholds import DEFAULTS, SHAPED
from ringback.bots.calltest.units import Unit
from ringback.server.calls import ROWS, Row, State, What, Who
from ringback.server.config import Config, RecordingLimits, VoicemailLimits
from ringback.server.protocol import Limits
from ringback.server.settings import SETTINGS

FOLDER = Path(__file__).parent
STATES = [state for state in State if state is not State.ENDED]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def call_table() -> str:
    """What may happen to a call: a line for each thing, a column for each state."""
    cells = {(row.what, row.who): dict[State, str]() for row in ROWS}
    for row in ROWS:
        cells[row.what, row.who][row.state] = _outcome(row)
    rows = []
    for what in What:
        whose = {who: cells[what, who] for who in Who if (what, who) in cells}
        if whose.get(Who.CALLER) == whose.get(Who.CALLEE) is not None:
            lines = [("either side", whose.pop(Who.CALLER))]
            del whose[Who.CALLEE]
        else:
            lines = []
        lines += [(who.value, outcomes) for who, outcomes in whose.items()]
        for label, outcomes in lines:
            rows.append([f"`{what}`", label, *(outcomes.get(state, "") for state in STATES)])
    return table(["what", "by whom", *(f"in `{state}`" for state in STATES)], rows)


def _outcome(row: Row) -> str:
    if row.reason is not None:
        return f"ends: `{row.reason}`"
    return "stays" if row.then is row.state else f"`{row.then}`"


def call_picture() -> str:
    """The same as a Mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in ROWS:
        label = row.reason.value if row.reason is not None else row.what.value
        labels = arrows.setdefault((row.state, row.then), [])
        if label not in labels:
            labels.append(label)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {ROWS[0].state}: call"]
    for (state, then), labels in arrows.items():
        lines.append(f"    {state} --> {then}: {', '.join(labels)}")
    return "\n".join([*lines, f"    {State.ENDED} --> [*]", "```"])


def settings() -> str:
    """Every flag and variable of `ringback serve`."""
    rows = []
    for setting in SETTINGS:
        flag = setting.flag.replace("/", "`, `")
        form = setting.form.replace("|", "\\|")
        first = f"`{flag} {form}`" if form else f"`{flag}`"
        rows.append([first, f"`{setting.variable}`", _default(setting.name), setting.help])
    return table(["flag", "variable", "default", "meaning"], rows)


def _default(name: str) -> str:
    value = getattr(Config(), name)
    match value:
        case Limits():
            return "[as listed](protocol.md#limits)"
        case RecordingLimits():
            return "[as listed](#recordings)"
        case VoicemailLimits():
            return "[as listed](#voicemail)"
        case bool():
            return "on" if value else "off"
        case ():
            return "none"
        case float():
            return f"`{value:g}`"
    return f"`{value}`"


def networks() -> str:
    """What the networks with names do, in each direction."""
    rows = []
    for name, known in PROFILES.items():
        same = known.up == known.down
        rows.append([f"`{name}`", "both" if same else "up", *_link(known.up)])
        if not same:
            rows.append(["", "down", *_link(known.down)])
        rows += [["", f"from {change.at:g} s", *_link(change.up)] for change in known.changes]
    return table(["name", "", "delay", "jitter", "loss", "rate", "queue", "blackout"], rows)


def _link(link: Link) -> list[str]:
    bursts = f"{link.burst:.0%} in bursts of {link.burst_length:g}" if link.burst else ""
    loss = f"{link.loss:.0%}" if link.loss else ""
    return [
        f"{link.delay * 1000:g} ms",
        f"{link.jitter * 1000:g} ms" if link.jitter else "",
        loss or bursts,
        f"{link.rate / 1e6:g} Mbit/s" if link.rate else "",
        f"{link.queue_time or QUEUE:g} s" if link.rate else "",
        ", ".join(f"{start:g} - {end:g} s" for start, end in link.blackout),
    ]


def figures() -> str:
    """Every figure of a call test."""
    rows = [[f"`{name}`", _UNITS[about.unit], about.words] for name, about in NAMES.items()]
    return table(["figure", "unit", "meaning"], rows)


_UNITS: dict[Unit, str] = {
    "count": "number", "time": "s", "share": "fraction", "rate": "bit/s", "pictures": "1/s",
    "level": "dB", "pixels": "pixels", "index": "0 to 1", "word": "word",
}  # fmt: skip


def reasons() -> str:
    """Why a call test does not pass, in the order in which reasons are told."""
    return table(["reason", "meaning"], [[f"`{code}`", MEANING[code]] for code in Code])


def thresholds() -> str:
    """What fails a call when nobody says otherwise."""
    shaped = {rule.subject: rule.text for rule in SHAPED}
    rows = [
        [f"`{rule.text}`", f"`{shaped.get(rule.subject, rule.text)}`", f"`{rule.code}`"]
        for rule in DEFAULTS
    ]
    return table(["fails", "with a network profile", "reason"], rows)


DRAWN: dict[str, tuple[str, Callable[[], str]]] = {
    "call table": ("protocol.md", call_table),
    "call picture": ("protocol.md", call_picture),
    "settings": ("operate.md", settings),
    "networks": ("call-tests.md", networks),
    "figures": ("call-tests.md", figures),
    "reasons": ("call-tests.md", reasons),
    "thresholds": ("call-tests.md", thresholds),
}


def draw(text: str, name: str, content: str) -> str:
    """`text` with the part `name` drawn anew. Raises `ValueError` if it has no such part."""
    part = re.compile(rf"(<!-- drawn: {name} -->\n).*?(\n<!-- end of {name} -->)", re.DOTALL)
    drawn, found = part.subn(lambda m: m[1] + content + m[2], text)
    if found != 1:
        raise ValueError(f"there are {found} parts called {name}")
    return drawn


def main() -> None:
    """Draw everything anew."""
    for name, (file, make) in DRAWN.items():
        path = FOLDER / file
        path.write_text(draw(path.read_text(), name, make()))


if __name__ == "__main__":
    main()
