"""What a page has sent, as far as anybody can know. Pure.

A browser leaves out pictures as it thinks fit, and says of none whether it did; and a page that is
busy may send what its probe misses. So what arrived was sent, whoever saw it leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from .chirps import PERIOD, WORDS
from .hearing import LONGEST
from .observed import SeenPicture, SentChirp, SentPicture

EDGE = 3.0
"""Seconds before the first and after the last of what a probe saw leave, in which it may have
missed some."""


def pictures(
    captured: Sequence[SentPicture], began: float, arrived: Mapping[int, SeenPicture]
) -> list[SentPicture]:
    """Of the pictures that a camera gave, in order, those that were sent: the ones that `arrived`
    (by number), and from `began` on the ones in whose place packets are missing or after which
    nothing came."""
    numbers = sorted(arrived)
    sent, after = [], 0
    for picture in _filled(captured, arrived):
        while after < len(numbers) and numbers[after] < picture.sequence:
            after += 1
        missing = after == len(numbers) or arrived[numbers[after]].gap
        if picture.sequence in arrived or (missing and picture.at >= began):
            sent.append(picture)
    return sent


def _filled(
    captured: Sequence[SentPicture], arrived: Mapping[int, SeenPicture]
) -> Iterator[SentPicture]:
    """Those, and between and around them the ones that nobody saw and that arrived: a camera takes
    them at a steady pace."""
    if len(captured) < 2:
        yield from captured
        return
    first, last = captured[0], captured[-1]
    pace = (last.at - first.at) / (last.sequence - first.sequence)
    edge = round(EDGE / pace) if pace > 0 else 0

    def missed(near: SentPicture, numbers: range, pace: float) -> Iterator[SentPicture]:
        for number in numbers:
            if number in arrived:
                yield SentPicture(number, near.at + pace * (number - near.sequence))

    yield from missed(first, range(max(0, first.sequence - edge), first.sequence), pace)
    for before, after in pairwise(captured):
        yield before
        between = (after.at - before.at) / (after.sequence - before.sequence)
        yield from missed(before, range(before.sequence + 1, after.sequence), between)
    yield last
    yield from missed(last, range(last.sequence + 1, last.sequence + 1 + edge), pace)


def sounds(
    said: Sequence[SentChirp], begin: float, heard: Sequence[tuple[float, int | None]]
) -> list[SentChirp]:
    """Of the sounds that a microphone gave, in order, those from `begin` on; and of those before,
    and of those between and around that nobody heard leave, the ones that were `heard`: when, by
    the same clock, and the number in its word."""

    def arrived(chirp: SentChirp) -> bool:
        return any(
            number == chirp.number % WORDS and -PERIOD < at - chirp.at < LONGEST
            for at, number in heard
        )

    if not said:
        return []
    edge = round(EDGE / PERIOD)
    sent = [*filter(arrived, _around(said[0], range(-edge, 0)))]
    for place, chirp in enumerate(said):
        if place:
            sent += filter(arrived, _between(said[place - 1], chirp))
        if chirp.at >= begin or arrived(chirp):
            sent.append(chirp)
    return [*sent, *filter(arrived, _around(said[-1], range(1, edge + 1)))]


def _around(chirp: SentChirp, places: range, pace: float = PERIOD) -> Iterator[SentChirp]:
    for place in places:
        yield SentChirp(chirp.number + place, chirp.at + place * pace, None)


def _between(before: SentChirp, after: SentChirp) -> Iterator[SentChirp]:
    apart = after.number - before.number
    return _around(before, range(1, apart), (after.at - before.at) / max(1, apart))
