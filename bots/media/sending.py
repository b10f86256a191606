"""One stream of packets that we send: numbered, kept for a while, sent again, reported.

Pure: time and random beginnings come in as arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from . import packet
from .rtcp import Block, SenderReport, ntp

HISTORY = 512
KEEP = 3.0
AGAIN_AFTER = 0.02
JUMP = 1.0
SLOWLY = 0.005


class Seeds(NamedTuple):
    """Where sequence numbers and timestamps begin (RFC 3550, section 5.1: anywhere)."""

    sequence: int
    rtx_sequence: int
    timestamp: int


class _Kept(NamedTuple):
    sequence: int
    data: bytes
    sent: float
    sealed: bool


class Again(NamedTuple):
    """A packet to be sent again: sealed long ago, or wrapped and still to be sealed."""

    data: bytes
    sealed: bool


class Transmission:
    """Numbers packets of one SSRC, and remembers the last `HISTORY` of them for `KEEP` seconds.

    `loss` is the fraction lost and `round_trip` the time in seconds by the peer's last report.
    """

    def __init__(self, ssrc: int, rtx_ssrc: int, seeds: Seeds) -> None:
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.packets = 0
        self.octets = 0
        self.loss: float | None = None
        self.round_trip: float | None = None
        self._sequence, self._rtx_sequence, self._offset = seeds
        self._kept: list[_Kept | None] = [None] * HISTORY
        self._again: dict[int, float] = {}
        self._early: float | None = None
        self._rate = 0

    def number(
        self,
        payloads: Sequence[bytes],
        payload_type: int,
        timestamp: int,
        *,
        marker: bool,
        extensions: bytes,
    ) -> list[bytes]:
        """The packets of one frame; `marker` on the last."""
        ticks = (timestamp + self._offset) & 0xFFFFFFFF
        last = len(payloads) - 1
        made = []
        for number, payload in enumerate(payloads):
            mark = marker and number == last
            made.append(
                packet.build(
                    payload_type, self._sequence, ticks, self.ssrc, payload,
                    marker=mark, extensions=extensions,
                )
            )  # fmt: skip
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self.octets += len(payload)
        return made

    def moment(self, timestamp: int, rate: int, now: float) -> None:
        """Take note of when a frame was given to be sent: what is early sets the clock."""
        early = timestamp / rate - now
        known = self._early
        if known is None or rate != self._rate or early > known or known - early > JUMP:
            self._early = early
        else:
            self._early = known + (early - known) * SLOWLY
        self._rate = rate

    def keep(self, data: bytes, sequence: int, now: float, *, sealed: bool) -> None:
        """Remember a packet that was sent. `sealed`: it can only be sent again as it is."""
        self._kept[sequence % HISTORY] = _Kept(sequence, data, now, sealed)

    def again(self, lost: Iterable[int], rtx_type: int | None, now: float) -> list[Again]:
        """What to send for a NACK: nothing twice within a round trip, nothing that is old."""
        pause = max(AGAIN_AFTER, (self.round_trip or 0.0) * 0.8)
        self._again = {s: at for s, at in self._again.items() if now - at < pause}
        found = []
        for sequence in lost:
            kept = self._kept[sequence % HISTORY]
            if kept is None or kept.sequence != sequence or now - kept.sent > KEEP:
                continue
            if sequence in self._again:
                continue
            self._again[sequence] = now
            if kept.sealed or rtx_type is None:
                found.append(Again(kept.data, kept.sealed))
                continue
            number = self._rtx_sequence
            self._rtx_sequence = (number + 1) & 0xFFFF
            wrapped = packet.retransmission(kept.data, rtx_type, number, self.rtx_ssrc)
            found.append(Again(wrapped, False))
        return found

    def report(self, now: float, wall: float) -> SenderReport | None:
        """The sender report of this moment; None before the first frame. `wall`: since 1970."""
        if self._early is None:
            return None
        ticks = round((now + self._early) * self._rate) + self._offset
        return SenderReport(
            self.ssrc, ntp(wall), ticks & 0xFFFFFFFF, self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )  # fmt: skip

    def reported(self, block: Block, wall: float) -> None:
        """Take what the peer reports of this stream."""
        self.loss = block.fraction / 256
        if block.last:
            passed = ((ntp(wall) >> 16) - block.last - block.delay) & 0xFFFFFFFF
            if passed < 1 << 31:
                self.round_trip = passed / 65536
