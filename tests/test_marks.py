"""Marks in pictures: read where they are whole, and never read as another."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark, Reading, paint, read

marks_of_all_kinds = st.builds(
    Mark, st.integers(0, 0xFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)
)
MARK = Mark(0xABC, 54_321, 12_345)


def grey(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    return np.full((height, width), 128, np.uint8)


@given(marks_of_all_kinds, st.integers(64, 700), st.integers(32, 500))
def test_what_was_painted_is_read(mark: Mark, width: int, height: int) -> None:
    luma = grey(width, height)
    paint(luma, mark)
    assert read(luma) == Reading(mark, mark, mark, False)


@given(marks_of_all_kinds)
def test_a_word_says_its_mark(mark: Mark) -> None:
    assert marks.mark_of(marks.word(mark)) == mark


def test_the_checksum_is_the_one_it_says_it_is() -> None:
    assert marks.crc(b"123456789") == 0x29B1


def test_only_the_strips_are_painted() -> None:
    luma = grey()
    paint(luma, MARK)
    assert (luma[30:210] == 128).all()
    assert set(np.unique(luma[:30])) == set(np.unique(luma[210:])) == {16, 235}


def test_each_bit_is_shown_once_dark_and_once_bright_and_elsewhere() -> None:
    luma = grey(32 * 4, 16 * 4)
    paint(luma, MARK)
    top, bottom = (strip[1::4, 1::4].ravel() for strip in (luma[:8], luma[-8:]))
    assert (top != bottom).any()
    assert (np.roll(top, -marks.MOVED).astype(int) + bottom == 251).all()


def test_chroma_under_the_strips_becomes_neutral() -> None:
    u, v = np.zeros((120, 160), np.uint8), np.zeros((121, 161), np.uint8)
    marks.neutral(u, v)
    assert (u[:15] == 128).all()
    assert (u[105:] == 128).all()
    assert (u[15:105] == 0).all()
    assert (v[:16] == 128).all()
    assert (v[105:] == 128).all()


@pytest.mark.parametrize(
    "mark", [Mark(4096, 0, 0), Mark(0, 65_536, 0), Mark(0, 0, -1)], ids=["stream", "seq", "stamp"]
)
def test_what_does_not_fit_is_refused(mark: Mark) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        paint(grey(), mark)


@pytest.mark.parametrize("size", [(63, 48), (64, 31)])
def test_a_picture_may_be_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 64x32"):
        paint(grey(*size), MARK)


@pytest.mark.parametrize("size", [(320, 240), (31, 16), (1, 1)])
def test_no_mark_is_an_erasure(size: tuple[int, int]) -> None:
    assert read(grey(*size)) == marks.ERASURE


def test_parts_of_two_pictures_are_torn() -> None:
    first, second = grey(), grey()
    other = Mark(0xABC, 54_322, 12_412)
    paint(first, MARK)
    paint(second, other)
    first[120:] = second[120:]
    assert read(first) == Reading(None, MARK, other, True)


def test_one_strip_alone_is_an_erasure() -> None:
    luma = grey()
    paint(luma, MARK)
    luma[220:] = 128
    assert read(luma) == Reading(None, MARK, None, False)


def test_wrapped_numbers_count_on() -> None:
    assert marks.marked(5, 65_536 + 7, 70.0) == Mark(5, 7, 70_000 - 65_536)
    assert marks.unwrap(7, 65_530) == 65_543
    assert marks.unwrap(65_535, 65_540) == 65_535
    assert marks.unwrap(3, 29, bits=5) == 35
    with pytest.raises(ValueError, match="12 bits"):
        marks.marked(1 << 12, 0, 0.0)


@given(st.integers(0, 1 << 40), st.integers(-32_767, 32_767))
def test_any_number_near_by_is_found_again(near: int, off: int) -> None:
    assert marks.unwrap((near + off) & 0xFFFF, near) == near + off


# --- the twin for browsers -------------------------------------------------------------------

VECTORS = json.loads((Path(__file__).parent / "vectors" / "marks.json").read_text())


def test_words_are_as_in_the_vectors() -> None:
    assert len(VECTORS["words"]) >= 10
    for vector in VECTORS["words"]:
        assert f"{marks.word(Mark(*vector['mark'])):016x}" == vector["word"]


@pytest.mark.parametrize("number", range(len(VECTORS["pictures"])))
def test_pictures_are_painted_and_read_as_in_the_vectors(number: int) -> None:
    vector = VECTORS["pictures"][number]
    luma = grey(vector["width"], vector["height"])
    paint(luma, Mark(*vector["mark"]))
    assert zlib.adler32(luma.tobytes()) == vector["painted"]
    if vector["box"] is not None:
        left, top, wide, high, value = vector["box"]
        luma[top : top + high, left : left + wide] = value
    noisy = luma.ravel() + _noise(vector["seed"], vector["noise"], luma.size)
    found = read(np.clip(noisy, 0, 255).astype(np.uint8).reshape(luma.shape))
    assert json.loads(json.dumps(found._asdict())) == vector["read"]


def _noise(seed: int, most: int, count: int) -> NDArray[np.int64]:
    """From -`most` to `most`, as the vectors mean it: a linear congruential generator."""
    values, state = np.empty(count, np.int64), seed
    for number in range(count):
        state = (state * 1664525 + 1013904223) % (1 << 32)
        values[number] = (state >> 16) % (2 * most + 1) - most
    return values
