"""What codecs leave of marks: the table of the document is whole, and can be measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from docs import erasures
from ringback.bots.calltest.marks import Mark, Reading

from . import markdown

DOCUMENT = Path(__file__).parents[1] / "docs" / "call-tests.md"


def drawn() -> list[list[str]]:
    section = markdown.sections(DOCUMENT.read_text())["In pictures"]
    part = section.partition("<!-- drawn: erasures -->")[2].partition("<!-- end of erasures -->")[0]
    return markdown.table(part)


def test_the_table_has_every_case_and_nothing_wrong_in_it() -> None:
    cases = [
        (codec, f"{shape[0]}x{shape[1]}@{shape[2]}", content, str(rate // 1000))
        for codec in ("VP8", "H.264")
        for shape in erasures.SHAPES
        for content in erasures.CONTENTS
        for rate in erasures.RATES
    ]
    assert [tuple(row[:4]) for row in drawn()] == cases
    assert {row[-1] for row in drawn()} == {"0"}


@pytest.mark.parametrize("content", erasures.CONTENTS)
@pytest.mark.parametrize("codec", erasures.CODECS)
def test_with_enough_bits_every_mark_is_read(
    codec: Literal["VP8", "H264"], content: erasures.Content
) -> None:
    row = erasures.measure(codec, (320, 240, 15), 500_000, content, 1.0)
    assert row.pictures == 15
    assert row.whole + row.left_out == 15
    assert row.rate > 50_000


@pytest.mark.parametrize("content", erasures.CONTENTS)
def test_with_far_too_few_marks_are_lost_and_none_is_wrong(content: erasures.Content) -> None:
    row = erasures.measure("H264", (640, 480, 30), 20_000, content, 1.0)
    assert row.erased + row.repeated > 10
    assert row.wrong == 0
    assert sum(row[1:-1]) == row.pictures == 30


def test_what_became_of_a_mark() -> None:
    sent = {Mark(1, 1, 10), Mark(1, 2, 20)}
    for mark, fate in ((Mark(1, 2, 20), "whole"), (Mark(1, 1, 10), "repeated"),
                       (Mark(1, 3, 30), "wrong"), (Mark(2, 2, 20), "wrong")):  # fmt: skip
        assert erasures._fate(Reading(mark, mark, mark, False), Mark(1, 2, 20), sent) == fate
    torn = Reading(None, Mark(1, 1, 10), Mark(1, 2, 20), True)
    assert erasures._fate(torn, Mark(1, 2, 20), sent) == "torn"
    assert erasures._fate(Reading(None, None, None, False), Mark(1, 2, 20), sent) == "erased"
