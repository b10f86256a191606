"""Which files may go out, and under which name and kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ringback.server import mediafiles


@pytest.mark.parametrize("name", ["1.webm", "2.mkv", "part-1_2.mp4", "a.ogg", "b.wav", "1.jpg"])
def test_files_of_known_kinds_are_safe(name: str) -> None:
    assert mediafiles.safe(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "1", ".webm", "1.webm ", "1.webm\n", "1.WEBM", "1.tar.webm", "a/1.webm",
     "..\\1.webm", "recording.json", "x.html", "x.svg", "é.webm", "x" * 65 + ".webm"],
)  # fmt: skip
def test_all_others_are_not(name: str) -> None:
    assert not mediafiles.safe(name)


@given(st.text())
def test_a_safe_name_leads_nowhere_else(name: str) -> None:
    folder = Path("folder")
    if mediafiles.safe(name):
        assert (folder / name).parent == folder
        assert (folder / name).suffix in mediafiles.TYPES


def test_only_plain_files_have_a_size(tmp_path: Path) -> None:
    (tmp_path / "file.webm").write_bytes(b"12345")
    (tmp_path / "link.webm").symlink_to(tmp_path / "file.webm")
    (tmp_path / "folder.webm").mkdir()
    assert mediafiles.size(tmp_path / "file.webm") == 5
    for name in ("link.webm", "folder.webm", "gone.webm"):
        assert mediafiles.size(tmp_path / name) is None
        with pytest.raises(web.HTTPNotFound):
            mediafiles.answer(tmp_path / name)
    assert mediafiles.size(tmp_path / ("x" * 300)) is None


@pytest.mark.parametrize(
    ("name", "sound", "kind"),
    [
        ("a.webm", False, "video/webm"),
        ("a.webm", True, "audio/webm"),
        ("a.mkv", True, "audio/x-matroska"),
        ("a.mp4", False, "video/mp4"),
        ("a.jpg", True, "image/jpeg"),
    ],
)
def test_a_file_is_called_what_it_is(tmp_path: Path, name: str, sound: bool, kind: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    response = mediafiles.answer(tmp_path / name, sound=sound)
    assert response.headers["Content-Type"] == kind
    assert response.headers["Cache-Control"] == "private, no-store"
    assert "Content-Disposition" not in response.headers


def test_a_name_to_save_as_cannot_break_out(tmp_path: Path) -> None:
    (tmp_path / "a.webm").write_bytes(b"x")
    response = mediafiles.answer(tmp_path / "a.webm", save_as='An"n\r\nX: é/..')
    said = response.headers["Content-Disposition"]
    assert said == (
        'attachment; filename="An_n__X_ __...webm";'
        " filename*=UTF-8''An%22n%0D%0AX%3A%20%C3%A9%2F...webm"
    )
