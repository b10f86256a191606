"""A recording from its beginning to its end, whatever brings that about."""

from __future__ import annotations

import asyncio
import errno
import shutil
import signal
import sys
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.bots.media import matroska, record, repair, sidecar
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.mend import mend
from ringback.bots.media.part import PartFile
from ringback.bots.media.record import Recording, RecordLimits
from ringback.bots.media.sidecar import Participant, Reason, Sidecar, Sound
from ringback.bots.media.writer import Full, Writer
from ringback.server.protocol import Consent
from tests.callers import PATIENCE
from tests.coded import coded_pictures, coded_sounds
from tests.marked import SIZE, play
from tests.test_matroska import film
from tests.tracks import section

ROOT = Path(__file__).parent.parent
SMALL = RecordLimits(free=0)
Make = Callable[..., Awaitable[Recording]]


class Sender:
    """A participant who sends what a test wants, on two tracks."""

    def __init__(self, recording: Recording, name: str = "ann") -> None:
        self.part = recording.part(name)
        self.video, self.audio = Incoming("0", "video"), Incoming("1", "audio")
        self.take = self.part.leg()
        for track in (self.video, self.audio):
            track.configure(section(track.kind))
            self.take(track)
        self.pictures = coded_pictures("VP8", count=60, keys=(0, 30))
        self.sounds = coded_sounds(4)
        self.began = time.monotonic()

    def picture(self, number: int, data: bytes | None = None, *, gap: bool = False) -> None:
        assert self.video.on_frame is not None
        keyframe = number in (0, 30)
        self.video.on_frame(
            Frame("video", "VP8", data or self.pictures[number], number * 6000, 90_000, keyframe,
                  SIZE if keyframe else None, self.began + number / 15, 0, gap)
        )  # fmt: skip

    def sound(self, number: int) -> None:
        assert self.audio.on_frame is not None
        self.audio.on_frame(
            Frame("audio", "opus", self.sounds[number], number * 960, 48_000, True, None,
                  self.began + number / 50, 0, False)
        )  # fmt: skip

    def all(self, seconds: int = 2) -> None:
        for number in range(seconds * 15):
            self.picture(number)
        for number in range(seconds * 50):
            self.sound(number)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    writer, made = Writer(), []

    async def begin(
        limits: RecordLimits = SMALL, *, id: str = "r1", paused: bool = False, **more: Any
    ) -> Recording:
        about = Sidecar(id, "call", round(time.time() * 1000), consent=[Consent("ann", 1, "1")])
        recording = Recording(tmp_path / id, about, writer, limits, **more)
        made.append(recording)
        await recording.start(paused=paused)
        return recording

    yield begin
    for recording in made:
        await recording.close()
    await asyncio.to_thread(writer.close)


def kept(tmp_path: Path, id: str = "r1") -> Sidecar:
    return sidecar.read(tmp_path / id)


async def test_what_came_is_in_the_files_and_told_beside_them(make: Make, tmp_path: Path) -> None:
    recording = await make()
    begun = kept(tmp_path)
    assert begun.ended is None
    assert begun.consent == [Consent("ann", 1, "1")]
    Sender(recording).all()
    await recording.close()
    about = kept(tmp_path)
    assert about.reason == "stopped"
    assert about.ended is not None
    [part] = about.participants
    assert (part.name, part.file, part.thumbnail) == ("ann", "1.webm", "1.jpg")
    found = play(tmp_path / "r1" / part.file)
    assert found.numbers == list(range(30))
    assert sorted(path.name for path in (tmp_path / "r1").iterdir()) == [
        "1.jpg", "1.webm", "recording.json",
    ]  # fmt: skip


class Stopping(Sender):
    """A participant who stops one of their cameras for good, and offers another one."""

    def again(self, mid: str) -> None:
        """The same pictures from their beginning, as another track with another clock."""
        self.video.end()
        self.video = Incoming(mid, "video")
        self.video.configure(section("video"))
        self.take(self.video)
        self.began = time.monotonic()


async def test_a_camera_that_takes_the_place_of_another_goes_on_in_its_track(
    make: Make, tmp_path: Path
) -> None:
    recording = await make()
    sender = Stopping(recording)
    sender.all()
    asked = sender.video.stats
    asked.keyframes_asked = 3
    for mid in ("2", "1", "2"):
        # "1" is the name of the sound, too: its place is taken.
        await recording._flush()
        sender.again(mid)
        for number in range(30):
            sender.picture(number)
    assert len(sender.part._tracks) == 2, "of those that ended nothing is kept"
    assert not sender.video.ended
    sender.part.ask_keyframes()
    await recording.close()
    [part] = kept(tmp_path).participants
    assert part.keyframe_requests >= 3
    found = play(tmp_path / "r1" / part.file)
    assert found.numbers == list(range(30)) * 4
    assert len(sender.part.file._tracks) == 2, "players show one track of pictures only"


async def test_there_is_an_end_of_tracks(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MOST_TRACKS", 3)
    sender = Stopping(await make())
    sender.again("2")
    assert sender.video.on_frame is not None
    sender.again("3")
    assert sender.video.on_frame is None


async def test_pictures_that_nobody_sends_any_more_are_not_waited_for(make: Make) -> None:
    recording = await make()
    sender = Stopping(recording)
    recording.pause()
    sender.picture(0)
    await recording._flush()
    recording.resume()
    sender.part.file._goes_on[1, "0"] = False
    assert sender.part.waits
    sender.again("2")
    assert not sender.part.waits


async def test_where_a_file_lies_is_noted_as_soon_as_it_is_known_better(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first report was late, and the process may die at any time."""
    monkeypatch.setattr(record, "NOTE_EVERY", 3600.0)
    monkeypatch.setattr(Incoming, "rate", 90_000)
    recording = await make()
    sender = Sender(recording)
    tell = sender.video.clock.on_report
    assert tell is not None
    tell(0, 0, 3.9e9, sender.began + 0.8)
    sender.began += 1.0
    for number in range(15):
        sender.picture(number)

    async def offset(enough: Callable[[int], bool]) -> int:
        async with asyncio.timeout(PATIENCE):
            while True:
                for part in kept(tmp_path).participants:
                    if part.file and enough(part.offset_ms):
                        return part.offset_ms
                await asyncio.sleep(0.05)

    before = await offset(bool)
    tell(0, 90_000, 3.9e9 + 1, sender.began + 0.1)
    assert await offset(lambda found: found < before) == pytest.approx(before - 700, abs=1)


async def test_two_have_a_file_each(make: Make, tmp_path: Path) -> None:
    recording = await make()
    for name in ("ann", "ben"):
        Sender(recording, name).all()
    await recording.close()
    parts = kept(tmp_path).participants
    assert [(part.name, part.file) for part in parts] == [("ann", "1.webm"), ("ben", "2.webm")]
    for part in parts:
        assert play(tmp_path / "r1" / part.file).numbers == list(range(30))


async def test_who_sent_nothing_has_no_file(make: Make, tmp_path: Path) -> None:
    recording = await make()
    recording.part("ann")
    await recording.close()
    [part] = kept(tmp_path).participants
    assert (part.file, part.duration_ms, part.thumbnail) == ("", 0, None)


async def test_the_first_media_is_told_once(make: Make) -> None:
    told: list[int] = []
    recording = await make(on_heard=lambda: told.append(1))
    sender = Sender(recording)
    assert told == []
    sender.all(1)
    assert told == [1]


async def test_in_a_pause_nothing_is_kept_and_pictures_go_on_with_a_keyframe(
    make: Make, tmp_path: Path
) -> None:
    told: list[int] = []
    recording = await make(paused=True, on_heard=lambda: told.append(1))
    sender = Sender(recording)
    sender.all(1)
    assert told == []
    recording.resume()
    asked = sender.video.due
    assert asked < float("inf"), "no keyframe was asked for"
    sender.began = time.monotonic() - 1.0
    for number in range(15, 45):
        sender.picture(number)
    await recording.close()
    about = kept(tmp_path)
    assert play(tmp_path / "r1" / "1.webm").numbers == list(range(30, 45))
    [part] = about.participants
    assert part.gaps == []
    assert part.audio is None
    assert len(about.pauses) == 1


async def test_another_leg_goes_on_in_the_same_file(make: Make, tmp_path: Path) -> None:
    recording = await make()
    first = Sender(recording)
    for number in range(15):
        first.picture(number)
    second = Sender(recording)
    second.began += 1.0
    for number in range(15):
        second.picture(number)
    await recording.close()
    [part] = kept(tmp_path).participants
    found = play(tmp_path / "r1" / part.file)
    assert found.numbers == [*range(15), *range(15)]
    assert all(a < b for a, b in zip(found.times, found.times[1:], strict=False))


# --- ends by itself -------------------------------------------------------------------------


class Ends:
    """Waits for the reason of an end."""

    def __init__(self) -> None:
        self._reason: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()

    def __call__(self, reason: Reason) -> None:
        self._reason.set_result(reason)

    async def reason(self) -> Reason:
        async with asyncio.timeout(PATIENCE):
            return await self._reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RecordLimits(seconds=0.2, free=0), "too_long"),
        (RecordLimits(bytes=5_000, free=0), "too_large"),
    ],
)
async def test_a_limit_ends_it_and_what_there_was_is_kept(
    make: Make, tmp_path: Path, limits: RecordLimits, reason: str
) -> None:
    ends = Ends()
    recording = await make(limits, on_end=ends)
    sender = Sender(recording)
    sender.began -= 5
    sender.all()
    assert await ends.reason() == reason
    assert not recording.keeps
    await recording.close()
    assert kept(tmp_path).reason == reason
    assert play(tmp_path / "r1" / "1.webm").numbers == list(range(30))


Usage = namedtuple("Usage", "total used free")


async def test_without_room_none_begins(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 91, 9))
    with pytest.raises(OSError, match="too little room"):
        await make(RecordLimits(free=10))
    await make(RecordLimits(free=9), id="r2")


async def test_when_room_runs_out_it_ends_in_time(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends()
    recording = await make(RecordLimits(free=10), on_end=ends)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 91, 9))
    sender = Sender(recording)
    sender.all()
    assert await ends.reason() == "disk_full"
    await recording.close()
    assert kept(tmp_path).reason == "disk_full"
    assert play(tmp_path / "r1" / "1.webm").numbers == list(range(30))


async def test_a_full_disk_costs_what_comes_and_nothing_else(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes half of a cluster, then nothing more; another recording has its own."""
    other = await make(id="r2")
    bystander = Sender(other)
    bystander.all()
    ends = Ends()
    recording = await make(on_end=ends)
    sender = Sender(recording)
    sender.began -= 5
    sender.all(1)
    await recording._flush()
    assert recording.part("ann").file.bytes > 0
    put = matroska.put
    room = 700

    def full(file: Any, at: int, *parts: bytes) -> None:
        nonlocal room
        data = b"".join(parts)
        if "r1" not in str(file.name):
            put(file, at, data)
            return
        put(file, at, data[:room])
        if len(data) > room:
            room = 0
            raise OSError(errno.ENOSPC, "no room")
        room -= len(data)

    monkeypatch.setattr(matroska, "put", full)
    for number in range(15, 30):
        sender.picture(number)
    assert await ends.reason() == "disk_full"
    await recording.close()
    await other.close()
    monkeypatch.setattr(matroska, "put", put)
    assert play(tmp_path / "r1" / "1.webm").numbers == list(range(15))
    assert mend(tmp_path / "r1" / "1.webm")[0] > 0
    assert kept(tmp_path).reason == "disk_full"
    assert kept(tmp_path, "r2").reason == "stopped"
    assert play(tmp_path / "r2" / "1.webm").numbers == list(range(30))


async def test_a_fault_of_ours_ends_it_as_failed(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ends = Ends()
    recording = await make(on_end=ends)

    def broken(*_: object, **__: object) -> None:
        raise LookupError("broken")

    sender = Sender(recording)
    monkeypatch.setattr(PartFile, "take", broken)
    sender.all(1)
    assert await ends.reason() == "failed"
    await recording.close()
    assert any(r.exc_info for r in caplog.records)


async def test_a_disk_that_does_not_keep_up_costs_pictures_not_memory(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST_WAITING", 20_000)
    monkeypatch.setattr(record, "FLUSH", 6000.0)
    monkeypatch.setattr(record, "FLUSH_SETTLED", 6000.0)
    recording = await make()
    sender = Sender(recording)
    for number in range(3):
        sender.picture(number)
    sender.picture(3, b"\1" + bytes(19_999))
    assert sender.video.due < float("inf"), "no keyframe was asked for"
    for number in range(4, 33):
        sender.picture(number)
    await recording.close()
    [part] = kept(tmp_path).participants
    assert play(tmp_path / "r1" / "1.webm").numbers == [0, 1, 2, 30, 31, 32]
    [gap] = part.gaps
    assert (gap.kind, gap.why) == ("video", "dropped")


@pytest.mark.parametrize(
    ("now", "wait"), [(7.0, 1.0), (7.25, 0.75), (7.75, 0.25), (7.9375, 1.0625)]
)
def test_all_recordings_write_at_the_same_moments(now: float, wait: float) -> None:
    assert record.until_next(1.0, now) == wait
    assert record.until_next(0.5, now / 2) == wait / 2


async def test_a_writer_with_too_much_to_do_ends_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = Ends()
    recording = await make(on_end=ends)

    async def full(self: Writer, work: object) -> None:
        raise Full("Too much waits to be written.")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "do", full)
        assert await ends.reason() == "failed"
        await recording.close()


# --- the process dies -----------------------------------------------------------------------

CHILD = """
import asyncio, sys, time
from pathlib import Path
from ringback.bots.media.record import Recording, RecordLimits
from ringback.bots.media.sidecar import Sidecar
from ringback.bots.media.writer import Writer
from tests.test_record import Sender

async def main():
    about = Sidecar("r1", "call", round(time.time() * 1000))
    recording = Recording(Path(sys.argv[1]), about, Writer(), RecordLimits(free=0))
    await recording.start()
    sender = Sender(recording)
    for number in range(60):
        sender.picture(number)
        print(number, flush=True)
        await asyncio.sleep(1 / 15)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_killed_process_loses_less_than_two_seconds_and_the_next_finishes(
    tmp_path: Path,
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path / "r1"), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while int(await child.stdout.readline()) < 55:
            pass
    child.send_signal(signal.SIGKILL)
    await child.communicate()
    assert [path.name for path in repair.unfinished(tmp_path)] == ["r1"]
    before = play(tmp_path / "r1" / "1.webm").numbers
    assert before == list(range(len(before)))
    # Sender reports never came, so frames were held as long as they ever are.
    assert len(before) >= 55 - 2 * 15
    about = repair.repair(tmp_path / "r1")
    assert about.reason == "failed"
    assert about.ended is not None
    assert repair.unfinished(tmp_path) == []
    [part] = kept(tmp_path).participants
    assert part.file == "1.webm"
    assert part.thumbnail == "1.jpg"
    assert part.audio is None
    assert part.video is not None
    assert part.video.frames == len(before), "also what came after the last note"
    assert part.duration_ms == pytest.approx((len(before) - 1) / 15 * 1000, abs=5)
    assert play(tmp_path / "r1" / "1.webm").numbers == before


async def test_what_cannot_be_repaired_is_said_and_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for id, content in (
        ("broken", b"{"),
        ("newer", b'{"v": 2, "id": "a", "call": "b", "started": 1}'),
    ):
        (tmp_path / id).mkdir()
        (tmp_path / id / sidecar.NAME).write_bytes(content)
    (tmp_path / "no sidecar").mkdir()
    assert repair.unfinished(tmp_path) == []
    assert repair.unfinished(tmp_path / "gone") == []
    assert len(caplog.records) == 2


def test_a_file_without_content_is_finished_too(tmp_path: Path) -> None:
    folder = tmp_path / "r1"
    folder.mkdir()
    film(folder / "2.webm", seconds=1).abandon()
    (folder / "1.webm").write_bytes(b"")
    noted = Participant("ann", "1.webm", 0, 900, 500, audio=Sound("opus", 45))
    people = [noted, Participant("ben"), Participant("cid")]
    sidecar.write(folder, Sidecar("r1", "call", 1, participants=people))
    about = repair.repair(folder)
    assert [part.file for part in about.participants] == ["", "2.webm", ""]
    ann, ben, _ = about.participants
    assert (ann.bytes, ann.duration_ms, ann.audio, ann.video) == (0, 0, None, None)
    assert ben.bytes == (folder / "2.webm").stat().st_size
    assert ben.duration_ms == 980
    assert repair.repair(folder) == about
