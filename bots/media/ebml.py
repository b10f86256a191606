"""The boxes of Matroska and WebM: EBML elements (RFC 8794, RFC 9559). Pure.

An element is an id, a length and its content. Ids are kept as they stand in a file, their
marker bits included.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack, unpack
from typing import NamedTuple

EBML, SEGMENT, SEEK_HEAD, SEEK, VOID = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x4DBB, 0xEC
INFO, TRACKS, TRACK_ENTRY, CLUSTER, CUES = 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675, 0x1C53BB6B
TIMESTAMP, SIMPLE_BLOCK, CUE_POINT, CUE_TRACK_POSITIONS = 0xE7, 0xA3, 0xBB, 0xB7
UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"
"""A length that is not known: of a segment that is still being written."""


class Element(NamedTuple):
    """An element found in a file: `start` is where it begins, `content` where its content does,
    `end` what follows it (None: its length is unknown)."""

    id: int
    start: int
    content: int
    end: int | None


def element(id: int, content: bytes) -> bytes:
    """An element with its content."""
    return head(id, len(content)) + content


def head(id: int, size: int) -> bytes:
    """What stands before the content of an element, which has so many bytes."""
    return _id(id) + length(size)


def number(id: int, value: int) -> bytes:
    """An element that holds a number, 0 or more."""
    return element(id, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def real(id: int, value: float) -> bytes:
    """An element that holds a number with a fraction (8 bytes)."""
    return element(id, pack("!d", value))


def text(id: int, value: str) -> bytes:
    """An element that holds words."""
    return element(id, value.encode())


def length(size: int) -> bytes:
    """A length (or a track number) in as few bytes as it takes."""
    for count in range(1, 9):
        # All bits set would mean an unknown length.
        if size < (1 << 7 * count) - 1:
            return (size | 1 << 7 * count).to_bytes(count, "big")
    raise ValueError("longer than an element can be")


def void(size: int) -> bytes:
    """Nothing, `size` bytes long in all: 2, or 9 and more."""
    if size < 9:
        return element(VOID, bytes(size - 2))
    return _id(VOID) + (size - 9 | 1 << 56).to_bytes(8, "big") + bytes(size - 9)


def _id(id: int) -> bytes:
    return id.to_bytes((id.bit_length() + 7) // 8, "big")


def read_head(data: bytes, at: int, base: int = 0) -> Element:
    """The element whose head stands at `at`; positions are told from `base` on.

    Raises `ValueError` when the head is cut off or is none.
    """
    if at >= len(data):
        raise ValueError("the element is cut off")
    id_length = 9 - data[at].bit_length()
    if id_length > 4 or at + id_length >= len(data):
        raise ValueError("no element begins here")
    id = int.from_bytes(data[at : at + id_length], "big")
    size_at = at + id_length
    size_length = 9 - data[size_at].bit_length()
    if size_length > 8 or size_at + size_length > len(data):
        raise ValueError("the element is cut off")
    raw = int.from_bytes(data[size_at : size_at + size_length], "big")
    size = raw & ((1 << 7 * size_length) - 1)
    content = base + size_at + size_length
    unknown = size == (1 << 7 * size_length) - 1
    return Element(id, base + at, content, None if unknown else content + size)


def children(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements in the content of another. Raises `ValueError` where one is cut off."""
    at = 0
    while at < len(data):
        found = read_head(data, at)
        if found.end is None or found.end > len(data):
            raise ValueError("the element is cut off")
        yield found.id, data[found.content : found.end]
        at = found.end


def read_real(content: bytes) -> float:
    """A number with a fraction, as `real` writes it. Raises `ValueError`."""
    if len(content) != 8:
        raise ValueError("no number of 8 bytes")
    value: float = unpack("!d", content)[0]
    return value
