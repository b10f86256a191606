"""People and their tracks stay in step, whatever their clocks do: hours in virtual time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ringback.bots.media.align import Offset, Shortest, TrackClock
from ringback.bots.media.frames import Frame, Kind

RATES: dict[Kind, int] = {"audio": 48_000, "video": 90_000}


@dataclass
class Sender:
    """Somebody who sends sound and pictures. Their clock began at `epoch` when ours said 0, and
    runs `drift` faster than ours; their sound card runs `card` faster than that."""

    epoch: float
    drift: float
    card: float
    dice: random.Random
    offset: Offset = field(default_factory=Offset)
    clocks: dict[Kind, TrackClock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clocks = {kind: TrackClock(self.offset) for kind in RATES}

    def wall(self, true: float) -> float:
        return self.epoch + true * (1 + self.drift)

    def ticks(self, kind: Kind, true: float) -> int:
        speed = 1 + self.drift + (self.card if kind == "audio" else 0.0)
        return round(1_000_000 + true * speed * RATES[kind])

    def delay(self) -> float:
        """A way of at least 20 ms, mostly a little more and at times much."""
        return 0.020 + self.dice.expovariate(1 / 0.010) + (self.dice.random() < 0.02) * 0.3

    def report(self, kind: Kind, true: float) -> None:
        ticks, ntp = self.ticks(kind, true), self.wall(true)
        self.clocks[kind].report(0, ticks, ntp, true + self.delay(), RATES[kind])

    def place(self, kind: Kind, true: float) -> float:
        frame = Frame(
            kind, "VP8" if kind == "video" else "opus", b"", self.ticks(kind, true), RATES[kind],
            True, None, true + self.delay(), 0, False,
        )  # fmt: skip
        self.clocks[kind].came(frame)
        return self.clocks[kind].place(frame)


def sender(number: int, drift: float = 0.0, card: float = 0.0) -> Sender:
    return Sender(3.9e9 + 1000 * number, drift, card, random.Random(number))


def talk(people: list[Sender], seconds: int) -> Iterator[int]:
    """Each second everybody reports on pictures, and every fifth on sound, as browsers do."""
    for second in range(seconds):
        for person in people:
            person.report("video", second + 0.1)
            if second % 5 == 0:
                person.report("audio", second + 0.2)
        yield second


@pytest.mark.parametrize(
    ("drifts", "cards"),
    [((0, 0), (0, 0)), ((100e-6, -100e-6), (0, 0)), ((50e-6, -50e-6), (100e-6, -100e-6))],
)
def test_an_hour_apart_by_no_more_than_20_ms(
    drifts: tuple[float, float], cards: tuple[float, float]
) -> None:
    people = [sender(n, drifts[n], cards[n]) for n in range(2)]
    own, between, jumps = 0.0, 0.0, 0.0
    before: dict[tuple[int, Kind], float] = {}
    for second in talk(people, 3600):
        if second < 5:
            continue
        moment = second + 0.5
        placed = [{kind: person.place(kind, moment) for kind in RATES} for person in people]
        own = max(own, *(abs(p["audio"] - p["video"]) for p in placed))
        between = max(between, *(abs(placed[0][kind] - placed[1][kind]) for kind in RATES))
        for n, found in enumerate(placed):
            for kind, at in found.items():
                last = before.get((n, kind), at - 1)
                jumps = max(jumps, abs(at - last - 1))
                before[n, kind] = at
    assert own < 0.005
    assert between < 0.020
    assert jumps < 0.010


def test_without_reports_frames_lie_as_they_came_by_the_shortest_way() -> None:
    person = sender(1)
    placed = [person.place("video", n / 15) for n in range(150)]
    late = [round(at - n / 15, 9) for n, at in enumerate(placed)]
    assert all(0.02 <= way < 0.4 for way in late)
    assert late[-1] < 0.03
    assert sorted(late, reverse=True) == late


def test_what_came_first_lies_by_the_shortest_way_of_what_came_after() -> None:
    clock = TrackClock(Offset())
    frames = [
        Frame("audio", "opus", b"", 7 + n * 960, 48_000, True, None, 5 + n / 50 + way, 0, False)
        for n, way in enumerate((0.3, 0.2, 0.02, 0.1))
    ]
    for frame in frames:
        clock.came(frame)
    placed = [clock.place(frame) for frame in frames]
    assert placed == pytest.approx([5.02 + n / 50 for n in range(4)])


def test_the_first_report_puts_tracks_in_step() -> None:
    person = sender(1)
    for kind in RATES:
        assert not person.clocks[kind].known
        person.report(kind, 1.0)
        assert person.clocks[kind].known
    assert person.place("audio", 2.0) == pytest.approx(person.place("video", 2.0), abs=1e-3)


def late_report(person: Sender, kind: Kind, true: float, late: float) -> float:
    """A report that is under way for so long."""
    ticks, ntp = person.ticks(kind, true), person.wall(true)
    return person.clocks[kind].report(0, ticks, ntp, true + late, RATES[kind])


@pytest.mark.parametrize("late", [0.18, 0.6])
def test_what_is_found_late_is_told_once_for_all_that_was_placed(late: float) -> None:
    """On a busy machine the first report waited, and nothing says so before the second."""
    person = sender(1)
    assert late_report(person, "video", 1.0, late) == 0.0
    before = person.place("video", 2.0)
    moved = late_report(person, "video", 2.0, 0.02)
    assert moved == pytest.approx(0.02 - late)
    assert person.place("video", 2.0) == pytest.approx(before + moved)
    assert person.place("video", 2.0) == pytest.approx(2.02, abs=1e-6)
    # A longer way says nothing, and a slightly shorter one a little.
    assert late_report(person, "video", 3.0, 0.3) == 0.0
    assert late_report(person, "video", 4.0, 0.019) == pytest.approx(-0.001, abs=1e-6)


def test_frames_that_came_say_that_the_first_report_is_late() -> None:
    person = sender(1)
    for n in range(15):
        person.place("video", 1 + n / 15)
    late_report(person, "video", 1.5, 0.5)
    assert person.place("video", 2.5) == pytest.approx(2.52, abs=0.01)


def test_frames_of_another_source_say_nothing_of_a_report() -> None:
    person = sender(1)
    person.place("video", 1.0)
    clock = person.clocks["video"]
    clock.report(1, person.ticks("video", 1.0) + 90_000, person.wall(1.0), 1.02, 90_000)
    assert person.offset.seconds == pytest.approx(1.02 - person.wall(1.0), abs=1e-6)


@pytest.mark.parametrize("set_clock", [False, True])
def test_what_lies_far_back_is_not_moved(set_clock: bool) -> None:
    """Later a way that becomes shorter is followed slowly, and one whose clock was set at once
    from then on: what was placed before was right."""
    person, start = sender(1), 0
    late_report(person, "video", 0.0, 0.12)
    if set_clock:
        person.epoch += 10
        start = 4
        assert [late_report(person, "video", float(n), 0.12) for n in range(1, 4)] == [0, 0, 0]
    else:
        start = 40
        for second in range(1, start):
            assert late_report(person, "video", float(second), 0.12) == 0.0
    before = person.place("video", start)
    assert late_report(person, "video", float(start), 0.02) == 0.0
    assert before - 0.005 < person.place("video", start) < before


def test_one_odd_report_is_not_believed_and_a_set_clock_is() -> None:
    person = sender(1)
    for second in range(5):
        person.report("video", float(second))
    before = person.place("video", 5.0)
    clock = person.clocks["video"]
    clock.report(0, person.ticks("video", 5.0), person.wall(5.0) + 10, 5.03, 90_000)
    assert person.place("video", 5.0) == before
    person.epoch += 10
    for second in range(6, 10):
        person.report("video", float(second))
    assert person.place("video", 10.0) == pytest.approx(before + 5, abs=0.05)


def test_a_new_source_counts_its_ticks_anew() -> None:
    person = sender(1)
    person.report("video", 1.0)
    clock = person.clocks["video"]
    clock.report(1, 5, person.wall(2.0), 2.02, 90_000)
    frame = Frame("video", "VP8", b"", 5 + 90_000, 90_000, True, None, 3.03, 1, False)
    clock.came(frame)
    assert clock.place(frame) == pytest.approx(3.02, abs=0.02)


def test_reports_that_name_a_tick_late_move_nothing_to_and_fro() -> None:
    """As aiortc does: it names the moment at which a picture was sent, coded or not in time."""
    person, dice = sender(1), random.Random(2)
    placed: dict[Kind, list[float]] = {kind: [] for kind in RATES}
    for second in range(60):
        for kind in RATES:
            late = dice.expovariate(1 / 0.03)
            person.clocks[kind].report(
                0, person.ticks(kind, second), person.wall(second + late),
                second + late + person.delay(), RATES[kind],
            )  # fmt: skip
            placed[kind] += [person.place(kind, second + n / 15) for n in range(15)]
    for kind, moments in placed.items():
        # Before ten reports have come one may be the first that was hardly late.
        steps = [after - before for before, after in itertools.pairwise(moments[150:])]
        assert max(abs(step - 1 / 15) for step in steps) < 0.008, kind
    apart = [abs(a - v) for a, v in zip(placed["audio"], placed["video"], strict=True)]
    assert max(apart[150:]) < 0.020


def test_a_first_report_that_names_a_tick_late_shortens_nothing() -> None:
    """The coder took its time at first: only sound placed meanwhile lies too early."""
    person = sender(1)
    placed = [person.place("video", n / 15) for n in range(10)]
    person.clocks["video"].report(
        0, person.ticks("video", 0.6), person.wall(1.0), 1.02, RATES["video"]
    )
    person.report("audio", 1.0)
    placed += [person.place("video", n / 15) for n in range(10, 30)]
    person.report("video", 2.0)
    placed += [person.place("video", n / 15) for n in range(30, 45)]
    assert placed[-1] - placed[0] == pytest.approx(44 / 15, abs=0.03)
    assert person.place("audio", 3.0) == pytest.approx(person.place("video", 3.0), abs=0.001)


def test_the_shortest_way_is_forgotten_in_time() -> None:
    shortest = Shortest()
    assert shortest.put(0.05, 0.0) == 0.05
    assert shortest.put(0.02, 1.0) == 0.02
    assert shortest.put(0.06, 2.0) == 0.02
    assert shortest.put(0.07, 31.5) == 0.06
    shortest.clear()
    assert shortest.put(0.9, 32.0) == 0.9
