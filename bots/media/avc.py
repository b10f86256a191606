"""H.264 as files have it (ISO/IEC 14496-15), from Annex B as frames have it. Pure."""

from __future__ import annotations

from struct import pack

from .payload import h264


def private(data: bytes) -> bytes:
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


def picture(data: bytes) -> bytes:
    """An H.264 picture as Matroska has it: each unit after its length (4 bytes). Parameter
    sets stay in, so that a change of size in mid-stream can be decoded."""
    return b"".join(pack("!I", len(unit)) + unit for unit in h264.units(data))
