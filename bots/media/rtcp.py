"""RTCP for an end of the media: reports and feedback, read and written (RFC 3550, 4585, 5104).

Pure. `read` makes a list of what a compound packet says and passes over what it does not
know; what is malformed raises `ValueError`. Writers give single packets, to be joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from .rtp import (
    AFB,
    BYE,
    FIR,
    NACK,
    PLI,
    PSFB,
    RR,
    RTPFB,
    SDES,
    SR,
    read_bitrate,
    write_bitrate,
)

Buffer = bytes | bytearray | memoryview

NTP_EPOCH = 2208988800
MAX_ITEMS = 64

_LENGTH = Struct("!BBH")
_SENDER = Struct("!QIII")
_REPORT = Struct("!IIIIII")
_WORD = Struct("!I")
_WORDS = Struct("!II")
_NACK = Struct("!HH")


class Block(NamedTuple):
    """One report block (RFC 3550, section 6.4.1): `fraction` in 1/256, `lost` may be negative,
    `last` and `delay` in 1/65536 s (LSR and DLSR)."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last: int
    delay: int


class SenderReport(NamedTuple):
    """SR: the same moment as NTP time (64 bits) and in RTP ticks."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int


class Reports(NamedTuple):
    """The report blocks of an SR or RR."""

    blocks: tuple[Block, ...]


class Nack(NamedTuple):
    """Packets of `ssrc` that did not arrive."""

    ssrc: int
    sequences: Sequence[int]


class KeyframeRequest(NamedTuple):
    """PLI, or with a `number` FIR."""

    ssrc: int
    number: int | None = None


class Remb(NamedTuple):
    """Receiver estimated maximum bitrate: at most so many bits per second in all."""

    bitrate: int
    ssrcs: tuple[int, ...]


class Bye(NamedTuple):
    """Sources that have ended."""

    ssrcs: tuple[int, ...]


Item = SenderReport | Reports | Nack | KeyframeRequest | Remb | Bye


def ntp(seconds: float) -> int:
    """Seconds since 1970 as a 64-bit NTP time."""
    return round((seconds + NTP_EPOCH) * 2**32) & (2**64 - 1)


def read(packet: Buffer, size: int) -> list[Item]:
    """What a compound packet says, at most `MAX_ITEMS` things."""
    items: list[Item] = []
    at = 0
    while at < size and len(items) < MAX_ITEMS:
        if size - at < 4:
            raise ValueError("shorter than an RTCP header")
        first, kind, words = _LENGTH.unpack_from(packet, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2 or end > size:
            raise ValueError("not RTCP, or cut off")
        items += _read_one(bytes(packet[at + 4 : end]), kind, first & 31)
        at = end
    return items


def _read_one(body: bytes, kind: int, count: int) -> Iterable[Item]:
    if kind == SR:
        if len(body) < 4 + _SENDER.size:
            raise ValueError("the sender report is cut off")
        source = _WORD.unpack_from(body)[0]
        report = SenderReport(source, *_SENDER.unpack_from(body, 4))
        return report, _blocks(body[4 + _SENDER.size :], count)
    if kind == RR:
        return (_blocks(body[4:], count),)
    if kind == BYE:
        if len(body) < 4 * count:
            raise ValueError("the list of sources is cut off")
        return (Bye(tuple(_WORD.unpack_from(body, 4 * n)[0] for n in range(count))),)
    if kind in (RTPFB, PSFB):
        if len(body) < 8:
            raise ValueError("the feedback is cut off")
        return _read_feedback(body, kind, count)
    return ()


def _blocks(body: bytes, count: int) -> Reports:
    if len(body) < _REPORT.size * count:
        raise ValueError("the report is cut off")
    blocks = []
    for number in range(count):
        ssrc, lost, highest, jitter, last, delay = _REPORT.unpack_from(body, _REPORT.size * number)
        total = lost & 0xFFFFFF
        total -= 0x1000000 if total & 0x800000 else 0
        blocks.append(Block(ssrc, lost >> 24, total, highest, jitter, last, delay))
    return Reports(tuple(blocks))


def _read_feedback(body: bytes, kind: int, form: int) -> Iterable[Item]:
    media = _WORD.unpack_from(body, 4)[0]
    fci = body[8:]
    if (kind, form) == (RTPFB, NACK):
        return (Nack(media, _lost(fci)),)
    if (kind, form) == (PSFB, PLI):
        return (KeyframeRequest(media),)
    if (kind, form) == (PSFB, FIR):
        entries = [_WORDS.unpack_from(fci, at) for at in range(0, len(fci) - 7, 8)]
        return tuple(KeyframeRequest(ssrc, number >> 24) for ssrc, number in entries[:MAX_ITEMS])
    if (kind, form) == (PSFB, AFB) and fci[:4] == b"REMB":
        return (_read_remb(fci),)
    return ()


def _lost(fci: bytes) -> list[int]:
    """The sequence numbers of a NACK: each entry one, and a mask of the 16 after it."""
    found = []
    for at in range(0, len(fci) - 3, 4):
        first, mask = _NACK.unpack_from(fci, at)
        found.append(first)
        found += [(first + n + 1) & 0xFFFF for n in range(16) if mask >> n & 1]
    return found


def _read_remb(fci: bytes) -> Remb:
    if len(fci) < 8 or len(fci) < 8 + 4 * fci[4]:
        raise ValueError("the REMB is cut off")
    sources = tuple(_WORD.unpack_from(fci, 8 + 4 * n)[0] for n in range(fci[4]))
    return Remb(read_bitrate(fci, 5), sources)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _LENGTH.pack(0x80 | count, kind, len(body) // 4) + body


def write_sender_report(report: SenderReport, blocks: Sequence[Block] = ()) -> bytes:
    """An SR, with at most 31 report blocks."""
    ssrc, *rest = report
    body = _WORD.pack(ssrc) + _SENDER.pack(*rest)
    return _packet(SR, len(blocks), body + b"".join(map(_block, blocks)))


def write_receiver_report(ssrc: int, blocks: Sequence[Block] = ()) -> bytes:
    """An RR, with at most 31 report blocks."""
    return _packet(RR, len(blocks), _WORD.pack(ssrc) + b"".join(map(_block, blocks)))


def _block(block: Block) -> bytes:
    lost = block.fraction << 24 | max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
    return _REPORT.pack(
        block.ssrc, lost, block.highest & 0xFFFFFFFF, block.jitter, block.last, block.delay
    )


def write_description(ssrc: int, cname: str) -> bytes:
    """An SDES with a CNAME of at most 255 bytes."""
    name = cname.encode()[:255]
    chunk = _WORD.pack(ssrc) + bytes([1, len(name)]) + name
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def write_bye(ssrc: int) -> bytes:
    """A BYE of one source."""
    return _packet(BYE, 1, _WORD.pack(ssrc))


def write_nack(ssrc: int, nack: Nack) -> bytes:
    """A NACK; `sequences` in the order in which they were sent."""
    entries: list[list[int]] = []
    for sequence in nack.sequences:
        ahead = (sequence - entries[-1][0] - 1) & 0xFFFF if entries else 16
        if ahead < 16:
            entries[-1][1] |= 1 << ahead
        else:
            entries.append([sequence, 0])
    fci = b"".join(_NACK.pack(*entry) for entry in entries)
    return _packet(RTPFB, NACK, _WORDS.pack(ssrc, nack.ssrc) + fci)


def write_keyframe_request(ssrc: int, request: KeyframeRequest) -> bytes:
    """A PLI, or a FIR for a request with a number."""
    if request.number is None:
        return _packet(PSFB, PLI, _WORDS.pack(ssrc, request.ssrc))
    entry = _WORDS.pack(request.ssrc, (request.number & 0xFF) << 24)
    return _packet(PSFB, FIR, _WORDS.pack(ssrc, 0) + entry)


def write_remb(ssrc: int, remb: Remb) -> bytes:
    """A REMB for at most 255 sources."""
    head = bytes([len(remb.ssrcs)]) + write_bitrate(remb.bitrate)
    sources = b"".join(map(_WORD.pack, remb.ssrcs))
    return _packet(PSFB, AFB, _WORDS.pack(ssrc, 0) + b"REMB" + head + sources)
