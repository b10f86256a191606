"""Which recordings there are, and which of them are still being written."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from ringback.bots import library
from ringback.bots.library import NoSuchRecording
from tests.reels import START, Reel, lay

SHORT = Reel(seconds=0.2, video=None)


def test_all_are_found_the_oldest_first(tmp_path: Path) -> None:
    lay(tmp_path, "a", [SHORT], started=START + 1000)
    lay(tmp_path, "b", [SHORT])
    assert [one.id for one in library.find(tmp_path)] == ["b", "a"]
    assert library.find(tmp_path / "elsewhere") == []


def test_what_cannot_be_read_is_there_with_the_reason(tmp_path: Path) -> None:
    folder = lay(tmp_path, "a", [SHORT])
    (tmp_path / "recordings" / "empty").mkdir()
    (tmp_path / "recordings" / "a file").write_text("passed over")
    (folder / "recording.json").write_text("{")
    found = {one.id: one for one in library.find(tmp_path)}
    assert found.keys() == {"a", "empty"}
    assert found["a"].about is None
    assert "truncated" in found["a"].problem
    assert "there is no recording.json" in found["empty"].problem
    assert not found["a"].running()


def test_one_is_found_by_as_much_as_tells_it_apart(tmp_path: Path) -> None:
    for id in ("abc", "abd", "ab"):
        lay(tmp_path, id, [SHORT])
    assert library.one(tmp_path, "abc").id == "abc"
    assert library.one(tmp_path, "ab").id == "ab", "an id is itself, though others begin with it"
    with pytest.raises(NoSuchRecording, match="3 recordings begin with a"):
        library.one(tmp_path, "a")
    with pytest.raises(NoSuchRecording, match="There is no recording x"):
        library.one(tmp_path, "x")


def test_one_is_found_by_its_folder(tmp_path: Path) -> None:
    folder = lay(tmp_path, "abc", [SHORT])
    moved = folder.rename(tmp_path / "kept")
    assert library.one(tmp_path / "elsewhere", str(moved)).folder == moved


def test_only_what_has_no_end_and_is_fresh_runs(tmp_path: Path) -> None:
    lay(tmp_path, "live", [SHORT], finish=False)
    lay(tmp_path, "whole", [SHORT])
    live, whole = (library.one(tmp_path, id) for id in ("live", "whole"))
    assert live.running()
    assert not whole.running()
    assert not live.running(time.time() + library.FRESH + 1)
    old = time.time() - library.FRESH - 1
    os.utime(live.folder / "recording.json", (old, old))
    assert live.running(), "its file was written just now"
    os.utime(live.folder / "1.webm", (old, old))
    assert not live.running()


def test_what_is_deleted_meanwhile_does_not_run(tmp_path: Path) -> None:
    lay(tmp_path, "live", [SHORT], finish=False)
    live = library.one(tmp_path, "live")
    shutil.rmtree(live.folder)
    assert not live.running()


def test_what_is_replaced_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    lay(tmp_path, "live", [SHORT], finish=False)
    live = library.one(tmp_path, "live")
    # As a file that was there when the folder was read and is gone now.
    (live.folder / ".recording.json").symlink_to("gone")
    assert live.running()


def test_the_length_is_that_of_the_time_line(tmp_path: Path) -> None:
    lay(tmp_path, "r", [Reel(seconds=2.0), Reel(seconds=1.0, begin=1.5)])
    about = library.one(tmp_path, "r").about
    assert about is not None
    assert library.length_ms(about) == 2500
    about.participants = []
    assert library.length_ms(about) == 0
