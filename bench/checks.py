"""What call tests cost: how soon a call is proved, how many peers a core holds, false alarms."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from math import ceil
from pathlib import Path
from statistics import median

import msgspec

from bench import alarms
from bench.chat import port_of
from bench.compare import Line, Plan, Results, Tell
from bench.contestants import RINGBACK
from bench.peers import Browse, Command, Found, Hold, Look, Prove, Read
from bench.processes import Child, pin

WARM = 2.0
LATE = 1 / 15
"""Seconds: when 95 of 100 pictures take longer than the next one is away, the core is full."""
DELIVERED = 0.99
ATTEMPTS = 2
PROVED, ROW, BROWSER, MARK = 0.5, 90.0, 3.0, 60.0
OWN, SHARED = 20, 50
"""Aims: peers that a core is to hold."""


def steps(plan: Plan) -> int:
    """How many times `measure` tells what it does, at most."""
    return 3 + plan.browsers + len(plan.own_fit) + len(plan.shared_fit)


async def measure(folder: Path, plan: Plan, tell: Tell) -> Results:
    """Everything about call tests. Raises `BenchError`."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            await Child.start(
                folder, "ringback.server", "serve", "--port", "0", "--no-bots",
                "--limits", "off", "--data", str(folder / "check"),
            )
        )  # fmt: skip
        url = f"http://127.0.0.1:{port_of(await server.line('http://'))}"
        child = await stack.enter_async_context(await Child.start(folder, "bench.peers", url))
        run = _Run(plan, tell, child, server.pid)
        await run.proofs()
        await run.browsers()
        await run.marks()
        await run.fits("own", OWN, plan.own_fit, shared=False)
        await run.fits("shared", SHARED, plan.shared_fit, shared=True)
        await run.alarms(folder, url)
    return run.results


class _Run:
    """Call tests being measured by the peers in one process."""

    def __init__(self, plan: Plan, tell: Tell, child: Child, server: int) -> None:
        self.results = Results()
        self._plan = plan
        self._tell = tell
        self._child = child
        self._server = server

    async def _ask(self, command: Command) -> Found:
        return msgspec.json.decode(await self._child.ask(msgspec.json.encode(command)), type=Found)

    def _line(
        self, what: str, unit: str, values: list[float], aim: float, *, at_least: bool = False
    ) -> None:
        line = Line(what, unit, {RINGBACK: values}, aim, at_least=at_least)
        self.results.lines.append(line)

    async def proofs(self) -> None:
        """From the offer until a call is proved both ways, in a row."""
        calls = self._plan.proofs
        self._tell(f"call tests: {calls} proved in a row")
        await self._ask(Prove(1))
        began = time.monotonic()
        times = (await self._ask(Prove(calls))).times
        took = time.monotonic() - began
        what = "verified call, offer to proof, 99 of 100 within"
        self._line(what, "s", [percentile(times, 99)], PROVED)
        self._line(f"{calls} verified calls in a row", "s", [took], ROW)
        self.results.proofs.append(
            f"verified calls, {calls} in a row: proved after {median(times):.2f} s (median), "
            f"{percentile(times, 95):.2f} s (95 of 100), {max(times):.2f} s (all)"
        )

    async def browsers(self) -> None:
        """From the start of Chromium until a call with its page is proved."""
        times: list[float] = []
        for number in range(self._plan.browsers):
            self._tell(f"call tests: a page in Chromium, {number + 1}")
            found = await self._ask(Browse())
            if found.absent is not None:
                self.results.notes.append(f"verified calls with Chromium left out: {found.absent}")
                return
            times += found.times
        if not times:
            return
        what = "verified call with Chromium, from its start to proof, 95 of 100 within"
        self._line(what, "s", [percentile(times, 95)], BROWSER)
        self.results.proofs.append(
            f"verified calls with Chromium: {len(times)}, proved after {median(times):.2f} s "
            f"(median), {max(times):.2f} s (all)"
        )

    async def marks(self) -> None:
        """What reading a mark takes."""
        self._tell("call tests: marks are read")
        times = (await self._ask(Read())).times
        self._line("mark of a picture read", "µs", [median(times) * 1e6], MARK)

    async def fits(self, what: str, aim: int, steps: Sequence[int], *, shared: bool) -> None:
        """How many peers one core holds, all pictures there and none late."""
        if not steps:
            return
        cores = os.sched_getaffinity(0)
        core = max(cores)
        pin(self._child.pid, {core})
        pin(self._server, cores - {core} or cores)
        best, held, told = 0, "", "no more was tried"
        try:
            for peers in steps:
                self._tell(f"call tests: {peers} peers, {what} encoding")
                trouble, said = await self._try(peers, shared)
                if trouble is not None:
                    told = f"with {peers} {trouble}"
                    break
                best, held = peers, said
            await self._ask(Hold(0, shared))
        finally:
            pin(self._child.pid, cores)
            pin(self._server, cores)
        name = f"verified peers held by one core, {what} encoding"
        self._line(name, "peers", [best], aim, at_least=True)
        self.results.proofs.append(f"{name}: {best}{held and f' ({held})'}; {told}")

    async def _try(self, peers: int, shared: bool) -> tuple[str | None, str]:
        """Hold so many; what went wrong, if anything did, and how it went."""
        trouble, said = None, ""
        # What else runs on this machine may spoil one attempt.
        for _ in range(ATTEMPTS):
            await self._ask(Hold(peers, shared))
            await self._ask(Look(WARM))
            trouble, said = judged(await self._ask(Look(self._plan.call)))
            if trouble is None:
                break
        return trouble, said

    async def alarms(self, folder: Path, url: str) -> None:
        """How often something is said to be wrong where nothing is."""
        calls = self._plan.alarms
        self._tell(f"call tests: {calls} checks of a sound path")
        found = await alarms.raised(folder, url, calls)
        self._line(f"false alarms, of {found.calls} calls", "calls", [found.failed], 0)
        self.results.proofs.append(found.sentence)


def judged(found: Found) -> tuple[str | None, str]:
    """What went wrong while peers were watched, if anything did; how it went."""
    half, most = (1000 * value for value in found.latency)
    said = (
        f"{found.seen:,} of {found.due:,} pictures seen, after {half:.0f} ms (median) and "
        f"{most:.0f} ms (95 of 100), with {found.cpu:.0%} of the core"
    )
    late = found.latency[1] > LATE
    return (said if late or found.seen < DELIVERED * found.due else None), said


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many of a hundred do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, ceil(percent / 100 * len(ranked)) - 1)]
