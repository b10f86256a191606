"""What `ringback check` does: calls, verdicts, reports."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ringback.bots import process

from . import report_html, report_json, report_junit, report_table
from .browser import TITLES
from .live import Progress
from .observed import Observed
from .options import CannotCheck
from .outcome import Outcome, Still, conclude, tally
from .run import BROWSERS, Check, run
from .thresholds import Threshold
from .together import Together


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: one `check`, `calls` at once, `repeat` times, with seeds that count up;
    then it is held against `thresholds`, and reported in files where they are named. Raises
    `ValueError` in words."""

    check: Check
    thresholds: tuple[Threshold, ...] = ()
    repeat: int = 1
    calls: int = 1
    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None

    def __post_init__(self) -> None:
        if self.calls == 1:
            return
        if self.check.partner != "bot":
            raise ValueError("Calls to a browser are made one at a time.")
        if len(self.check.tokens) > 1:
            raise ValueError(
                "Of several calls at once each is for somebody with a name of their own; a second "
                "token would give them one."
            )

    @property
    def single(self) -> bool:
        """Whether it is about one call."""
        return self.repeat * self.calls == 1


async def check(plan: Plan, console: Console | None = None) -> int:
    """Make the calls, show and report them: the exit code, the worst of all. Raises
    `CannotCheck` when one could not be made, or was interrupted."""
    console = console or Console(stderr=True, highlight=False)
    stop = asyncio.Event()
    process.on_signals(stop.set)
    seed = plan.check.seed if plan.check.seed is not None else secrets.randbits(32)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="ringback-check-") as spare:
        try:
            for first in range(0, plan.repeat * plan.calls, plan.calls):
                numbers = range(first, first + plan.calls)
                asked = [_turn(plan, n, seed + n, Path(spare)) for n in numbers]
                outcomes += await _unless(stop, _round(plan, asked, first, console))
        finally:
            # What was found before a call that could not be made is worth its report.
            if outcomes:
                await asyncio.to_thread(_report, plan, outcomes)
                report_table.show_all(outcomes, console)
    return tally(outcomes).exit_code


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, list[Outcome]]) -> list[Outcome]:
    """The result of the work, which is cancelled when somebody says stop."""
    task = asyncio.create_task(work, name="check")
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise CannotCheck("interrupted", "Interrupted: nothing is proved.")
        return task.result()
    finally:
        for one in (task, stopped):
            one.cancel()
        await asyncio.wait((task, stopped))


async def _round(plan: Plan, asked: Sequence[Check], first: int, console: Console) -> list[Outcome]:
    """The calls of one moment, the first of them shown; all judged, in order, from number
    `first` on. Raises what one of them raised, when all have ended."""
    dice = random.Random(asked[0].seed)
    with Progress(_head(plan), console=console) as progress:
        async with Together(asked[0].options, dice, len(asked)) as together:
            running = [
                asyncio.create_task(run(one, progress.watch if not n else None, together, n))
                for n, one in enumerate(asked)
            ]
            try:
                # One that cannot be made ends all.
                await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
            seen = [task.result() for task in running if not task.cancelled()]
    return [
        await _outcome(plan, one, observed, number, progress, console)
        for number, (one, observed) in enumerate(zip(asked, seen, strict=True), first)
    ]


async def _outcome(
    plan: Plan, asked: Check, observed: Observed, number: int, progress: Progress,
    console: Console,
) -> Outcome:  # fmt: skip
    """One call judged, and kept only if it did not pass."""
    stills = await asyncio.to_thread(stills_of, observed) if plan.html is not None else ()
    outcome = conclude(observed, plan.thresholds, stills, map(progress.line, observed.steps))
    if not plan.single:
        console.print(Text(f"{number + 1}: {outcome.verdict.sentence}"), soft_wrap=True)
    if outcome.verdict.state == "passed" and asked.artifacts is not None:
        await asyncio.to_thread(discard, observed, asked.artifacts)
    return outcome


def _report(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Write the files that were asked for. Raises `CannotCheck` where one cannot be written."""
    for path, dumps in (
        (plan.json, report_json.dumps),
        (plan.junit, report_junit.dumps),
        (plan.html, lambda found: report_html.render(found).encode()),
    ):
        if path is None:
            continue
        try:
            path.write_bytes(dumps(outcomes))
        except OSError as error:
            words = f"{path} cannot be written: {error.strerror}."
            raise CannotCheck("bad_option", words) from error


def _turn(plan: Plan, number: int, seed: int, spare: Path) -> Check:
    """The check with the seed and the folder of its turn."""
    folder = plan.check.artifacts
    if folder is None and plan.html is not None:
        folder = spare
    if folder is not None and not plan.single:
        folder = folder / f"{number + 1:04}"
    return replace(plan.check, seed=seed, artifacts=folder)


def discard(observed: Observed, folder: Path) -> None:
    """Delete what was kept of a call that needs no looking into."""
    for path in observed.files.values():
        Path(path).unlink(missing_ok=True)
    observed.files.clear()
    with suppress(OSError):
        folder.rmdir()


def _head(plan: Plan) -> str:
    check, many = plan.check, f", {plan.calls} calls at once" if plan.calls > 1 else ""
    if check.between:
        return f"Two peers call each other at {check.url}{many}"
    who = check.to if check.partner == "bot" else TITLES[BROWSERS[check.partner]]
    return f"Calling {who} at {check.url}{many}"


def stills_of(observed: Observed) -> list[Still]:
    """The first and the worst picture that were kept of each direction, for a report."""
    stills = []
    for direction in observed.directions:
        values = [seen.similarity for seen in direction.seen if seen.similarity is not None]
        worst = f"least like what was sent ({min(values):.2f})" if values else ""
        for what, caption in (("first", "first picture"), ("worst", worst)):
            names = (f"{what}.png", f"{what}-{direction.receiver}.png")
            for name in names:
                if name in observed.files and caption:
                    data = Path(observed.files[name]).read_bytes()
                    stills.append(Still(direction.name, caption, data))
    return stills
