"""Whether one more call is taken: by number, by load, and never while draining."""

from __future__ import annotations

import time

import pytest

from ringback.bots import admission as module
from ringback.bots.admission import Admission, LoadMeter


def test_calls_are_counted() -> None:
    two = Admission(2)
    assert [two.takes(calls) for calls in (0, 1, 2, 3)] == [True, True, False, False]


def test_without_a_limit_load_does_not_matter() -> None:
    any_load = Admission(2)
    for _ in range(10):
        any_load.measure(5.0)
    assert any_load.accepting


def test_load_stops_new_calls_until_it_is_well_below_the_limit() -> None:
    busy = Admission(10, max_load=0.8)
    busy.measure(1.0)
    assert busy.accepting, "one peak is no load"
    busy.measure(1.0)
    busy.measure(1.0)
    assert not busy.takes(0)
    seen = []
    for _ in range(6):
        busy.measure(0.62)
        seen.append((busy.load > 0.8 * module.EASE, busy.accepting))
    assert (True, False) in seen
    assert seen[-1] == (False, True)
    assert all(above != on for above, on in seen)


def test_draining_is_for_good() -> None:
    done = Admission(10, max_load=0.8)
    done.draining = True
    done.measure(0.0)
    assert not done.takes(0)


class Clocks:
    """Clocks that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.process = self.thread = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(time, "process_time", lambda: self.process)
        monkeypatch.setattr(time, "thread_time", lambda: self.thread)


def test_the_meter_takes_what_is_nearer_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    monkeypatch.setattr(module, "_cores", lambda: 4)
    meter = LoadMeter()
    clocks.wall, clocks.process, clocks.thread = 102.0, 101.0, 101.0
    assert meter() == pytest.approx(0.5), "the loop's thread"
    clocks.wall, clocks.process, clocks.thread = 104.0, 107.0, 101.4
    assert meter() == pytest.approx(0.75), "all threads on all cores"
    assert meter() == 0.0, "no time has passed"


def test_the_meter_measures_this_process() -> None:
    began, meter = time.monotonic(), LoadMeter()
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    # What share of a core it got depends on what else this machine does.
    share = 0.05 / (time.monotonic() - began)
    assert 0.5 * share < meter() <= 1.1
