"""Files and recordings whose writer died: what is whole in them plays, and is told."""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.bots.media import matroska, repair, sidecar
from ringback.bots.media.mend import mend
from ringback.bots.media.sidecar import Gap, Participant, Sidecar, gap_note, gaps_noted
from tests.callers import PATIENCE
from tests.coded import coded_pictures
from tests.marked import SIZE, play
from tests.test_matroska import film

ROOT = Path(__file__).parent.parent


def test_a_file_whose_writer_died_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "1.webm"
    film(path, seconds=3).abandon()
    assert mend(path) == (2980, [])
    found = play(path)
    assert found.numbers == list(range(45))
    assert found.duration == pytest.approx(2.98, abs=0.001)


def test_a_finished_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "1.webm"
    film(path).finish()
    before = path.read_bytes()
    assert mend(path) == (2980, [])
    assert path.read_bytes() == before
    path2 = tmp_path / "2.webm"
    film(path2).abandon()
    mend(path2)
    once = path2.read_bytes()
    mend(path2)
    assert path2.read_bytes() == once


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("torn") / "1.webm"
    film(path, seconds=3).abandon()
    return path.read_bytes()


@given(cut=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_wherever_it_is_cut_off_the_rest_plays(
    cut: float, torn: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "1.webm"
    least = 64 + 12 + matroska.HEAD
    kept = least + round(cut * (len(torn) - least))
    path.write_bytes(torn[:kept])
    last, _ = mend(path)
    if last == 0:
        return
    found = play(path)
    assert found.numbers == list(range(len(found.numbers)))
    # At most the cluster that was cut off, of one second, is missing.
    assert len(found.numbers) >= 15 * math.floor(cut * 3 * 0.9) - 15


@pytest.mark.parametrize("content", [b"", b"x" * 10_000, b"\x1a\x45\xdf\xa3" + bytes(9000)])
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1.webm"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no recording of ours"):
        mend(path)
    assert path.read_bytes() == content


# --- what is missing in them ----------------------------------------------------------------

CHILD = """
import asyncio, sys, time
from pathlib import Path
from ringback.bots.media import record
from ringback.bots.media.sidecar import Sidecar, read
from ringback.bots.media.writer import Writer
from tests.test_record import Sender

record.NOTE_EVERY = 3600.0

async def written(part, least):
    while part.file.bytes <= least:
        await asyncio.sleep(0.01)
    return part.file.bytes

async def main():
    folder = Path(sys.argv[1])
    about = Sidecar("r1", "call", round(time.time() * 1000))
    recording = record.Recording(folder, about, Writer(), record.RecordLimits(free=0))
    await recording.start()
    sender = Sender(recording)
    sender.began -= 5
    for number in range(15):
        sender.picture(number)
    size = await written(sender.part, 0)
    while not read(folder).participants[0].file:
        await asyncio.sleep(0.01)
    for number in range(30, 60):
        sender.picture(number, gap=number == 30)
    await written(sender.part, size)
    print("written", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_what_was_missing_when_the_process_was_killed_is_noted(tmp_path: Path) -> None:
    """The gap came after the last time that the sidecar was written."""
    folder = tmp_path / "r1"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(folder), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await child.stdout.readline() == b"written\n"
    child.kill()
    await child.communicate()
    [before] = sidecar.read(folder).participants
    assert before.gaps == []
    [part] = repair.repair(folder).participants
    found = play(folder / part.file)
    assert found.numbers == [*range(15), *range(30, 60)]
    [gap] = part.gaps
    assert (gap.kind, gap.why) == ("video", "lost")
    assert gap.at_ms == pytest.approx(found.times[14] * 1000, abs=1)
    assert gap.at_ms + gap.ms == pytest.approx(found.times[15] * 1000, abs=1)
    assert sidecar.read(folder).participants == [part]


def left_behind(folder: Path, gaps: list[Gap], part: Participant) -> Participant:
    """A folder whose process died: `gaps` are in the file, `part` is what the sidecar says;
    what it says when it is repaired."""
    folder.mkdir()
    pictures = coded_pictures("VP8", count=15)
    made = matroska.MatroskaFile(folder / "1.webm")
    track = made.add("VP8", SIZE)
    notes = [*map(gap_note, gaps)]
    for n, data in enumerate(pictures):
        note = notes.pop(0) if n and notes else b""
        made.write([matroska.Block(track.number, n * 66, n == 0, data, note)])
    made.abandon()
    sidecar.write(folder, Sidecar("r1", "call", 1, participants=[part]))
    return repair.repair(folder).participants[0]


GAPS = [Gap(66 * n, 66, "video", "lost" if n % 2 else "dropped") for n in range(5)]


def test_what_is_noted_in_both_is_told_once(tmp_path: Path) -> None:
    part = Participant("ann", "1.webm", gaps=GAPS[:3])
    assert left_behind(tmp_path / "r1", GAPS, part).gaps == GAPS


def test_a_sidecar_that_says_more_than_the_file_is_believed(tmp_path: Path) -> None:
    """Files of earlier versions have no notes."""
    part = Participant("ann", "1.webm", gaps=GAPS, gaps_more=2)
    found = left_behind(tmp_path / "r1", [], part)
    assert (found.gaps, found.gaps_more) == (GAPS, 2)


def test_of_very_many_gaps_the_later_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "MOST_GAPS", 3)
    part = Participant("ann", "1.webm", gaps=GAPS[:1])
    found = left_behind(tmp_path / "r1", GAPS, part)
    assert (found.gaps, found.gaps_more) == (GAPS[:3], 2)


def test_a_note_that_cannot_be_read_costs_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "gap_note", lambda gap: b"gap {")
    part = left_behind(tmp_path / "r1", GAPS[:1], Participant("ann", "1.webm"))
    assert part.video is not None
    assert (part.video.frames, part.gaps) == (15, [])
    assert "cannot be read from its notes" in caplog.text


def test_other_notes_are_no_gaps() -> None:
    assert gaps_noted([b"", bytes(20), gap_note(GAPS[0]), b"something"]) == [GAPS[0]]
