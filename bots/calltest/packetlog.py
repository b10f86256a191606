"""What kind of packet a datagram of a call is, and a log of their headers. Pure but for the file.

Media is encrypted (SRTP), its headers are not: what is read here is what anybody on the way could.
"""

from __future__ import annotations

import csv
from collections import deque
from pathlib import Path
from typing import Literal, NamedTuple

from ringback.bots.media.rtp import RTP_HEADER, is_rtcp, read_header

LIMIT = 100_000

Kind = Literal["stun", "dtls", "rtp", "rtcp", "other"]
Way = Literal["up", "down"]

HEAD = (
    "time", "direction", "kind", "ssrc", "payload_type", "sequence", "timestamp", "marker",
    "size", "fate", "arrives",
)  # fmt: skip


def kind_of(data: bytes) -> Kind:
    """What a datagram is, by its first bytes (RFC 7983; RTCP apart by RFC 5761)."""
    data = inner(data)
    first = data[0] if data else 255
    if first < 4:
        return "stun"
    if 20 <= first < 64:
        return "dtls"
    if 128 <= first < 192 and len(data) >= 8:
        if is_rtcp(data):
            return "rtcp"
        return "rtp" if len(data) >= RTP_HEADER else "other"
    return "other"


def inner(data: bytes) -> bytes:
    """A datagram without the header of a TURN channel, if it has one (RFC 8656, section 12.4)."""
    return data[4:] if len(data) > 4 and 64 <= data[0] < 80 else data


def is_media(data: bytes) -> bool:
    """Whether it is an RTP packet."""
    return kind_of(data) == "rtp"


def payload_type(data: bytes) -> int:
    """The payload type of an RTP packet."""
    return inner(data)[1] & 127


class Line(NamedTuple):
    """One packet: when it came (seconds since the log began), which way, what it is, what became
    of it, and when it arrives. The fields of its RTP header are None for anything else; of RTCP
    the SSRC and the type are told."""

    time: float
    direction: Way
    kind: Kind
    ssrc: int | None
    payload_type: int | None
    sequence: int | None
    timestamp: int | None
    marker: bool | None
    size: int
    fate: str
    arrives: float | None


class PacketLog:
    """Keeps at most `limit` lines: the first half of them and the last; `left_out` counts what
    was between. `began`: the moment (of the packets' clock) from which times are told; the first
    packet's if not given."""

    def __init__(self, limit: int = LIMIT, began: float | None = None) -> None:
        self.left_out = 0
        self.began = began
        self._first: list[Line] = []
        self._most = limit - limit // 2
        self._last: deque[Line] = deque(maxlen=limit // 2)

    @property
    def lines(self) -> list[Line]:
        """What was kept, in the order in which it came."""
        return [*self._first, *self._last]

    def note(self, now: float, way: Way, data: bytes, fate: str, due: float | None = None) -> None:
        """Take note of a packet. `due`: when it arrives, None for never."""
        if self.began is None:
            self.began = now
        kind, packet = kind_of(data), inner(data)
        ssrc = payload = sequence = timestamp = marker = None
        if kind == "rtp":
            marker, payload, sequence, timestamp, ssrc = read_header(packet)
        elif kind == "rtcp":
            payload, ssrc = packet[1], int.from_bytes(packet[4:8], "big")
        line = Line(
            now - self.began, way, kind, ssrc, payload, sequence, timestamp, marker, len(data),
            fate, None if due is None else due - self.began,
        )  # fmt: skip
        if len(self._first) < self._most:
            self._first.append(line)
            return
        self.left_out += len(self._last) == self._last.maxlen
        self._last.append(line)

    def write(self, path: Path) -> None:
        """Write it as CSV, with a line of names first; one of the kind `left out` says by its
        size how many packets are missing there. Raises `OSError`."""
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(HEAD)
            rows.writerows(map(_cells, self._first))
            if self.left_out:
                rows.writerow(("", "", "left out", "", "", "", "", "", self.left_out, "", ""))
            rows.writerows(map(_cells, self._last))


def _cells(line: Line) -> list[str]:
    return [
        "" if value is None else str(int(value)) if isinstance(value, bool)
        else f"{value:.6f}" if isinstance(value, float) else str(value)
        for value in line
    ]  # fmt: skip
