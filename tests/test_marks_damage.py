"""Marks in damaged pictures: millions of them, and none is taken for another.

Damage is done to the cells of many pictures at once, or to small pictures, pixel by pixel. What
comes out may be the mark that went in, or of pictures mixed one of both, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark

Cells = NDArray[np.float32]
Dice = np.random.Generator
Damage = Callable[[Dice, Cells, Cells], Cells]
BATCH = 16_384
BATCHES = 16
FULL = marks.SAMPLES**2


@cache
def painted(count: int = 512) -> tuple[NDArray[np.uint64], Cells]:
    """Words, and the cells (count, 2, 64) that show them, as bright as they were painted and in
    the order in which they stand."""
    dice = np.random.default_rng(1)
    fields = zip(*(dice.integers(0, top, count).tolist() for top in (1 << 12, 1 << 16, 1 << 16)),
                 strict=True)  # fmt: skip
    words, cells = np.empty(count, np.uint64), np.empty((count, 2, 64), np.float32)
    luma = np.zeros((32, 64), np.uint8)
    for number, (stream, sequence, stamp) in enumerate(fields):
        mark = Mark(stream, sequence, stamp)
        marks.paint(luma, mark)
        words[number] = marks.word(mark)
        cells[number] = luma[[0, 2, 28, 30], ::2].reshape(2, 64)
    return words, cells


def noisy(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Noise of any strength on every cell."""
    strength = dice.uniform(0, 150, (len(cells), 1, 1)).astype(np.float32)
    return cells + strength * dice.standard_normal(cells.shape, np.float32)


def faded(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Another brightness, and contrast down to nothing, with noise."""
    gain = dice.uniform(-1, 1, (len(cells), 1, 1)).astype(np.float32)
    shift = dice.uniform(-120, 120, (len(cells), 1, 1)).astype(np.float32)
    return 128 + gain * (cells - 128) + shift + 6 * dice.standard_normal(cells.shape, np.float32)


def flipped(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Some cells of each strip inverted: none in doubt, so that the checks stand alone."""
    share = dice.uniform(0, 0.6, (len(cells), 1, 1))
    return np.where(dice.random(cells.shape, np.float32) < share, 251 - cells, cells)


def flipped_alike(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """The same cells inverted in both strips, as a column of blocks that is wrong."""
    share = dice.uniform(0, 0.6, (len(cells), 1, 1))
    return np.where(dice.random((len(cells), 1, 64), np.float32) < share, 251 - cells, cells)


def blackened(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Some columns of cells black or white from top to bottom."""
    share = dice.uniform(0, 0.9, (len(cells), 1, 1))
    shade = np.where(dice.random((len(cells), 1, 1)) < 0.5, np.float32(16), np.float32(235))
    return np.where(dice.random((len(cells), 1, 64), np.float32) < share, shade, cells)


def blended(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Two pictures in one, as when one fades into the next."""
    share = dice.uniform(0, 1, (len(cells), 1, 1)).astype(np.float32)
    return share * cells + (1 - share) * other


def patched(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Some cells of the one picture, the rest of another."""
    share = dice.uniform(0, 1, (len(cells), 1, 1))
    return np.where(dice.random(cells.shape, np.float32) < share, cells, other)


def shifted(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """Each strip moved by some cells, as a concealed row of blocks is."""
    by = dice.integers(0, 64, (len(cells), 1, 1))
    return np.take_along_axis(cells, (np.arange(64) + by) % 64, axis=-1)


def random_cells(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """No mark at all: cells of any brightness."""
    return dice.integers(0, 256, cells.shape, np.uint8).astype(np.float32)


def random_bits(dice: Dice, cells: Cells, other: Cells) -> Cells:
    """No mark at all, but every cell as clear as can be."""
    return np.where(dice.integers(0, 2, cells.shape, np.uint8) > 0, np.float32(235), np.float32(16))


DAMAGES: tuple[Damage, ...] = (
    noisy, faded, flipped, flipped_alike, blackened, blended, patched, shifted, random_cells,
    random_bits,
)  # fmt: skip
NOTHING_OF_IT_STAYS = (random_cells, random_bits)


def pairs(dice: Dice) -> tuple[NDArray[np.uint64], Cells, NDArray[np.uint64], Cells]:
    """Marks for a batch of pictures, and for each another mark."""
    words, cells = painted()
    first = dice.integers(0, len(words), BATCH)
    second = (first + dice.integers(1, len(words), BATCH)) % len(words)
    return words[first], cells[first], words[second], cells[second]


def shown(cells: Cells) -> NDArray[np.int16]:
    """As a picture of 8 bits shows them, and a reader sums them up, in the order of the bits."""
    ordered = np.stack([cells[:, n, marks.ORDER[n]] for n in range(2)], axis=1)
    return (np.clip(ordered, 0, 255) * FULL).astype(np.int16)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: str(damage.__name__))
def test_no_damaged_picture_is_taken_for_another(damage: Damage) -> None:
    dice = np.random.default_rng(7)
    accepted = 0
    for _ in range(BATCHES):
        words, cells, others, other = pairs(dice)
        said, right = marks.decide(shown(damage(dice, cells, other)))
        taken = right.all(axis=-1) & (said[:, 0] == said[:, 1])
        accepted += int(taken.sum())
        true = (said[:, 0] == words) | (said[:, 0] == others)
        assert not (taken & ~true).any()
    if damage in NOTHING_OF_IT_STAYS:
        assert accepted == 0
    else:
        assert accepted > 100, "it must not only be safe, but read what is whole"


def test_a_checksum_alone_would_not_do() -> None:
    """That the tests above can fail: one strip alone, with cells beyond doubt, is at times taken
    for a mark that nobody painted; both together never were."""
    dice = np.random.default_rng(3)
    alone = 0
    for _ in range(2 * BATCHES):
        octets = dice.integers(0, 256, (4 * BATCH, 2, 8), np.uint8)
        bits = np.unpackbits(octets, axis=-1)
        said, right = marks.decide(np.where(bits, np.int16(235), np.int16(16)) * np.int16(FULL))
        alone += int(right.sum())
        assert not (right.all(axis=-1) & (said[:, 0] == said[:, 1])).any()
    assert 1 <= alone <= 20


@pytest.mark.parametrize("strength", [20, 60, 90, 120])
def test_noisy_pictures_are_read_or_left(strength: int) -> None:
    """Pixel by pixel, in small pictures, where a cell has hardly more pixels than are read."""
    dice = np.random.default_rng(strength)
    read = 0
    for number in range(2000):
        mark = Mark(number % 4096, 7 * number, 33 * number % 65_536)
        luma = np.full((64, 128), 128, np.uint8)
        marks.paint(luma, mark)
        noise = dice.integers(-strength, strength + 1, luma.shape)
        reading = marks.read(np.clip(luma + noise, 0, 255).astype(np.uint8))
        assert reading.mark in (None, mark)
        assert reading.top in (None, mark)
        assert reading.bottom in (None, mark)
        read += reading.mark == mark
    assert read == 2000 if strength < 90 else read < 2000
