"""`python -m bench [--quick] [--only chat|echo]`: measure, print, write `docs/bench.md`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import chat, echo, report
from bench.compare import QUICK, Comparison, Plan
from bench.processes import ROOT, BenchError

REPORT = ROOT / "docs" / "bench.md"


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; the exit code: 1 when it could not be measured."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short and few rounds: a first idea")
    parser.add_argument("--only", choices=("chat", "echo"), help="one half of it")
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
    console.print(report.table(results))
    for line in (*map(report.proof, results), *report.machine()):
        console.print(line, style="dim", highlight=False)
    if options.quick or options.only:
        return 0
    REPORT.write_text(report.markdown(results, plan.rounds), encoding="utf-8")
    console.print(f"Written to {REPORT.relative_to(ROOT)}")
    return 0


async def run(plan: Plan, only: str | None, console: Console) -> list[Comparison]:
    """All measurements, with a bar that shows how far they are. Raises `BenchError`."""
    parts = [part for part in (chat, echo) if only in (None, part.__name__.rpartition(".")[2])]
    steps = {chat: plan.talks + len(plan.sockets), echo: plan.places + 1}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    results: list[Comparison] = []
    with (
        tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("", total=sum(steps[part] for part in parts))

        def tell(what: str) -> None:
            progress.update(task, description=what, advance=1)

        for part in parts:
            results += await part.measure(Path(folder), plan, tell)
    return results


if __name__ == "__main__":
    sys.exit(main())
