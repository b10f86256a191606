"""What a path carries, on made-up paths: a bottleneck with a queue, jitter, losses."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from ringback.bots.media.congestion import LEAST, MANY, ReceiveRate, SendRate

MOST = 2_500_000
CLOCK = 90_000
FPS = 30


@dataclass
class Path:
    """Pictures from a peer that sends what it may, at most `wish`, through a bottleneck."""

    capacity: float
    wish: float = 2_000_000
    jitter: float = 0.0
    obeys: bool = True
    delay: float = 0.05
    rate: ReceiveRate = field(default_factory=lambda: ReceiveRate(MOST))
    now: float = 1000.0
    start: int = 0
    octets: int = 0
    free_at: float = 0.0
    arrived: float = 0.0
    pictures: int = 0
    waits: list[float] = field(default_factory=list)
    bits: list[int] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * FPS)):
            self.now += 1 / FPS
            self.pictures += 1
            rate = min(self.wish, self.rate.bits) if self.obeys else self.wish
            size = rate / FPS * self.dice.uniform(0.8, 1.2)
            self.free_at = max(self.now, self.free_at) + size / self.capacity
            self.waits.append(self.free_at - self.now)
            # A path does not change the order.
            late = abs(self.dice.gauss(0, self.jitter))
            self.arrived = max(self.arrived, self.free_at + self.delay + late)
            self.octets += round(size / 8)
            stamp = (self.start + self.pictures * CLOCK // FPS) & 0xFFFFFFFF
            self.rate.picture(stamp, CLOCK, self.octets, self.arrived)
            self.bits.append(self.rate.bits)


# --- what we receive -----------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.002, 0.005])
def test_a_path_that_carries_it_all_is_not_limited(jitter: float) -> None:
    path = Path(50_000_000, jitter=jitter)
    path.run(120)
    assert set(path.bits) == {MOST}
    assert not path.rate.hurry


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("jitter", [0.01, 0.03])
def test_much_jitter_costs_little(jitter: float, seed: int) -> None:
    path = Path(50_000_000, jitter=jitter, dice=random.Random(seed))
    path.run(120)
    assert min(path.bits) > 1_200_000
    assert sum(bits < 2_000_000 for bits in path.bits) < 0.2 * len(path.bits)


@pytest.mark.parametrize("capacity", [300_000, 800_000, 1_500_000])
@pytest.mark.parametrize("jitter", [0.0, 0.005])
def test_a_bottleneck_is_found_and_its_queue_stays_short(capacity: int, jitter: float) -> None:
    path = Path(capacity, jitter=jitter)
    path.run(10)
    assert path.rate.bits < 1.1 * capacity
    path.run(60)  # what had queued up in the first second has to drain
    path.waits.clear()
    path.bits.clear()
    path.run(120)
    mean = sum(min(bits, 2_000_000) for bits in path.bits) / len(path.bits)
    assert 0.6 * capacity < mean < 1.02 * capacity
    waits = sorted(path.waits)
    assert waits[len(waits) // 2] < 0.15
    assert waits[-1] < 1.0


def test_what_is_a_little_too_much_is_noticed_before_the_queue_is_long() -> None:
    path = Path(1_000_000, wish=1_100_000, obeys=False)
    path.run(2)
    assert path.rate.bits == MOST or path.rate.hurry
    path.run(3)
    assert path.rate.hurry
    assert path.rate.bits < 1_000_000


def test_a_path_that_becomes_narrower_and_wider_again() -> None:
    path = Path(5_000_000)
    path.run(30)
    assert path.rate.bits == MOST
    path.capacity = 500_000
    path.run(10)
    assert path.rate.bits < 550_000
    path.capacity = 5_000_000
    path.run(90)
    assert path.rate.bits > 1_500_000


def test_it_grows_no_further_than_what_is_made_use_of_shows() -> None:
    path = Path(300_000)
    path.run(20)
    path.capacity, path.wish = 5_000_000, 200_000
    path.run(120)
    assert path.rate.bits < 400_000


def test_never_less_than_what_pictures_need() -> None:
    path = Path(20_000)
    path.run(60)
    assert path.rate.bits == LEAST


@pytest.mark.parametrize("start", [0, 2**32 - 10 * CLOCK])
def test_timestamps_may_wrap(start: int) -> None:
    path = Path(50_000_000, start=start)
    path.run(30)
    path.capacity = 500_000
    path.run(10)
    assert path.rate.bits < 550_000


def test_a_pause_and_a_new_clock_are_no_queue() -> None:
    path = Path(50_000_000)
    path.run(5)
    for pause, jump in ((10.0, 0), (0.0, 123_456_789), (3.0, -77_777_777)):
        path.now += pause
        path.start += jump
        path.run(5)
        assert path.rate.bits == MOST


def test_a_picture_that_comes_late_and_out_of_turn_says_nothing() -> None:
    path = Path(50_000_000)
    path.run(5)
    for _ in range(100):
        path.run(0.2)
        old = (path.pictures - 2) * CLOCK // FPS
        path.rate.picture(old, CLOCK, path.octets, path.arrived)
    assert path.rate.bits == MOST


def test_one_picture_that_is_late_is_no_queue() -> None:
    path = Path(50_000_000)
    path.run(10)
    for _ in range(5):
        path.arrived = path.now + 0.3  # as when a keyframe is sent again
        path.run(10)
    assert path.rate.bits == MOST


# --- what we send --------------------------------------------------------------------------


def reports(rate: SendRate, loss: float, seconds: float, begin: float = 0.0) -> None:
    """A report a second, of a hundred packets."""
    for second in range(round(seconds)):
        rate.reported(loss, 100, 0.05, begin + second)


def test_without_reports_all_is_sent() -> None:
    assert SendRate(1_500_000).bits == 1_500_000


def test_no_more_than_is_asked_for() -> None:
    rate = SendRate(1_500_000)
    rate.asked(400_000)
    assert rate.bits == 400_000
    rate.asked(9_000_000)
    assert rate.bits == 1_500_000
    rate.asked(0)
    assert rate.bits == LEAST


def test_many_losses_let_it_fall_and_few_let_it_grow() -> None:
    rate = SendRate(1_000_000)
    rate.reported(0.2, 100, 0.05, 0.0)
    assert rate.bits == 900_000
    rate.reported(0.05, 100, 0.05, 1.0)
    assert rate.bits == 900_000, "between both it stays"
    rate.reported(0.01, 100, 0.05, 2.0)
    assert rate.bits == 945_000
    reports(rate, 0.0, 60, 3.0)
    assert rate.bits == 1_000_000


def test_losses_count_from_what_is_asked_for() -> None:
    rate = SendRate(1_500_000)
    rate.asked(500_000)
    rate.reported(0.5, 100, 0.05, 0.0)
    assert rate.bits == 375_000


def test_one_of_few_packets_is_not_many() -> None:
    rate = SendRate(1_000_000)
    for second in range(6):
        rate.reported(1 / 3 if second == 2 else 0.0, 3, 0.05, second)
        assert rate.bits == 1_000_000
    rate.reported(0.5, 3, 0.05, 6.0)
    assert rate.bits < 1_000_000, "2.5 of 21 are more than a tenth"
    assert MANY < 2.5 / 21


def test_reports_that_come_all_at_once_count_once() -> None:
    rate = SendRate(1_000_000)
    for _ in range(50):
        rate.reported(0.4, 100, 0.05, 0.0)
    assert rate.bits == 800_000
    rate.reported(0.4, 100, 0.05, 0.4)
    assert rate.bits == 640_000
    for _ in range(50):
        rate.reported(0.0, 100, 0.05, 1.0)
    assert rate.bits == 672_000


def test_it_falls_to_what_pictures_need_and_comes_back() -> None:
    rate = SendRate(1_000_000)
    reports(rate, 0.9, 60)
    assert rate.bits == LEAST
    reports(rate, 0.0, 60, 60.0)
    assert rate.bits == 1_000_000
