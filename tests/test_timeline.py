"""What of the time of a recording is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media.timeline import TimeLine


def test_paused_time_is_left_out() -> None:
    line = TimeLine(100.0)
    assert line.position(99.0) == 0.0
    assert line.position(103.0) == 3.0
    line.pause(104.0)
    assert line.position(104.0) is None
    assert line.position(200.0) is None
    assert line.position(103.5) == 3.5
    assert line.length(150.0) == 4.0
    line.resume(110.0)
    assert line.position(105.0) is None
    assert line.position(110.0) == 4.0
    assert line.position(112.0) == 6.0
    assert line.length(112.0) == 6.0
    line.pause(113.0)
    line.resume(115.0)
    assert line.position(116.0) == 8.0
    assert line.pauses() == [(4000, 6000), (7000, 2000)]


def test_pausing_twice_is_pausing_once() -> None:
    line = TimeLine(0.0)
    line.resume(1.0)
    line.pause(2.0)
    line.pause(3.0)
    line.resume(4.0)
    line.resume(5.0)
    assert line.pauses() == [(2000, 2000)]


@given(st.lists(st.floats(0.1, 50), min_size=2, max_size=12), st.floats(0, 500))
def test_positions_never_run_backwards(steps: list[float], moment: float) -> None:
    line, now = TimeLine(0.0), 0.0
    for number, step in enumerate(steps):
        now += step
        (line.pause if number % 2 == 0 else line.resume)(now)
    first, second = line.position(moment), line.position(moment + 1)
    if first is not None and second is not None:
        assert 0 <= second - first <= 1 + 1e-9
        assert first <= moment
    assert line.length(now) == pytest.approx(sum(steps[0::2]))
