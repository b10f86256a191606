"""A direction over time, held against the figures of the same call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.bots.calltest.buckets import MOST, POINTS, Course, course, thin
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.span import WARM_UP
from tests.observations import direction, measure, observed


def drawn(call: Observed) -> Course:
    return course(call.directions[0], call)


def counted(call: Observed) -> tuple[int, int]:
    """How many pictures the plot says were due and lost."""
    made = drawn(call)
    return sum(b.due for b in made.buckets), sum(b.lost for b in made.buckets)


def test_a_clean_call_over_time() -> None:
    made = drawn(observed(direction()))
    assert (made.seconds, made.width, len(made.buckets)) == (5.0, 0.25, 20)
    assert [b.begin for b in made.buckets] == [n * 0.25 for n in range(20)]
    assert counted(observed(direction())) == (75, 0)
    assert all(b.latency == pytest.approx(0.04) for b in made.buckets)
    assert made.frozen == []


@pytest.mark.parametrize("missing", [0, 1, 7, 14, 15, 20, 40])
def test_a_plot_shows_the_losses_that_the_figures_count(missing: int) -> None:
    there = direction()
    # What went out before the other side could hear, and one later.
    del there.seen[:missing]
    del there.seen[10]
    call = observed(there)
    frames = measure(call)[0].frames
    assert counted(call) == (frames.due, frames.lost)
    warm = min(missing, round(WARM_UP * there.rate))
    assert frames.due == 75 - warm
    assert frames.lost == 1 + missing - warm


def test_sounds_before_the_first_that_came_through_are_not_due_either() -> None:
    there = direction()
    del there.heard[:2]
    sound = measure(observed(there))[0].sound
    assert (sound.sent, sound.lost) == (10, 0)
    assert sound.due == measure(observed(direction()))[0].sound.due - 2
    del there.heard[:2]
    # Two seconds are more than warming up.
    assert measure(observed(there))[0].sound.lost == 2


def test_where_nothing_came_through_all_was_due() -> None:
    there = direction()
    due = measure(observed(there))[0].frames.due
    there.seen.clear()
    call = observed(there)
    frames = measure(call)[0].frames
    assert frames.lost == frames.due > due - 15
    assert counted(call) == (frames.due, frames.lost)


def test_where_losses_and_damage_are_drawn() -> None:
    there = direction()
    del there.seen[30]
    there.seen[44] = replace(there.seen[44], stream=None, sequence=None, stamp=None)
    made = drawn(observed(there))
    assert [(b.begin, b.lost) for b in made.buckets if b.lost] == [(2.0, 1)]
    assert [(b.begin, b.damaged) for b in made.buckets if b.damaged] == [(3.0, 1)]


def test_a_long_call_has_no_more_points() -> None:
    call = observed(direction(seconds=300.0, rate=7.5), seconds=300.0)
    made = drawn(call)
    assert len(made.buckets) == MOST
    assert 0 < len(made.pictures) <= POINTS
    points = [(float(n), float(n % 7)) for n in range(10 * POINTS)]
    assert max(v for _, v in thin(points)) == 6
    # By the time since the begin, not by the clock.
    assert 0 <= made.pictures[0][0] < 2
