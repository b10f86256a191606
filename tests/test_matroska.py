"""Files written block by block: whatever is in them comes out of a player again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import avc, ebml, matroska
from ringback.bots.media.matroska import Block, MatroskaFile, Track
from ringback.bots.media.mend import mend
from ringback.bots.media.payload import Codec
from tests.coded import coded_pictures, coded_sounds
from tests.marked import SIZE, begins, number_of, play

SILENCE_OPUS = b"\xf8\xff\xfe"


def film(
    path: Path,
    codec: Codec = "VP8",
    seconds: int = 3,
    sound: bool = True,
    late: bool = False,
    keys: tuple[int, ...] = (0,),
) -> MatroskaFile:
    """A file of marked pictures, 15 a second, and sounds, not finished; with `late` the
    pictures join after the first cluster."""
    made = MatroskaFile(path)
    audio = made.add("opus", None) if sound else None
    pictures = coded_pictures(codec, count=15 * seconds, keys=keys)
    video: Track | None = None
    sounds = coded_sounds(seconds)
    for second in range(seconds):
        blocks = []
        if (second or not late) and video is None:
            private = avc.private(pictures[0]) if codec == "H264" else b""
            video = made.add(codec, SIZE, private)
        if audio is not None:
            blocks += [
                Block(audio.number, second * 1000 + n * 20, True, sounds[second * 50 + n])
                for n in range(50)
            ]
        if video is not None:
            for n in range(15):
                number = (second - late) * 15 + n
                data = pictures[number]
                data = avc.picture(data) if codec == "H264" else data
                blocks.append(
                    Block(video.number, second * 1000 + n * 1000 // 15, number in keys, data)
                )
        made.write(sorted(blocks, key=lambda block: block.at))
    return made


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
def test_what_went_in_comes_out(tmp_path: Path, codec: Codec) -> None:
    path = tmp_path / ("1" + matroska.suffix([codec, "opus"]))
    film(path, codec).finish()
    found = play(path)
    assert found.numbers == list(range(45))
    assert found.times == pytest.approx([n / 15 for n in range(45)], abs=0.0015)
    assert [sound.number for sound in found.sounds] == list(range(6))
    assert begins(found.sounds) == pytest.approx([0.0] * 6, abs=0.008)
    assert found.seconds == pytest.approx(3, abs=0.04)
    assert found.duration == pytest.approx(2.98, abs=0.001)


def test_webm_says_so_and_holds_what_browsers_know() -> None:
    assert matroska.suffix(["VP8", "opus"]) == ".webm"
    assert matroska.suffix(["opus"]) == ".webm"
    assert matroska.suffix(["H264", "opus"]) == ".mkv"
    assert matroska.suffix(["PCMU"]) == ".mkv"


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_telephone_sound(tmp_path: Path, law: Codec) -> None:
    path = tmp_path / "1.mkv"
    made = MatroskaFile(path)
    track = made.add(law, None)
    made.write([Block(track.number, n * 20, True, bytes([0x55]) * 160) for n in range(50)])
    made.finish()
    with av.open(str(path)) as container:
        [stream] = container.streams.audio
        assert stream.codec_context.name == {"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[law]
        assert stream.rate == 8000
        assert sum(frame.samples for frame in container.decode(stream)) == 8000


def test_a_camera_may_join_later(tmp_path: Path) -> None:
    path = tmp_path / "1.webm"
    film(path, late=True).finish()
    found = play(path)
    assert found.numbers == list(range(30))
    assert found.times[0] == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize("died", [False, True])
def test_players_seek_to_a_keyframe(tmp_path: Path, died: bool) -> None:
    path = tmp_path / "1.webm"
    made = film(path, seconds=5, keys=(0, 30))
    if died:
        made.abandon()
        mend(path)
    else:
        made.finish()
    for wanted, found in ((3_500_000, 30), (1_500_000, 0)):
        with av.open(str(path)) as container:
            [stream] = container.streams.video
            container.seek(wanted)
            first = next(container.decode(stream))
            assert number_of(first) == found


@pytest.mark.parametrize("died", [False, True])
def test_players_seek_in_sound_alone(tmp_path: Path, died: bool) -> None:
    path = tmp_path / "1.webm"
    made = MatroskaFile(path)
    track = made.add("opus", None)
    sounds = coded_sounds(5)
    for second in range(5):
        part = sounds[second * 50 : second * 50 + 50]
        made.write(
            [Block(track.number, second * 1000 + n * 20, True, d) for n, d in enumerate(part)]
        )
    if died:
        made.abandon()
        mend(path)
    else:
        made.finish()
    with av.open(str(path)) as container:
        container.seek(3_500_000)
        first = next(container.demux())
        assert first.pts is not None
        assert 2_900 <= first.pts <= 3_600


def test_a_file_plays_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "1.webm"
    made = film(path, seconds=2)
    assert play(path).numbers == list(range(30))
    assert path.stat().st_size == made.bytes
    made.finish()


def test_nothing_is_left_of_a_file_without_content(tmp_path: Path) -> None:
    made = MatroskaFile(tmp_path / "1.webm")
    made.abandon()
    assert list(tmp_path.iterdir()) == []
    film(tmp_path / "2.webm", seconds=1).abandon()
    assert len(play(tmp_path / "2.webm").numbers) == 15


def test_no_file_stays_that_could_not_be_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(matroska, "put", full)
    with pytest.raises(OSError, match="No space"):
        MatroskaFile(tmp_path / "1.webm")
    assert not list(tmp_path.iterdir())


def test_no_file_is_written_over(tmp_path: Path) -> None:
    film(tmp_path / "1.webm", seconds=1).finish()
    with pytest.raises(FileExistsError):
        MatroskaFile(tmp_path / "1.webm")


def test_players_pass_over_what_is_noted_between_blocks(tmp_path: Path) -> None:
    path, pictures = tmp_path / "1.webm", coded_pictures("VP8", count=15)
    made = MatroskaFile(path)
    track = made.add("VP8", SIZE)
    for first in (0, 5, 10):
        made.write(
            [
                Block(track.number, n * 66, n == 0, pictures[n], b"note %d" % n if n % 2 else b"")
                for n in range(first, first + 5)
            ]
        )
    made.finish()
    assert play(path).numbers == list(range(15))
    assert mend(path)[1] == [b"note %d" % n for n in range(15) if n % 2]


# --- elements -------------------------------------------------------------------------------


@given(st.integers(0, 2**56 - 2))
def test_lengths_are_read_as_they_were_written(size: int) -> None:
    found = ebml.read_head(b"\xa3" + ebml.length(size), 0)
    assert found.id == ebml.SIMPLE_BLOCK
    assert found.end is not None
    assert found.end - found.content == size


@given(st.integers(2, 5000).filter(lambda n: n == 2 or n >= 9))
def test_nothing_takes_the_room_it_should(size: int) -> None:
    data = ebml.void(size)
    assert len(data) == size
    assert [id for id, _ in ebml.children(data)] == [ebml.VOID]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        for id, content in ebml.children(data):
            assert id > 0
            assert len(content) <= len(data)
    except ValueError:
        pass


def test_a_head_that_does_not_fit_is_refused() -> None:
    track = Track(1, "H264", (10, 10), bytes(matroska.HEAD))
    with pytest.raises(ValueError, match="room"):
        matroska.compose_head(matroska.compose_tracks([track]))


def test_a_cluster_of_very_many_blocks_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.mkv"
    made = MatroskaFile(path)
    sound = made.add("PCMU", None)
    blocks = [Block(sound.number, n, True, bytes([n & 127]) * 8) for n in range(3000)]
    made.write(blocks)
    made.finish()
    with av.open(str(path)) as container:
        assert [bytes(p) for p in container.demux() if p.size] == [b.data for b in blocks]


def test_what_the_system_takes_in_portions_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwritev", lambda fd, parts, at: os.pwrite(fd, parts[0][:3], at))
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        matroska.put(file, 2, b"hello", b"", b" world")
        assert file.read() == b"\0\0hello world"
