"""Figures, held against calls whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.bots.calltest import chirps, hearing, spread, timing
from ringback.bots.calltest.figures import NAMES, Figures, value
from ringback.bots.calltest.flow import of_kind
from ringback.bots.calltest.freezes import freezes, intervals
from ringback.bots.calltest.identity import unread, unwrap
from ringback.bots.calltest.observed import STREAMS, Clocks, Direction, Sound, Step
from ringback.bots.calltest.span import Span, offsets, span
from ringback.bots.calltest.verdict import judge
from tests.observations import ANN, BEGAN, BOB, direction, echo, measure, observed
from tests.test_shape import WORLD, imports, python_sources


def of(there: Direction, **more: float) -> Figures:
    return measure(observed(there, **more))[0]


# --- percentiles ----------------------------------------------------------------------------


def test_percentiles_are_by_nearest_rank() -> None:
    ordered = [15.0, 20.0, 35.0, 40.0, 50.0]
    ranks = {5: 15.0, 30: 20.0, 40: 20.0, 50: 35.0, 95: 50.0, 100: 50.0}
    assert {p: spread.percentile(ordered, p) for p in ranks} == ranks
    assert spread.percentile(list(range(1, 101)), 95) == 95
    for wrong in (0, 101, -1):
        with pytest.raises(ValueError, match="above 0"):
            spread.percentile(ordered, wrong)
    with pytest.raises(ValueError, match="needs values"):
        spread.percentile([], 50)
    assert spread.median([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_one_that_was_measured(values: list[float], percent: float) -> None:
    found = spread.percentile(sorted(values), percent)
    assert found in values
    assert sum(v <= found for v in values) >= percent / 100 * len(values) - 1e-6


# --- pictures -------------------------------------------------------------------------------


def test_a_clean_call_in_numbers() -> None:
    f = of(direction())
    assert (f.frames.sent, f.frames.due, f.frames.delivered, f.frames.lost) == (75, 75, 75, 0)
    assert f.frames.rate == pytest.approx(15)
    assert (f.frames.width, f.frames.height, f.frames.scale) == (320, 240, 1)
    assert f.latency.median == pytest.approx(0.04)
    assert f.sound.latency.median == pytest.approx(0.03)
    assert f.skew.median == pytest.approx(0)
    assert f.skew.verdict == "unnoticed"
    assert (f.sound.sent, f.sound.delivered, f.sound.gaps) == (10, 10, 0)
    assert f.sound.level == pytest.approx(-40)
    assert f.video.bitrate == pytest.approx(240_000, rel=0.01)
    assert (f.video.codec, f.audio.codec) == ("vp8", "opus")
    assert f.similarity.worst == 0.97
    assert f.freezes.count == 0
    assert f.freezes.still == pytest.approx(1 / 15)


@settings(deadline=None)
@given(
    dropped=st.sets(st.integers(1, 70), max_size=30),
    spoilt=st.sets(st.integers(1, 70), max_size=20),
    twice=st.sets(st.integers(0, 70), max_size=20),
    others=st.sets(st.integers(0, 70), max_size=20),
)
def test_every_picture_is_counted_once(
    dropped: set[int], spoilt: set[int], twice: set[int], others: set[int]
) -> None:
    """Whatever happens to which pictures, the counts are as it was done."""
    spoilt -= dropped
    there = direction(kinds=("video",))
    seen = []
    for number, picture in enumerate(there.seen):
        if number in others:
            seen.append(replace(picture, stream=BOB))
        if number in dropped:
            continue
        if number in spoilt:
            seen.append(replace(picture, stream=None, sequence=None, stamp=None))
            continue
        seen += [picture] * (2 if number in twice else 1)
    there.seen = seen
    frames = of(there).frames
    assert frames.lost == len(dropped)
    assert frames.erased == len(spoilt)
    assert frames.repeated == len(twice - dropped - spoilt)
    assert frames.wrong == len(others)
    assert frames.delivered == frames.due - len(dropped) - len(spoilt)
    assert frames.reordered == frames.stale == frames.torn == 0


@pytest.mark.parametrize(("late", "lost"), [(1, 0), (15, 0), (16, 1), (30, 15)])
def test_what_is_sent_before_the_other_side_is_ready_is_not_lost(late: int, lost: int) -> None:
    """It is given a second to be, and how long it took is told."""
    there = direction(kinds=("video",))
    del there.seen[:late]
    f = of(there)
    assert f.frames.lost == lost
    assert f.setup.picture == pytest.approx(late / 15 + 0.54, abs=0.002)


def test_a_first_sound_that_was_too_early_is_not_lost() -> None:
    there = direction(kinds=("audio",))
    del there.heard[0]
    assert (of(there).sound.lost, of(there).sound.due) == (0, 9)


def test_what_is_under_way_at_the_end_is_not_lost() -> None:
    there = direction(way=0.4, kinds=("video",))
    f = of(there)
    assert len(there.seen) < len(there.sent)
    assert f.frames.lost == 0
    assert f.frames.due == len(there.seen)
    # But not for as long as one likes.
    del there.seen[30:]
    assert of(there).frames.lost > 30


def test_what_was_sent_before_the_measured_part_is_not_due() -> None:
    there = direction()
    call = observed(there, began=BEGAN + 2, seconds=3.0)
    there.seen = there.seen[30:]
    [f] = measure(call)
    assert (f.frames.due, f.frames.lost, f.sound.due) == (45, 0, 6)


def test_sequences_count_on_over_sixteen_bits() -> None:
    there = direction(first=65_500)
    assert {seen.sequence for seen in there.seen} >= {65_535, 0}
    f = of(there)
    assert (f.frames.delivered, f.frames.stale, f.frames.reordered) == (75, 0, 0)
    assert unwrap(3, 65_530) == 65_539
    assert unwrap(65_530, 65_540) == 65_530


def test_a_picture_behind_a_newer_one_is_reordered_once() -> None:
    there = direction()
    there.seen.insert(40, there.seen.pop(20))
    assert of(there).frames.reordered == 1
    there.seen.insert(20, there.seen.pop(40))
    assert of(there).frames.reordered == 0


def test_the_same_numbers_of_an_earlier_call_are_stale() -> None:
    there = direction()
    there.seen = [replace(s, stamp=((s.stamp or 0) + 20_000) % 65_536) for s in there.seen]
    f = of(there)
    assert (f.frames.stale, f.frames.identified) == (75, 0)
    strange = direction()
    strange.seen[10] = replace(strange.seen[10], sequence=40_000)
    assert of(strange).frames.stale == 1


def test_runs_of_unreadable_pictures() -> None:
    assert list(unread([1, None, None, 4, None])) == [(2, 1, 4), (1, 4, float("inf"))]
    assert list(unread([None, 5, 3, None, 2])) == [(1, float("-inf"), 5), (1, 2, 3)]
    assert list(unread([])) == []


# --- freezes --------------------------------------------------------------------------------


def test_freezes_are_as_the_standard_defines_them() -> None:
    # At 20 ms a picture: an interval of 150 ms + the average, itself included in the thirty.
    shown = [n * 0.02 for n in range(40)]
    for late, frozen in ((0.170, False), (0.180, True)):
        bent = shown + [shown[-1] + late + n * 0.02 for n in range(10)]
        assert len(intervals(bent)) == frozen
    # At 200 ms a picture three times the average is what counts.
    slow = [n * 0.2 for n in range(40)]
    for late, frozen in ((0.64, False), (0.66, True)):
        assert len(intervals([*slow, slow[-1] + late])) == frozen
    # Not before five intervals.
    assert intervals([0, 0.02, 0.04, 0.06, 1.0]) == []
    assert len(intervals([0, 0.02, 0.04, 0.06, 0.08, 1.0])) == 1


def test_a_freeze_counts_with_its_whole_length() -> None:
    shown = [n * 0.05 for n in range(30)] + [2.45 + n * 0.05 for n in range(30)]
    found = freezes(shown, shown, shown[-1] + 0.5)
    assert found.count == 1
    assert found.seconds == found.longest == pytest.approx(1.0)
    assert found.share == pytest.approx(1.0 / 3.9)
    assert found.still == pytest.approx(1.0)


def test_a_picture_that_stands_until_the_end_stood_still() -> None:
    there = direction()
    del there.seen[45:]
    f = of(there)
    assert f.freezes.count == 0
    assert f.freezes.still == pytest.approx(2.03, abs=0.01)
    assert freezes([], [], 5.0).still is None


# --- latency, clocks, skew ------------------------------------------------------------------


def test_latency_is_by_both_clocks_and_says_how_wrong_it_may_be() -> None:
    there = direction(clocks=Clocks(-730.0, 0.004))
    there.bias = {"video": 0.012}
    f = of(there)
    assert f.latency.median == pytest.approx(0.04)
    assert f.latency.error == pytest.approx(0.005)
    assert (f.latency.bias, f.sound.latency.bias) == (0.012, None)
    assert f.latency.worst == pytest.approx(0.04)


def test_one_late_picture_is_the_worst_and_nothing_else() -> None:
    there = direction()
    there.seen[30] = replace(there.seen[30], shown=there.seen[30].shown + 0.05)
    f = of(there)
    assert f.latency.worst == pytest.approx(0.09)
    assert f.latency.p95 == f.latency.median == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("late", "verdict"),
    [
        (0.0, "unnoticed"), (0.12, "unnoticed"), (0.13, "acceptable"), (0.18, "acceptable"),
        (0.19, "unacceptable"), (-0.04, "unnoticed"), (-0.06, "acceptable"),
        (-0.1, "unacceptable"),
    ],
)  # fmt: skip
def test_skew_is_held_against_the_recommendation(late: float, verdict: str) -> None:
    there = direction(way=0.2)
    there.heard = [replace(heard, at=heard.at + late) for heard in there.heard]
    f = of(there)
    assert f.skew.median == pytest.approx(-late)
    assert f.skew.verdict == verdict


def test_how_long_this_machine_decodes_is_no_skew() -> None:
    there = direction()
    there.seen = [replace(seen, shown=seen.shown + 0.3) for seen in there.seen]
    assert of(there).skew.median == pytest.approx(0)


def test_how_long_this_machine_codes_is_no_skew() -> None:
    there = direction()
    there.sent = [replace(sent, coding=0.2) for sent in there.sent]
    there.seen = [
        replace(seen, arrived=seen.arrived + 0.2, shown=seen.shown + 0.2) for seen in there.seen
    ]
    f = of(there, seconds=6.0)
    assert f.skew.median == pytest.approx(0)
    # It is something of the latency, from when a picture was taken.
    assert f.latency.median == pytest.approx(0.24)


@pytest.mark.parametrize(
    ("ended", "lost"), [(None, 1), (BEGAN + 4.6, 1), (BEGAN + 4.9, 0), (float("inf"), 0)]
)
def test_a_sound_of_which_the_end_went_out_too_late_is_not_due(
    ended: float | None, lost: int
) -> None:
    there = direction()
    # One that began at 4 s.
    there.sent_chirps[8] = replace(there.sent_chirps[8], ended=ended)
    del there.heard[8:]
    sound = of(there).sound
    assert (sound.due, sound.lost) == (8 + lost, lost)


@pytest.mark.parametrize(("sounds", "state"), [(2, "passed"), (3, "failed")])
def test_one_late_sound_alone_is_no_skew(sounds: int, state: str) -> None:
    there = direction(seconds=0.5 * sounds + 0.4)
    late = [replace(heard, at=heard.at + 0.25) for heard in there.heard]
    there.heard, call = late, observed(there, seconds=0.5 * sounds + 0.4)
    figures = measure(call)
    assert figures[0].skew.count == sounds
    assert judge(call, figures).state == state


def test_what_the_receiver_adds_is_no_skew() -> None:
    there = direction()
    there.bias = {"audio": 0.08, "video": 0.02}
    there.heard = [replace(heard, at=heard.at + 0.08) for heard in there.heard]
    assert of(there).skew.median == pytest.approx(-0.02)


def test_a_sound_whose_picture_was_lost_goes_with_the_next() -> None:
    there = direction()
    del there.seen[30]
    assert of(there).skew.count == 10
    del there.seen[20:40]
    assert of(there).skew.count < 10
    assert timing.judged(-0.3) == "unacceptable"


def test_whose_clock_the_measured_part_is_by() -> None:
    for clocks in (Clocks(), Clocks(500.0, 0.001)):
        there = direction(clocks=clocks)
        # The sender lives in the process that judges, or the receiver does.
        for began in (BEGAN, BEGAN + clocks.offset):
            assert span(there, observed(there, began=began)) == Span(BEGAN, BEGAN + 5)


# --- sound ----------------------------------------------------------------------------------


def test_sounds_are_counted() -> None:
    there = direction()
    first, second, third, *rest = there.heard
    unreadable = replace(second, number=None, stream=None)
    there.heard = [first, first, unreadable, replace(third, stream=(ANN + 1) % STREAMS), *rest]
    sound = of(there).sound
    assert (sound.heard, sound.repeated, sound.unread, sound.wrong) == (11, 1, 1, 1)
    assert (sound.identified, sound.lost) == (8, 2)


def test_a_sound_of_another_time_is_stale() -> None:
    there = direction()
    there.heard[2] = replace(there.heard[2], number=9)
    sound = of(there).sound
    assert (sound.stale, sound.lost) == (1, 1)


def test_more_sounds_than_a_word_can_number() -> None:
    assert STREAMS == hearing.NUMBERS == chirps.WORDS
    there = direction(seconds=30.0)
    sound = of(there, seconds=30.0).sound
    assert (sound.sent, sound.delivered, sound.stale) == (60, 60, 0)


def test_gaps_and_silence() -> None:
    there = direction()
    pieces = there.sounds
    there.sounds = [
        *pieces[:100], *(replace(piece, level=-100.0) for piece in pieces[100:125]),
        replace(pieces[125], gap=True), *pieces[140:],
    ]  # fmt: skip
    sound = of(there).sound
    assert sound.silence == pytest.approx(0.5)
    assert sound.gaps == 2
    assert sound.gap_seconds == pytest.approx(0.28)
    assert hearing.gaps([Sound(0, 0.02, -40), Sound(0.2, 0.02, -40)]) == []
    assert of(direction(kinds=("video",))).sound.level is None


# --- setting up -----------------------------------------------------------------------------


def test_steps_are_told_by_the_callers_clock() -> None:
    there = direction(clocks=Clocks(200.0, 0.001))
    call = observed(there)
    call.steps = [
        Step(BEGAN - 1, "ann", "placed"),
        Step(BEGAN - 0.5, "ann", "answered"),
        Step(BEGAN + 200.0 - 0.25, "bob", "ice"),
        Step(BEGAN + 200.0 - 0.15, "bob", "ice"),
    ]
    assert offsets(call) == {"ann": 0, "bob": 200}
    [f] = measure(call)
    assert f.setup.answered == pytest.approx(0.5)
    assert f.setup.ice == pytest.approx(0.75)
    assert f.setup.picture == pytest.approx(1.04)
    assert f.setup.ringing is None
    call.steps.clear()
    assert measure(call)[0].setup.picture is None


# --- names ----------------------------------------------------------------------------------


def test_every_figure_has_a_name_and_words() -> None:
    f = of(direction())
    assert len(NAMES) > 100
    for name, about in NAMES.items():
        value(f, name)
        assert about.words
        assert not about.words.endswith(".")
    assert value(f, "sound.latency.p95") == f.sound.latency.p95
    with pytest.raises(KeyError):
        value(f, "frames")


def test_figures_can_be_written_as_json() -> None:
    for call in (observed(), echo()):
        for f in measure(call):
            assert msgspec.json.decode(msgspec.json.encode(f), type=Figures) == f


def test_samples_are_kept_apart_by_kind() -> None:
    there = direction()
    assert {s.kind for s in of_kind(there.samples, "video")} == {"video"}
    assert of(Direction("ann", "bob", 1, ("video",), 15, (2, 2))).video.bitrate is None


def test_nothing_here_knows_a_clock_or_the_world() -> None:
    pure = {
        "counting", "faults", "figures", "flow", "freezes", "hearing", "identity", "observed",
        "proof", "reasons", "span", "spread", "steps", "thresholds", "timing", "units", "verdict",
    }  # fmt: skip
    sources = python_sources("bots/calltest")
    for short in pure:
        source = sources[f"ringback.bots.calltest.{short}"]
        found = {name.split(".")[0] for name in imports("ringback.bots.calltest.x", source)}
        assert not found & (WORLD | {"numpy", "av", "aiortc"}), short
