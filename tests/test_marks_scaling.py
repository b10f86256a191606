"""Marks in pictures of another size: scaled they are read, cropped or framed they are erasures."""

from __future__ import annotations

import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import Interpolation
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark

Luma = NDArray[np.uint8]
SCALERS = (
    Interpolation.BILINEAR, Interpolation.BICUBIC, Interpolation.AREA, Interpolation.LANCZOS,
    Interpolation.POINT,
)  # fmt: skip
LEAST = 80, 60

some_marks = st.builds(Mark, st.integers(0, 0xFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
sizes = st.tuples(st.integers(160, 700), st.integers(120, 500))


def marked(mark: Mark, width: int, height: int, shade: int = 128) -> Luma:
    luma = np.full((height, width), shade, np.uint8)
    marks.paint(luma, mark)
    return luma


def scaled(luma: Luma, width: int, height: int, scaler: Interpolation) -> Luma:
    """As FFmpeg's scaler makes it."""
    made = VideoFrame.from_ndarray(luma, format="gray8").reformat(
        width, height, "gray8", interpolation=scaler
    )
    plane = made.planes[0]
    lines = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[:height, :width]


@settings(deadline=None, max_examples=150)
@given(some_marks, sizes, st.floats(0.25, 2.0), st.sampled_from(SCALERS), st.integers(0, 255))
def test_a_scaled_picture_is_read(
    mark: Mark, size: tuple[int, int], factor: float, scaler: Interpolation, shade: int
) -> None:
    luma = marked(mark, *size, shade)
    width, height = (
        max(least, round(side * factor)) for side, least in zip(size, LEAST, strict=True)
    )
    assert marks.read(scaled(luma, width, height, scaler)).mark == mark


@settings(deadline=None, max_examples=150)
@given(some_marks, sizes, sizes, st.sampled_from(SCALERS[:-1]))
def test_so_is_one_whose_proportions_changed(
    mark: Mark, size: tuple[int, int], other: tuple[int, int], scaler: Interpolation
) -> None:
    assert marks.read(scaled(marked(mark, *size), *other, scaler)).mark == mark


@settings(deadline=None, max_examples=150)
@given(some_marks, st.integers(1, 79), st.integers(1, 59), st.sampled_from(SCALERS))
def test_one_that_became_too_small_is_never_taken_for_another(
    mark: Mark, width: int, height: int, scaler: Interpolation
) -> None:
    small = scaled(marked(mark, 320, 240), width, height, scaler)
    assert marks.read(small).mark in (None, mark)


@settings(deadline=None, max_examples=150)
@given(some_marks, sizes, st.integers(0, 200), st.integers(0, 200), st.sampled_from([0, 16, 235]))
def test_a_framed_picture_is_an_erasure(
    mark: Mark, size: tuple[int, int], across: int, down: int, shade: int
) -> None:
    """Bars at the sides, or above and below: they move the cells."""
    framed = np.pad(marked(mark, *size), ((down, down), (across, across)), constant_values=shade)
    reading = marks.read(framed)
    assert reading.mark in (None, mark)
    # A cell's middle half, to both sides of its middle, and that grown with the frame.
    if across * 32 > size[0] or down * 16 > size[1]:
        assert reading == marks.ERASURE


@settings(deadline=None, max_examples=150)
@given(some_marks, sizes, st.tuples(*[st.integers(0, 60)] * 4))
def test_a_cropped_picture_is_an_erasure(
    mark: Mark, size: tuple[int, int], cut: tuple[int, int, int, int]
) -> None:
    (width, height), (left, right, top, bottom) = size, cut
    luma = marked(mark, *size)[top // 2 : height - bottom // 2, left // 2 : width - right // 2]
    reading = marks.read(luma)
    assert reading.mark in (None, mark)
    assert reading.top in (None, mark)
    assert reading.bottom in (None, mark)
    if left > 2 * width / 32 or top // 2 * 16 > height:
        assert reading.top is None


@pytest.mark.parametrize("turn", ["mirrored", "upside down", "inverted", "turned"])
def test_a_picture_the_other_way_round_is_an_erasure(turn: str) -> None:
    for number in range(2000):
        luma = marked(Mark(number * 2, number * 31, number * 17), 96, 64)
        if turn == "inverted":
            luma = 251 - luma
        else:
            luma = {"mirrored": luma[:, ::-1], "upside down": luma[::-1], "turned": luma.T}[turn]
        assert marks.read(luma) == marks.ERASURE
