"""Readers of a track: bounded, each at its own pace, and what they lose is counted."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from threading import Event

import pytest

from ringback.bots import track as module
from ringback.bots.media.encoding import PictureEncoder, SoundEncoder, picture_of
from ringback.bots.media.frames import Frame
from ringback.bots.track import Decoded, Frames, Track
from tests.callers import PATIENCE
from tests.marked import number_of, picture


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as made:
        yield made


class Asked:
    """Counts how often a keyframe was asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def sound(number: int, data: bytes = b"\xf8\xff\xfe", *, source: int = 0) -> Frame:
    return Frame(
        "audio", "opus", data, number * 960, 48_000, True, None, number / 50, source, False
    )


def seen(number: int, *, keyframe: bool = False, data: bytes = b"x") -> Frame:
    size = (160, 128) if keyframe else None
    return Frame("video", "VP8", data, number * 6000, 90_000, keyframe, size, 0.0, 0, False)


def coded(numbers: Sequence[int]) -> list[Frame]:
    """Pictures with these numbers, as they come over the wire."""
    encoder = PictureEncoder("VP8", 1_000_000)
    made = []
    for at, number in enumerate(numbers):
        whole = encoder.encode(picture(number), at * 6000, at == 0)
        assert whole is not None
        made.append(seen(at, keyframe=whole.keyframe, data=whole.data))
    return made


async def some(frames: Frames, count: int) -> list[Frame]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(frames) for _ in range(count)]


async def test_each_reader_has_its_own_place(pool: Executor) -> None:
    track = Track("audio", pool, Asked())
    first = track.frames()
    track.take(sound(0))
    second = aiter(track)
    track.take(sound(1))
    assert [frame.timestamp for frame in await some(first, 2)] == [0, 960]
    assert [frame.timestamp for frame in await some(second, 1)] == [960]
    assert track.codec == "opus"
    track.end()
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    with pytest.raises(StopAsyncIteration):
        await anext(track.frames())


async def test_one_that_waits_is_woken(pool: Executor) -> None:
    track = Track("audio", pool, Asked())
    waiting = asyncio.create_task(some(track.frames(), 1))
    await asyncio.sleep(0)
    track.take(sound(3))
    [frame] = await waiting
    assert frame.timestamp == 3 * 960


async def test_a_reader_that_is_left_alone_is_forgotten(pool: Executor) -> None:
    track = Track("audio", pool, Asked())
    reader = track.frames()
    track.take(sound(0))
    del reader
    gc.collect()
    assert len(track._readers) == 0


async def test_of_sound_the_oldest_goes(pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    track = Track("audio", pool, Asked())
    frames = track.frames()
    for number in range(5):
        track.take(sound(number))
    left = await some(frames, 3)
    assert [frame.timestamp // 960 for frame in left] == [2, 3, 4]
    assert [frame.gap for frame in left] == [False, True, True] or left[-1].gap
    assert track.dropped == {"too late": 2}


async def test_of_pictures_all_go_until_the_next_keyframe(
    pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    asked = Asked()
    track = Track("video", pool, asked)
    frames = track.frames()
    assert asked.times == 1, "for the first one"
    track.take(seen(0))
    for number in range(1, 6):
        track.take(seen(number, keyframe=number == 1))
    assert asked.times == 2
    track.take(seen(6, keyframe=True))
    [frame] = await some(frames, 1)
    assert (frame.timestamp // 6000, frame.gap) == (6, True)
    assert track.dropped == {"before a keyframe": 3, "too late": 3}


async def test_in_both_kinds_the_sound_survives_the_pictures(
    pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FRAMES", 4)
    asked = Asked()
    audio, video = Track("audio", pool, asked), Track("video", pool, asked)
    frames = Frames({"audio": audio.dropped, "video": video.dropped}, video.ask_keyframe)
    audio.join(video.join(frames))
    assert asked.times == 1
    audio.take(sound(0))
    video.take(seen(0, keyframe=True))
    video.take(seen(1))
    audio.take(sound(1))
    audio.take(sound(2))
    assert asked.times == 2
    assert [frame.kind for frame in frames.taken()] == ["audio"] * 3
    assert (audio.dropped, video.dropped) == ({}, {"too late": 2})


async def test_missing_sound_is_silence_and_damaged_is_counted(pool: Executor) -> None:
    encoder = SoundEncoder("opus")
    packets = encoder.encode(b"\x00\x10" * 9600, 48_000, 1)
    track = Track("audio", pool, Asked())
    pieces = track.pcm(16_000, channels=2)
    for number in (0, 1, 4):
        track.take(sound(number, packets[number].data))
    track.take(sound(5, b""))
    track.take(sound(6, packets[6].data))
    track.take(sound(500, packets[7].data))
    track.take(sound(0, packets[8].data, source=1))
    async with asyncio.timeout(PATIENCE):
        made = [await anext(pieces) for _ in range(6)]
    assert [round((piece.time or 0) * 50) for piece in made] == [0, 1, 4, 6, 500, 0]
    samples = [piece.samples for piece in made]
    assert samples[2] == pytest.approx(3 * 320, abs=40), "two that are missing come before"
    assert samples[3] == pytest.approx(2 * 320, abs=40), "one that was damaged"
    assert samples[4] == pytest.approx(320, abs=40), "ten seconds are a pause"
    assert {(piece.rate, piece.channels) for piece in made} == {(16_000, 2)}


async def test_giving_up_a_wait_loses_no_picture(pool: Executor) -> None:
    held, working = Event(), Event()

    def work(frames: Sequence[Frame]) -> list[int]:
        working.set()
        held.wait(PATIENCE)
        return [frame.timestamp for frame in frames]

    frames = Frames({}, Asked())
    decoded = Decoded(frames, pool, work)
    frames.put(sound(1))
    waiting = asyncio.create_task(anext(decoded))
    await asyncio.to_thread(working.wait, PATIENCE)
    waiting.cancel()
    await asyncio.wait((waiting,))
    held.set()
    frames.put(sound(2))
    assert [await anext(decoded), await anext(decoded)] == [960, 2 * 960]


async def test_only_the_newest_picture_is_converted(pool: Executor) -> None:
    track = Track("video", pool, Asked())
    pictures = track.video(format="yuv420p")
    for frame in coded(range(6)):
        track.take(frame)
    newest = await anext(pictures)
    made = picture_of(newest.data, newest.width, newest.height, newest.format)
    assert number_of(made) == 5
    assert newest.time == pytest.approx(5 / 15)
    assert track.dropped == {"not the newest": 5}


async def test_damaged_pictures_are_counted(pool: Executor) -> None:
    track = Track("video", pool, Asked())
    pictures = track.video()
    frames = coded(range(3))
    track.take(frames[0])
    await anext(pictures)
    track.take(seen(1, data=b"\x00"))
    track.take(coded([9])[0])
    await anext(pictures)
    assert track.dropped["damaged"] == 1


async def test_what_cannot_be_read(pool: Executor) -> None:
    audio, video = Track("audio", pool, Asked()), Track("video", pool, Asked())
    with pytest.raises(TypeError, match="read `pcm`"):
        audio.video()
    with pytest.raises(TypeError, match="read `video`"):
        video.pcm()
    for rate, channels in ((10, 1), (48_000, 3)):
        with pytest.raises(ValueError, match="Sound has|The rate"):
            audio.pcm(rate, channels)
    with pytest.raises(ValueError, match="pixels wide"):
        video.video(width=0)
