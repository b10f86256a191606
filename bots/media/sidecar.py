"""`recording.json`: what is to be known of a recording beside its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ringback.server.protocol import Consent

NAME = "recording.json"
VERSION = 1
MOST_GAPS = 1_000
"""Gaps that are listed for one participant; later ones are only counted."""

_GAP = b"gap "

Reason = Literal["stopped", "too_long", "too_large", "disk_full", "stopping", "failed"]


class Gap(Struct, omit_defaults=True):
    """Something that is missing: from `at_ms` of the participant's file on, for `ms`."""

    at_ms: int
    ms: int
    kind: Literal["audio", "video"]
    why: Literal["lost", "dropped"] = "lost"


class Sound(Struct, omit_defaults=True):
    """The sound that was recorded."""

    codec: str
    frames: int = 0


class Pictures(Struct, omit_defaults=True):
    """The pictures that were recorded; `width` and `height` of the largest."""

    codec: str
    width: int = 0
    height: int = 0
    frames: int = 0


class ClockPoint(Struct):
    """The sender's clock (NTP seconds) at a moment of the recording's time line (ms)."""

    at_ms: int
    ntp: float


class Participant(Struct, omit_defaults=True):
    """One person's part. `offset_ms`: where time 0 of `file` lies on the time line that all
    participants share; a little before 0 at times, as their clocks are better known."""

    name: str
    file: str = ""
    offset_ms: int = 0
    duration_ms: int = 0
    bytes: int = 0
    thumbnail: str | None = None
    audio: Sound | None = None
    video: Pictures | None = None
    clock: list[ClockPoint] = []
    gaps: list[Gap] = []
    gaps_more: int = 0
    keyframe_requests: int = 0


class Sidecar(Struct, omit_defaults=False):
    """A recording. Times are ms since 1970; `ended` is None while it runs. `pauses`: from
    where on the time line nothing was kept, and for how long in ms (which the time line leaves
    out)."""

    id: str
    call: str
    started: int
    v: int = VERSION
    ended: int | None = None
    reason: Reason | None = None
    consent: list[Consent] = []
    participants: list[Participant] = []
    pauses: list[tuple[int, int]] = []


def gap_note(gap: Gap) -> bytes:
    """A gap as it stands in the file beside the frame after it: the sidecar is written now and
    then, and a process may die between."""
    return _GAP + msgspec.json.encode(gap)


def gaps_noted(notes: Sequence[bytes]) -> list[Gap]:
    """The gaps among the notes of a file. Raises `ValueError` for one that cannot be read."""
    found = [note.removeprefix(_GAP) for note in notes if note.startswith(_GAP)]
    return [msgspec.json.decode(note, type=Gap) for note in found]


def write(folder: Path, sidecar: Sidecar) -> None:
    """Replace the sidecar in one step. Raises `OSError`; the one before then stays."""
    draft = folder / f".{NAME}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(sidecar), indent=1) + b"\n")
    os.replace(draft, folder / NAME)


def read(folder: Path) -> Sidecar:
    """The sidecar in a folder. Raises `OSError`, and `ValueError` for what cannot be read."""
    sidecar = msgspec.json.decode((folder / NAME).read_bytes(), type=Sidecar)
    if sidecar.v != VERSION:
        raise ValueError(f"{folder.name} is of form {sidecar.v}, which is not known here")
    return sidecar
