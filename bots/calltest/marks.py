"""Marks in pictures: whose a picture is, which one, and when it was taken. Pure; needs numpy.

A picture is a grid of 16 rows by 32 columns; its two top rows are one strip of 64 cells and its
two bottom rows another. A cell is one bit, dark (16) or bright (235), left to right and top to
bottom, the highest first:

    4 bits magic, 12 stream, 16 sequence (Gray coded), 16 stamp, 16 CRC

The CRC is CRC-16/IBM-3740 (polynomial 0x1021, begun with 0xFFFF) over what stands before it. The
word is whitened with `WHITE` in the top strip. The bottom strip is its inverse, moved: cell n holds
what cell n + `MOVED` (modulo 64) of the top strip holds. So every bit is shown once dark and once
bright, and elsewhere, and nothing that happens to the same place of both strips, or darkens or
brightens a part of a picture, can make the same mistake twice.

A CRC of 16 bits alone lets one in 65,536 damaged strips pass. An identity is taken only when
both strips are readable, right in magic and CRC, and say the same; a strip is readable when it
has contrast and no cell lies near the middle between its darkest and its brightest one.
Anything else is an erasure, and counts as one.

Geometry is relative to width and height: a mark survives scaling. The twin for browsers is
`static/js/marks.js`; `tests/vectors/marks.json` holds what both must agree on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 16, 32
DARK, BRIGHT = 16, 235
MAGIC = 0b1011
WHITE = 0x243F_6A88_85A3_08D3
"""The first 64 binary digits of pi after the point."""
MOVED = 27
"""Odd: no pattern of mistakes but none or all is the same after it."""
LEAST_WIDTH, LEAST_HEIGHT = 64, 32
CONTRAST = 64
"""The least difference of the darkest and the brightest cell of a readable strip."""
DOUBT = 4
"""A cell in the middle quarter (one in `DOUBT`) of a strip's range makes the strip unreadable."""
SAMPLES = 4
"""A cell is read at 4 x 4 points, spread over the middle half of its width and height."""

ORDER = (np.arange(64) - [[0], [MOVED]]) % 64
"""(2, 64): the cell that holds each bit, in either strip."""
_MOVED = (np.arange(64) + MOVED) % 64
_STRIPS = (0, 1, ROWS - 2, ROWS - 1)
_POLYNOMIAL = 0x1021
_ALL = (1 << 64) - 1


class Mark(NamedTuple):
    """What a mark says: `stream` (12 bits) and, both modulo 65,536, `sequence` and `stamp` (ms of
    the sender's clock)."""

    stream: int
    sequence: int
    stamp: int


class Reading(NamedTuple):
    """What was read of a picture. `mark`: both strips said it; None is an erasure. `top` and
    `bottom`: what each strip says, None where it is not readable. `torn`: both are readable and
    say different things, as when a picture is made of parts of two."""

    mark: Mark | None
    top: Mark | None
    bottom: Mark | None
    torn: bool


ERASURE = Reading(None, None, None, False)


def marked(stream: int, count: int, seconds: float) -> Mark:
    """The mark of the `count`th picture of a stream, taken at `seconds` of the sender's clock;
    both are wrapped. Raises `ValueError` for a stream that is not 12 bits."""
    mark = Mark(stream, count & 0xFFFF, int(seconds * 1000) & 0xFFFF)
    _check(mark)
    return mark


def unwrap(value: int, near: int, bits: int = 16) -> int:
    """The number nearest to `near` whose lowest `bits` are `value`: a wrapped one counts on."""
    whole = 1 << bits
    ahead = (value - near) % whole
    return near + (ahead - whole if ahead > whole // 2 else ahead)


def word(mark: Mark) -> int:
    """A mark's 64 bits, not whitened. Raises `ValueError` for a field that does not fit."""
    _check(mark)
    gray = mark.sequence ^ mark.sequence >> 1
    head = MAGIC << 44 | mark.stream << 32 | gray << 16 | mark.stamp
    return head << 16 | crc(head.to_bytes(6))


def mark_of(word: int) -> Mark:
    """The fields of a word whose magic and CRC are right."""
    sequence = word >> 32 & 0xFFFF
    sequence ^= sequence >> 8
    sequence ^= sequence >> 4
    sequence ^= sequence >> 2
    sequence ^= sequence >> 1
    return Mark(word >> 48 & 0xFFF, sequence, word >> 16 & 0xFFFF)


def crc(data: bytes) -> int:
    """CRC-16/IBM-3740 of some bytes."""
    remainder = 0xFFFF
    for byte in data:
        remainder = _remainder(remainder ^ byte << 8)
    return remainder


def paint(luma: NDArray[np.uint8], mark: Mark) -> None:
    """Paint both strips over a luma plane (height, width) of 8 bits, in place.

    The chroma under the strips is the caller's to make neutral: `neutral`. Raises `ValueError`
    when the picture is too small or a field of the mark does not fit.
    """
    height, width = luma.shape
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        raise ValueError(f"A marked picture is at least {LEAST_WIDTH}x{LEAST_HEIGHT}.")
    columns, edges = _cells(width, height)
    bits = np.unpackbits(np.frombuffer((word(mark) ^ WHITE).to_bytes(8), np.uint8))
    shown = np.stack([bits, 1 - bits[_MOVED]])
    shades = np.where(shown, np.uint8(BRIGHT), np.uint8(DARK)).reshape(2, 2, COLUMNS)
    for number, (first, last) in enumerate(edges):
        luma[first:last] = shades[number // 2, number % 2, columns]


def neutral(*chroma: NDArray[np.uint8]) -> None:
    """Make chroma planes (rows, columns) grey (128) where the strips are, in place."""
    for plane in chroma:
        strip = -(-plane.shape[0] // 8)
        plane[:strip] = 128
        plane[-strip:] = 128


def read(luma: NDArray[np.uint8]) -> Reading:
    """Read a luma plane (height, width) of 8 bits. Never raises: what is too small to carry a
    mark is an erasure."""
    height, width = luma.shape
    if width < LEAST_WIDTH // 2 or height < LEAST_HEIGHT // 2:
        return ERASURE
    words, right = decide(cells(luma))
    (first, second), (upper, lower) = words.tolist(), right.tolist()
    top = mark_of(first) if upper else None
    if upper and lower and first == second:
        return Reading(top, top, top, False)
    return Reading(None, top, mark_of(second) if lower else None, upper and lower)


def cells(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The brightness of the cells, 16 times their mean, of pictures (..., height, width):
    (..., 2, 64), top strip first, each in the order of the bits: that of `ORDER`."""
    *many, height, width = luma.shape
    rows, columns = _points(width, height)
    sums: NDArray[np.int16] = luma[..., rows, columns].sum(axis=-2, dtype=np.int16)
    return sums.reshape(*many, 2, 64)


def decide(brightness: NDArray[np.int16]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The words (..., 2) that cells (..., 2, 64) show, and which of them are to be believed."""
    low, high = brightness.min(axis=-1), brightness.max(axis=-1)
    span = high - low
    off = 2 * brightness - (low + high)[..., None]
    octets = np.packbits(off > 0, axis=-1) ^ _WHITE
    clear = DOUBT * np.abs(off).min(axis=-1) >= span
    wrong = np.bitwise_xor.reduce(_TABLES[_OCTET, octets], axis=-1)
    right = clear & (span >= CONTRAST * SAMPLES**2) & (wrong == 0) & (octets[..., 0] >> 4 == MAGIC)
    return octets.view(">u8")[..., 0], right


def _check(mark: Mark) -> None:
    for value, bits in zip(mark, (12, 16, 16), strict=True):
        if value < 0 or value >> bits:
            raise ValueError(f"{value} does not fit into {bits} bits of a mark.")


def _remainder(remainder: int) -> int:
    """Eight steps of the CRC's division."""
    for _ in range(8):
        carry = remainder & 0x8000
        remainder = (remainder << 1 ^ (_POLYNOMIAL if carry else 0)) & 0xFFFF
    return remainder


def _syndromes() -> NDArray[np.uint16]:
    """(8, 256): what each octet of a word adds to its CRC; of a right word all add up to 0."""
    tables = np.zeros((8, 256), np.uint16)
    for octet in range(256):
        remainder = octet << 8
        for place in reversed(range(6)):
            remainder = _remainder(remainder)
            tables[place, octet] = remainder
        tables[6, octet], tables[7, octet] = octet << 8, octet
    # Linear but for what the CRC is begun with, which so goes in once.
    tables[0] ^= crc(bytes(6))
    return tables


_TABLES = _syndromes()
_OCTET = np.arange(8)
_WHITE = np.array(
    [list(WHITE.to_bytes(8)), list((WHITE ^ _ALL).to_bytes(8))], np.uint8
)  # fmt: skip


@lru_cache(maxsize=64)
def _cells(width: int, height: int) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
    """Which column of cells each pixel of a row is in, and the first row of pixels of each row
    of cells and the one after its last: a pixel belongs to the cell that its middle is in."""
    columns = (2 * np.arange(width) + 1) * COLUMNS // (2 * width)
    rows = (2 * np.arange(height) + 1) * ROWS // (2 * height)
    edges = [(int(np.searchsorted(rows, r)), int(np.searchsorted(rows, r + 1))) for r in _STRIPS]
    return columns, edges


@lru_cache(maxsize=64)
def _points(width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row and the column of each pixel that is looked at: (16 points, 128 cells), the cells
    in the order of the bits."""
    offsets = SAMPLES + 2 * np.arange(SAMPLES) + 1
    rows = (4 * SAMPLES * np.array(_STRIPS)[:, None] + offsets) * height // (4 * SAMPLES * ROWS)
    steps = 4 * SAMPLES * np.arange(COLUMNS)[:, None] + offsets
    columns = steps * width // (4 * SAMPLES * COLUMNS)
    grid = np.broadcast_arrays(rows.T[:, None, :, None], columns.T[None, :, None, :])
    order = (ORDER + [[0], [64]]).ravel()
    y, x = (part.reshape(SAMPLES**2, -1)[:, order] for part in grid)
    return y, x
