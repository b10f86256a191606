"""VP8 over RTP (RFC 7741). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .picture import Payload, Picture, chunks

_START = 0x10
_PARTITION = 0x07
_START_CODE = b"\x9d\x01\x2a"


def assemble(payloads: Sequence[Payload]) -> Picture:
    """The frame (RFC 6386) that a picture's payloads carry."""
    parts: list[Payload] = []
    for payload in payloads:
        # Most descriptors are of one byte and follow no other.
        length = 1 if len(payload) > 1 and payload[0] < 0x80 else _descriptor(payload)
        if (payload[0] & (_START | _PARTITION) == _START) is bool(parts):
            raise ValueError("a VP8 frame begins in the middle, or its first packet is missing")
        parts.append(payload[length:])
    data = b"".join(parts)
    keyframe = is_keyframe(data)
    return Picture(data, keyframe, _size(data) if keyframe else None)


def begins(payload: Payload) -> bool:
    """Whether the payload opens the first partition of a frame."""
    _descriptor(payload)
    return payload[0] & (_START | _PARTITION) == _START


def packetise(data: bytes, most: int) -> list[bytes]:
    """The frame in payloads with the shortest descriptor."""
    if is_keyframe(data):
        _size(data)
    parts = chunks(data, most - 1)
    return [bytes([0 if number else _START]) + part for number, part in enumerate(parts)]


def is_keyframe(data: bytes) -> bool:
    """Whether a frame is one (RFC 6386, section 9.1)."""
    if len(data) < 3:
        raise ValueError("the VP8 frame is cut off")
    return not data[0] & 1


def _descriptor(payload: Payload) -> int:
    """The length of the payload descriptor (section 4.2)."""
    length = 1
    try:
        if payload[0] & 0x80:
            extension = payload[1]
            length = 2
            if extension & 0x80:
                length += 2 if payload[2] & 0x80 else 1
            length += bool(extension & 0x40) + bool(extension & 0x30)
    except IndexError:
        raise ValueError("the VP8 descriptor is cut off") from None
    if length >= len(payload):
        raise ValueError("nothing follows the VP8 descriptor")
    return length


def _size(data: bytes) -> tuple[int, int]:
    if len(data) < 10 or data[3:6] != _START_CODE:
        raise ValueError("the VP8 keyframe has no start code")
    # The two upper bits of each ask for scaling, which nobody does.
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    if not width or not height:
        raise ValueError("the VP8 keyframe is empty")
    return width, height
