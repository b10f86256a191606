"""The folder of recordings, read with caution: what may lie there, and what is done about it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.server import shelf as module
from ringback.server.shelf import FOLDER, SIDECAR, Shelf
from tests.rivals import rivals_at

IDS = ["..", "a/b", "", ".", "a\n", "x" * 65, "\0"]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with one recording, `r`, of one file."""
    folder = tmp_path / FOLDER / "r"
    folder.mkdir(parents=True)
    (folder / "1.webm").write_bytes(b"12345")
    (folder / SIDECAR).write_text(
        json.dumps({"id": "r", "ended": 5, "participants": [{"name": "Ann", "file": "1.webm"}]})
    )
    return Shelf(tmp_path)


def test_what_is_read(shelf: Shelf) -> None:
    found = shelf.read("r")
    assert found is not None
    assert (found.ended, [(part.name, part.bytes) for part in found.participants]) == (
        5,
        [("Ann", 5)],
    )
    assert list(shelf.read_all(["r", "unknown"])) == ["r"]


@pytest.mark.parametrize("id", IDS)
async def test_what_is_no_id_reaches_nothing(shelf: Shelf, tmp_path: Path, id: str) -> None:
    (tmp_path / SIDECAR).write_text("{}")
    assert shelf.path(id, "1.webm") is None
    assert shelf.read(id) is None
    assert await shelf.measure([id]) == 0
    shelf.remove(id)
    assert shelf.read("r") is not None


def test_a_sidecar_that_is_too_large_is_not_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SIDECAR_BYTES", 10)
    with caplog.at_level("INFO"):
        assert shelf.read("r") is None
    assert "recording.json is larger than it can be" in caplog.text


def test_a_folder_goes_whoever_else_removes_its_files(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / FOLDER / "r"
    rivals_at(monkeypatch, 2)
    shelf.remove("r")
    assert not folder.exists()


def test_removing_is_for_good_and_twice_does_no_harm(shelf: Shelf, tmp_path: Path) -> None:
    shelf.remove("r")
    shelf.remove("r")
    assert not (tmp_path / FOLDER / "r").exists()
    assert shelf.folders() == {}


def test_a_folder_that_was_never_made_holds_nothing(tmp_path: Path) -> None:
    assert Shelf(tmp_path).folders() == {}
    assert Shelf(tmp_path).read("r") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=60)
    | st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "ended", "participants", "name", "file", "audio", "width"]),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_sidecar_makes_it_fail(shelf: Shelf, tmp_path: Path, content: bytes) -> None:
    (tmp_path / FOLDER / "r" / SIDECAR).write_bytes(content)
    found = shelf.read("r")
    assert found is None or all(part.bytes >= 0 for part in found.participants)


async def test_a_sweep_that_fails_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Folders that belong to none are told of when their number changes."""
    found: list[OSError | int] = [OSError("no disk"), 2, 2, 0, 2]
    swept = asyncio.Event()

    async def sweep() -> int:
        if not found:
            swept.set()
            return 2
        outcome = found.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "SWEEP_EVERY", 0)
    task = asyncio.create_task(module.keep_swept(sweep, "recordings"))
    await swept.wait()
    task.cancel()
    await asyncio.wait([task])
    assert [record.getMessage() for record in caplog.records] == [
        "Old recordings cannot be removed now: no disk",
        "2 folders of recordings belong to none that is known",
        "2 folders of recordings belong to none that is known",
    ]
