"""The recordings in a data folder, as the command line finds them."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .media import sidecar
from .media.sidecar import Sidecar

FOLDER = "recordings"
FRESH = 30.0
"""Seconds since the last change within which somebody is still recording: the recorder notes
every five how it stands."""


class NoSuchRecording(LookupError):
    """There is none, or more than one; `str()` is a sentence that says so."""


class Found(NamedTuple):
    """A recording's folder and what is known of it; `problem` says why that cannot be read."""

    folder: Path
    about: Sidecar | None
    problem: str = ""

    @property
    def id(self) -> str:
        """By what it is asked for."""
        return self.folder.name

    def running(self, now: float | None = None) -> bool:
        """Whether it has no end and somebody is still writing it (`now`: seconds since 1970)."""
        if self.about is None or self.about.ended is not None:
            return False
        now = time.time() if now is None else now
        return now - _changed(self.folder) < FRESH


def _changed(folder: Path) -> float:
    """When something in a folder was last written (seconds since 1970)."""
    latest = 0.0
    paths: list[Path] = []
    # Somebody may have deleted it just now.
    with suppress(FileNotFoundError):
        paths = list(folder.iterdir())
    for path in paths:
        # Whoever is recording replaces files meanwhile.
        with suppress(FileNotFoundError):
            latest = max(latest, path.stat().st_mtime)
    return latest


def length_ms(about: Sidecar) -> int:
    """How long a recording is on the time line that its participants share."""
    return max((part.offset_ms + part.duration_ms for part in about.participants), default=0)


def find(data: Path) -> list[Found]:
    """All recordings of a data folder, the oldest first. Raises `OSError`."""
    parent = data / FOLDER
    folders = [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    found = [read(path) for path in folders]
    return sorted(found, key=lambda one: (one.about.started if one.about else 0, one.id))


def read(folder: Path) -> Found:
    """The recording in a folder."""
    try:
        return Found(folder, sidecar.read(folder))
    except FileNotFoundError:
        return Found(folder, None, f"there is no {sidecar.NAME}")
    except (OSError, ValueError) as error:
        return Found(folder, None, str(error))


def one(data: Path, id: str) -> Found:
    """The recording of an id, of the beginning of one, or in a folder of this path.

    Raises `NoSuchRecording`.
    """
    if (Path(id) / sidecar.NAME).is_file():
        return read(Path(id))
    found = [one for one in find(data) if one.id.startswith(id)]
    exact = [one for one in found if one.id == id]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise NoSuchRecording(f"There is no recording {id} in {data / FOLDER}.")
    raise NoSuchRecording(f"{len(found)} recordings begin with {id}: write more of it.")
