"""RTP and RTCP headers: reading them, and turning a stream round (RFC 3550, 4585, 5104).

Pure functions over one writable buffer. To mirror a packet is to exchange, wherever a
source is named, the peer's SSRC for ours and ours for the peer's; nothing else changes, and
no payload is looked at. Whatever is malformed raises `ValueError`; the caller counts and drops.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

RTP_HEADER = 12
RTCP_HEADER = 8
STREAMS = 16

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK, TMMBR, TMMBN = 1, 3, 4
PLI, FIR, AFB = 1, 4, 15

MAX_BITRATE = 0x3FFFF << 63
"""More than REMB can say."""

_HEADER = Struct("!BBHII")
_LENGTH = Struct("!BBH")
_RTCP = Struct("!BBHI")
_WORD = Struct("!I")
_SENDER_INFO = 20
_REPORT = 24


class Header(NamedTuple):
    """The fixed part of an RTP header (RFC 3550, section 5.1)."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


def is_rtcp(packet: bytes | bytearray | memoryview) -> bool:
    """Whether a packet that is RTP or RTCP is RTCP (RFC 5761, section 4); at least 2 bytes."""
    return 192 <= packet[1] <= 223


def read_header(packet: bytes | bytearray | memoryview) -> Header:
    """The RTP header. Raises `ValueError` when there is none."""
    if len(packet) < RTP_HEADER:
        raise ValueError("shorter than an RTP header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    if first >> 6 != 2:
        raise ValueError("not RTP version 2")
    return Header(second >= 128, second & 127, sequence, timestamp, ssrc)


def write_ssrc(packet: bytearray | memoryview, ssrc: int) -> None:
    """Put another source into an RTP header, in place."""
    _WORD.pack_into(packet, 8, ssrc)


class Sources:
    """Which of our sources stands for which of the peer's; at most `STREAMS` pairs.

    `own` is our source for packets whose sender's own source has no counterpart (a peer
    that only receives reports from a source it never sends with). `cap` bounds the bitrate in
    each REMB, bits per second.
    """

    def __init__(self) -> None:
        self.ours: dict[int, int] = {}
        self.theirs: dict[int, int] = {}
        self.own = 0
        self.cap = MAX_BITRATE

    def pair(self, theirs: int, ours: int) -> None:
        """Let `ours` stand for `theirs`. Raises `ValueError` if either is taken or all are."""
        if self.ours.get(theirs) == ours:
            return
        if theirs in self.ours or ours in self.theirs:
            raise ValueError("the source has a counterpart already")
        if len(self.ours) >= STREAMS:
            raise ValueError("too many sources")
        self.ours[theirs] = ours
        self.theirs[ours] = theirs
        self.own = self.own or ours

    def part(self, theirs: int) -> None:
        """Let `theirs` have no counterpart any more. Raises `KeyError` when it has none."""
        del self.theirs[self.ours.pop(theirs)]


def mirror_rtcp(packet: bytearray | memoryview, length: int, sources: Sources) -> int:
    """Turn a compound RTCP packet round in place; the new length, 0 if nothing is left.

    Kept: sender and receiver reports, source descriptions, BYE, NACK, TMMBR, TMMBN, PLI, FIR
    and REMB. Dropped: every other kind (transport-wide feedback speaks of numbers that were
    never negotiated), and packets about sources without counterpart. Raises `ValueError` for
    what is not RTCP.
    """
    read = write = 0
    while read < length:
        end = _end(packet, read, length)
        if _turn(packet, read, end, sources):
            if write != read:
                packet[write : write + end - read] = bytes(packet[read:end])
            write += end - read
        read = end
    return write


def _end(packet: bytearray | memoryview, start: int, length: int) -> int:
    if length - start < 4:
        raise ValueError("shorter than an RTCP header")
    first, _, words = _LENGTH.unpack_from(packet, start)
    if first >> 6 != 2:
        raise ValueError("not RTCP version 2")
    end: int = start + 4 + words * 4
    if end > length:
        raise ValueError("the RTCP packet is cut off")
    return end


def _turn(packet: bytearray | memoryview, start: int, end: int, sources: Sources) -> bool:
    """Exchange the sources of one RTCP packet; whether it can be sent on."""
    if end - start < RTCP_HEADER or not sources.own:
        return False
    first, kind, _, sender = _RTCP.unpack_from(packet, start)
    count = first & 31
    try:
        if kind == SDES:
            return _turn_sdes(packet, start, end, count, sources)
        if kind == BYE:
            return _turn_words(packet, start + 4, end, count, sources.ours)
        if kind == SR:
            # A report of a sender nobody knows would describe the wrong stream.
            turned = sources.ours[sender]
            places = range(start + 8 + _SENDER_INFO, end, _REPORT)
            sure = _turn_places(packet, places, end, count, sources.theirs)
        elif kind == RR:
            turned = sources.ours.get(sender, sources.own)
            sure = _turn_places(packet, range(start + 8, end, _REPORT), end, count, sources.theirs)
        elif kind in (RTPFB, PSFB):
            turned = sources.ours.get(sender, sources.own)
            sure = _turn_feedback(packet, start, end, kind, count, sources)
        else:
            return False
    except KeyError:
        return False
    _WORD.pack_into(packet, start + 4, turned)
    return sure


def _turn_places(
    packet: bytearray | memoryview, places: range, end: int, count: int, table: dict[int, int]
) -> bool:
    if count > len(places) or (count and places[count - 1] + _REPORT > end):
        raise ValueError("the report is cut off")
    turned = [(at, table[_WORD.unpack_from(packet, at)[0]]) for at in places[:count]]
    for at, ssrc in turned:
        _WORD.pack_into(packet, at, ssrc)
    return True


def _turn_words(
    packet: bytearray | memoryview, start: int, end: int, count: int, table: dict[int, int]
) -> bool:
    if start + 4 * count > end:
        raise ValueError("the list of sources is cut off")
    places = range(start, start + 4 * count, 4)
    turned = [(at, table[_WORD.unpack_from(packet, at)[0]]) for at in places]
    for at, ssrc in turned:
        _WORD.pack_into(packet, at, ssrc)
    return count > 0


def _turn_sdes(
    packet: bytearray | memoryview, start: int, end: int, count: int, sources: Sources
) -> bool:
    """A source description: chunks of items, each chunk padded to whole words."""
    at = start + 4
    turned = []
    for _ in range(count):
        if at + 4 > end:
            raise ValueError("the source description is cut off")
        turned.append((at, sources.ours[_WORD.unpack_from(packet, at)[0]]))
        at += 4
        while at < end and packet[at]:
            if at + 2 > end:
                raise ValueError("the source description is cut off")
            at += 2 + packet[at + 1]
        at = start + (at - start) // 4 * 4 + 4
    if at > end:
        raise ValueError("the source description is cut off")
    for place, ssrc in turned:
        _WORD.pack_into(packet, place, ssrc)
    return bool(turned)


def _turn_feedback(
    packet: bytearray | memoryview, start: int, end: int, kind: int, form: int, sources: Sources
) -> bool:
    """NACK and its kin (RFC 4585), codec control (RFC 5104) and REMB."""
    if end - start < 12:
        raise ValueError("the feedback is cut off")
    fci = start + 12
    if (kind, form) in ((RTPFB, NACK), (PSFB, PLI)):
        return _turn_words(packet, start + 8, end, 1, sources.theirs)
    if (kind, form) in ((RTPFB, TMMBR), (RTPFB, TMMBN), (PSFB, FIR)):
        # Entries of eight bytes, each opening with the source it is about.
        for at in range(fci, end - 7, 8):
            _turn_words(packet, at, end, 1, sources.theirs)
        media = _WORD.unpack_from(packet, start + 8)[0]
        _WORD.pack_into(packet, start + 8, sources.theirs.get(media, 0))
        return True
    if (kind, form) == (PSFB, AFB) and bytes(packet[fci : fci + 4]) == b"REMB":
        if end - fci < 8:
            raise ValueError("the REMB is cut off")
        if read_bitrate(packet, fci + 5) > sources.cap:
            packet[fci + 5 : fci + 8] = write_bitrate(sources.cap)
        return _turn_words(packet, fci + 8, end, packet[fci + 4], sources.theirs)
    return False


def read_bitrate(packet: bytes | bytearray | memoryview, at: int) -> int:
    """The bits per second in a REMB: three bytes, 6 bits of exponent and 18 of mantissa."""
    mantissa: int = (packet[at] & 3) << 16 | packet[at + 1] << 8 | packet[at + 2]
    return mantissa << (packet[at] >> 2)


def write_bitrate(bits: int) -> bytes:
    """The three bytes, rounded down."""
    exponent = max(0, bits.bit_length() - 18)
    return (exponent << 18 | bits >> exponent).to_bytes(3, "big")
