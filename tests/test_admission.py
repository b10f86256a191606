"""Whether one more call is taken: by number, by load, and never while draining."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ringback.bots import admission as module
from ringback.bots.admission import Admission, LoadMeter

real_waited = module._waited


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
        self.wall = self.process = self.thread = self.waited = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(time, "process_time", lambda: self.process)
        monkeypatch.setattr(time, "thread_time", lambda: self.thread)
        monkeypatch.setattr(module, "_waited", lambda: self.waited)


def test_the_meter_takes_what_is_nearer_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    monkeypatch.setattr(module, "_cores", lambda: 4)
    meter = LoadMeter()
    clocks.wall, clocks.process, clocks.thread = 102.0, 101.0, 101.0
    assert meter() == pytest.approx(0.5), "the loop's thread"
    clocks.wall, clocks.process, clocks.thread = 104.0, 107.0, 101.4
    assert meter() == pytest.approx(0.75), "all threads on all cores"
    assert meter() == 0.0, "no time has passed"


def test_waiting_for_a_core_is_load_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clocks = Clocks(monkeypatch)
    meter = LoadMeter()
    clocks.wall, clocks.thread, clocks.waited = 102.0, 100.4, 100.8
    assert meter() == pytest.approx(0.6)
    clocks.wall = 104.0
    assert meter() == 0.0
    file = tmp_path / "schedstat"
    monkeypatch.setattr(module, "SCHEDULED", file)
    assert real_waited() == 0.0, "there is no such file"
    for text, seconds in (("7000000 2500000000 1", 2.5), ("", 0.0), ("a b c", 0.0)):
        file.write_text(text)
        assert real_waited() == seconds


def test_a_loop_that_never_rests_is_as_busy_as_can_be_whoever_has_the_cores() -> None:
    if not module.SCHEDULED.exists():
        pytest.skip("this system does not say who waits for a core")
    meter, end = LoadMeter(), time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    assert meter() == pytest.approx(1.0, abs=0.15)


def test_the_meter_measures_this_process() -> None:
    began, meter = time.monotonic(), LoadMeter()
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass
    # What share of a core it got depends on what else this machine does.
    share = 0.05 / (time.monotonic() - began)
    assert 0.5 * share < meter() <= 1.15
