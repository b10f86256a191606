"""Marked pictures and sounds, from being made to being read: real codecs, no network."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest
from av import VideoFrame

from ringback.bots.calltest import camera, hearing, sounding
from ringback.bots.calltest.camera import Camera
from ringback.bots.calltest.chirps import PERIOD, WORDS, Chirps, Ear
from ringback.bots.calltest.listening import SILENCE, Listener, level
from ringback.bots.calltest.marked import MarkedPictures
from ringback.bots.calltest.observed import (
    STREAMS,
    HeardChirp,
    SeenPicture,
    SentChirp,
    SentPicture,
    Sound,
)
from ringback.bots.calltest.options import Options
from ringback.bots.calltest.scene import Scene
from ringback.bots.calltest.sounding import CYCLE, SAMPLES, SEAM, MarkedSounds, Reel
from ringback.bots.calltest.speech import Spoken
from ringback.bots.calltest.watching import Watcher
from ringback.bots.media.decoding import SoundDecoder
from ringback.bots.media.encoding import Coded, PictureEncoder
from ringback.bots.media.frames import Frame, Kind
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.payload import Codec

STREAM = 300
SOON = 30.0


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor(2)
    yield made
    made.shutdown()


class Track:
    """Stands where an `Outgoing` track does, and keeps what is sent."""

    def __init__(self, kind: Kind, codec: Codec, rate: int) -> None:
        self.kind: Kind = kind
        self.codec: Codec = codec
        self.rate = rate
        self.on_keyframe_request: Any = None
        self.frames: list[Frame] = []
        self.takes = True
        self.came = asyncio.Event()

    def select(self, codec: Codec) -> None:
        self.codec = codec

    def send(self, data: bytes, timestamp: int, *, keyframe: bool = False) -> bool:
        if not self.takes:
            return False
        now = time.monotonic()
        self.frames.append(
            Frame(self.kind, self.codec, data, timestamp, self.rate, keyframe, None, now, 0, False)
        )
        self.came.set()
        return True

    def found(self) -> Outgoing:
        return cast(Outgoing, self)

    async def have(self, count: int) -> list[Frame]:
        """Wait until so many frames were sent."""
        async with asyncio.timeout(SOON):
            while len(self.frames) < count:
                self.came.clear()
                await self.came.wait()
        return self.frames


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


def pictures(
    pool: ThreadPoolExecutor, sent: list[SentPicture], rate: float = 30.0, codec: Codec = "VP8",
    start: float | None = None,
) -> MarkedPictures:  # fmt: skip
    source = Camera(Scene(STREAM, 320, 240), Options(rate=rate, codec=codec), pool)
    source.begin(time.monotonic() if start is None else start)
    return MarkedPictures(source, codec, sent)


async def watched(
    pool: ThreadPoolExecutor, frames: list[Frame], scene: Scene | None
) -> tuple[Watcher, list[SeenPicture]]:
    seen: list[SeenPicture] = []
    watcher = Watcher(pool, scene, seen, lambda batch: None)
    for frame in frames:
        watcher.take(frame)
    await watcher.finish()
    return watcher, seen


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_what_is_shown_is_seen(pool: ThreadPoolExecutor, codec: Codec) -> None:
    sent: list[SentPicture] = []
    track = Track("video", codec, 90_000)
    before = time.monotonic()
    async with running(pictures(pool, sent, codec=codec).run(track.found)):
        frames = list(await track.have(30))
    watcher, seen = await watched(pool, frames, Scene(STREAM, 320, 240))
    known = {picture.sequence: picture for picture in sent}
    assert [s.sequence for s in seen] == [s.sequence for s in sent][: len(seen)]
    assert len(seen) == 30
    for picture in seen:
        assert picture.sequence is not None
        source = known[picture.sequence]
        assert (picture.stream, picture.width, picture.height) == (STREAM, 320, 240)
        assert picture.stamp == int(source.at * 1000) & 0xFFFF
        assert before <= source.at <= picture.arrived <= picture.shown
        assert (picture.bytes, picture.keyframe) == (source.bytes, source.keyframe)
    assert seen[0].keyframe
    compared = [s.similarity for s in seen if s.similarity is not None]
    assert seen[0].similarity is not None
    assert min(compared) > 0.9
    assert watcher.first is not None
    assert watcher.worst is not None


async def test_pictures_come_at_their_pace(pool: ThreadPoolExecutor) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    start = time.monotonic() + 0.1
    async with running(pictures(pool, sent, 20, start=start).run(track.found)):
        await track.have(20)
    for picture in sent:
        # Never early; late when the machine is, but never a whole picture.
        assert 0 <= picture.at - (start + picture.sequence / 20) < 10
    assert [f.timestamp for f in track.frames] == [s.sequence * 4500 for s in sent]


async def test_who_asks_gets_a_keyframe(pool: ThreadPoolExecutor) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    maker = pictures(pool, sent)
    async with running(maker.run(track.found)):
        await track.have(5)
        assert [f.keyframe for f in track.frames[1:5]] == [False] * 4
        count = len(track.frames)
        track.on_keyframe_request()
        await track.have(count + 3)
    assert sum(f.keyframe for f in track.frames[count : count + 3]) == 1
    assert maker.keyframes_asked == 1


async def test_after_a_picture_that_did_not_leave_comes_a_keyframe(
    pool: ThreadPoolExecutor,
) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    maker = pictures(pool, sent)
    async with running(maker.run(track.found)):
        await track.have(3)
        track.takes = False
        before = len(sent)
        await asyncio.sleep(0.2)
        assert len(sent) == before, "what did not leave was not sent"
        track.takes = True
        count = len(track.frames)
        await track.have(count + 1)
    assert track.frames[count].keyframe


async def test_a_late_machine_leaves_pictures_out_like_a_camera(
    pool: ThreadPoolExecutor,
) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    async with running(pictures(pool, sent).run(track.found)):
        await track.have(3)
        time.sleep(0.5)  # noqa: ASYNC251
        count = len(track.frames)
        await track.have(count + 3)
    numbers = [picture.sequence for picture in sent]
    assert numbers == sorted(set(numbers))
    steps = [b - a for a, b in zip(numbers, numbers[1:], strict=False)]
    assert max(steps) >= 10
    _, seen = await watched(pool, track.frames, None)
    assert [s.sequence for s in seen] == numbers


async def test_what_waits_for_a_thread_is_slow(pool: ThreadPoolExecutor) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    maker = pictures(pool, sent)
    async with running(maker.run(track.found)):
        frames = list(await track.have(2))
        hogs = [pool.submit(time.sleep, 0.3) for _ in range(2)]
        count = len(track.frames)
        await track.have(count + 2)
    assert all(hog.done() for hog in hogs)
    assert maker.slow > 0.2
    assert 0 < min(picture.coding for picture in sent) < maker.slow
    watcher, seen = await watched(pool, frames, None)
    assert watcher.slow == max(picture.shown - picture.arrived for picture in seen)


async def test_what_nobody_can_decode_is_an_erasure(pool: ThreadPoolExecutor) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    async with running(pictures(pool, sent).run(track.found)):
        frames = list(await track.have(3))
    broken = frames[1]._replace(data=b"\xff" * 40)
    _, seen = await watched(pool, [frames[0], broken], None)
    assert len(seen) == 2
    assert (seen[1].stream, seen[1].sequence, seen[1].stamp) == (None, None, None)
    assert (seen[1].width, seen[1].height) == (320, 240)


async def test_another_stream_is_seen_as_what_it_is(pool: ThreadPoolExecutor) -> None:
    sent: list[SentPicture] = []
    track = Track("video", "VP8", 90_000)
    async with running(pictures(pool, sent).run(track.found)):
        frames = list(await track.have(3))
    watcher, seen = await watched(pool, frames, Scene(STREAM + 1, 320, 240))
    assert {s.stream for s in seen} == {STREAM}
    assert all(s.similarity is None for s in seen)
    assert watcher.first is None


async def test_one_camera_serves_all_and_codes_once(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded: list[int] = []

    class Noted(PictureEncoder):
        def encode(self, picture: VideoFrame, ticks: int, keyframe: bool) -> Coded | None:
            coded.append(ticks)
            return super().encode(picture, ticks, keyframe)

    monkeypatch.setattr(camera, "PictureEncoder", Noted)
    shared = Camera(Scene(STREAM, 320, 240), Options(rate=30.0), pool)
    assert shared.begin(time.monotonic())[0] == 0
    tracks = [Track("video", "VP8", 90_000) for _ in range(3)]
    sents: list[list[SentPicture]] = [[], [], []]
    makers = [MarkedPictures(shared, "VP8", sent) for sent in sents]
    async with running(makers[0].run(tracks[0].found)), running(makers[1].run(tracks[1].found)):
        await tracks[0].have(4)
        await tracks[1].have(4)
        number, at = shared.begin(time.monotonic())
        assert number >= 4
        async with running(makers[2].run(tracks[2].found)):
            await tracks[2].have(3)
        late = len(tracks[0].frames)
        await tracks[0].have(late + 2)
    assert sorted(set(coded)) == coded
    assert len(coded) <= 1 + max(len(sent) for sent in sents)
    # Who comes later begins with a keyframe, which all get; each can decode what it got.
    assert sents[2][0].keyframe
    assert sents[2][0].sequence in [p.sequence for p in sents[0] if p.keyframe]
    assert at <= sents[2][0].at + 10
    for track, sent in zip(tracks, sents, strict=True):
        _, seen = await watched(pool, track.frames, shared.scene)
        assert [s.sequence for s in seen] == [p.sequence for p in sent]
        assert {s.stream for s in seen} == {STREAM}


async def test_who_missed_a_picture_of_a_shared_camera_waits_for_a_keyframe(
    pool: ThreadPoolExecutor,
) -> None:
    shared = Camera(Scene(STREAM, 320, 240), Options(rate=30.0), pool)
    tracks = [Track("video", "VP8", 90_000) for _ in range(2)]
    sents: list[list[SentPicture]] = [[], []]
    makers = [MarkedPictures(shared, "VP8", sent) for sent in sents]
    gone = asyncio.Event()

    def found() -> Outgoing | None:
        return None if gone.is_set() else tracks[1].found()

    async with running(makers[0].run(tracks[0].found)), running(makers[1].run(found)):
        await tracks[1].have(3)
        gone.set()
        await tracks[0].have(len(tracks[0].frames) + 3)
        gone.clear()
        count = len(tracks[1].frames)
        await tracks[1].have(count + 1)
    assert tracks[1].frames[count].keyframe
    for track in tracks:
        _, seen = await watched(pool, track.frames, shared.scene)
        assert all(s.sequence is not None for s in seen)


async def test_a_camera_that_fails_tells_all(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(PictureEncoder):
        def encode(self, picture: VideoFrame, ticks: int, keyframe: bool) -> Coded | None:
            raise ZeroDivisionError

    monkeypatch.setattr(camera, "PictureEncoder", Broken)
    shared = Camera(Scene(STREAM, 320, 240), Options(rate=30.0), pool)
    runs = [
        MarkedPictures(shared, "VP8", []).run(Track("video", "VP8", 90_000).found) for _ in range(2)
    ]
    told = await asyncio.gather(*runs, return_exceptions=True)
    assert [type(error) for error in told] == [ZeroDivisionError] * 2


# --- sound ----------------------------------------------------------------------------------


async def heard_of(
    pool: ThreadPoolExecutor, frames: list[Frame]
) -> tuple[list[HeardChirp], list[Sound]]:
    heard: list[HeardChirp] = []
    sounds: list[Sound] = []
    listener = Listener(pool, heard, sounds, lambda batch: None)
    for frame in frames:
        listener.take(frame)
    await listener.finish()
    return heard, sounds


async def chirping(
    pool: ThreadPoolExecutor, count: int, rate: float | None = 15.0
) -> tuple[list[SentChirp], list[Frame]]:
    sent: list[SentChirp] = []
    track = Track("audio", "opus", 48_000)
    maker = MarkedSounds(Reel(Chirps(STREAM)), pool, rate, sent)
    async with running(maker.run(track.found, time.monotonic())):
        frames = list(await track.have(count))
    return sent, frames


async def test_what_is_sounded_is_heard(pool: ThreadPoolExecutor) -> None:
    sent, frames = await chirping(pool, 85)
    heard, sounds = await heard_of(pool, frames)
    assert [c.number for c in sent[:4]] == [0, 1, 2, 3]
    assert len(heard) >= 3
    for chirp, source in zip(heard, sent, strict=False):
        assert chirp.stream == STREAM % WORDS
        assert chirp.number == source.number
        # Opus looks 6.5 ms ahead; a millisecond of it and of the loop is nobody's.
        assert 0.003 < chirp.at - source.at < 0.015
        assert -40 < chirp.level < 0
    assert len(sounds) == len(frames)
    assert sum(s.seconds for s in sounds) == pytest.approx(85 * 0.02, abs=0.03)
    assert not any(s.gap for s in sounds)


async def test_a_chirp_has_gone_out_when_its_last_packet_has(pool: ThreadPoolExecutor) -> None:
    # The third has begun, and not ended.
    sent, frames = await chirping(pool, 53)
    for chirp in sent[:2]:
        last = frames[chirp.number * 25 + 12].arrived
        assert chirp.ended == pytest.approx(last + 0.01, abs=0.2)
    assert sent[2].ended == math.inf


async def test_chirps_say_with_which_picture_they_began(pool: ThreadPoolExecutor) -> None:
    sent, _ = await chirping(pool, 55)
    assert [c.sequence for c in sent[:3]] == [0, None, 15]
    assert sent[1].at - sent[0].at == pytest.approx(PERIOD, abs=0.25)
    alone, _ = await chirping(pool, 30, None)
    assert {c.sequence for c in alone} == {None}


async def test_a_hole_moves_no_later_sound(pool: ThreadPoolExecutor) -> None:
    sent, frames = await chirping(pool, 85)
    # Between the first sound and the second.
    with_hole = [*frames[:14], frames[18]._replace(gap=True), *frames[19:]]
    heard, sounds = await heard_of(pool, with_hole)
    assert [s.gap for s in sounds].count(True) == 1
    assert sounds[14].seconds == pytest.approx(0.02)
    by_number = {c.number: c for c in heard}
    for source in sent[1:3]:
        assert 0.003 < by_number[source.number].at - source.at < 0.015


@pytest.mark.parametrize("make", [Chirps, Spoken])
def test_a_reel_begins_again_where_nothing_is_heard_of_it(make: type[Chirps]) -> None:
    """Sound that goes round is heard as if it were coded on and on."""
    reel = Reel(make(STREAM))
    first = CYCLE - 10
    assert not reel.knows(first)
    packets = [reel.packet(number) for number in range(first, first + 60)]
    assert reel.knows(10 * CYCLE + 3), "no more than one round is ever coded"
    assert packets[10 + SEAM :] == [reel.packet(number) for number in range(SEAM, 50)]
    frames = [
        Frame("audio", "opus", data, n * SAMPLES, 48_000, True, None, n * 0.02, 0, False)
        for n, data in enumerate(packets)
    ]
    pieces = [np.frombuffer(data, np.int16) for _, data in SoundDecoder(48_000, 1).decode(frames)]
    ear = Ear()
    heard = [mark for piece in pieces for mark in ear.hear(piece)]
    assert [(mark.stream, mark.number) for mark in heard] == [(STREAM % WORDS, n) for n in (0, 1)]
    assert heard[1].sample - heard[0].sample == pytest.approx(PERIOD * 48_000, abs=2)
    seam = np.concatenate(pieces[9 + SEAM : 13 + SEAM])
    if make is Spoken:
        return
    assert level(seam) == pytest.approx(level(np.concatenate(pieces[25:33])), abs=6)


def test_all_who_send_a_word_share_its_reel() -> None:
    assert sounding.reel(3, spoken=False) is sounding.reel(3, spoken=False)
    assert sounding.reel(3, spoken=False) is not sounding.reel(4, spoken=False)
    assert sounding.reel(3, spoken=False) is not sounding.reel(3, spoken=True)
    with ThreadPoolExecutor(4) as many:
        reel = Reel(Chirps(5))
        found = list(many.map(reel.packet, [30, 10, 50, 30, 49, 0, 50, 12] * 4))
    assert found == [reel.packet(number) for number in [30, 10, 50, 30, 49, 0, 50, 12] * 4]
    alone = Reel(Chirps(5))
    assert [alone.packet(n) for n in range(51)] == [reel.packet(n) for n in range(51)]


def test_a_word_holds_what_is_judged() -> None:
    assert STREAMS == hearing.NUMBERS == WORDS


def test_levels() -> None:
    assert level(np.zeros(960, np.int16)) == SILENCE
    assert level(np.zeros(0, np.int16)) == SILENCE
    assert level(np.full(960, 32767, np.int16)) == pytest.approx(0.0, abs=0.01)
    assert level(np.full(960, 3277, np.int16)) == pytest.approx(-20.0, abs=0.01)
