"""Keys of a telephone: each is told once, however often its packets come."""

from __future__ import annotations

import pytest

from ringback.bots.media.digits import KEYS, Digits


def event(key: str, duration: int = 160, *, end: bool = False) -> bytes:
    return bytes([KEYS.index(key), 0x80 * end | 10]) + duration.to_bytes(2, "big")


@pytest.fixture
def heard() -> tuple[Digits, list[str]]:
    digits, keys = Digits(), list[str]()
    digits.on_digit = keys.append
    return digits, keys


def test_one_press_is_one_key(heard: tuple[Digits, list[str]]) -> None:
    digits, keys = heard
    for duration in (160, 320, 480):
        digits.put(1000, event("5", duration))
    for _ in range(3):
        digits.put(1000, event("5", 640, end=True))
    assert keys == ["5"]


def test_the_same_key_twice_is_two_keys(heard: tuple[Digits, list[str]]) -> None:
    digits, keys = heard
    for timestamp, key in ((1000, "#"), (3000, "#"), (5000, "*"), (7000, "D")):
        digits.put(timestamp, event(key))
    assert keys == ["#", "#", "*", "D"]


def test_only_the_last_packet_of_a_press_arrived(heard: tuple[Digits, list[str]]) -> None:
    digits, keys = heard
    digits.put(1000, event("1", 800, end=True))
    assert keys == ["1"]


def test_tones_that_are_no_keys_are_nothing(heard: tuple[Digits, list[str]]) -> None:
    digits, keys = heard
    digits.put(1000, bytes([36, 0, 0, 1]))
    assert keys == []


def test_nobody_listens() -> None:
    Digits().put(1, event("1"))


def test_what_is_cut_off_is_refused(heard: tuple[Digits, list[str]]) -> None:
    with pytest.raises(ValueError, match="cut off"):
        heard[0].put(1, b"\x01\x00\x00")
