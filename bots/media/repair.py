"""Finishing what a process left behind when it died: recordings without an end."""

from __future__ import annotations

import logging
from pathlib import Path

from . import matroska, sidecar, thumbnail
from .sidecar import Participant, Sidecar

logger = logging.getLogger(__name__)


def repair(folder: Path) -> Sidecar:
    """Finish the recording in `folder`, if it is not finished. Blocks.

    Raises `OSError` and `ValueError` when its sidecar cannot be read or written.
    """
    about = sidecar.read(folder)
    if about.ended is not None:
        return about
    files = {path.stem: path for path in folder.iterdir() if path.suffix in (".webm", ".mkv")}
    ended = about.started
    for number, participant in enumerate(about.participants, 1):
        path = files.get(str(number))
        if path is not None:
            ended = max(ended, round(path.stat().st_mtime * 1000))
            _finish(participant, path)
    about.ended, about.reason = ended, "failed"
    sidecar.write(folder, about)
    return about


def _finish(participant: Participant, path: Path) -> None:
    participant.file = path.name
    try:
        participant.duration_ms = matroska.repair(path)
    except ValueError as error:
        # Killed before its head was there: nothing was in it.
        logger.warning("%s cannot be repaired: %s", path, error)
    participant.bytes = path.stat().st_size
    participant.thumbnail = thumbnail.make(path)


def unfinished(parent: Path) -> list[Path]:
    """The folders below `parent` whose recordings have no end. Blocks; some may be running."""
    found: list[Path] = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if not (folder / sidecar.NAME).is_file():
            continue
        try:
            if sidecar.read(folder).ended is None:
                found.append(folder)
        except (OSError, ValueError) as error:
            logger.warning("What is known of the recording in %s cannot be read: %s", folder, error)
    return found
