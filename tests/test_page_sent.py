"""What a page is taken to have sent: what arrived, and what is missing in its place."""

from __future__ import annotations

from ringback.bots.calltest import page_sent
from ringback.bots.calltest.chirps import PERIOD, WORDS
from ringback.bots.calltest.observed import SeenPicture, SentChirp, SentPicture

RATE = 15


def captured(*numbers: int) -> list[SentPicture]:
    return [SentPicture(number, number / RATE) for number in numbers]


def arrived(*numbers: int, after_gap: int | None = None) -> dict[int, SeenPicture]:
    return {
        n: SeenPicture(n / RATE, n / RATE, 1, n, None, 320, 240, gap=n == after_gap)
        for n in numbers
    }


def said(*numbers: int) -> list[SentChirp]:
    return [SentChirp(number, number * PERIOD, None) for number in numbers]


def heard(*numbers: int, way: float = 0.05) -> list[tuple[float, int | None]]:
    return [(number * PERIOD + way, number % WORDS) for number in numbers]


def numbers(sent: list[SentPicture] | list[SentChirp]) -> list[int]:
    return [s.sequence if isinstance(s, SentPicture) else s.number for s in sent]


def test_a_picture_that_was_left_out_was_not_sent() -> None:
    sent = page_sent.pictures(captured(1, 2, 3, 4), 0.0, arrived(1, 3, 4))
    assert numbers(sent) == [1, 3, 4]


def test_a_picture_in_whose_place_packets_are_missing_was() -> None:
    sent = page_sent.pictures(captured(1, 2, 3, 4), 0.0, arrived(1, 3, 4, after_gap=3))
    assert numbers(sent) == [1, 2, 3, 4]


def test_a_picture_that_the_probe_missed_was_sent_when_its_turn_was() -> None:
    sent = page_sent.pictures(captured(1, 2, 6, 7), 0.0, arrived(1, 2, 3, 4, 6, 7))
    assert numbers(sent) == [1, 2, 3, 4, 6, 7], "nobody saw 5, and it did not come"
    assert [round(p.at * RATE, 6) for p in sent] == [1, 2, 3, 4, 6, 7]


def test_the_probe_may_miss_the_first_pictures_and_the_last() -> None:
    sent = page_sent.pictures(captured(5, 6), 0.0, arrived(3, 5, 6, 9))
    assert numbers(sent) == [3, 5, 6, 9]
    assert [round(p.at * RATE, 6) for p in sent] == [3, 5, 6, 9]


def test_pictures_of_long_before_the_first_and_after_the_last_are_not_of_this_camera() -> None:
    edge = round(page_sent.EDGE * RATE)
    some = arrived(99 - edge, 100 - edge, 100, 101, 101 + edge, 102 + edge)
    sent = page_sent.pictures(captured(100, 101), 0.0, some)
    assert numbers(sent) == [100 - edge, 100, 101, 101 + edge]
    # How fast a camera is does not show in one picture.
    assert numbers(page_sent.pictures(captured(5), 0.0, arrived(4, 5))) == [5]


def test_before_the_beginning_counts_what_arrived_alone() -> None:
    sent = page_sent.pictures(captured(1, 2, 3, 4), 3 / RATE, arrived(2, 4, after_gap=4))
    assert numbers(sent) == [2, 3, 4]
    assert numbers(page_sent.pictures(captured(1, 2, 3, 4), 3 / RATE, {})) == [3, 4]
    assert page_sent.pictures([], 0.0, arrived(1)) == []


def test_sounds_before_the_beginning_count_if_they_were_heard() -> None:
    assert numbers(page_sent.sounds(said(0, 1, 2, 3), 2 * PERIOD, heard(1, 3))) == [1, 2, 3]
    # With the same word, but later than any way is long.
    assert numbers(page_sent.sounds(said(0, 1, 2), PERIOD, heard(WORDS, 2))) == [1, 2]


def test_a_sound_that_the_probe_missed_was_said_when_its_turn_was() -> None:
    sent = page_sent.sounds(said(30, 31, 34), 0.0, heard(30, 31, 33, 34))
    assert numbers(sent) == [30, 31, 33, 34], "nobody heard 32 leave, and it did not come"
    assert sent[2].at == 33 * PERIOD
    assert page_sent.sounds([], 0.0, heard(1)) == []


def test_the_probe_may_miss_the_first_sounds_and_the_last() -> None:
    sent = page_sent.sounds(said(40, 41), 0.0, heard(32, 39, 40, 41, 44, 49))
    assert numbers(sent) == [39, 40, 41, 44], "32 and 49 are too far away"
    assert [s.at for s in sent] == [n * PERIOD for n in (39, 40, 41, 44)]
