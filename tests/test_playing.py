"""Files on their way out: as they are coded where that will do, else coded anew."""

from __future__ import annotations

import asyncio
import threading
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ringback import bots
from ringback.bots import pictures, playing, sounds
from ringback.bots.media.frames import Kind
from ringback.bots.media.payload import Codec
from ringback.bots.media.reading import FileReader, Piece
from ringback.bots.out import Out
from ringback.bots.playing import Kept
from ringback.server import protocol as p
from tests.callers import PATIENCE, needs_address
from tests.clients import eventually
from tests.clips import clip
from tests.marked import STREAM, growing
from tests.robots import Host, host

__all__ = ["host"]

BROWSER: dict[Kind, tuple[Codec, ...]] = {"audio": ("opus", "PCMU"), "video": ("VP8", "H264")}


def radio(path: Path, *, loop: bool = False) -> bots.Bot:
    """A bot that plays a file and hangs up."""

    @bots.bot("radio")
    async def play(call: bots.Call) -> None:
        await call.play(path, loop=loop)

    return play


def nothing_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something was coded anew")

    monkeypatch.setattr(sounds, "SoundEncoder", refuse)
    monkeypatch.setattr(pictures, "PictureEncoder", refuse)


@needs_address
async def test_what_is_coded_already_goes_out_as_it_is(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_coded(monkeypatch)
    line = await host(radio(clip(tmp_path / "clip.webm", seconds=3)))
    phone, caller = await line.talking()
    numbers, heard = await asyncio.gather(caller.numbers_of(STREAM, 20), caller.hears(STREAM))
    assert growing(numbers)
    assert numbers[-1] - numbers[0] == 19, "none is missing"
    assert heard
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP


@needs_address
async def test_h264_of_an_mp4_goes_out_as_it_is(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_coded(monkeypatch)
    path = clip(tmp_path / "clip.mp4", video="libx264", audio=None, options={"bf": "0"}, seconds=3)
    line = await host(radio(path))
    _, caller = await line.talking(audio=None, video="H264")
    numbers = await caller.numbers_of(STREAM, 20)
    assert growing(numbers)
    assert numbers[-1] - numbers[0] == 19


@needs_address
@pytest.mark.parametrize(
    ("name", "coders"),
    [
        ("clip.mp4", {"video": "libx264", "audio": "aac"}),
        ("clip.mkv", {"video": "mpeg4", "audio": "flac"}),
    ],
    ids=["H.264 for who takes VP8", "what no browser takes"],
)
async def test_anything_else_is_coded_anew(
    host: Host, tmp_path: Path, name: str, coders: dict[str, Any]
) -> None:
    line = await host(radio(clip(tmp_path / name, seconds=3, **coders)))
    _, caller = await line.talking()
    numbers, heard = await asyncio.gather(caller.numbers_of(STREAM, 12), caller.hears(STREAM))
    assert growing(numbers)
    assert heard


@needs_address
@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
async def test_a_wave_file_is_heard(host: Host, tmp_path: Path, codec: str) -> None:
    path = clip(tmp_path / "clip.wav", video=None, audio="pcm_s16le", seconds=2)
    with wave.open(str(path)) as file:
        assert file.getframerate() == 48_000
    line = await host(radio(path))
    _, caller = await line.talking(video=None, audio=codec)
    assert await caller.hears(STREAM)


@needs_address
async def test_a_loop_goes_on(host: Host, tmp_path: Path) -> None:
    line = await host(radio(clip(tmp_path / "clip.webm", seconds=1), loop=True))
    _, caller = await line.talking(audio=None)
    numbers = await caller.numbers_of(STREAM, 40)
    assert numbers.count(3) >= 2
    assert all(b - a in (1, -14) for a, b in zip(numbers, numbers[1:], strict=False)), numbers


@needs_address
async def test_files_follow_each_other(host: Host, tmp_path: Path) -> None:
    paths = [clip(tmp_path / f"{n}.webm", seconds=1, stream=n) for n in (1, 2)]

    @bots.bot("radio")
    async def play(call: bots.Call) -> None:
        for path in paths:
            await call.play(path)

    line = await host(play)
    _, caller = await line.talking(audio=None)
    seen = await caller.marks(20)
    assert growing([100 * mark.stream + mark.sequence for mark in seen])
    assert {mark.stream for mark in seen} == {1, 2}


@needs_address
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "cannot be played: No such file"),
        (lambda path: path.write_text("prose") and path, "cannot be played"),
        (lambda path: clip(path.with_suffix(".mkv"), audio=None), "takes nothing of what"),
    ],
    ids=["not there", "no media", "pictures for who has only sound"],
)
async def test_what_cannot_be_played(
    host: Host, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    path = make(tmp_path / "clip.webm")

    @bots.bot("radio")
    async def play(call: bots.Call) -> None:
        try:
            await call.play(path)
        except bots.CannotPlay as error:
            said.put_nowait(str(error))

    line = await host(play)
    await line.talking(video=None)
    async with asyncio.timeout(PATIENCE):
        assert words in await said.get()


@needs_address
async def test_a_file_is_closed_when_the_caller_hangs_up(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    class Reader(FileReader):
        def close(self) -> None:
            closed.append(True)
            super().close()

    monkeypatch.setattr(playing, "FileReader", Reader)
    line = await host(radio(clip(tmp_path / "clip.webm"), loop=True))
    phone, caller = await line.talking(audio=None)
    await caller.numbers_of(STREAM, 3)
    await phone.hang_up()
    await line.idle()
    await eventually(lambda: closed == [True])


# --- reading --------------------------------------------------------------------------------


def test_sound_and_pictures_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    reader = FileReader(clip(tmp_path / "clip.webm", seconds=3), BROWSER)
    pieces = []
    while part := reader.read():
        assert part[-1].time - part[0].time <= 0.26
        pieces += part
    assert [piece.time for piece in pieces] == sorted(piece.time for piece in pieces)
    assert sum(piece.kind == "video" for piece in pieces) == 45
    assert sum(piece.kind == "audio" for piece in pieces) == pytest.approx(150, abs=2)
    assert {piece.codec for piece in pieces} == {"VP8", "opus"}
    assert reader.length == pytest.approx(3.0, abs=0.05)
    assert [p.keyframe for p in pieces if p.kind == "video"] == [True] + [False] * 44
    reader.rewind()
    again = reader.read()
    for kind in ("audio", "video"):
        assert first_of(kind, again) == first_of(kind, pieces)
    reader.close()


def first_of(kind: str, pieces: list[Piece]) -> Piece:
    return next(piece for piece in pieces if piece.kind == kind)


def test_closing_waits_for_what_is_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a caller gives up, the thread that reads does not: FFmpeg must not lose its file."""
    reader = FileReader(clip(tmp_path / "clip.webm"), BROWSER)
    reading, go_on = threading.Event(), threading.Event()
    more = reader._more

    def slow() -> None:
        reading.set()
        assert go_on.wait(PATIENCE)
        more()

    monkeypatch.setattr(reader, "_more", slow)
    with ThreadPoolExecutor(2) as pool:
        pieces = pool.submit(reader.read)
        assert reading.wait(PATIENCE)
        closing = pool.submit(reader.close)
        with pytest.raises(TimeoutError):
            closing.result(0.2)
        go_on.set()
        closing.result(PATIENCE)
        assert pieces.result(PATIENCE) != []
    assert reader.read() == []
    reader.rewind()
    assert reader.read() == []
    reader.close()


def test_a_kind_that_is_not_wanted_is_not_read(tmp_path: Path) -> None:
    reader = FileReader(clip(tmp_path / "clip.webm"), {"audio": BROWSER["audio"]})
    assert {piece.kind for piece in reader.read(10)} == {"audio"}
    reader.close()


def test_pictures_that_refer_to_later_ones_are_coded_anew(tmp_path: Path) -> None:
    path = clip(tmp_path / "b.mp4", video="libx264", audio=None, options={"bf": "2"})
    reader = FileReader(path, BROWSER)
    pieces = reader.read(10)
    assert all(piece.codec is None and piece.picture is not None for piece in pieces)
    assert [piece.time for piece in pieces] == sorted(piece.time for piece in pieces)
    reader.close()


# --- who lost the thread --------------------------------------------------------------------


class Sent(Out):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__("video", lambda _: None)
        self.sent: list[tuple[bytes, bool]] = []

    def send(self, codec: Codec, data: bytes, ticks: int, keyframe: bool) -> bool:
        self.sent.append((data, keyframe))
        return True

    send_coded = send


def test_who_needs_a_keyframe_gets_all_since_the_last_one() -> None:
    out = Sent()
    kept = Kept(out)
    for number in range(4):
        kept.send("VP8", b"%d" % number, number, number == 0)
    out.sent.clear()
    kept.request()
    kept.send("VP8", b"4", 4, False)
    assert [data for data, _ in out.sent] == [b"0", b"1", b"2", b"3", b"4"]
    assert [keyframe for _, keyframe in out.sent] == [True, False, False, False, False]
    kept.request()
    kept.send("VP8", b"5", 5, False)
    assert out.sent[-1] == (b"5", False), "not twice at once"
    kept.send("VP8", b"6", 6, True)
    kept.send("VP8", b"7", 7, False)
    assert [data for data, _ in out.sent[-3:]] == [b"5", b"6", b"7"], "a keyframe has come"


def test_nothing_is_sent_again_while_the_path_carries_too_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Sent()
    kept = Kept(out)
    for number in range(4):
        kept.send("VP8", b"%d" % number, number, number == 0)
    out.sent.clear()
    monkeypatch.setattr(Out, "thinned", True)
    kept.request()
    kept.send("VP8", b"4", 4, False)
    assert out.sent == [(b"4", False)]
    monkeypatch.setattr(Out, "thinned", False)
    kept.send("VP8", b"5", 5, False)
    assert [data for data, _ in out.sent] == [b"4", b"0", b"1", b"2", b"3", b"4", b"5"]


def test_where_that_is_too_much_it_waits_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "MOST_KEPT", 10)
    out = Sent()
    kept = Kept(out)
    for number in range(4):
        kept.send("VP8", b"%d" % number * 5, number, number == 0)
    out.sent.clear()
    kept.request()
    kept.send("VP8", b"4", 4, False)
    kept.send("VP8", b"5", 5, False)
    assert out.sent == []
    kept.send("VP8", b"6", 6, True)
    assert out.sent == [(b"6", True)]


def test_after_the_end_the_last_picture_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Sent()
    kept = Kept(out)
    kept.repeat()
    assert out.sent == [], "nothing was played"
    for number in range(3):
        kept.send("VP8", b"%d" % number, number, number == 0)
    out.sent.clear()
    kept.repeat()
    kept.repeat()
    assert [data for data, _ in out.sent] == [b"0", b"1", b"2"], "once, not twice at once"


@needs_address
async def test_who_misses_the_last_picture_of_a_file_gets_it(host: Host, tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.webm", audio=None, seconds=1)
    ended = asyncio.Event()

    @bots.bot("radio")
    async def play(call: bots.Call) -> None:
        await call.play(path)
        ended.set()
        await asyncio.Event().wait()

    line = await host(play)
    _, caller = await line.talking(audio=None)
    assert await caller.numbers_of(STREAM, 13) == list(range(13))
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    [receiver] = [r for r in caller.pc.getReceivers() if r.track.kind == "video"]
    streams = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
    await receiver._send_rtcp_pli(next(iter(streams)))
    # aiortc holds the last picture back until something follows it.
    assert await caller.numbers_of(STREAM, 6) == [13, 14, 0, 1, 2, 3]
