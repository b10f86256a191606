"""`ringback recordings`: as people type it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import av
import pytest
from click.testing import CliRunner, Result

from ringback.__main__ import main
from ringback.bots import library
from ringback.bots.media import sidecar
from tests.reels import Reel, lay

SHORT = Reel(seconds=0.5)


def run(tmp_path: Path, *arguments: object, **environ: str) -> Result:
    """Run a command on the recordings in a folder."""
    words = ["recordings", *map(str, arguments), "--data", str(tmp_path)]
    return CliRunner().invoke(main, words, env=environ or {"FORCE_COLOR": None})


def aged(folder: Path) -> Path:
    """Let a folder have been left alone for a while."""
    old = time.time() - library.FRESH - 10
    for path in folder.iterdir():
        os.utime(path, (old, old))
    return folder


# --- list and show ------------------------------------------------------------------------


def test_list(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT, Reel("Ben", seconds=1.0)])
    lay(tmp_path, "two", [SHORT], finish=False)
    done = run(tmp_path, "list")
    assert done.exit_code == 0
    rows = done.output.splitlines()
    assert len(rows) == 3
    assert "Ann, Ben" in rows[1]
    assert rows[1].rstrip().endswith("whole")
    assert rows[2].rstrip().endswith("is being recorded")


def test_list_of_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "list").output == f"There is no recording in {tmp_path}.\n"


def test_list_for_programs(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    (tmp_path / "recordings" / "odd").mkdir()
    [about] = json.loads(run(tmp_path, "list", "--json").output)
    assert about["id"] == "one"
    assert about["participants"][0]["name"] == "Ann"


def test_the_data_folder_may_come_from_the_environment(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    done = CliRunner().invoke(main, ["recordings", "list"], env={"RINGBACK_DATA": str(tmp_path)})
    assert "one" in done.output


def test_a_data_folder_that_cannot_be_read(tmp_path: Path) -> None:
    done = run(tmp_path / ("x" * 300), "list")
    assert done.exit_code == 2
    assert "cannot be read: File name too long" in done.stderr


def test_show(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    done = run(tmp_path, "show", "on")
    assert done.exit_code == 0
    assert "Ann agreed at" in done.output
    assert "1. Ann: 1.webm" in done.output
    about = json.loads(run(tmp_path, "show", "one", "--json").output)
    assert about["consent"][0]["version"] == "1"


@pytest.mark.parametrize("command", ["show", "compose", "repair"])
def test_one_that_is_not_there(tmp_path: Path, command: str) -> None:
    done = run(tmp_path, command, "one")
    assert done.exit_code == 2
    assert done.stderr == f"ringback: There is no recording one in {tmp_path / 'recordings'}.\n"


@pytest.mark.parametrize("command", ["show", "compose"])
def test_one_that_cannot_be_read(tmp_path: Path, command: str) -> None:
    (lay(tmp_path, "one", [SHORT]) / "recording.json").write_text('{"v": 1}')
    done = run(tmp_path, command, "one")
    assert done.exit_code == 1
    assert "The recording one cannot be read: Object missing" in done.stderr


# --- compose ------------------------------------------------------------------------------


def test_compose(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT, Reel("Ben", seconds=0.5, video=None)])
    output = tmp_path / "film.MP4"
    done = run(tmp_path, "compose", "one", output)
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{output} is ready.\n", "")
    with av.open(str(output)) as film:
        assert [stream.type for stream in film.streams] == ["video", "audio"]
        assert film.streams.video[0].width == 320


def test_compose_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "data", "one", [SHORT])
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "data", "compose", "one").output == "one.mp4 is ready.\n"
    assert (tmp_path / "one.mp4").is_file()


def test_compose_shows_how_far_it_is(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    done = run(tmp_path, "compose", "one", tmp_path / "film.mp4", FORCE_COLOR="1", COLUMNS="80")
    assert done.exit_code == 0
    assert "Composing" in done.stderr
    assert "100%" in done.stderr


def test_compose_replaces_nothing_unasked(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    output = tmp_path / "film.mp4"
    output.write_text("precious")
    done = run(tmp_path, "compose", "one", output)
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert output.read_text() == "precious"
    assert run(tmp_path, "compose", "one", output, "--force").exit_code == 0
    assert output.stat().st_size > 1000


def test_compose_makes_mp4_alone(tmp_path: Path) -> None:
    lay(tmp_path, "one", [SHORT])
    done = run(tmp_path, "compose", "one", tmp_path / "film.avi")
    assert done.exit_code == 2
    assert "a film ends in .mp4" in done.stderr


def test_compose_waits_for_the_end(tmp_path: Path) -> None:
    folder = lay(tmp_path, "one", [SHORT], finish=False)
    done = run(tmp_path, "compose", "one")
    assert (done.exit_code, done.stderr) == (
        2,
        "ringback: The recording one is still being recorded.\n",
    )
    aged(folder)
    done = run(tmp_path, "compose", "one")
    assert (done.exit_code, done.stderr) == (
        2, "ringback: The recording one was not finished: repair it.\n",
    )  # fmt: skip


@pytest.mark.parametrize("terminal", ["", "1"])
def test_compose_of_nothing(tmp_path: Path, terminal: str) -> None:
    lay(tmp_path, "one", [Reel(audio=None, video=None)])
    done = run(tmp_path, "compose", "one", tmp_path / "film.mp4", FORCE_COLOR=terminal)
    assert done.exit_code == 1
    assert "ringback: Nothing was recorded, so there is nothing to be put together." in done.stderr


# --- repair -------------------------------------------------------------------------------


def test_repair_finishes_what_was_left(tmp_path: Path) -> None:
    folder = aged(lay(tmp_path, "one", [Reel(seconds=3.0)], finish=False))
    lay(tmp_path, "two", [SHORT])
    done = run(tmp_path, "repair")
    assert done.exit_code == 0
    assert done.output.startswith("one: finished, 0:03, ")
    assert "two" not in done.output
    about = sidecar.read(folder)
    assert about.reason == "failed"
    assert about.ended is not None
    assert about.participants[0].thumbnail == "1.jpg"
    with av.open(str(folder / "1.webm")) as film:
        assert film.duration == pytest.approx(3_000_000, abs=50_000)
    assert run(tmp_path, "compose", "one", tmp_path / "film.mp4").exit_code == 0
    assert run(tmp_path, "repair").output == "There is nothing to finish.\n"


def test_repair_leaves_alone_what_is_being_recorded(tmp_path: Path) -> None:
    folder = lay(tmp_path, "one", [SHORT], finish=False)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for named in ([], ["one"]):
        done = run(tmp_path, "repair", *named)
        assert (done.exit_code, done.output) == (0, "one: is being recorded, and left alone.\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_repair_of_those_named(tmp_path: Path) -> None:
    aged(lay(tmp_path, "one", [SHORT], finish=False))
    other = aged(lay(tmp_path, "two", [SHORT], finish=False))
    lay(tmp_path, "three", [SHORT])
    done = run(tmp_path, "repair", "one", "three")
    assert done.exit_code == 0
    assert [line.partition(",")[0] for line in done.output.splitlines()] == [
        "one: finished", "three: is finished already.",
    ]  # fmt: skip
    assert sidecar.read(other).ended is None


def test_repair_says_what_it_cannot_finish_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "recordings" / "broken").mkdir(parents=True)
    aged(lay(tmp_path, "one", [SHORT], finish=False))
    done = run(tmp_path, "repair")
    assert done.exit_code == 1
    assert done.stderr == "broken: cannot be finished: there is no recording.json\n"
    assert done.stdout.startswith("one: finished")
