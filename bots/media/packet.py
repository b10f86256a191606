"""RTP packets as a whole: payload, header extensions, retransmission (RFC 3550, 8285, 4588).

Pure. What strangers sent is read here: whatever is malformed raises `ValueError`.
"""

from __future__ import annotations

from struct import Struct

from .rtp import RTP_HEADER

Buffer = bytes | bytearray | memoryview

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RTX_HEADER = 2
HEADER = Struct("!BBHII")
"""The fixed part of a header: its first two bytes, sequence number, timestamp, SSRC."""
MORE = 0x3F
"""Bits of the first byte: there is more than the fixed part and the payload."""

_EXTENSION = Struct("!HH")
_ONE_BYTE = 0xBEDE


def payload_span(packet: Buffer, size: int) -> tuple[int, int]:
    """Where the payload of a packet of `size` bytes begins and ends; padding is left out."""
    first = packet[0]
    start = RTP_HEADER + 4 * (first & 0x0F)
    end = size
    if first & 0x10:
        if start + 4 > size:
            raise ValueError("the header extension is cut off")
        start += 4 + 4 * (packet[start + 2] << 8 | packet[start + 3])
    if first & 0x20:
        end -= packet[size - 1]
        if end == size:
            raise ValueError("padding of no length")
    if start > end:
        raise ValueError("the packet is shorter than its header says")
    return start, end


def extension(packet: Buffer, size: int, number: int) -> bytes | None:
    """The header extension with this id, in the one-byte or two-byte form (RFC 8285)."""
    if not packet[0] & 0x10:
        return None
    start, _ = payload_span(packet, size)
    at = RTP_HEADER + 4 * (packet[0] & 0x0F)
    profile, _ = _EXTENSION.unpack_from(packet, at)
    at += 4
    if profile != _ONE_BYTE and profile >> 4 != 0x100:
        return None
    while at < start:
        if not packet[at]:
            at += 1
            continue
        if profile == _ONE_BYTE:
            found, length = packet[at] >> 4, (packet[at] & 0x0F) + 1
            at += 1
        elif at + 1 < start:
            found, length = packet[at], packet[at + 1]
            at += 2
        else:
            break
        if at + length > start:
            raise ValueError("a header extension is cut off")
        if found == number:
            return bytes(packet[at : at + length])
        at += length
    return None


def one_byte_extension(number: int, value: bytes) -> bytes:
    """The extension part of a header with one element in the one-byte form.

    Empty when it does not fit that form (an id over 14, a value of none or over 16 bytes).
    """
    if not 0 < number < 15 or not 0 < len(value) <= 16:
        return b""
    body = bytes([number << 4 | len(value) - 1]) + value
    body += bytes(-len(body) % 4)
    return _EXTENSION.pack(_ONE_BYTE, len(body) // 4) + body


def build(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    *,
    marker: bool = False,
    extensions: bytes = b"",
) -> bytes:
    """An RTP packet. `extensions` is what `one_byte_extension` gives, or empty."""
    first = 0x90 if extensions else 0x80
    header = HEADER.pack(first, marker << 7 | payload_type, sequence, timestamp, ssrc)
    return header + extensions + payload


def retransmission(packet: bytes, payload_type: int, sequence: int, ssrc: int) -> bytes:
    """An RTP packet wrapped for its retransmission stream (RFC 4588, section 4)."""
    first, second, original, timestamp, _ = HEADER.unpack_from(packet)
    start, _ = payload_span(packet, len(packet))
    header = HEADER.pack(first, second & 0x80 | payload_type, sequence, timestamp, ssrc)
    number: bytes = original.to_bytes(RTX_HEADER, "big")
    return b"".join([header, packet[RTP_HEADER:start], number, packet[start:]])
