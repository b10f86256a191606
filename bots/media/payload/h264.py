"""H.264 over RTP (RFC 6184, packetisation modes 0 and 1): single units, STAP-A, FU-A. Pure.

Outside RTP a picture is in Annex B form: each NAL unit after a start code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .picture import Bits, Payload, Picture, chunks

SLICE, IDR, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9
STAP_A, FU_A = 24, 28
START = b"\0\0\0\1"

_CODE = re.compile(b"\0\0\1")
# Profiles whose parameter sets tell more about colours (H.264, section 7.3.2.1.1).
_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


def assemble(payloads: Sequence[Payload]) -> Picture:
    """The picture (access unit) that payloads carry, in Annex B form."""
    found = list(_join(payloads))
    if not found:
        raise ValueError("an H.264 picture of nothing")
    kinds = {unit[0] & 31 for unit in found}
    sets = [unit for unit in found if unit[0] & 31 == SPS]
    data = b"".join(part for unit in found for part in (START, unit))
    return Picture(data, IDR in kinds, size_of(sets[-1]) if sets and IDR in kinds else None)


def begins(payload: Payload) -> bool:
    """Whether the payload may open a picture: not in the midst of a unit, nor a later slice."""
    if not len(payload):
        raise ValueError("an empty H.264 packet")
    kind = payload[0] & 31
    if kind == STAP_A:
        return _opens(next(_split_stap(payload)))
    if kind == FU_A:
        _check_fragment(payload)
        return bool(payload[1] & 0x80) and _opens(bytes([payload[1] & 31]) + bytes(payload[2:4]))
    return _opens(payload)


def singly(data: bytes, most: int) -> list[bytes]:
    """A picture in Annex B form as payloads of mode 0: each unit is one (RFC 6184, section 6.2).

    Raises `ValueError` for one that has a larger unit: it would have to be coded in smaller
    slices.
    """
    packets = list(units(data))
    if not packets:
        raise ValueError("an H.264 picture of nothing")
    if any(len(unit) > most or not 1 <= unit[0] & 31 <= 23 for unit in packets):
        raise ValueError("an H.264 unit that is no packet, for a peer that takes nothing else")
    return packets


def packetise(data: bytes, most: int) -> list[bytes]:
    """A picture in Annex B form as payloads: small units together, large ones in fragments."""
    packets: list[bytes] = []
    waiting: list[bytes] = []
    for unit in units(data):
        if not 1 <= unit[0] & 31 <= 23:
            raise ValueError("no H.264 unit that can be sent")
        length = 1 + sum(2 + len(other) for other in (*waiting, unit))
        if waiting and length > most:
            packets.append(_aggregate(waiting))
            waiting = []
        if len(unit) > most:
            packets += _fragments(unit, most)
        else:
            waiting.append(unit)
    if waiting:
        packets.append(_aggregate(waiting))
    if not packets:
        raise ValueError("an H.264 picture of nothing")
    return packets


def units(data: bytes) -> Iterator[bytes]:
    """The NAL units of data in Annex B form, without start codes and the zeros before them.

    Raises `ValueError` when something stands before the first start code.
    """
    edges = [(match.start(), match.end()) for match in _CODE.finditer(data)]
    if not edges or data[: edges[0][0]].strip(b"\0"):
        raise ValueError("no start code opens the H.264 data")
    ends = [start for start, _ in edges[1:]] + [len(data)]
    for (_, start), end in zip(edges, ends, strict=True):
        # A unit never ends with a zero: those belong to the next start code.
        unit = data[start:end].rstrip(b"\0")
        if unit:
            yield unit


def size_of(unit: Payload) -> tuple[int, int]:
    """Width and height in pixels that a sequence parameter set tells, cropping done.

    Raises `ValueError` when it is malformed.
    """
    bits = Bits(bytes(unit[1:256]).replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16)
    bits.golomb()
    chroma = _skip_high(bits) if profile in _HIGH else 1
    _skip_order(bits)
    bits.golomb()
    bits.take(1)
    width, height = 16 * (bits.golomb() + 1), 16 * (bits.golomb() + 1)
    interlaced = not bits.take(1)
    if interlaced:
        height *= 2
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        across = 2 if chroma in (1, 2) else 1
        down = (2 if chroma == 1 else 1) << interlaced
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        width -= across * (left + right)
        height -= down * (top + bottom)
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError("an impossible size in the parameter set")
    return width, height


def _join(payloads: Sequence[Payload]) -> Iterator[bytes]:
    """The units that payloads carry, fragments joined."""
    fragments: list[bytes] = []
    for payload in payloads:
        if not len(payload):
            raise ValueError("an empty H.264 packet")
        kind = payload[0] & 31
        if kind == FU_A:
            _check_fragment(payload)
            if bool(payload[1] & 0x80) == bool(fragments):
                raise ValueError("a fragment of the H.264 unit is missing")
            if not fragments:
                fragments.append(bytes([payload[0] & 0xE0 | payload[1] & 31]))
            fragments.append(bytes(payload[2:]))
            if payload[1] & 0x40:
                yield b"".join(fragments)
                fragments = []
            continue
        if fragments:
            raise ValueError("the end of the H.264 unit is missing")
        if kind == STAP_A:
            yield from _split_stap(payload)
        elif 1 <= kind <= 23:
            yield bytes(payload)
        else:
            raise ValueError(f"H.264 packets of type {kind} are not negotiated")
    if fragments:
        raise ValueError("the end of the H.264 unit is missing")


def _check_fragment(payload: Payload) -> None:
    if len(payload) < 3 or not 1 <= payload[1] & 31 <= 23 or payload[1] & 0xC0 == 0xC0:
        raise ValueError("the H.264 fragment is malformed")


def _split_stap(payload: Payload) -> Iterator[bytes]:
    at = 1
    while True:
        length = int.from_bytes(payload[at : at + 2], "big")
        unit = bytes(payload[at + 2 : at + 2 + length])
        if not length or len(unit) < length or not 1 <= unit[0] & 31 <= 23:
            raise ValueError("the H.264 aggregate is malformed")
        yield unit
        at += 2 + length
        if at == len(payload):
            return


def _opens(unit: Payload) -> bool:
    kind = unit[0] & 31
    if kind in (SLICE, IDR):
        # `first_mb_in_slice` is the first number of a slice: zero is written as one set bit.
        return len(unit) > 1 and unit[1] >= 0x80
    return kind in (SEI, SPS, PPS, DELIMITER)


def _aggregate(waiting: list[bytes]) -> bytes:
    if len(waiting) == 1:
        return waiting[0]
    importance = max(unit[0] & 0x60 for unit in waiting)
    parts = [len(unit).to_bytes(2, "big") + unit for unit in waiting]
    return bytes([importance | STAP_A]) + b"".join(parts)


def _fragments(unit: bytes, most: int) -> list[bytes]:
    parts = chunks(memoryview(unit)[1:], most - 2)
    kinds = [unit[0] & 31] * len(parts)
    kinds[0] |= 0x80
    kinds[-1] |= 0x40
    head = unit[0] & 0xE0 | FU_A
    return [bytes([head, kind]) + part for kind, part in zip(kinds, parts, strict=True)]


def _skip_high(bits: Bits) -> int:
    """What the high profiles tell of colours; the kind of chroma."""
    chroma = bits.golomb()
    if chroma > 3:
        raise ValueError("an impossible kind of chroma in the parameter set")
    separate = bits.take(1) if chroma == 3 else 0
    bits.golomb()
    bits.golomb()
    bits.take(1)
    if bits.take(1):
        for number in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling(bits, 16 if number < 6 else 64)
    return 0 if separate else chroma


def _skip_scaling(bits: Bits, count: int) -> None:
    last = following = 8
    for _ in range(count):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last


def _skip_order(bits: Bits) -> None:
    """How pictures are numbered."""
    bits.golomb()
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.take(1)
        bits.golomb()
        bits.golomb()
        count = bits.golomb()
        if count > 255:
            raise ValueError("an impossible number in the parameter set")
        for _ in range(count):
            bits.golomb()
