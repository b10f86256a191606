"""What call tests cost is counted right: a tiny run, and nothing depends on how fast it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import checks
from bench.alarms import counted
from bench.checks import LATE, judged, percentile
from bench.compare import Plan
from bench.peers import Found, latencies, reading_times
from bench.processes import BenchError, Child
from tests.callers import needs_address
from tests.observations import direction

TINY = Plan(call=0.5, proofs=1, browsers=0, alarms=2, own_fit=(2,), shared_fit=(2,))


def test_a_percentile_is_a_value_that_there_was() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([3.0], 95) == 3
    assert percentile([1.0, 2.0], 100) == 2


def test_a_core_is_full_when_pictures_are_late_or_missing() -> None:
    good = Found(due=300, seen=300, latency=(0.01, 0.02), cpu=0.5)
    trouble, said = judged(good)
    assert trouble is None
    assert said == (
        "300 of 300 pictures seen, after 10 ms (median) and 20 ms (95 of 100), with 50% of the core"
    )
    for bad in (
        Found(due=300, seen=296, latency=(0.01, 0.02)),
        Found(due=300, seen=300, latency=(0.01, LATE + 0.001)),
    ):
        trouble, said = judged(bad)
        assert trouble == said


def test_only_own_pictures_have_a_latency() -> None:
    way = direction(way=0.04)
    assert latencies(way, 0) == pytest.approx([0.04] * len(way.seen), abs=1e-6)
    assert len(latencies(way, len(way.seen) - 3)) == 3
    way.seen = [replace(seen, stream=7) for seen in way.seen]
    assert latencies(way, 0) == []


def test_reading_is_measured_on_what_can_be_read() -> None:
    assert len(reading_times(5)) == 5


def test_alarms_are_counted_by_call() -> None:
    late, lost = {"code": "late"}, {"code": "lost"}
    found = counted(
        {
            "passed": 3, "failed": 1, "unproven": 1,
            "calls": [{"reasons": []}, {"reasons": [late, late, lost]}, {"reasons": [late]}],
        }
    )  # fmt: skip
    assert found.calls == 5
    assert found.causes == {"late": 2, "lost": 1}
    assert found.sentence == (
        "checks of a sound path: 5 calls, 3 passed, 1 false alarms, 1 without a verdict as the "
        "machine was busy; reasons: late 2, lost 1"
    )
    none = counted({"passed": 1, "failed": 0, "unproven": 0, "calls": [{"reasons": []}]})
    assert none.sentence.endswith("reasons: none")


async def test_a_process_that_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    async with await Child.run(tmp_path, "short", "true") as child:
        assert await child.end(30) == 0
    async with await Child.run(tmp_path, "long", "sleep", "600") as child:
        with pytest.raises(BenchError, match="long did not end"):
            await child.end(0.05)


@needs_address
async def test_call_tests_are_measured(tmp_path: Path) -> None:
    told: list[str] = []
    found = await checks.measure(tmp_path, TINY, told.append)
    assert 0 < len(told) <= checks.steps(TINY)
    by_name = {line.what: line.values["Ringback"] for line in found.lines}
    assert by_name["verified call, offer to proof, 99 of 100 within"][0] > 0
    assert by_name["mark of a picture read"][0] > 0
    for encoding in ("own", "shared"):
        # None on a machine that is busy.
        assert by_name[f"verified peers held by one core, {encoding} encoding"][0] in (0, 2)
    assert "false alarms, of 2 calls" in by_name
    assert len(found.proofs) == 4
    assert found.notes == []
