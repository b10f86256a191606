"""A bot's recordings: what was sent is in the file, coded as it was, and can be played."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import pytest

from ringback import bots
from ringback.bots.media.frames import Frame
from ringback.bots.media.payload import Codec
from ringback.bots.media.writing import CannotRecord, FileWriter
from tests.callers import PATIENCE, needs_address
from tests.clients import eventually
from tests.marked import growing, play
from tests.robots import Host, host

__all__ = ["host"]


@needs_address
@pytest.mark.parametrize(("codec", "name"), [("VP8", "call.webm"), ("H264", "call.mkv")])
async def test_a_recorder_in_a_few_lines(host: Host, tmp_path: Path, codec: str, name: str) -> None:
    path = tmp_path / name

    @bots.bot("tape")
    async def tape(call: bots.Call) -> None:
        async with bots.Recording(path) as file:
            async for frame in call.frames():
                file.write(frame)

    line = await host(tape)
    phone, caller = await line.talking(video=codec)
    await caller.pictures.reached(45)
    await phone.hang_up()
    await line.idle()
    found = play(path, caller.stream)
    assert len(found.pictures) >= 20
    assert growing(found.numbers)
    assert found.sounds
    assert found.duration == pytest.approx(len(found.pictures) / 15, abs=0.7)


@needs_address
async def test_what_cannot_be_written_ends_the_call_and_says_why(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()

    @bots.bot("tape")
    async def tape(call: bots.Call) -> None:
        try:
            async with bots.Recording(tmp_path / "nowhere" / "call.webm") as file:
                async for frame in call.frames():
                    file.write(frame)
        except bots.CannotRecord as error:
            said.put_nowait(str(error))

    line = await host(tape)
    await line.talking()
    async with asyncio.timeout(PATIENCE):
        assert "call.webm cannot be written: No such file" in await said.get()


def frame(
    number: int, codec: Codec = "opus", *, keyframe: bool = True, arrived: float = 0.0
) -> Frame:
    sound = codec in ("opus", "PCMU", "PCMA")
    rate = {"opus": 48_000, "PCMU": 8_000}.get(codec, 90_000)
    return Frame(
        "audio" if sound else "video", codec, b"\xfc\xff\xfe", number * rate // 50, rate, keyframe,
        None if sound else (160, 128), arrived or number / 50, 0, False,
    )  # fmt: skip


def test_a_kind_and_a_codec_that_come_later_join(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.mkv")
    writer.write([frame(number) for number in range(100)])
    writer.write([frame(100, "VP8", keyframe=False), frame(100, "VP8"), frame(101, "PCMU")])
    assert writer.left_out == 1
    writer.close()
    with av.open(str(tmp_path / "a.mkv")) as container:
        kinds = [stream.codec_context.codec.canonical_name for stream in container.streams]
        assert kinds == ["opus", "vp8", "pcm_mulaw"]
        packets = [p for p in container.demux() if p.size]
    assert len(packets) == 102


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_text("mine")
    writer = FileWriter(tmp_path / "a.mkv")
    with pytest.raises(CannotRecord, match="cannot be written: File exists"):
        writer.write([frame(0)])
    writer.close()
    assert (tmp_path / "a.mkv").read_text() == "mine"


def test_webm_holds_no_h264(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.webm")
    with pytest.raises(CannotRecord, match=r"WebM holds no H264; call it \.mkv"):
        writer.write([frame(0, "H264")])
    writer.close()


def test_pictures_begin_with_a_keyframe(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.mkv")
    writer.write([frame(0, "VP8", keyframe=False), frame(1, "VP8"), frame(1)])
    assert writer.left_out == 1
    writer.close()


def test_it_can_be_played_before_it_is_finished(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.mkv")
    writer.write([frame(number) for number in range(500)])
    with av.open(str(tmp_path / "a.mkv")) as container:
        packets = [p for p in container.demux() if p.size]
    assert 440 <= len(packets) < 500, "all but the last second"
    writer.close()


def test_times_only_grow_and_kinds_keep_their_distance(tmp_path: Path) -> None:
    writer = FileWriter(tmp_path / "a.mkv")
    writer.write([frame(0, arrived=10.0), frame(7, "VP8", arrived=10.5), frame(7, "VP8")])
    writer.close()
    with av.open(str(tmp_path / "a.mkv")) as container:
        packets = [packet for packet in container.demux() if packet.size]
        times = [(p.stream.type, float((p.pts or 0) * p.time_base)) for p in packets]
    assert times == [("audio", 0.0), ("video", 0.5), ("video", 0.501)]


@pytest.mark.parametrize("name", ["call.mp4", "call"])
def test_other_kinds_of_files(name: str) -> None:
    with pytest.raises(CannotRecord, match=r"ends in \.webm or \.mkv"):
        bots.Recording(name)


def test_nothing_came_and_there_is_no_file(tmp_path: Path) -> None:
    FileWriter(tmp_path / "a.webm").close()
    assert not (tmp_path / "a.webm").exists()


async def test_a_disk_that_is_too_slow_loses_frames_not_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.bots.recording.MAX_WAITING", 2)
    async with bots.Recording(tmp_path / "a.mkv") as file:
        for number in range(5):
            file.write(frame(number))
        assert file.dropped == 3
        await eventually(lambda: not file._waiting)
        file.write(frame(5))
        assert file.dropped == 3
