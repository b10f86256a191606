"""Plays a clip into a call: packets when they are due, and a sender's reports."""

from __future__ import annotations

import asyncio
import secrets
import time
from struct import Struct

from aiortc.rtp import RtcpSdesPacket, RtcpSenderInfo, RtcpSourceInfo, RtcpSrPacket

from bench.clip import Reel
from bench.wire import Medium, Wire

REPORT = 1.0
"""Seconds between two reports of one source."""
LATE = 0.1
_HEADER = Struct("!BBHII")
_NTP_EPOCH = 2_208_988_800
_CNAME = 1


class Player:
    """One medium of one call, over and over. `start` it; `restart` goes back to the key frame.

    `at`: when each payload was sent last (`perf_counter`), if it is to be noted.
    """

    def __init__(self, wire: Wire, medium: Medium, reel: Reel) -> None:
        self.packets = 0
        self.units = 0
        self.at: dict[bytes, float] | None = None
        self._wire = wire
        self._medium = medium
        self._reel = reel
        self._place = 0
        self._octets = 0
        self._sequence = secrets.randbelow(1 << 15)
        self._first = secrets.randbits(31)
        self._began = 0.0
        self._reported = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, offset: float = 0.0) -> None:
        """Begin to send, `offset` seconds from now: not all calls at the same moment."""
        loop = asyncio.get_running_loop()
        self._began = loop.time() + offset
        self._timer = loop.call_at(self._began, self._play)

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def restart(self) -> None:
        """Somebody asks for a picture that needs no other: go on with the clip's first."""
        self._place = 0

    @property
    def _timestamp(self) -> int:
        return (self._first + self.units * self._reel.ticks) & 0xFFFFFFFF

    def _play(self) -> None:
        payloads = self._reel.units[self._place]
        self._place = (self._place + 1) % len(self._reel.units)
        source, number = self._medium.ssrc, self._medium.payload_type
        last = len(payloads) - 1
        for index, payload in enumerate(payloads):
            kind = number | (128 if index == last else 0)
            head = _HEADER.pack(0x80, kind, self._sequence, self._timestamp, source)
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self.at is not None:
                self.at[payload] = time.perf_counter()
            self._wire.send(head + payload)
            self._octets += len(payload)
        self.packets += len(payloads)
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._reported >= REPORT:
            self._reported = now
            self._wire.send(self._report(), rtcp=True)
        self.units += 1
        due = self._began + self.units * self._reel.ticks / self._reel.rate
        if due < now - LATE:
            # A sender without time does not make up for it all at once: that would be a flood.
            self._began += now - due
            due = now
        self._timer = loop.call_at(due, self._play)

    def _report(self) -> bytes:
        """A sender report with the description that must go with it (RFC 3550, 6.1)."""
        now = time.time() + _NTP_EPOCH
        info = RtcpSenderInfo(
            ntp_timestamp=int(now * (1 << 32)),
            rtp_timestamp=self._timestamp,
            packet_count=self.packets & 0xFFFFFFFF,
            octet_count=self._octets & 0xFFFFFFFF,
        )
        names = [RtcpSourceInfo(ssrc=self._medium.ssrc, items=[(_CNAME, b"bench")])]
        report = RtcpSrPacket(ssrc=self._medium.ssrc, sender_info=info)
        return bytes(report) + bytes(RtcpSdesPacket(chunks=names))
