"""What recordings hold: pictures counted in the files themselves, as proof that none was lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import av
import av.error

from bench.processes import BenchError

FORMS = (".webm", ".mkv", ".mp4", ".mjr")
PATIENCE = 15.0
PAUSE = 1.0
_MARKER = 128
_VIDEO = b'"t":"v"'


def packets_of(file: Path) -> list[bytes]:
    """The RTP packets in a Janus recording (.mjr), without its head.

    Raises `ValueError` when it is none.
    """
    data = file.read_bytes()
    if not data.startswith(b"MJR0"):
        raise ValueError(f"{file.name} is no Janus recording")
    at = 10 + int.from_bytes(data[8:10], "big")
    packets = []
    while at + 10 <= len(data):
        if data[at : at + 4] != b"MEET":
            raise ValueError(f"{file.name} is damaged at byte {at}")
        size = int.from_bytes(data[at + 8 : at + 10], "big")
        packets.append(data[at + 10 : at + 10 + size])
        at += 10 + size
    return packets


def pictures(file: Path) -> int:
    """How many pictures a recording holds. Raises `ValueError`, also for one that cannot be
    played."""
    if file.suffix == ".mjr":
        if _VIDEO not in file.read_bytes()[:200].replace(b" ", b""):
            return 0
        return sum(packet[1] >= _MARKER for packet in packets_of(file))
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                return 0
            return sum(packet.size > 0 for packet in container.demux(video=0))
    except av.error.FFmpegError as error:
        raise ValueError(f"{file.name} cannot be played: {error}") from error


def found(folder: Path) -> set[Path]:
    """The recordings in a folder."""
    return {path for path in folder.rglob("*") if path.suffix in FORMS}


def clear(folder: Path) -> None:
    """Remove the recordings in a folder, as of calls that sent nothing."""
    for file in found(folder):
        file.unlink()


async def count(folder: Path, sent: int) -> int:
    """Wait until the recordings in a folder hold all pictures that were `sent`, or no more
    come; count and remove them. Raises `BenchError` when one cannot be played by then."""
    end = time.monotonic() + PATIENCE
    before = -1
    while True:
        try:
            total = await asyncio.to_thread(_sum, folder)
        except ValueError as error:
            # Not finished yet, perhaps.
            if time.monotonic() > end:
                raise BenchError(str(error)) from error
            total = -1
        if total >= sent or 0 <= total == before or time.monotonic() > end:
            break
        before = total
        await asyncio.sleep(PAUSE)
    clear(folder)
    return total


def _sum(folder: Path) -> int:
    return sum(pictures(file) for file in found(folder))
