"""Films made of recordings: decoded, and compared with what went into the recordings."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from ringback.bots.media import sidecar
from ringback.bots.media.compose import CannotCompose, compose
from ringback.bots.media.matroska import Block, MatroskaFile
from ringback.bots.media.payload import Codec
from tests.callers import CELLS, HEIGHT, WIDTH
from tests.coded import coded_pictures
from tests.reels import Reel, coded_tone, lay

BEN = Reel("Ben", pitch=800.0, first=1000)


class Film(NamedTuple):
    """What a player sees and hears: pictures and their times, one channel of samples."""

    frames: list[av.VideoFrame]
    times: list[float]
    sound: array[float]
    rate: int

    def at(self, moment: float) -> av.VideoFrame:
        """What is seen at a moment."""
        return self.frames[bisect_right(self.times, moment) - 1]


def made(folder: Path, output: Path, told: list[tuple[float, float]] | None = None) -> Film:
    """The film of a recording, decoded."""
    compose(
        folder, sidecar.read(folder), output,
        lambda done, total: (told if told is not None else []).append((done, total)),
    )  # fmt: skip
    frames, times, sound, rate = [], [], array("f"), 0
    with av.open(str(output)) as container:
        names = {stream.type: stream.codec_context.name for stream in container.streams}
        assert names.get("video", "h264") == "h264"
        assert names.get("audio", "aac") == "aac"
        pieces: Iterator[object] = container.decode()
        for frame in pieces:
            if isinstance(frame, av.VideoFrame):
                frames.append(frame)
                assert frame.time is not None
                times.append(frame.time)
            elif isinstance(frame, av.AudioFrame):
                rate = frame.sample_rate
                if not sound and frame.time:
                    sound.extend([0.0] * round(frame.time * rate))
                sound.frombytes(bytes(frame.planes[0])[: 4 * frame.samples])
    return Film(frames, times, sound, rate)


def luma(frame: av.VideoFrame, x: int, y: int) -> int:
    plane = frame.planes[0]
    return memoryview(plane)[y * plane.line_size + x]


def number_in(frame: av.VideoFrame, column: int) -> int:
    """The number on the picture in a column of cells of the size of the numbered pictures."""
    bits = 0
    for bit in range(2 * CELLS):
        row, cell = divmod(bit, CELLS)
        x = column * WIDTH + cell * WIDTH // CELLS + WIDTH // CELLS // 2
        bits |= (luma(frame, x, HEIGHT // 4 + row * HEIGHT // 2) > 128) << bit
    return bits


def loudness(film: Film, pitch: float, begin: float, end: float) -> float:
    """How loud a pitch is between two moments (Goertzel), 1 for a full-scale tone."""
    part = film.sound[round(begin * film.rate) : round(end * film.rate)]
    turn = 2 * math.pi * pitch / film.rate
    real = sum(value * math.cos(turn * n) for n, value in enumerate(part))
    imaginary = sum(value * math.sin(turn * n) for n, value in enumerate(part))
    return 2 * math.hypot(real, imaginary) / len(part)


def anew(path: Path) -> MatroskaFile:
    """A file in place of another."""
    path.unlink()
    return MatroskaFile(path)


def test_two_are_side_by_side_each_at_their_time(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(), replace(BEN, begin=1.0)])
    film = made(folder, tmp_path / "film.mp4")
    assert film.times == sorted(set(film.times))
    changes = {n / 15 for n in range(30)} | {1 + n / 15 for n in range(30)} | {0.0, 1.0, 2.0}
    for change in changes:
        assert min(abs(time - change) for time in film.times) < 0.01
    assert {(f.width, f.height) for f in film.frames} == {(2 * WIDTH, HEIGHT)}
    # Away from the moments at which one picture follows the other.
    for moment in (0.5, 1.5, 1.9):
        frame = film.at(moment)
        assert number_in(frame, 0) == pytest.approx(moment * 15, abs=1)
    for moment in (1.5, 2.5, 2.9):
        frame = film.at(moment)
        assert number_in(frame, 1) == pytest.approx(1000 + (moment - 1) * 15, abs=1)


def test_a_cell_is_empty_before_and_after_its_part(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(first=0xFFFF - 40), replace(BEN, begin=1.0, first=0xFF00)])
    film = made(folder, tmp_path / "film.mp4")
    assert number_in(film.at(0.5), 1) == 0
    assert number_in(film.at(2.5), 0) == 0
    assert number_in(film.at(1.5), 0) != 0


def test_it_begins_with_whoever_came_first(tmp_path: Path) -> None:
    parts = [Reel(begin=4.5), replace(BEN, begin=3.5)]
    film = made(lay(tmp_path, "r", parts), tmp_path / "film.mp4")
    assert film.times[-1] == pytest.approx(3.0, abs=0.1)
    assert number_in(film.at(0.5), 0) == 0
    assert number_in(film.at(0.5), 1) == pytest.approx(1007, abs=1)
    assert number_in(film.at(1.5), 0) == pytest.approx(7, abs=1)
    assert loudness(film, 800.0, 0.2, 0.8) > 0.15
    assert loudness(film, 500.0, 0.2, 0.8) < 0.01


def test_both_are_heard_together_and_each_alone(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(), replace(BEN, begin=1.0)]), tmp_path / "film.mp4")
    assert len(film.sound) / film.rate == pytest.approx(3.0, abs=0.03)
    spans = {(0.2, 0.8): (True, False), (1.2, 1.8): (True, True), (2.2, 2.8): (False, True)}
    for (begin, end), heard in spans.items():
        for pitch, there in zip((500.0, 800.0), heard, strict=True):
            loud = loudness(film, pitch, begin, end)
            assert (loud > 0.15) == there, (begin, pitch, loud)
            assert there or loud < 0.01


@pytest.mark.parametrize("begin", [0.0, 0.123, 0.75])
def test_flash_and_beep_stay_together(tmp_path: Path, begin: float) -> None:
    """Both people flash and beep at the same moments of their own parts, at times that fall
    between those at which the film can change."""
    ann = Reel(seconds=2.0, flash=1.0)
    ben = replace(BEN, seconds=2.0, flash=1.5, begin=begin)
    film = made(lay(tmp_path, "r", [ann, ben]), tmp_path / "film.mp4")
    for column, expected in ((0, 1.0), (1, 1.5 + begin)):
        x = column * WIDTH + WIDTH // 2
        seen = next(
            time for frame, time in zip(film.frames, film.times, strict=True)
            if luma(frame, x, HEIGHT // 2) > 128
        )  # fmt: skip
        start = round((expected - 0.2) * film.rate)
        heard = next(
            at / film.rate for at in range(start, len(film.sound)) if abs(film.sound[at]) > 0.1
        )
        assert seen == pytest.approx(expected, abs=0.012)
        assert heard == pytest.approx(expected, abs=0.012)
        assert abs(seen - heard) < 0.02


@pytest.mark.parametrize("video", ["VP8", "VP9", "H264"])
@pytest.mark.parametrize("audio", ["opus", "PCMU", "PCMA"])
def test_every_codec(tmp_path: Path, video: Codec, audio: Codec) -> None:
    film = made(lay(tmp_path, "r", [Reel(video=video, audio=audio)]), tmp_path / "film.mp4")
    assert number_in(film.at(1.0), 0) == pytest.approx(15, abs=1)
    assert loudness(film, 500.0, 0.2, 1.8) == pytest.approx(8000 / 32768, abs=0.05)


def test_sound_alone_is_a_film_without_pictures(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(video=None)]), tmp_path / "film.mp4")
    assert film.frames == []
    assert loudness(film, 500.0, 0.2, 1.8) > 0.15


def test_pictures_alone_are_a_film_without_sound(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(audio=None)]), tmp_path / "film.mp4")
    assert len(film.frames) == 30
    assert film.times == pytest.approx([n / 15 for n in range(30)], abs=0.01)
    assert not film.sound


def test_who_sends_no_picture_has_an_empty_cell(tmp_path: Path) -> None:
    parts = [Reel(video=None), BEN, Reel("Cyd", audio=None, video=None)]
    film = made(lay(tmp_path, "r", parts), tmp_path / "film.mp4")
    assert film.frames[0].width == 2 * WIDTH, "of whom nothing came there is no cell"
    assert number_in(film.at(1.0), 0) == 0
    assert number_in(film.at(1.0), 1) == pytest.approx(1015, abs=1)


def test_other_shapes_keep_their_proportions(tmp_path: Path) -> None:
    upright = Reel("Ben", size=(96, 160), first=0xFFFF - 40)
    film = made(lay(tmp_path, "r", [Reel(size=(320, 160)), upright]), tmp_path / "film.mp4")
    frame = film.at(1.0)
    assert (frame.width, frame.height) == (640, 160)
    # 96 of 320 columns hold the upright picture, whose second cell, 12 wide, is white.
    assert [luma(frame, 320 + x, 40) > 128 for x in (6, 100, 118, 130, 220)] == [
        False, False, False, True, False,
    ]  # fmt: skip


def test_nobody_is_too_large(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(seconds=0.2, size=(1920, 1080))]), tmp_path / "film.mp4")
    assert (film.frames[0].width, film.frames[0].height) == (1280, 720)


def test_the_size_may_change_in_mid_part(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    film = anew(folder / "1.webm")
    track = film.add("VP8", (160, 128))
    for second, size in enumerate([(160, 128), (80, 64)]):
        pictures = coded_pictures("VP8", 15, (0,), size, 15 * second)
        film.write([
            Block(track.number, second * 1000 + round(n * 1000 / 15), not n, data)
            for n, data in enumerate(pictures)
        ])  # fmt: skip
    film.finish()
    shown = made(folder, tmp_path / "film.mp4")
    assert {(frame.width, frame.height) for frame in shown.frames} == {(160, 128)}
    assert [number_in(shown.at(n / 15), 0) for n in (7.5, 22.5)] == [7, 22]


def test_sound_that_pauses_goes_on_in_its_place(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(video=None, seconds=3.0), replace(BEN, seconds=3.0)])
    film = anew(folder / "1.webm")
    track = film.add("opus", None)
    tone = coded_tone("opus", 3.0, 500.0, None)
    for begin in (0, 100):
        film.write([Block(track.number, n * 20, True, tone[n]) for n in range(begin, begin + 50)])
    film.finish()
    heard = made(folder, tmp_path / "film.mp4")
    loud = [loudness(heard, 500.0, at + 0.2, at + 0.8) for at in range(3)]
    assert [value > 0.15 for value in loud] == [True, False, True]
    assert loudness(heard, 800.0, 1.2, 1.8) > 0.15


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_is_cut_off_is_shown_as_far_as_it_goes(tmp_path: Path, kept: float) -> None:
    folder = lay(tmp_path, "r", [Reel(seconds=4.0), replace(BEN, seconds=4.0)])
    data = (folder / "1.webm").read_bytes()
    (folder / "1.webm").write_bytes(data[: round(len(data) * kept)])
    film = made(folder, tmp_path / "film.mp4")
    assert film.times[-1] == pytest.approx(4.0, abs=0.1)
    assert number_in(film.at(1.0), 0) == pytest.approx(15, abs=1)
    assert number_in(film.at(3.0), 1) == pytest.approx(1045, abs=1)


def test_damaged_pictures_cost_no_more_than_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    film = anew(folder / "1.webm")
    track = film.add("VP8", (160, 128))
    pictures = list(coded_pictures("VP8", 30, (0, 15)))
    pictures[10] = b"\x00\x00"
    for second in range(2):
        film.write([
            Block(track.number, round(n * 1000 / 15), n in (0, 15), pictures[n])
            for n in range(15 * second, 15 * second + 15)
        ])  # fmt: skip
    film.finish()
    shown = made(folder, tmp_path / "film.mp4")
    assert number_in(shown.at(25.5 / 15), 0) == 25
    assert "1 pieces could not be decoded" in caplog.text


def test_the_last_picture_is_seen(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    about = sidecar.read(folder)
    # As the recorder tells it: up to the beginning of the last picture.
    about.participants[0].duration_ms = round(29 * 1000 / 15)
    sidecar.write(folder, about)
    film = made(folder, tmp_path / "film.mp4")
    assert film.times == pytest.approx([n / 15 for n in range(30)], abs=0.01)
    assert number_in(film.frames[-1], 0) == 29


def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    made(lay(tmp_path, "r", [Reel(seconds=3.0)]), tmp_path / "film.mp4", told)
    assert [done for done, _ in told] == [0.0, 1.0, 2.0, 3.0]
    assert {total for _, total in told} == {3.0}


def test_nothing_makes_no_film(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None, video=None)])
    with pytest.raises(CannotCompose, match="Nothing was recorded"):
        made(folder, tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel()])
    (folder / "1.webm").write_bytes(b"no film" * 100)
    with pytest.raises(CannotCompose, match=r"1\.webm cannot be read"):
        made(folder, tmp_path / "film.mp4")


def test_a_file_that_cannot_be_read_does_not_cost_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lay(tmp_path, "r", [Reel(), BEN])
    (folder / "1.webm").write_bytes(b"")
    film = made(folder, tmp_path / "film.mp4")
    assert film.frames[0].width == WIDTH
    assert number_in(film.at(1.0), 0) == pytest.approx(1015, abs=1)
    assert "1.webm cannot be read: Invalid data found" in caplog.text


def test_a_file_elsewhere_is_not_read(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel()])
    about = sidecar.read(folder)
    (folder / "1.webm").rename(tmp_path / "1.webm")
    about.participants[0].file = "../../1.webm"
    sidecar.write(folder, about)
    with pytest.raises(CannotCompose, match="Nothing was recorded"):
        made(folder, tmp_path / "film.mp4")


def test_what_was_there_stays_when_it_fails(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel()])
    output = tmp_path / "film.mp4"
    output.write_bytes(b"the one before")

    def stop(done: float, total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compose(folder, sidecar.read(folder), output, stop)
    assert output.read_bytes() == b"the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "recordings"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(CannotCompose, match="cannot be written: No such file"):
        made(lay(tmp_path, "r", [Reel()]), tmp_path / "gone" / "film.mp4")
