"""How alike two pictures are: structural similarity (Wang and others, 2004). Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# As in the paper: a Gaussian window of 11, and constants for 8-bit pictures.
_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_Plane = NDArray[np.float32]


def _window() -> NDArray[np.float32]:
    at = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float32)
    bell = np.exp(-(at**2) / np.float32(2 * _SIGMA**2))
    return np.asarray(bell / bell.sum(), np.float32)


_WINDOW = _window()


def similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """1 for equal luma planes, about 0 for ones that have nothing in common: the mean of every
    second window across and down, which tells no less than that of all.

    Raises `ValueError` where they are of different sizes, or smaller than the window (11).
    """
    if one.shape != other.shape:
        raise ValueError("Pictures of different sizes cannot be compared.")
    if min(one.shape) <= 2 * _RADIUS:
        raise ValueError("A picture to be compared is at least 11 pixels wide and high.")
    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b = _blur(a), _blur(b)
    both = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    spread = _blur(a * a + b * b) - squares
    shared = _blur(a * b) - both
    index = ((2 * both + _C1) * (2 * shared + _C2)) / ((squares + _C1) * (spread + _C2))
    return float(index.mean())


def _blur(plane: _Plane) -> _Plane:
    """The weighted mean around every second pixel, of those that have a whole window around
    them."""
    return _rows(_rows(plane).T).T


def _rows(plane: _Plane) -> _Plane:
    """Every second row, each the weighted mean of the rows around it."""
    high = plane.shape[0] - 2 * _RADIUS
    made = np.zeros((-(-high // 2), plane.shape[1]), np.float32)
    for at, weight in enumerate(_WINDOW):
        made += weight * plane[at : at + high : 2]
    return made
