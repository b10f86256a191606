"""Finishing a file whose writer died, from the clusters that are whole in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from . import ebml
from .ebml import element
from .matroska import DATA_AT, HEAD, SEGMENT, SEGMENT_AT, seal

MOST_NOTES = 100_000
"""Notes of one file that are given back."""


@dataclass(slots=True)
class Found:
    """What is whole in a file: `points` are when (ms) and where the clusters are that a player
    can begin with, `end` is where the last one ends, `last` the time of the last block (ms),
    `notes` what was written before blocks (see `matroska.Block`)."""

    end: int
    points: list[tuple[int, int]] = field(default_factory=list)
    last: int = 0
    notes: list[bytes] = field(default_factory=list)


def mend(path: Path) -> tuple[int, list[bytes]]:
    """Drop what is cut off of a file, add index and duration; how long it is (ms), and the notes
    in it. A finished file stays as it is. Raises `ValueError` for what is no such file."""
    with open(path, "r+b", buffering=0) as file:
        total = file.seek(0, os.SEEK_END)
        head = os.pread(file.fileno(), DATA_AT + HEAD, 0)
        if len(head) < DATA_AT + HEAD or head[SEGMENT_AT : SEGMENT_AT + 4] != SEGMENT:
            raise ValueError(f"{path.name} is no recording of ours")
        duration, tracks = _read_head(head[DATA_AT:])
        main = _main_of(tracks)
        found = _scan(file, total, main)
        if head[SEGMENT_AT + 4 : DATA_AT] != ebml.UNKNOWN:
            return round(duration), found.notes
        os.ftruncate(file.fileno(), found.end)
        seal(file, found.end, found.points, main, found.last, tracks)
    return found.last, found.notes


def _read_head(data: bytes) -> tuple[float, bytes]:
    """The duration that is told (0 if none), and the element of the tracks as it is."""
    duration, tracks = 0.0, b""
    for id, content in ebml.children(data):
        if id == ebml.TRACKS:
            tracks = element(ebml.TRACKS, content)
        elif id == ebml.INFO:
            found = dict(ebml.children(content)).get(0x4489)
            duration = ebml.read_real(found) if found is not None else 0.0
    return duration, tracks


def _main_of(tracks: bytes) -> int:
    """The first track with pictures in an element of tracks, 1 if there is none."""
    for _, content in ebml.children(tracks):
        for _, entry in ebml.children(content):
            fields = dict(ebml.children(entry))
            if fields.get(0x83) == b"\x01":
                return int.from_bytes(fields.get(0xD7, b"\x01"), "big")
    return 1


def _scan(file: BinaryIO, total: int, main: int) -> Found:
    """Go through the clusters of a file up to the first that is not whole."""
    found = Found(DATA_AT + HEAD)
    while found.end < total:
        at = found.end
        try:
            head = ebml.read_head(os.pread(file.fileno(), 16, at), 0, at)
            if head.id != ebml.CLUSTER or head.end is None or head.end > total:
                break
            content = os.pread(file.fileno(), head.end - head.content, head.content)
            base = _look(content, main, found)
        except ValueError:
            break
        if base is not None:
            found.points.append((base, at - DATA_AT))
        found.end = head.end
    return found


def _look(content: bytes, main: int, found: Found) -> int | None:
    """Take note of what is in a cluster; its time (ms) when a player can begin with it. Raises
    `ValueError` when it is damaged."""
    base, opens = 0, False
    for id, value in list(ebml.children(content)):
        if id == ebml.TIMESTAMP:
            base = int.from_bytes(value, "big")
        elif id == ebml.VOID and value and len(found.notes) < MOST_NOTES:
            found.notes.append(value)
        elif id == ebml.SIMPLE_BLOCK and len(value) >= 4:
            found.last = max(found.last, base + int.from_bytes(value[1:3], "big", signed=True))
            opens = opens or (value[0] == main | 0x80 and bool(value[3] & 0x80))
    return base if opens else None
