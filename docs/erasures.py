"""Measures which marks a codec leaves readable, for docs/call-tests.md: `python -m docs.erasures`.

It takes half a minute. The figures depend on the codecs' versions, so that no test compares
them; they are drawn anew when marks, codecs or their settings change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

import av
import numpy as np
from av import VideoCodecContext

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.scene import Luma, Scene
from ringback.bots.media.encoding import VIDEO_CLOCK, PictureEncoder, picture_of

from .draw import FOLDER, draw, table

Content = Literal["scene", "busy"]
CODECS: tuple[Literal["VP8", "H264"], ...] = ("VP8", "H264")
SHAPES = ((320, 240, 15), (640, 480, 30))
RATES = (60_000, 120_000, 250_000)
CONTENTS: tuple[Content, ...] = ("scene", "busy")
SECONDS = 10
STREAM = 0x5A3
FIRST = 70_000


class Row(NamedTuple):
    """What became of the pictures of one stream. `left_out`: the encoder sent none. `repeated`:
    the mark of an earlier picture, which the encoder let stand. `wrong`: any other mark.
    `rate`: the bits a second that the encoder took."""

    pictures: int
    whole: int
    left_out: int
    erased: int
    torn: int
    repeated: int
    wrong: int
    rate: float


def measure(
    codec: Literal["VP8", "H264"], shape: tuple[int, int, int], rate: int, content: Content,
    seconds: float,
) -> Row:  # fmt: skip
    """Code marked pictures as a call test does, decode them and read their marks."""
    width, height, pace = shape
    encoder = PictureEncoder(codec, rate, rate=pace)
    decoder = cast(VideoCodecContext, av.CodecContext.create(codec.lower(), "r"))
    decoder.thread_count = 1
    counts, size = Counter[str](), 0
    sent = set[Mark]()
    for number, luma in enumerate(_lumas(content, shape, seconds)):
        mark = marks.marked(STREAM, FIRST + number, number / pace)
        marks.paint(luma, mark)
        sent.add(mark)
        grey = bytes([128]) * (width * height // 2)
        frame = picture_of(luma.tobytes() + grey, width, height, "yuv420p")
        coded = encoder.encode(frame, number * VIDEO_CLOCK // pace, keyframe=number == 0)
        if coded is None:
            counts["left_out"] += 1
            continue
        size += len(coded.data)
        for picture in decoder.decode(av.Packet(coded.data)):
            plane = picture.planes[0]
            lines = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
            shown = lines[:height, :width]
            counts[_fate(marks.read(shown), mark, sent)] += 1
    fates = {name: counts[name] for name in Row._fields[1:-1]}
    return Row(pictures=len(sent), **fates, rate=size * 8 / seconds)


def _fate(reading: marks.Reading, mark: Mark, sent: set[Mark]) -> str:
    if reading.mark is None:
        return "torn" if reading.torn else "erased"
    if reading.mark == mark:
        return "whole"
    return "repeated" if reading.mark in sent else "wrong"


def _lumas(content: Content, shape: tuple[int, int, int], seconds: float) -> Iterator[Luma]:
    width, height, pace = shape
    if content == "scene":
        scene = Scene(STREAM, width, height)
        for number in range(round(seconds * pace)):
            yield scene.luma(marks.marked(STREAM, FIRST + number, number / pace))
        return
    # Cloth drawn to and fro: blocks of 4 by 4 in all greys, and a slow camera that trembles.
    dice = np.random.default_rng(STREAM)
    cloth = dice.integers(40, 210, (height // 4 + 32, width // 4 + 32), np.uint8)
    wide = cloth.repeat(4, 0).repeat(4, 1)
    for number in range(round(seconds * pace)):
        turn = number / pace * 1.5
        across, down = round(60 + 55 * np.sin(turn)), round(60 + 55 * np.cos(turn * 0.8))
        yield wide[down : down + height, across : across + width].copy()


def rows() -> Iterator[list[str]]:
    """The table, measured: a line for each codec, size, content and bit rate."""
    for codec in CODECS:
        for shape in SHAPES:
            for content in CONTENTS:
                for rate in RATES:
                    yield _cells(codec, shape, content, rate)


def _cells(
    codec: Literal["VP8", "H264"], shape: tuple[int, int, int], content: Content, rate: int
) -> list[str]:
    row = measure(codec, shape, rate, content, SECONDS)
    width, height, pace = shape
    shares = (row.erased + row.torn, row.repeated, row.left_out)
    return [
        {"VP8": "VP8", "H264": "H.264"}[codec], f"{width}x{height}@{pace}", content,
        f"{rate // 1000}", f"{row.rate / 1000:.0f}",
        *(f"{share / row.pictures * 100:.1f} %" for share in shares), str(row.wrong),
    ]  # fmt: skip


HEAD = ["codec", "pictures", "content", "kbit/s asked", "taken", "erased", "repeated", "left out",
        "wrong"]  # fmt: skip


def main() -> None:
    """Measure and draw."""
    path = FOLDER / "call-tests.md"
    drawn = table(HEAD, list(rows()))
    path.write_text(draw(path.read_text(), "erasures", drawn))


if __name__ == "__main__":
    main()
