"""How often `ringback check` finds something wrong where nothing is."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.processes import BenchError, Child

TOGETHER = 2
"""Calls at once."""
SECONDS = 0.8
PATIENCE = 240.0


class Alarms(Struct, frozen=True):
    """What was said of calls on a sound path. `unproven`: the machine was too busy for a verdict;
    `causes`: how often each reason was given."""

    passed: int
    failed: int
    unproven: int
    causes: dict[str, int]

    @property
    def calls(self) -> int:
        """How many there were."""
        return self.passed + self.failed + self.unproven

    @property
    def sentence(self) -> str:
        """All in one line."""
        told = ", ".join(f"{code} {count}" for code, count in self.causes.items()) or "none"
        return (
            f"checks of a sound path: {self.calls} calls, {self.passed} passed, "
            f"{self.failed} false alarms, {self.unproven} without a verdict as the machine was "
            f"busy; reasons: {told}"
        )


async def raised(folder: Path, url: str, calls: int) -> Alarms:
    """Check so many calls (an even number) at the exchange `url`. Raises `BenchError`."""
    report = folder / "alarms.json"
    command = (
        sys.executable, "-m", "ringback", "check", url, "--between", "--for", f"{SECONDS:g}s",
        "--calls", str(TOGETHER), "--repeat", str(calls // TOGETHER), "--json", str(report),
    )  # fmt: skip
    async with await Child.run(folder, "check", *command) as child:
        await child.end(PATIENCE)
    try:
        return counted(json.loads(report.read_bytes()))
    except OSError as error:
        raise BenchError(f"ringback check has written no report: {error}") from error


def counted(report: dict[str, Any]) -> Alarms:
    """What a report of `ringback check` says of its calls."""
    reasons = Counter(
        code for call in report["calls"] for code in {one["code"] for one in call["reasons"]}
    )
    return Alarms(
        report["passed"], report["failed"], report["unproven"], dict(reasons.most_common())
    )
