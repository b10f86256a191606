"""Marks in sound: heard where they are whole, timed well, and never taken for another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ringback.bots.calltest.chirps import LENGTH, RATE, Chirps, Ear, Heard, beside

Pcm = NDArray[np.int16]


def heard(sound: Pcm, piece: int = 960) -> list[Heard]:
    """What an ear makes of sound that comes piece by piece."""
    ear = Ear()
    return [one for at in range(0, len(sound), piece) for one in ear.hear(sound[at : at + piece])]


@pytest.mark.parametrize("piece", [1, 441, 960, 100_000])
def test_each_mark_is_heard_once_at_its_sample(piece: int) -> None:
    found = heard(Chirps(0x2A7).pcm(0, 2 * RATE), piece)
    assert [(one.stream, one.number) for one in found] == [(0x2A7 % 32, n) for n in range(4)]
    for number, one in enumerate(found):
        assert abs(one.sample - number * 24_000) < 1
        assert -17 < one.level < -14


def test_sound_can_be_made_from_anywhere() -> None:
    chirps = Chirps(9)
    whole = chirps.pcm(0, 3 * RATE)
    for start, count in ((0, 1), (23_999, 2), (24_100, 960), (70_000, 50_000), (5, 0)):
        assert (chirps.pcm(start, count) == whole[start : start + count]).all()
    with pytest.raises(ValueError, match="before its first"):
        chirps.pcm(-1, 10)


def test_a_stream_has_twelve_bits() -> None:
    with pytest.raises(ValueError, match="12 bits"):
        Chirps(4096)


def test_silence_and_a_quiet_line_hold_no_marks() -> None:
    quiet = Chirps(1).pcm(LENGTH, RATE // 4)
    assert 0 < abs(quiet).max() <= 32
    assert heard(np.tile(quiet, 20)) == []
    assert heard(np.zeros(5 * RATE, np.int16)) == []


@pytest.mark.parametrize(
    ("number", "rate", "picture"),
    [(0, 15, 0), (1, 30, 15), (1, 15, None), (2, 15, 15), (7, 10, 35), (3, 29.97, None)],
)
def test_marks_that_begin_with_a_picture(number: int, rate: float, picture: int | None) -> None:
    assert beside(number, rate) == picture


def test_sounds_are_as_in_the_vectors() -> None:
    vectors = json.loads((Path(__file__).parent / "vectors" / "chirps.json").read_text())["sounds"]
    assert len(vectors) >= 8
    for vector in vectors:
        made = Chirps(vector["stream"]).pcm(vector["start"], len(vector["samples"]))
        # Sines differ in their last digit from one library to another.
        assert abs(made.astype(int) - vector["samples"]).max() <= 1
