"""VP9 over RTP (RFC 9628), scalable layers included. Pure.

A picture may come as several layer frames of one timestamp, from the lowest layer up. They
belong together and are shown as one: here as a superframe (VP9 bitstream, annex B).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .picture import Bits, Payload, Picture, chunks

_INTER, _BEGIN, _END = 0x40, 0x08, 0x04
_LAYERS = 8


class Descriptor(NamedTuple):
    """The payload descriptor (section 4.2) as far as it matters for putting a picture together.

    `sizes`: width and height of each spatial layer, where the scalability structure tells them.
    """

    begin: bool
    end: bool
    layer: int
    length: int
    sizes: tuple[tuple[int, int], ...]


def assemble(payloads: Sequence[Payload]) -> Picture:
    """The frame or superframe that a picture's payloads carry."""
    frames: list[bytearray] = []
    sizes: tuple[tuple[int, int], ...] = ()
    top, opened = -1, False
    for payload in payloads:
        told = read_descriptor(payload)
        if told.begin == opened:
            raise ValueError("a packet of the VP9 frame is missing")
        if told.begin:
            if told.layer <= top or len(frames) >= _LAYERS:
                raise ValueError("the VP9 layers are out of order")
            frames.append(bytearray())
        elif told.layer != top:
            raise ValueError("the VP9 layers are mixed")
        top, opened, sizes = told.layer, not told.end, told.sizes or sizes
        frames[-1] += payload[told.length :]
    if opened or not frames:
        raise ValueError("the end of the VP9 frame is missing")
    size = _key_size(frames[0])
    if size is not None and top < len(sizes):
        size = sizes[top]
    return Picture(_superframe(frames), size is not None, size)


def begins(payload: Payload) -> bool:
    """Whether the payload opens the lowest layer of a picture."""
    told = read_descriptor(payload)
    return told.begin and told.layer == 0


def packetise(data: bytes, most: int) -> list[bytes]:
    """The frame or superframe in payloads of one layer, with the shortest descriptor."""
    inter = 0 if _key_size(data) is not None else _INTER
    parts = chunks(data, most - 1)
    heads = [inter] * len(parts)
    heads[0] |= _BEGIN
    heads[-1] |= _END
    return [bytes([head]) + part for head, part in zip(heads, parts, strict=True)]


def read_descriptor(payload: Payload) -> Descriptor:
    """What stands before the VP9 data. Raises `ValueError` when it is cut off."""
    try:
        first, at, layer = payload[0], 1, 0
        flexible = first & 0x10
        if first & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        if first & 0x20:
            layer = payload[at] >> 1 & 7
            at += 1 if flexible else 2
        if flexible and first & _INTER:
            at = _skip_references(payload, at)
        sizes: tuple[tuple[int, int], ...] = ()
        if first & 0x02:
            sizes, at = _read_structure(payload, at)
    except IndexError:
        raise ValueError("the VP9 descriptor is cut off") from None
    if at >= len(payload):
        raise ValueError("nothing follows the VP9 descriptor")
    return Descriptor(bool(first & _BEGIN), bool(first & _END), layer, at, sizes)


def _skip_references(payload: Payload, at: int) -> int:
    for _ in range(3):
        more = payload[at] & 1
        at += 1
        if not more:
            return at
    raise ValueError("the VP9 frame has too many references")


def _read_structure(payload: Payload, at: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """The scalability structure: the sizes it tells, and where it ends."""
    head = payload[at]
    at += 1
    sizes = []
    if head & 0x10:
        for _ in range((head >> 5) + 1):
            width = payload[at] << 8 | payload[at + 1]
            sizes.append((width, payload[at + 2] << 8 | payload[at + 3]))
            at += 4
    if head & 0x08:
        count = payload[at]
        at += 1
        for _ in range(count):
            at += 1 + (payload[at] >> 2 & 3)
    return tuple(sizes), at


def is_keyframe(data: bytes) -> bool:
    """Whether a frame, or the first of a superframe, is one."""
    return _key_size(data) is not None


def _key_size(data: bytes | bytearray) -> tuple[int, int] | None:
    """Width and height when the frame is a keyframe (VP9 bitstream, section 6.2)."""
    bits = Bits(bytes(data[:16]))
    if bits.take(2) != 2:
        raise ValueError("no VP9 frame")
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3:
        bits.take(1)
    if bits.take(1) or bits.take(1):
        return None
    bits.take(2)
    if bits.take(24) != 0x498342:
        raise ValueError("the VP9 keyframe has no sync code")
    _skip_colours(bits, profile)
    return bits.take(16) + 1, bits.take(16) + 1


def _skip_colours(bits: Bits, profile: int) -> None:
    if profile >= 2:
        bits.take(1)
    srgb = bits.take(3) == 7
    if not srgb:
        bits.take(1)
        if profile & 1:
            bits.take(3)
    elif profile & 1:
        bits.take(1)
    else:
        raise ValueError("the VP9 keyframe has colours its profile does not know")


def _superframe(frames: list[bytearray]) -> bytes:
    if len(frames) == 1:
        return bytes(frames[0])
    width = -(-max(map(len, frames)).bit_length() // 8)
    marker = bytes([0xC0 | (width - 1) << 3 | len(frames) - 1])
    lengths = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join([*frames, marker, lengths, marker])
