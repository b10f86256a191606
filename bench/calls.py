"""What calls cost, echo and recording: the same calls at Ringback and at others, in turns."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles

from msgspec import Struct

from bench import clip, contestants, limits
from bench.compare import Comparison, Line, Plan, Results, Tell
from bench.contestants import (
    AIORTC,
    FLOOR,
    JANUS,
    RECORDS_ONLY,
    RINGBACK,
    Contestant,
    Start,
    Started,
)
from bench.generators import Generators
from bench.held import Held, hold, sound

MEMORY = 1.5
SET_UP = 10.0
DELAY = 1.0
CORE = "% of a core"


class Series(Struct, frozen=True):
    """One kind of call. `starts`: who is measured; `aims`: the ratio of Ringback's cost to that
    of each other, by name; `fit`: how many calls one core is to hold; `counted`: whether
    losses can be told."""

    what: str
    starts: dict[str, Start]
    aims: dict[str, float]
    fit: int | None = None
    counted: bool = True


ECHO = Series(
    "echo call",
    {
        "Ringback": contestants.ringback("echo"),
        "Janus": contestants.gateway("echotest"),
        "aiortc": contestants.codecs("echo"),
        "floor": contestants.floor(),
    },
    {JANUS: 0.8, AIORTC: 1 / 20},
    fit=50,
)
RECORD = Series(
    "recording",
    {
        "Ringback": contestants.ringback("recorder"),
        "Janus": contestants.gateway("recordplay"),
        "aiortc, mp4": contestants.codecs("mp4"),
        "aiortc, webm": contestants.codecs("webm"),
        "floor": contestants.floor(records=True),
    },
    {JANUS: 1.0, f"{AIORTC}, mp4": 1 / 40},
)

VOICEMAIL = Series(
    "voicemail, recording and playing in turns",
    {
        "Ringback": contestants.ringback("voicemail"),
        "Janus": contestants.gateway("recordplay", video=False),
    },
    {},
    counted=False,
)


def steps(series: Series, plan: Plan) -> int:
    """How many times `measure` tells what it does, if nobody is absent."""
    return 1 + len(series.starts) * (3 + plan.turns * len(plan.calls))


async def measure(series: Series, folder: Path, plan: Plan, tell: Tell) -> Results:
    """Everything about one kind of call. Raises `BenchError`."""
    tell(f"{series.what}: the clip is encoded")
    place = folder / series.what.replace(" ", "-")
    place.mkdir()
    file = place / "clip"
    clip.save(clip.make(), file)
    async with AsyncExitStack() as stack:
        generators = await Generators.start(stack, place, file)
        started = await contestants.start_all(stack, place, series.starts)
        run = _Run(series, plan, tell, generators, started)
        await run.footprints()
        await run.costs()
        await run.fits()
    return run.results()


class _Run:
    """One kind of call being measured at all who could be started."""

    def __init__(
        self, series: Series, plan: Plan, tell: Tell, generators: Generators, started: Started
    ) -> None:
        self._series, self._plan, self._tell = series, plan, tell
        self._generators = generators
        self._running = started.running
        self._absent = started.absent
        self._held: dict[tuple[str, int], list[Held]] = {}
        self._lines: list[Line] = []
        self._notes = [
            f"{series.what}: {name} is not here and was left out" for name in started.absent
        ]

    async def footprints(self) -> None:
        """Memory first, as long as no server has served more calls; then set-up."""
        plan, what = self._plan, self._series.what
        sizes: dict[str, list[float]] = {}
        costs: dict[str, list[float]] = {}
        for one in self._called():
            if one.alone:
                continue
            self._tell(f"{what}: memory of {one.name}")
            several = 2 if one.codec else plan.several
            sizes[one.name] = [await limits.memory_per_call(self._generators, one, several)]
        for one in self._called():
            self._tell(f"{what}: set-up at {one.name}")
            costs[one.name] = [await limits.set_up(self._generators, one, plan.set_ups)]
        self._lines.append(Line(f"{what}, memory of one more", "MB", sizes, MEMORY))
        self._lines.append(Line(f"{what}, made and ended", "ms of processor", costs, SET_UP))

    async def costs(self) -> None:
        """Everybody in turns, with so many calls at once."""
        plan = self._plan
        for number in range(plan.turns):
            for calls in plan.calls:
                shift = number % len(self._running)
                for one in self._running[shift:] + self._running[:shift]:
                    if one.codec and (calls not in plan.codec_calls or (one.alone and calls > 1)):
                        continue
                    self._tell(f"{self._series.what}: {calls} at once at {one.name}")
                    held = await hold(self._generators, one, calls, plan.call, plan.warm)
                    sound(one, held)
                    self._held.setdefault((one.name, calls), []).append(held)

    async def fits(self) -> None:
        """How many calls one core holds."""
        plan, most = self._plan, dict[str, list[float]]()
        for one in self._running:
            steps = plan.codec_fit if one.codec else plan.fit
            if not steps or not self._series.counted or one.alone or one.name == FLOOR:
                continue
            self._tell(f"{self._series.what}: as many as fit at {one.name}")
            best, why = await limits.fit(self._generators, one, steps, (plan.call, plan.warm))
            most[one.name] = [best]
            self._notes.append(f"{self._series.what}, as many as fit: {one.name} {best}; {why}")
        if most:
            what = f"{self._series.what}s held by one core, none lost"
            self._lines.append(Line(what, "calls", most, self._series.fit, at_least=True))

    def results(self) -> Results:
        """What was found."""
        series, found = self._series, Results(notes=self._notes)
        for calls in self._plan.calls:
            what = f"{series.what}, {calls} at once" if calls > 1 else f"{series.what}, alone"
            costs = {
                one.name: [held.cost for held in held_by]
                for one in self._running
                if (held_by := self._held.get((one.name, calls)))
            }
            found.lines.append(Line(what, CORE, costs))
            own = costs.get(RINGBACK)
            for name, aim in series.aims.items():
                if own and name in costs:
                    found.comparisons.append(Comparison(what, name, CORE, aim, own, costs[name]))
        found.lines += self._delays() + self._lines
        found.proofs = [
            _proof(series.what, name, calls, held) for (name, calls), held in self._held.items()
        ]
        return found

    def _called(self) -> list[Contestant]:
        return [one for one in self._running if one.way.kind != "bare"]

    def _delays(self) -> list[Line]:
        delays = {
            name: [delay * 1000 for one in held for delay in one.delays]
            for (name, calls), held in self._held.items()
            if calls == 1 and any(one.delays for one in held)
        }
        if not delays:
            return []
        what = f"{self._series.what}, alone, there and back"
        halves = {name: [median(values)] for name, values in delays.items()}
        ends = {name: [quantiles(values, n=20)[-1]] for name, values in delays.items()}
        return [
            Line(f"{what}, median", "ms", halves, DELAY),
            Line(f"{what}, 95 of 100 within", "ms", ends),
        ]


def _proof(what: str, name: str, calls: int, held: list[Held]) -> str:
    rate = sum(one.sent.packets for one in held) / sum(one.seconds for one in held)
    lost, total = sum(one.lost for one in held), sum(one.total for one in held)
    back = sum(one.back.packets for one in held) / sum(one.seconds for one in held)
    load = max(one.generator / one.seconds for one in held) * 100
    told = f"{lost:,} of {total:,} lost" if total else f"{back:.0f} packets/s came back"
    if name == RECORDS_ONLY:
        told = "of which none is to come back"
    return (
        f"{what}, {calls} at once, {name}: {rate:.0f} packets/s, {told}; "
        f"the generator used {load:.0f} % of a core"
    )
