"""`python -m bench [--quick] [--only PART]`: measure, print, write `docs/bench.md`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import calls, chat, checks, report
from bench.compare import QUICK, Plan, Results, Tell
from bench.processes import ROOT, BenchError

REPORT = ROOT / "docs" / "bench.md"
SERIES = {"echo": calls.ECHO, "record": calls.RECORD, "voicemail": calls.VOICEMAIL}


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; the exit code: 1 when it could not be measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short and few rounds: a first idea")
    parser.add_argument("--only", choices=("chat", *SERIES, "check"), help="one part of it")
    options = parser.parse_args(arguments)
    console = Console()
    plan = QUICK if options.quick else Plan()
    try:
        results = asyncio.run(run(plan, options.only, console))
    except BenchError as error:
        console.print(f"Nothing was measured: {error}", style="bold red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    for table in report.tables(results):
        console.print(table)
    for line in (*results.proofs, *results.notes, *report.machine()):
        console.print(line, style="dim", highlight=False, markup=False)
    if options.quick or options.only:
        return 0
    REPORT.write_text(report.markdown(results, plan), encoding="utf-8")
    console.print(f"Written to {REPORT.relative_to(ROOT)}")
    return 0


async def run(plan: Plan, only: str | None, console: Console) -> Results:
    """All measurements, with a bar that shows how far they are. Raises `BenchError`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    results = Results()
    with (
        tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        parts = {k: part for k, part in _parts(plan).items() if only in (None, k)}
        task = progress.add_task("", total=sum(steps for steps, _ in parts.values()))

        def tell(what: str) -> None:
            progress.update(task, description=what, advance=1)

        for _, measure in parts.values():
            results.add(await measure(Path(folder), tell))
    return results


Measure = Callable[[Path, Tell], Awaitable[Results]]


def _parts(plan: Plan) -> dict[str, tuple[int, Measure]]:
    """Each part of the bench: how many steps it tells, and how it is measured."""

    async def measure_chat(folder: Path, tell: Tell) -> Results:
        compared = await chat.measure(folder, plan, tell)
        return Results(comparisons=compared, proofs=[report.proof(one) for one in compared])

    def measure_calls(series: calls.Series) -> Measure:
        return lambda folder, tell: calls.measure(series, folder, plan, tell)

    found: dict[str, tuple[int, Measure]] = {"chat": (plan.talks + len(plan.sockets), measure_chat)}
    for name, series in SERIES.items():
        found[name] = calls.steps(series, plan), measure_calls(series)

    async def measure_checks(folder: Path, tell: Tell) -> Results:
        return await checks.measure(folder, plan, tell)

    found["check"] = checks.steps(plan), measure_checks
    return found


if __name__ == "__main__":
    sys.exit(main())
