"""What a call test shows: moving pictures that are the same wherever they are made again. Pure.

A picture follows from the stream and the sequence number in its mark, so whoever received it
and has read the mark knows what was sent, pixel by pixel.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from . import marks
from .marks import Mark

Luma = NDArray[np.uint8]

_STEP = 2
_DARKEST, _BRIGHTEST = 60, 180
_WAVES = 8
_SQUARE = 220


class Scene:
    """The pictures of one stream, `width` by `height` (even, at least 64 by 48).

    Soft waves wander to the left, two pixels a picture, and a bright square falls: enough to
    move for a codec to have work, and enough structure to tell a blurred picture from a whole.
    """

    def __init__(self, stream: int, width: int, height: int) -> None:
        if width < 64 or height < 48 or width % 2 or height % 2:
            raise ValueError("A marked picture is at least 64 by 48, both even.")
        self.stream = stream
        self.width, self.height = width, height
        self._wide = _waves(stream, width, height)
        self._side = max(8, height // 10)

    def luma(self, mark: Mark) -> Luma:
        """The luma plane of one picture, (height, width), with its mark."""
        made = np.empty((self.height, self.width), np.uint8)
        self.draw(made, mark)
        return made

    def picture(self, mark: Mark) -> Luma:
        """The whole picture as the three planes of yuv420p below one another: an array of
        (height * 3 / 2, width)."""
        wide, high = self.width, self.height
        made = np.empty((high * 3 // 2, wide), np.uint8)
        self.draw(made[:high], mark)
        self._tint(made, high)
        u, v = made[high:].reshape(2, high // 2, wide // 2)
        marks.neutral(u, v)
        return made

    def ground(self) -> Luma:
        """What wanders, as it stands in picture 0, without square and mark; planes as those of
        `picture`. It goes on at its left edge where it ends at its right."""
        wide, high = self.width, self.height
        made = np.empty((high * 3 // 2, wide), np.uint8)
        made[:high] = self._wide[:, :wide]
        self._tint(made, high)
        return made

    def square(self) -> Luma:
        """A piece of what falls, 16 by 16; planes as those of `picture`."""
        made = np.full((24, 16), _SQUARE, np.uint8)
        self._tint(made, 16)
        return made

    @property
    def fall(self) -> tuple[int, int, int, int]:
        """Of what falls, in pixels: its left edge, its top edge in picture 0, its side, and how
        deep it falls before it begins again, two pixels a picture."""
        band = self.height // 8
        room = max(1, self.height - 2 * band - self._side)
        return (self.width - self._side) // 2, band, self._side, room

    def _tint(self, made: Luma, high: int) -> None:
        """By stream: people tell two pictures apart at a glance."""
        u, v = made[high:].reshape(2, high // 2, made.shape[1] // 2)
        u[:], v[:] = 112 + self.stream % 5 * 8, 144 - self.stream % 7 * 6

    def draw(self, made: Luma, mark: Mark) -> None:
        """Draw the luma plane, (height, width), of one picture over another."""
        start = mark.sequence * _STEP % self.width
        made[:] = self._wide[:, start : start + self.width]
        left, top, side, room = self.fall
        top += mark.sequence * _STEP % room
        made[top : top + side, left : left + side] = _SQUARE
        marks.paint(made, mark)


@lru_cache(maxsize=8)
def _waves(stream: int, width: int, height: int) -> Luma:
    """A texture twice as wide as a picture, which goes on where it ends."""
    dice = np.random.default_rng(stream)
    x = np.arange(width, dtype=np.float64) * (2 * np.pi / width)
    y = np.arange(height, dtype=np.float64)[:, None] * (2 * np.pi / height)
    total, part = np.zeros((height, width)), np.empty((height, width))
    for _ in range(_WAVES):
        across, down = dice.integers(1, 9), dice.integers(0, 7)
        # The sine of a sum, out of a row and a column.
        row, column = across * x + dice.uniform(0, 2 * np.pi), down * y
        total += np.multiply(np.cos(column), np.sin(row), out=part)
        total += np.multiply(np.sin(column), np.cos(row), out=part)
    low, high = total.min(), total.max()
    once = (_DARKEST + (total - low) * ((_BRIGHTEST - _DARKEST) / (high - low))).astype(np.uint8)
    made = np.concatenate((once, once), axis=1)
    # Who sends and who compares have it together.
    made.flags.writeable = False
    return made
