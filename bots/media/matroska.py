"""A Matroska or WebM file that is written as a call goes on (RFC 9559).

Written by hand because a recording needs what muxers do not offer: a track may join when a
camera is turned on in mid-call, and a file whose writer is killed plays up to its last cluster.
So the head has room to spare and is written anew in place; clusters are written whole, each in
one piece; and the index (cues) and duration follow when the file is finished. Blocks hold coded
frames as they came.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct, pack
from typing import BinaryIO, NamedTuple

from . import ebml
from .ebml import element, number, real, text
from .payload import Codec

HEAD = 4096
"""Bytes for what may still change: where things are, duration, tracks."""
MAX_TRACKS = 8
SEGMENT_AT = 64
DATA_AT = SEGMENT_AT + 12
_APP = "Ringback"
SEGMENT = b"\x18\x53\x80\x67"

_IDS: dict[Codec, str] = {
    "VP8": "V_VP8", "VP9": "V_VP9", "H264": "V_MPEG4/ISO/AVC", "opus": "A_OPUS",
    "PCMU": "A_MS/ACM", "PCMA": "A_MS/ACM",
}  # fmt: skip
_WEBM: set[Codec] = {"VP8", "VP9", "opus"}
_PREROLL = 80_000_000
_GATHERED = 1024
"""Parts that Linux takes in one write."""
_block_head = Struct("!BIBhB").pack
_BLOCK_REST = 4
_ONE, _FOUR = 0x80, 0x10000000
"""Lengths (and numbers) of one byte and of four have these bits set."""


class Block(NamedTuple):
    """A coded frame in a file: `at` in whole ms from its beginning. `note` is written before
    it, where players pass it over: for who mends the file one day."""

    track: int
    at: int
    keyframe: bool
    data: bytes
    note: bytes = b""


@dataclass(slots=True)
class Track:
    """One track: `number` from 1, `private` what a decoder must know before the first frame."""

    number: int
    codec: Codec
    size: tuple[int, int] | None = None
    private: bytes = b""

    @property
    def video(self) -> bool:
        """Whether it holds pictures."""
        return self.codec in ("VP8", "VP9", "H264")


def suffix(codecs: Sequence[Codec]) -> str:
    """The file name's end for tracks of these codecs: browsers know `.webm` best."""
    return ".webm" if set(codecs) <= _WEBM else ".mkv"


class MatroskaFile:
    """A file being written. `add` tracks, `write` clusters, `finish` at the end.

    Every method may raise `OSError`; what was written before stays playable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tracks: list[Track] = []
        self.bytes = DATA_AT + HEAD
        self.end_ms = 0
        self._cues: list[tuple[int, int]] = []
        self._webm = path.suffix == ".webm"
        self._file: BinaryIO = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by finish
        try:
            self._put_head()
        except OSError:
            self.abandon()
            raise

    def add(self, codec: Codec, size: tuple[int, int] | None, private: bytes = b"") -> Track:
        """One more track, of which blocks may follow. Raises `ValueError` when there are many."""
        if len(self.tracks) >= MAX_TRACKS:
            raise ValueError("a file has no room for more tracks")
        track = Track(len(self.tracks) + 1, codec, size, private or _private(codec))
        self.tracks.append(track)
        self._put_head()
        return track

    def write(self, blocks: Sequence[Block]) -> None:
        """Write a cluster: blocks of less than 30 s, in order."""
        if not blocks:
            return
        base, main, opens = blocks[0].at, self._main, False
        parts = [number(ebml.TIMESTAMP, base)]
        for track, at, keyframe, data, note in blocks:
            if note:
                parts.append(element(ebml.VOID, note))
            opens = opens or (keyframe and track == main)
            # As `element` would, but with lengths of one size, and the data where it is.
            size = len(data) + _BLOCK_REST
            parts.append(
                _block_head(ebml.SIMPLE_BLOCK, size | _FOUR, track | _ONE, at - base, keyframe << 7)
            )
            parts.append(data)
        size = sum(map(len, parts))
        parts.insert(0, ebml.head(ebml.CLUSTER, size))
        size += len(parts[0])
        put(self._file, self.bytes, *parts)
        if opens:
            self._cues.append((base, self.bytes - DATA_AT))
        self.bytes += size
        self.end_ms = max(self.end_ms, blocks[-1].at)

    def finish(self) -> None:
        """Add the index and the duration, and close."""
        try:
            entries = compose_tracks(self.tracks)
            self.bytes = seal(self._file, self.bytes, self._cues, self._main, self.end_ms, entries)
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close it as it is; a file in which nothing was written goes away."""
        self._file.close()
        if self.bytes == DATA_AT + HEAD:
            self.path.unlink(missing_ok=True)

    @property
    def _main(self) -> int:
        """The track by which players seek: the first with pictures."""
        videos = [track.number for track in self.tracks if track.video]
        return (videos or [1])[0]

    def _put_head(self) -> None:
        start = _start("webm" if self._webm else "matroska")
        put(self._file, 0, start + compose_head(compose_tracks(self.tracks)))


def put(file: BinaryIO, at: int, *parts: bytes) -> None:
    """Write all of it at a place, one part after the other. Raises `OSError` where less went in
    (a full disk)."""
    gathered = parts if len(parts) <= _GATHERED else (b"".join(parts),)
    done = os.pwritev(file.fileno(), gathered, at)
    if done < sum(map(len, parts)):
        view, where = memoryview(b"".join(parts))[done:], at + done
        while view:
            done = os.pwrite(file.fileno(), view, where)
            view, where = view[done:], where + done


def seal(
    file: BinaryIO,
    end: int,
    points: Sequence[tuple[int, int]],
    main: int,
    duration_ms: int,
    tracks: bytes,
) -> int:
    """Finish a file whose clusters end at `end`: its index, and a head that says where it is;
    the size of the file then. `points`: when (ms) and where the clusters are (counted from the
    segment's content) that a player can begin with, on track `main`."""
    index = _cues(points, main)
    put(file, end, index)
    put(file, DATA_AT, compose_head(tracks, duration_ms, end - DATA_AT))
    size = end + len(index) - DATA_AT
    put(file, SEGMENT_AT + 4, (size | 1 << 56).to_bytes(8, "big"))
    os.fsync(file.fileno())
    return end + len(index)


def _start(kind: str) -> bytes:
    header = element(
        ebml.EBML,
        number(0x4286, 1) + number(0x42F7, 1) + number(0x42F2, 4) + number(0x42F3, 8)
        + text(0x4282, kind) + number(0x4287, 4) + number(0x4285, 2),
    )  # fmt: skip
    fill = ebml.void(SEGMENT_AT - len(header))
    return header + fill + SEGMENT + ebml.UNKNOWN


def compose_head(
    tracks: bytes, duration_ms: int | None = None, cues_at: int | None = None
) -> bytes:
    """What stands before the clusters, always `HEAD` bytes. `tracks`: their element; `cues_at`:
    where the index is, counted from the segment's content. Raises `ValueError` when it does not
    fit."""
    info = number(0x2AD7B1, 1_000_000) + text(0x4D80, _APP) + text(0x5741, _APP)
    if duration_ms is not None:
        info += real(0x4489, float(duration_ms))
    parts = element(ebml.INFO, info) + tracks
    if cues_at is not None:
        seek = element(0x53AB, b"\x1c\x53\xbb\x6b") + number(0x53AC, cues_at)
        parts = element(ebml.SEEK_HEAD, element(ebml.SEEK, seek)) + parts
    if len(parts) > HEAD - 9:
        raise ValueError("the tracks need more room than the head has")
    return parts + ebml.void(HEAD - len(parts))


def compose_tracks(tracks: Sequence[Track]) -> bytes:
    """The element that tells of the tracks; nothing where there is none yet."""
    return element(ebml.TRACKS, b"".join(map(_entry, tracks))) if tracks else b""


def _entry(track: Track) -> bytes:
    parts = number(0xD7, track.number) + number(0x73C5, track.number)
    parts += number(0x83, 1 if track.video else 2) + number(0x9C, 0) + text(0x22B59C, "und")
    parts += text(0x86, _IDS[track.codec])
    if track.private:
        parts += element(0x63A2, track.private)
    if track.codec == "opus":
        parts += number(0x56AA, 0) + number(0x56BB, _PREROLL)
    if track.video:
        width, height = track.size or (640, 480)
        parts += element(0xE0, number(0xB0, width) + number(0xBA, height))
    elif track.codec == "opus":
        parts += element(0xE1, real(0xB5, 48_000.0) + number(0x9F, 2))
    else:
        parts += element(0xE1, real(0xB5, 8_000.0) + number(0x9F, 1) + number(0x6264, 8))
    return element(ebml.TRACK_ENTRY, parts)


def _private(codec: Codec) -> bytes:
    if codec == "opus":
        # Two channels whatever is coded: a packet may be either, and decoders make two of one.
        return b"OpusHead" + pack("<BBHIhB", 1, 2, 0, 48_000, 0, 0)
    if codec in ("PCMU", "PCMA"):
        # WAVEFORMATEX: the form is that of G.711 in its two laws.
        return pack("<HHIIHHH", 7 if codec == "PCMU" else 6, 1, 8_000, 8_000, 1, 8, 0)
    return b""


def _cues(points: Sequence[tuple[int, int]], track: int) -> bytes:
    return element(
        ebml.CUES,
        b"".join(
            element(
                ebml.CUE_POINT,
                number(0xB3, at)
                + element(ebml.CUE_TRACK_POSITIONS, number(0xF7, track) + number(0xF1, where)),
            )
            for at, where in points
        ),
    )
