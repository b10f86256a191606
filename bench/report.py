"""What was found, for the terminal and for `docs/bench.md`."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.table import Table

from bench.compare import Comparison

PACKAGES = ("aiohttp", "aiortc", "av", "pylibsrtp", "msgspec")
HEAD = ("what", "ratio", "aim", "Ringback", "beside")


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
    return f"{compared.what}: {compared.proof}; {compared.other}: {compared.other_proof}."


def _value(values: list[float], unit: str) -> str:
    return f"{median(values):.3g} {unit} ({min(values):.3g} - {max(values):.3g})"


def table(results: Sequence[Comparison]) -> Table:
    """The results for a terminal; a missed aim stands out."""
    drawn = Table(title="Processor time of the server, Ringback to the other", show_lines=True)
    for name in HEAD:
        drawn.add_column(name)
    for compared in results:
        drawn.add_row(*row(compared), style=None if compared.kept else "bold red")
    return drawn


def machine() -> list[str]:
    """What the numbers were measured on, a line each."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    return [
        f"{os.cpu_count()} cores ({_processor()}), {platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}, {packages}",
        f"event loop: asyncio; of Ringback's bots: {loop}",
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def markdown(results: Sequence[Comparison], rounds: int) -> str:
    """The text of `docs/bench.md`."""
    lines = [_INTRODUCTION, *(_line(cells) for cells in (HEAD, ["---"] * len(HEAD)))]
    lines += [_line(row(compared)) for compared in results]
    lines += ["", f"Medians of {rounds} rounds; lowest and highest in brackets. Measured on:", ""]
    lines += [*(f"- {line}" for line in machine()), "", "What was counted:", ""]
    lines += [*(f"- {proof(compared)}" for compared in results), "", _METHOD]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_INTRODUCTION = """\
# What a message and a call cost

Written by `make bench`. It starts the servers as processes of their own on this machine, loads
them over loopback from another process, and reads how much processor time they used. Ratios are
the result: both sides ran in turns within one run. Absolute numbers differ from machine to
machine, and from hour to hour on a shared one.
"""

_METHOD = """\
## How it is measured

**Chat.** `ringback serve --no-bots --limits off` with its history in SQLite, beside a room in
plain aiohttp that serialises each message once, sends it to each socket and stores nothing
([bench/plain.py](../bench/plain.py)). Raw sockets in one room all speak in turn, at 10,000
deliveries a second; everybody hears everything, and messages have the same form and size on
both sides. A run in which any socket missed a message or heard one twice fails; so does one
after which the database does not hold all of them.

**Calls.** The process of the echo bot that `ringback serve` starts, beside an echo as aiortc's
examples have it, which decodes and encodes ([bench/codec_echo.py](../bench/codec_echo.py)).
Callers send one clip, encoded before: 640x480 VP8 at 30 pictures a second and about 1 Mbit/s,
and Opus. They tell the far end that it may send as much, and count what comes back, encrypted
and decrypted as in any call. A run in which the echo does not keep up fails.

`make bench ARGS=--quick` gives a first idea in half a minute, `ARGS="--only chat"` (or `echo`)
one half; neither writes this file.
"""
