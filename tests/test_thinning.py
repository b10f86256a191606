"""Which coded pictures still go where the path carries too little, on a virtual clock."""

from __future__ import annotations

import math

import pytest

from ringback.bots.media.thinning import DEPTH, Thinner

FPS, KEYS = 30, 60
SIZE, KEY_SIZE = 3_000, 15_000
RATE = 8 * FPS * (SIZE * (KEYS - 1) + KEY_SIZE) / KEYS


def run(
    thinner: Thinner, bits: float, seconds: int = 20, start: int = 0
) -> tuple[list[int], float]:
    """The numbers of the pictures that go, and the bits a second that they take."""
    gone, octets = [], 0
    for number in range(start * FPS, (start + seconds) * FPS):
        key = number % KEYS == 0
        size = KEY_SIZE if key else SIZE
        if thinner.admits(size, key, bits, 1000 + number / FPS):
            gone.append(number)
            octets += size
    return gone, 8 * octets / seconds


def wants(thinner: Thinner) -> bool:
    return thinner.wants


@pytest.mark.parametrize("bits", [math.inf, RATE, 2 * RATE])
def test_what_is_carried_goes_whole(bits: float) -> None:
    gone, _ = run(Thinner(), bits)
    assert len(gone) == 20 * FPS


@pytest.mark.parametrize("bits", [RATE * 0.8, RATE / 2, RATE / 4, RATE / 10])
def test_what_is_too_much_is_thinned_and_every_picture_can_be_decoded(bits: float) -> None:
    gone, taken = run(Thinner(), bits)
    assert bits * 0.4 < taken < bits * 1.2 + DEPTH * bits / 20
    for number in gone:
        assert number % KEYS == 0 or number - 1 in gone, "nothing follows what is missing"


def test_of_next_to_nothing_keyframes_are_left() -> None:
    gone, _ = run(Thinner(), 60_000)
    assert len(gone) >= 5
    assert {number % KEYS for number in gone} <= {0, 1}


def test_all_goes_again_from_the_next_keyframe_when_the_path_is_wider() -> None:
    thinner = Thinner()
    run(thinner, RATE / 4, 3)
    assert thinner.skipping
    gone, _ = run(thinner, math.inf, 3, start=3)
    assert gone == list(range(4 * FPS, 6 * FPS))


def test_a_keyframe_is_wanted_when_there_is_room_for_it() -> None:
    thinner = Thinner()
    bits = RATE / 4
    now = 0.0
    while thinner.admits(SIZE, now == 0.0, bits, 1000 + now):
        now += 1 / FPS
    assert thinner.skipping
    assert not wants(thinner), "not while what was sent is still on its way"
    assert not thinner.admits(SIZE, False, bits, 1000 + now + DEPTH)
    assert wants(thinner)
    assert thinner.admits(KEY_SIZE, True, bits, 1000 + now + DEPTH)
    assert not wants(thinner)
