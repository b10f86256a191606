"""Thresholds as people write them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.calltest.figures import NAMES
from ringback.bots.calltest.reasons import Code
from ringback.bots.calltest.thresholds import DEFAULTS, SHAPED, effective, threshold
from ringback.bots.calltest.units import parse, show
from tests.observations import codes, direction, echo, measure, observed, verdict


@pytest.mark.parametrize(
    ("text", "name", "comparison", "limit"),
    [
        ("latency.p95 > 150ms", "latency.p95", ">", 0.15),
        ("latency.p95>0.15 s", "latency.p95", ">", 0.15),
        ("frames.lost > 0", "frames.lost", ">", 0),
        ("frames.loss >= 2%", "frames.loss", ">=", 0.02),
        ("frames.loss >= 0.02", "frames.loss", ">=", 0.02),
        ("video.bitrate < 200 kbit/s", "video.bitrate", "<", 200_000),
        ("video.bitrate < 1.5Mbit/s", "video.bitrate", "<", 1_500_000),
        ("frames.rate <= 12fps", "frames.rate", "<=", 12),
        ("sound.level < -50dB", "sound.level", "<", -50),
        ("skew.median < -125ms", "skew.median", "<", -0.125),
        ("speech < .75", "speech", "<", 0.75),
        ("video.codec != H264", "video.codec", "!=", "h264"),
        ("frames.width == 320px", "frames.width", "==", 320),
        ("sound.latency.worst > 1min", "sound.latency.worst", ">", 60),
    ],
)
def test_what_people_write(text: str, name: str, comparison: str, limit: float | str) -> None:
    read = threshold(text)
    assert (read.name, read.comparison) == (name, comparison)
    assert read.limit == (pytest.approx(limit) if isinstance(limit, float) else limit)
    assert read.code is Code.THRESHOLD


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency.p95", "write NAME, one of"),
        ("", "is not a threshold"),
        ("latency.p95 => 150ms", "is not a threshold"),
        ("latency > 150ms", "latency.p95"),
        ("latency.p96 > 150ms", "latency has: latency.bias"),
        ("latenzy.p95 > 150ms", "did you mean latency.p95"),
        ("nonsense > 1", "there are: audio, clock, frames"),
        ("latency.p95 > 150", "write it in ms, s or min"),
        ("latency.p95 > 150kbit/s", "write it in ms, s or min"),
        ("latency.p95 > soon", "is not a time"),
        ("frames.lost > 3ms", "this is a number"),
        ("frames.loss > 3fps", "write it like 2%"),
        ("video.bitrate < 300", "bit/s, kbit/s or Mbit/s"),
        ("video.codec > vp8", "compare it with == or !="),
        ("video.codec != ?!", "is not a word"),
    ],
)
def test_what_cannot_be_is_told_in_words(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        threshold(text)
    assert said in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert threshold(text).name in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_can_be_compared(name: str) -> None:
    units = {
        "count": "3", "time": "3ms", "share": "3%", "rate": "3kbit/s", "pictures": "3fps",
        "level": "-3dB", "pixels": "3", "index": "0.3", "word": "vp8",
    }  # fmt: skip
    comparison = "!=" if NAMES[name].unit == "word" else ">"
    read = threshold(f"{name} {comparison} {units[NAMES[name].unit]}")
    for figures in measure(observed()):
        assert read.fails(figures) in (True, False, None)
        assert read.found(figures)


@given(st.floats(-1e6, 1e6), st.sampled_from(["time", "share", "rate", "level"]))
def test_what_is_shown_can_be_read(number: float, unit: str) -> None:
    shown = show(number, unit)  # type: ignore[arg-type]
    assert parse(shown, unit) == pytest.approx(number, rel=0.1, abs=1000)  # type: ignore[arg-type]


def test_a_threshold_of_ones_own_fails_a_call_with_its_numbers() -> None:
    judged = verdict(observed(), "latency.p95 > 30ms")
    assert judged.codes == (Code.THRESHOLD,)
    assert len(judged.reasons) == 2
    assert "latency.p95 is 40 ms" in judged.sentence
    assert "'latency.p95 > 30ms'" in judged.sentence
    assert codes(observed(), "latency.p95 > 50ms") == []


def test_ones_own_takes_the_place_of_the_default() -> None:
    there = direction()
    del there.seen[20:23]
    call = observed(there)
    assert codes(call) == ["lost"]
    assert codes(call, "frames.lost > 3") == []
    assert codes(call, "frames.loss > 10%") == []
    assert codes(call, "frames.lost > 2") == ["threshold"]
    assert codes(call, "latency.p95 > 1s") == ["lost"]


def test_early_and_late_are_two_things() -> None:
    there = direction()
    there.heard = [replace(heard, at=heard.at + 0.2) for heard in there.heard]
    assert codes(observed(there), "skew.median > 40ms") == ["late_sound"]
    assert codes(observed(there), "skew.median < -300ms") == []


def test_what_was_not_measured_is_no_reason_to_pass() -> None:
    assert codes(observed(), "speech < 0.8") == ["unmeasured"]
    assert codes(echo(kinds=("audio",)), "frames.lost > 100") == ["unmeasured"]
    assert codes(echo(kinds=("audio",)), "sound.latency.p95 > 1s") == []


def test_thresholds_about_pictures_leave_directions_of_sound_alone() -> None:
    call = observed(direction(), direction("bob", "ann", 0x456, kinds=("audio",)))
    assert codes(call, "frames.rate < 10fps") == []


def test_defaults_are_about_different_things() -> None:
    assert len({(rule.subject, rule.name) for rule in DEFAULTS}) == len(DEFAULTS)
    assert {rule.subject for rule in SHAPED} <= {rule.subject for rule in DEFAULTS}
    assert effective([], shaped=False) == list(DEFAULTS)
    assert len(effective([], shaped=True)) == len(DEFAULTS)
