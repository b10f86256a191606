"""Films made of recordings: decoded, and compared with what went into the recordings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest

from ringback.bots.calltest import marks
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.watching import plane
from ringback.bots.media import sidecar
from ringback.bots.media.compose import CannotCompose, compose
from ringback.bots.media.matroska import Block, MatroskaFile
from ringback.bots.media.payload import Codec
from tests.coded import coded_pictures, coded_sounds
from tests.marked import HEIGHT, RATE, SIZE, WIDTH, Listener, Sound, heard, sound
from tests.reels import Reel, lay

ANN, BEN = Reel(stream=1), Reel("Ben", stream=2)


class Film(NamedTuple):
    """What a player sees and hears: pictures and their times, sounds, and how long they last."""

    frames: list[av.VideoFrame]
    times: list[float]
    sounds: list[Sound]
    seconds: float

    def at(self, moment: float) -> av.VideoFrame:
        """What is seen at a moment."""
        return self.frames[bisect_right(self.times, moment) - 1]

    def heard(self, stream: int) -> dict[int, float]:
        """When each sound of a stream is heard, by its number."""
        return {sound.number: sound.time for sound in self.sounds if sound.stream == stream}


def made(folder: Path, output: Path, told: list[tuple[float, float]] | None = None) -> Film:
    """The film of a recording, decoded."""
    compose(
        folder, sidecar.read(folder), output,
        lambda done, total: (told if told is not None else []).append((done, total)),
    )  # fmt: skip
    frames, times, seconds, listener = [], [], 0.0, Listener()
    sounds: list[Sound] = []
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
                assert frame.time is not None
                seconds = frame.time + frame.samples / frame.sample_rate
                sounds += listener.hear(frame)
    return Film(frames, times, sounds + listener.finish(), seconds)


def mark_in(frame: av.VideoFrame, column: int) -> Mark | None:
    """What the picture says in a column that is as wide as marked pictures are; None where there
    is none."""
    cell = plane(frame)[:HEIGHT, column * WIDTH : (column + 1) * WIDTH]
    return marks.read(cell).mark


def number_in(frame: av.VideoFrame, column: int, stream: int) -> int:
    """Which picture of a stream is in a column."""
    mark = mark_in(frame, column)
    assert mark is not None
    assert mark.stream == stream
    return mark.sequence


def every(begin: float, count: int) -> dict[int, Any]:
    """When each of so many sounds of a part that begins then is to be heard."""
    return {number: pytest.approx(begin + number / 2, abs=0.012) for number in range(count)}


def anew(path: Path) -> MatroskaFile:
    """A file in place of another."""
    path.unlink()
    return MatroskaFile(path)


def test_two_are_side_by_side_each_at_their_time(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [ANN, replace(BEN, begin=1.0)])
    film = made(folder, tmp_path / "film.mp4")
    assert film.times == sorted(set(film.times))
    changes = {n / 15 for n in range(30)} | {1 + n / 15 for n in range(30)} | {0.0, 1.0, 2.0}
    for change in changes:
        assert min(abs(time - change) for time in film.times) < 0.01
    assert {(f.width, f.height) for f in film.frames} == {(2 * WIDTH, HEIGHT)}
    # Away from the moments at which one picture follows the other.
    for moment in (0.5, 1.5, 1.9):
        assert number_in(film.at(moment), 0, 1) == pytest.approx(moment * 15, abs=1)
    for moment in (1.5, 2.5, 2.9):
        assert number_in(film.at(moment), 1, 2) == pytest.approx((moment - 1) * 15, abs=1)


def test_a_cell_is_empty_before_and_after_its_part(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [ANN, replace(BEN, begin=1.0)]), tmp_path / "film.mp4")
    assert mark_in(film.at(0.5), 1) is None
    assert mark_in(film.at(2.5), 0) is None
    assert number_in(film.at(1.5), 0, 1) == pytest.approx(22, abs=1)


def test_it_begins_with_whoever_came_first(tmp_path: Path) -> None:
    parts = [replace(ANN, begin=4.75), replace(BEN, begin=3.5)]
    film = made(lay(tmp_path, "r", parts), tmp_path / "film.mp4")
    assert film.times[-1] == pytest.approx(3.25, abs=0.1)
    assert mark_in(film.at(0.5), 0) is None
    assert number_in(film.at(0.5), 1, 2) == pytest.approx(7, abs=1)
    assert number_in(film.at(1.75), 0, 1) == pytest.approx(7, abs=1)
    assert film.heard(1) == every(1.25, 4)
    assert film.heard(2) == every(0.0, 4)


@pytest.mark.parametrize("begin", [0.2, 0.223, 0.75, 1.3])
def test_everything_is_seen_and_heard_at_its_time(tmp_path: Path, begin: float) -> None:
    """Two people whose parts begin at times that fall between those at which the film can
    change, and whose sounds are heard between each other's."""
    film = made(lay(tmp_path, "r", [ANN, replace(BEN, begin=begin)]), tmp_path / "film.mp4")
    assert film.seconds == pytest.approx(2.0 + begin, abs=0.03)
    for column, (stream, start) in enumerate([(1, 0.0), (2, begin)]):
        shown: dict[int, float] = {}
        for frame, time in zip(film.frames, film.times, strict=True):
            mark = mark_in(frame, column)
            if mark is not None:
                assert mark.stream == stream
                shown.setdefault(mark.sequence, time)
        wanted = {n: pytest.approx(start + n / RATE, abs=0.012) for n in range(2 * RATE)}
        assert shown == wanted
        assert film.heard(stream) == every(start, 4)


@pytest.mark.parametrize("video", ["VP8", "VP9", "H264"])
@pytest.mark.parametrize("audio", ["opus", "PCMU", "PCMA"])
def test_every_codec(tmp_path: Path, video: Codec, audio: Codec) -> None:
    film = made(lay(tmp_path, "r", [Reel(video=video, audio=audio)]), tmp_path / "film.mp4")
    assert number_in(film.at(1.0), 0, 1) == pytest.approx(15, abs=1)
    assert film.heard(1) == every(0.0, 4)
    [plain] = heard([sound(0, 24_000)])
    assert [one.level for one in film.sounds] == pytest.approx([plain.level] * 4, abs=1.0)


def test_sound_alone_is_a_film_without_pictures(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(video=None)]), tmp_path / "film.mp4")
    assert film.frames == []
    assert film.heard(1) == every(0.0, 4)


def test_pictures_alone_are_a_film_without_sound(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(audio=None)]), tmp_path / "film.mp4")
    assert len(film.frames) == 30
    assert film.times == pytest.approx([n / 15 for n in range(30)], abs=0.01)
    assert not film.seconds


def test_who_sends_no_picture_has_an_empty_cell(tmp_path: Path) -> None:
    parts = [Reel(video=None), BEN, Reel("Cyd", audio=None, video=None)]
    film = made(lay(tmp_path, "r", parts), tmp_path / "film.mp4")
    assert film.frames[0].width == 2 * WIDTH, "of whom nothing came there is no cell"
    assert mark_in(film.at(1.0), 0) is None
    assert number_in(film.at(1.0), 1, 2) == pytest.approx(15, abs=1)


def test_other_shapes_keep_their_proportions(tmp_path: Path) -> None:
    upright = replace(BEN, size=(96, 160))
    film = made(lay(tmp_path, "r", [Reel(size=(320, 160)), upright]), tmp_path / "film.mp4")
    frame = film.at(1.0)
    assert (frame.width, frame.height) == (640, 160)
    # The upright one stands in the middle of its 320 columns.
    for left, width, stream in ((0, 320, 1), (432, 96, 2)):
        mark = marks.read(plane(frame)[:, left : left + width]).mark
        assert mark is not None
        assert mark.stream == stream


def test_nobody_is_too_large(tmp_path: Path) -> None:
    film = made(lay(tmp_path, "r", [Reel(seconds=0.2, size=(1920, 1080))]), tmp_path / "film.mp4")
    assert (film.frames[0].width, film.frames[0].height) == (1280, 720)


def test_the_size_may_change_in_mid_part(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    film = anew(folder / "1.webm")
    track = film.add("VP8", SIZE)
    for second, size in enumerate([SIZE, (80, 48)]):
        pictures = coded_pictures("VP8", 15, size=size, first=15 * second)
        film.write([
            Block(track.number, second * 1000 + round(n * 1000 / 15), not n, data)
            for n, data in enumerate(pictures)
        ])  # fmt: skip
    film.finish()
    shown = made(folder, tmp_path / "film.mp4")
    assert {(frame.width, frame.height) for frame in shown.frames} == {SIZE}
    assert [number_in(shown.at(n / 15), 0, 1) for n in (7.5, 22.5)] == [7, 22]


def test_sound_that_pauses_goes_on_in_its_place(tmp_path: Path) -> None:
    ben = replace(BEN, seconds=3.0, begin=0.25)
    folder = lay(tmp_path, "r", [Reel(video=None, seconds=3.0), ben])
    film = anew(folder / "1.webm")
    track = film.add("opus", None)
    sounds = coded_sounds(3.0)
    for begin in (0, 100):
        film.write([Block(track.number, n * 20, True, sounds[n]) for n in range(begin, begin + 50)])
    film.finish()
    shown = made(folder, tmp_path / "film.mp4")
    wanted = every(0.0, 6)
    assert shown.heard(1) == {number: wanted[number] for number in (0, 1, 4, 5)}
    assert shown.heard(2) == every(0.25, 6)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_is_cut_off_is_shown_as_far_as_it_goes(tmp_path: Path, kept: float) -> None:
    folder = lay(tmp_path, "r", [Reel(seconds=4.0), replace(BEN, seconds=4.0)])
    data = (folder / "1.webm").read_bytes()
    (folder / "1.webm").write_bytes(data[: round(len(data) * kept)])
    film = made(folder, tmp_path / "film.mp4")
    assert film.times[-1] == pytest.approx(4.0, abs=0.1)
    assert number_in(film.at(1.0), 0, 1) == pytest.approx(15, abs=1)
    assert number_in(film.at(3.0), 1, 2) == pytest.approx(45, abs=1)


def test_damaged_pictures_cost_no_more_than_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    film = anew(folder / "1.webm")
    track = film.add("VP8", SIZE)
    pictures = list(coded_pictures("VP8", 30, (0, 15)))
    pictures[10] = b"\x00\x00"
    for second in range(2):
        film.write([
            Block(track.number, round(n * 1000 / 15), n in (0, 15), pictures[n])
            for n in range(15 * second, 15 * second + 15)
        ])  # fmt: skip
    film.finish()
    shown = made(folder, tmp_path / "film.mp4")
    assert number_in(shown.at(25.5 / 15), 0, 1) == 25
    assert "1 pieces could not be decoded" in caplog.text


def test_the_last_picture_is_seen(tmp_path: Path) -> None:
    folder = lay(tmp_path, "r", [Reel(audio=None)])
    about = sidecar.read(folder)
    # As the recorder tells it: up to the beginning of the last picture.
    about.participants[0].duration_ms = round(29 * 1000 / 15)
    sidecar.write(folder, about)
    film = made(folder, tmp_path / "film.mp4")
    assert film.times == pytest.approx([n / 15 for n in range(30)], abs=0.01)
    assert number_in(film.frames[-1], 0, 1) == 29


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
    folder = lay(tmp_path, "r", [ANN, BEN])
    (folder / "1.webm").write_bytes(b"")
    film = made(folder, tmp_path / "film.mp4")
    assert film.frames[0].width == WIDTH
    assert number_in(film.at(1.0), 0, 2) == pytest.approx(15, abs=1)
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
