"""What the pytest plugin stands on, in one place that is imported when a fixture is used."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .assertions import Media
from .exchange import Exchange
from .figures import NAMES
from .options import CODECS, CannotCheck, Options
from .outcome import Outcome
from .page_side import PageSide
from .profiles import Profile, profile
from .rows import measured
from .side import Side
from .stage import Plan, Stage
from .thresholds import threshold
from .units import Unit, show
from .verified import Call

__all__ = [
    "Bots", "CannotCheck", "Exchange", "Media", "Net", "Pages", "Plan", "Stage", "judging",
    "network", "options", "plain", "properties", "table", "threshold", "write",
]  # fmt: skip

VERSION = 1
_COLUMNS: Sequence[tuple[str, str]] = (
    ("lost", "frames.lost"),
    ("sounds", "sound.delivered"),
    ("median", "latency.median"),
    ("p95", "latency.p95"),
    ("freezes", "freezes.count"),
    ("skew", "skew.median"),
)
_MADE_UP = re.compile(r"-[0-9a-f]{6}\b")


class Bots:
    """Peers of a test that prove what they see and hear."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __call__(
        self, name: str | None = None, *, token: str | None = None, **args: Any
    ) -> Side:
        """A peer, on the line until the test is over: for one call. Its name begins with `name`
        and is nobody else's (that of a bot is in its `token`). `args` are those of
        `rtc_bot_args`, for this peer alone. Raises `CannotCheck`, and `ValueError` in words."""
        return await self._stage.enter(self._stage.make(name, token, **_plain(args)))

    async def connect(self, caller: Side, callee: Side | PageSide | str) -> Call:
        """Let one call another, or somebody by name who sends everything back, like `echo`. The
        call is on when this returns; it ends with the test, and is judged. Raises `NoCall`."""
        return await self._stage.connect(Call(caller, callee))


class Pages:
    """People of a test in front of a browser without a window: the real page, in Chromium or in
    Firefox."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __call__(self, name: str | None = None, *, seconds: float = 20.0) -> PageSide:
        """Somebody who answers one call of at most so many seconds, from now on until the test
        is over. Without that browser, or where it lacks the codec, the test is skipped; with
        `--rtc-strict` it fails."""
        plan = self._stage.plan
        if plan.browser is None:
            pytest.skip("--rtc-browser=off")
        try:
            return await self._stage.enter(self._stage.make_page(name, plan.browser, seconds))
        except CannotCheck as error:
            if error.code in ("browser_missing", "codec_missing") and not plan.strict:
                pytest.skip(str(error))
            raise


class Net:
    """The made up network of a test. All media of its calls passes it, from when the call is
    made."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def change(self, text: str) -> None:
        """Let the network be so from now on: a name, or like `loss=2%,up.delay=40ms`. Changes
        that a profile had in store are forgotten. Raises `ValueError` in words."""
        found = profile(text)
        if found.changes:
            raise ValueError(f"{text!r} changes by itself: let the test change it.")
        self._stage.profile = found
        for relay in self._stage.relays:
            relay.up.use(found.up)
            relay.down.use(found.down)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """What became of packets, `up` from who calls and `down` to them, of all calls."""
        up, down = Counter[str](), Counter[str]()
        for relay in self._stage.relays:
            up.update(relay.up.counts)
            down.update(relay.down.counts)
        return {"up": dict(up), "down": dict(down)}


def options(args: dict[str, Any], codec: str | None, *, relay_only: bool, speech: bool) -> Options:
    """What the peers of a test send. Raises `ValueError` in words."""
    found = _plain(args)
    if codec is not None:
        found["codec"] = CODECS[codec]
    if relay_only:
        found["relay_only"] = True
    if speech:
        found["speech"] = True
    return Options(**found)


def _plain(args: dict[str, Any]) -> dict[str, Any]:
    known = Options.__dataclass_fields__
    if unknown := sorted(set(args) - set(known)):
        raise ValueError(f"A peer has no {', '.join(unknown)}; there is {', '.join(known)}.")
    found = dict(args)
    if isinstance(found.get("codec"), str):
        found["codec"] = CODECS.get(found["codec"].lower(), found["codec"])
    return found


def network(text: str | None) -> Profile | None:
    """A network by its text, if there is one. Raises `ValueError` in words."""
    return profile(text) if text else None


def judging(stage: Stage, test: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A test that fails when one of its calls does, or is skipped where nothing can be said."""
    whole = stage.around(test)

    async def judged(*arguments: Any, **named: Any) -> Any:
        result = await whole(*arguments, **named)
        for call in stage.judged:
            _conclude(call, stage.plan.strict)
        return result

    judged.__wrapped__ = test  # type: ignore[attr-defined]
    return judged


def _conclude(judged: Outcome, strict: bool) -> None:
    if judged.verdict.state == "passed":
        return
    lines = [judged.verdict.sentence]
    if len(judged.verdict.reasons) > 1:
        lines += [
            f"- {reason.direction}: {reason.sentence}" if reason.direction else reason.sentence
            for reason in judged.verdict.reasons
        ]
    lines += [f"  {name}: {path}" for name, path in sorted(judged.observed.files.items())]
    if judged.verdict.state == "unproven" and not strict:
        pytest.skip(lines[0])
    pytest.fail("\n".join(lines), pytrace=False)


def plain(outcome: Outcome) -> dict[str, Any]:
    """A call as what JSON can hold: all figures, as they are named in Python."""
    observed, verdict = outcome.observed, outcome.verdict
    return {
        "to": observed.to,
        "seconds": round(observed.seconds, 3),
        "seed": observed.seed,
        "network": observed.network,
        "pairs": dict(observed.pairs),
        "verdict": verdict.state,
        "sentence": verdict.sentence,
        "reasons": [
            {"code": str(r.code), "sentence": r.sentence, "direction": r.direction}
            for r in verdict.reasons
        ],
        "directions": [msgspec.to_builtins(found, str_keys=True) for found in outcome.figures],
        "files": dict(observed.files),
    }


def properties(calls: Sequence[Outcome]) -> list[tuple[str, object]]:
    """The figures of calls as properties for JUnit, `rtc.ann to bob.latency.p95`, in the units
    that they are kept in (seconds, shares, bits a second)."""
    found: list[tuple[str, object]] = []
    for number, outcome in enumerate(calls, 1):
        before = f"rtc.{number}." if len(calls) > 1 else "rtc."
        found.append((f"{before}verdict", outcome.verdict.state))
        pairs = outcome.observed.pairs.items()
        found += [(f"{before}pair.{side}", pair) for side, pair in pairs]
        for figures in outcome.figures:
            values = measured(figures).items()
            found += [(f"{before}{figures.name}.{name}", value) for name, value in values]
    return found


def table(calls: Sequence[dict[str, Any]], width: int) -> str:
    """What the calls of a run came to, as text: each test, below it each direction."""
    shown = Table(box=None, pad_edge=False, header_style="")
    shown.add_column("", no_wrap=True)
    for heading in ("seen", *(heading for heading, _ in _COLUMNS)):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    tests = []
    for plain in calls:
        for figures in plain["directions"]:
            frames = figures["frames"]
            seen = f"{frames['delivered']}/{frames['due']}"
            cells = (_cell(figures, name) for _, name in _COLUMNS)
            shown.add_row(Text(f"  {_way(figures)}"), seen, *cells, plain["verdict"])
            tests.append(plain["test"])
    page = StringIO()
    Console(file=page, width=width, color_system=None).print(shown)
    head, *rows = page.getvalue().rstrip().splitlines()
    lines = [head]
    for before, test, row in zip(["", *tests], tests, rows, strict=False):
        lines += [test, row] if test != before else [row]
    return "\n".join(lines)


def _way(figures: dict[str, Any]) -> str:
    return _MADE_UP.sub("", figures["name"])


def _cell(figures: dict[str, Any], name: str) -> str:
    found: Any = figures
    for part in name.split("."):
        found = found[part]
    unit: Unit = NAMES[name].unit
    return "-" if found is None else show(found, unit)


def write(path: Path, seed: int, calls: Sequence[dict[str, Any]]) -> None:
    """All calls as JSON, with a `version` that says what it looks like."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": VERSION, "seed": seed, "calls": list(calls)}, indent=1))
