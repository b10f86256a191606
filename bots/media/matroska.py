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
from struct import pack
from typing import BinaryIO, NamedTuple

from . import ebml
from .ebml import element, number, real, text
from .payload import Codec, h264

HEAD = 4096
"""Bytes for what may still change: where things are, duration, tracks."""
MAX_TRACKS = 8
_SEGMENT_AT = 64
_DATA_AT = _SEGMENT_AT + 12
_APP = "Ringback"
_SEGMENT = b"\x18\x53\x80\x67"

_IDS: dict[Codec, str] = {
    "VP8": "V_VP8", "VP9": "V_VP9", "H264": "V_MPEG4/ISO/AVC", "opus": "A_OPUS",
    "PCMU": "A_MS/ACM", "PCMA": "A_MS/ACM",
}  # fmt: skip
_WEBM: set[Codec] = {"VP8", "VP9", "opus"}
_PREROLL = 80_000_000


class Block(NamedTuple):
    """A coded frame in a file: `at` in whole ms from its beginning."""

    track: int
    at: int
    keyframe: bool
    data: bytes


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
        self.bytes = _DATA_AT + HEAD
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
        base = blocks[0].at
        parts = [number(ebml.TIMESTAMP, base)]
        for block in blocks:
            flags = 0x80 if block.keyframe else 0
            head = ebml.length(block.track) + pack("!hB", block.at - base, flags)
            parts.append(element(ebml.SIMPLE_BLOCK, head + block.data))
        cluster = element(ebml.CLUSTER, b"".join(parts))
        _put(self._file, self.bytes, cluster)
        if any(block.keyframe and block.track == self._main for block in blocks):
            self._cues.append((base, self.bytes - _DATA_AT))
        self.bytes += len(cluster)
        self.end_ms = max(self.end_ms, blocks[-1].at)

    def finish(self) -> None:
        """Add the index and the duration, and close."""
        try:
            cues = _cues(self._cues, self._main)
            _put(self._file, self.bytes, cues)
            size = self.bytes + len(cues) - _DATA_AT
            self._put_head(cues_at=self.bytes - _DATA_AT)
            _put(self._file, _SEGMENT_AT + 4, (size | 1 << 56).to_bytes(8, "big"))
            self.bytes += len(cues)
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close it as it is; a file in which nothing was written goes away."""
        self._file.close()
        if self.bytes == _DATA_AT + HEAD:
            self.path.unlink(missing_ok=True)

    @property
    def _main(self) -> int:
        """The track by which players seek: the first with pictures."""
        videos = [track.number for track in self.tracks if track.video]
        return (videos or [1])[0]

    def _put_head(self, cues_at: int | None = None) -> None:
        duration = self.end_ms if cues_at is not None else None
        head = compose_head(self.tracks, duration, cues_at)
        start = _start("webm" if self._webm else "matroska")
        _put(self._file, 0, start + head)


def _put(file: BinaryIO, at: int, data: bytes) -> None:
    """Write all of it at a place. Raises `OSError` where less went in (a full disk)."""
    view, where = memoryview(data), at
    while view:
        done = os.pwrite(file.fileno(), view, where)
        view, where = view[done:], where + done


def _start(kind: str) -> bytes:
    header = element(
        ebml.EBML,
        number(0x4286, 1) + number(0x42F7, 1) + number(0x42F2, 4) + number(0x42F3, 8)
        + text(0x4282, kind) + number(0x4287, 4) + number(0x4285, 2),
    )  # fmt: skip
    fill = ebml.void(_SEGMENT_AT - len(header))
    return header + fill + _SEGMENT + ebml.UNKNOWN


def compose_head(
    tracks: Sequence[Track], duration_ms: int | None = None, cues_at: int | None = None
) -> bytes:
    """What stands before the clusters, always `HEAD` bytes. `cues_at`: where the index is,
    counted from the segment's content. Raises `ValueError` when it does not fit."""
    info = number(0x2AD7B1, 1_000_000) + text(0x4D80, _APP) + text(0x5741, _APP)
    if duration_ms is not None:
        info += real(0x4489, float(duration_ms))
    parts = element(ebml.INFO, info)
    if tracks:
        parts += element(ebml.TRACKS, b"".join(_entry(track) for track in tracks))
    if cues_at is not None:
        seek = element(0x53AB, b"\x1c\x53\xbb\x6b") + number(0x53AC, cues_at)
        parts = element(ebml.SEEK_HEAD, element(ebml.SEEK, seek)) + parts
    if len(parts) > HEAD - 9:
        raise ValueError("the tracks need more room than the head has")
    return parts + ebml.void(HEAD - len(parts))


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


def avc_private(data: bytes) -> bytes:
    """What a decoder must know of an H.264 stream, from a keyframe in Annex B form: its
    parameter sets (ISO/IEC 14496-15, 5.3.3.1). Empty when it has none."""
    sets: dict[int, bytes] = {}
    for unit in h264.units(data):
        sets.setdefault(unit[0] & 31, unit)
    first, second = sets.get(h264.SPS), sets.get(h264.PPS)
    if first is None or second is None or len(first) < 4:
        return b""
    head = bytes([1, *first[1:4], 0xFF, 0xE1])
    return head + pack("!H", len(first)) + first + b"\x01" + pack("!H", len(second)) + second


def avc_data(data: bytes) -> bytes:
    """An H.264 picture as Matroska has it: each unit after its length (4 bytes). Parameter
    sets stay in, so that a change of size in mid-stream can be decoded."""
    return b"".join(pack("!I", len(unit)) + unit for unit in h264.units(data))


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


def repair(path: Path) -> int:
    """Finish a file whose writer died: drop what is cut off, add index and duration; how long
    it is in ms. A finished file stays as it is. Raises `ValueError` for what is no such file.
    """
    with open(path, "r+b", buffering=0) as file:
        total = file.seek(0, os.SEEK_END)
        head = os.pread(file.fileno(), _DATA_AT + HEAD, 0)
        if (
            len(head) < _DATA_AT + HEAD
            or head[_SEGMENT_AT : _SEGMENT_AT + 4] != b"\x18\x53\x80\x67"
        ):
            raise ValueError(f"{path.name} is no recording of ours")
        info, kept = _read_head(head[_DATA_AT:])
        if head[_SEGMENT_AT + 4 : _DATA_AT] != ebml.UNKNOWN:
            return round(info)
        main = _main_of(kept)
        points, end, last = _scan(file, total, main)
        cues = _cues(points, main)
        os.ftruncate(file.fileno(), end)
        _put(file, end, cues)
        seek = element(0x53AB, b"\x1c\x53\xbb\x6b") + number(0x53AC, end - _DATA_AT)
        parts = element(ebml.SEEK_HEAD, element(ebml.SEEK, seek))
        parts += element(
            ebml.INFO,
            number(0x2AD7B1, 1_000_000) + text(0x4D80, _APP) + text(0x5741, _APP)
            + real(0x4489, float(last)),
        ) + kept  # fmt: skip
        _put(file, _DATA_AT, parts + ebml.void(HEAD - len(parts)))
        size = end + len(cues) - _DATA_AT
        _put(file, _SEGMENT_AT + 4, (size | 1 << 56).to_bytes(8, "big"))
        os.fsync(file.fileno())
    return last


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


def _scan(file: BinaryIO, total: int, main: int) -> tuple[list[tuple[int, int]], int, int]:
    """The whole clusters of a file: when and where those begin that a player can begin with,
    where the last one ends, and the time of the last block."""
    points: list[tuple[int, int]] = []
    at, last = _DATA_AT + HEAD, 0
    while at < total:
        try:
            found = ebml.read_head(os.pread(file.fileno(), 16, at), 0, at)
            if found.id != ebml.CLUSTER or found.end is None or found.end > total:
                break
            content = os.pread(file.fileno(), found.end - found.content, found.content)
            base, opens = 0, False
            for id, value in ebml.children(content):
                if id == ebml.TIMESTAMP:
                    base = int.from_bytes(value, "big")
                elif id == ebml.SIMPLE_BLOCK and len(value) >= 4:
                    last = max(last, base + int.from_bytes(value[1:3], "big", signed=True))
                    opens = opens or (value[0] == main | 0x80 and bool(value[3] & 0x80))
        except ValueError:
            break
        if opens:
            points.append((base, at - _DATA_AT))
        at = found.end
    return points, at, last
