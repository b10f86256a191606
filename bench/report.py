"""What was found, for the terminal and for `docs/bench.md`."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.table import Table

from bench import janus, method
from bench.compare import Comparison, Line, Plan, Results

PACKAGES = ("aiohttp", "aiortc", "av", "pylibsrtp", "msgspec")
HEAD = ("what", "ratio", "aim", "Ringback", "beside")
"""The columns of the table of ratios."""


def ratio_text(ratio: float) -> str:
    """A ratio as people say it: `1.25`, `1/18`."""
    return f"{ratio:.3g}" if ratio > 0.5 else f"1/{1 / ratio:.3g}"


def row(compared: Comparison) -> tuple[str, ...]:
    """The cells of one line of the table: medians, and in brackets lowest and highest."""
    ratios = compared.ratios
    # Of fractions 1/n the smallest ratio has the largest n.
    spread = f"{ratio_text(min(ratios))} - {ratio_text(max(ratios))}"
    return (
        compared.what,
        f"{ratio_text(compared.ratio)} ({spread})",
        f"at most {ratio_text(compared.aim)}",
        _value(compared.ours, compared.unit),
        f"{compared.other}: {_value(compared.theirs, compared.unit)}",
    )


def proof(compared: Comparison) -> str:
    """What was counted, on both sides."""
    return f"{compared.what}: {compared.proof}; {compared.other}: {compared.other_proof}"


def _value(values: list[float], unit: str) -> str:
    return f"{median(values):.3g} {unit} ({min(values):.3g} - {max(values):.3g})"


def names(lines: Sequence[Line]) -> list[str]:
    """Everybody measured, Ringback first."""
    return list(dict.fromkeys(name for line in lines for name in line.values))


def line_row(line: Line, who: Sequence[str]) -> tuple[str, ...]:
    """The cells of one line: the median at each of `who`, and the aim."""
    cells = [f"{median(line.values[n]):.3g}" if line.values.get(n) else "" for n in who]
    kind = "at least" if line.at_least else "at most"
    aim = "" if line.aim is None else f"{kind} {line.aim:.3g}"
    return f"{line.what}, {line.unit}", *cells, aim


def tables(results: Results) -> list[Table]:
    """The results for a terminal; a missed aim stands out."""
    ratios = Table(title="Processor time of the server, Ringback to the other", show_lines=True)
    for name in HEAD:
        ratios.add_column(name)
    for compared in results.comparisons:
        ratios.add_row(*row(compared), style=None if compared.kept else "bold red")
    who = names(results.lines)
    values = Table(title="Everybody beside each other", show_lines=True)
    for name in ("what", *who, "aim"):
        values.add_column(name)
    for line in results.lines:
        values.add_row(*line_row(line, who), style=None if line.kept else "bold red")
    return [table for table in (ratios, values) if table.row_count]


def machine() -> list[str]:
    """What the numbers were measured on, a line each."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    return [
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, {packages}",
        f"Janus: {_janus()}",
        f"event loop: asyncio; of Ringback's bots: {loop}",
    ]


def _janus() -> str:
    if janus.installed() is None:
        return "none"
    said = subprocess.run(["janus", "--version"], capture_output=True, text=True, check=False)
    return (said.stdout.splitlines() or ["unknown"])[0].removeprefix("Janus version: ")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def markdown(results: Results, plan: Plan) -> str:
    """The text of `docs/bench.md`."""
    who = names(results.lines)
    head = ("what", *who, "aim")
    lines = [method.INTRODUCTION, *map(_line, (HEAD, ["---"] * len(HEAD)))]
    lines += [_line(row(compared)) for compared in results.comparisons]
    lines += ["", f"Medians of {plan.rounds} rounds of chat and {plan.turns} of calls; lowest and"]
    lines += ["highest in brackets. Medians of everybody who was measured:", ""]
    lines += [*map(_line, (head, ["---"] * len(head)))]
    lines += [_line(line_row(line, who)) for line in results.lines]
    lines += ["", method.LIMITS, "## Measured on", "", *(f"- {line}" for line in machine())]
    lines += ["", "## What was counted", "", *(f"- {line}." for line in results.proofs)]
    lines += [f"- {note}." for note in results.notes]
    return "\n".join([*lines, "", method.METHOD])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
