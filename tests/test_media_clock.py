"""RTP ticks on one line, and what the sender's clock says of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import clock
from ringback.bots.media.clock import SenderClock, Timeline

RATE = 90000
WRAP = 2**32


def test_ticks_go_on_over_wraps() -> None:
    line = Timeline()
    first = line.place(WRAP - 3000, RATE, 0.0)
    assert [line.place(t, RATE, 0.1) - first for t in (0, 3000, 6000)] == [3000, 6000, 9000]
    assert line.source == 0


def test_hours_of_ticks() -> None:
    line = Timeline()
    places = [line.place(n * RATE % WRAP, RATE, float(n)) for n in range(60_000)]
    assert places[-1] - places[0] == 59_999 * RATE
    assert line.source == 0


def test_a_pause_of_the_camera_is_no_new_source_where_the_sender_counts_on() -> None:
    line = Timeline()
    first = line.place(1000, RATE, 0.0)
    assert line.place(1000 + 60 * RATE, RATE, 60.2) - first == 60 * RATE
    assert line.source == 0


@pytest.mark.parametrize("leap", [-5 * RATE, 5 * RATE, 2**31])
def test_a_leap_is_a_new_source_and_the_line_goes_on_by_arrival(leap: int) -> None:
    line = Timeline()
    first = line.place(10 * RATE, RATE, 0.0)
    assert line.place((10 * RATE + leap) % WRAP, RATE, 0.5) - first == RATE // 2
    assert line.source == 1
    assert line.place((10 * RATE + leap + 3000) % WRAP, RATE, 0.6) - first == RATE // 2 + 3000


def test_a_sender_that_stops_counting_while_it_pauses_is_a_new_source() -> None:
    line = Timeline()
    first = line.place(1000, 48000, 0.0)
    assert line.place(1960, 48000, 60.0) - first == 60 * 48000
    assert line.source == 1


def test_what_stood_in_a_queue_for_seconds_is_no_new_source() -> None:
    line = Timeline()
    first = line.place(1000, RATE, 0.0)
    assert line.place(4000, RATE, 4.0) - first == 3000
    assert line.place(4000 + 4 * RATE, RATE, 4.1 + 2.0) - first == 3000 + 4 * RATE
    assert line.source == 0


def test_a_new_source_goes_on_by_arrival() -> None:
    line = Timeline()
    first = line.place(1000, RATE, 0.0)
    line.begin()
    assert line.place(77, RATE, 2.0) - first == 2 * RATE
    assert line.source == 1


def test_another_clock_rate_goes_on_in_seconds() -> None:
    line = Timeline()
    first = line.place(48000, 48000, 0.0) / 48000
    second = line.place(5, 8000, 0.5) / 8000
    assert second - first == pytest.approx(0.5, abs=1e-3)
    assert line.source == 1


def test_a_step_back_is_no_step_back() -> None:
    line = Timeline()
    first = line.place(10_000, RATE, 0.0)
    assert line.place(9_000, RATE, 0.0) == first + 1
    assert line.place(10_000, RATE, 0.0) == first + 2
    assert line.place(13_000, RATE, 0.0) == first + 3000
    assert line.source == 0


@given(st.lists(st.tuples(st.integers(0, WRAP - 1), st.floats(0, 10)), max_size=60))
def test_whatever_comes_time_only_grows(steps: list[tuple[int, float]]) -> None:
    line, now, last = Timeline(), 0.0, -1
    for timestamp, pause in steps:
        now += pause
        place = line.place(timestamp, RATE, now)
        assert place > last
        last = place


def test_before_the_first_report_nothing_is_known() -> None:
    told = SenderClock()
    assert told.ntp(0, 5) is None
    assert told.wall(0, 5) is None


def test_a_report_places_all_ticks_of_its_source() -> None:
    line, told = Timeline(), SenderClock()
    heard: list[tuple[int, int, float, float]] = []
    told.on_report = lambda *report: heard.append(report)
    place = line.place(WRAP - RATE, RATE, 0.0)
    at = line.find(0)
    assert at == place + RATE
    told.report(0, at, (3_900_000_000 << 32) + (1 << 31), 7.0, RATE)
    assert told.ntp(0, place) == pytest.approx(3_899_999_999.5)
    assert told.wall(0, at + 2 * RATE) == pytest.approx(3_900_000_002.5 - 2_208_988_800)
    assert told.ntp(1, place) is None
    assert heard == [(0, at, 3_900_000_000.5, 7.0)]


def test_only_the_last_sources_are_remembered() -> None:
    told = SenderClock()
    for source in range(clock.SOURCES + 1):
        told.report(source, 0, 1 << 32, 0.0, RATE)
    assert told.ntp(0, 0) is None
    assert told.ntp(1, 0) == 1.0
