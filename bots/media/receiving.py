"""What is known of one SSRC that we receive: its order, and what to report of it (RFC 3550).

Pure: time comes in as an argument.
"""

from __future__ import annotations

from typing import NamedTuple

from .payload import Codec
from .reorder import Reorder
from .rtcp import Block


class Part(NamedTuple):
    """One packet without its header. `codec` is None for what is no picture and no sound."""

    payload_type: int
    codec: Codec | None
    rate: int
    marker: bool
    timestamp: int
    payload: bytes


class Reception:
    """One source: the reorder buffer, and the statistics of RFC 3550, section 6.4.1."""

    def __init__(self, ssrc: int, first: int, patience: float) -> None:
        self.ssrc = ssrc
        self.order: Reorder[Part] = Reorder(first, patience)
        self.received = 0
        self.last_at = 0.0
        self._first = self.order.next
        self._jitter = 0.0
        self._transit = 0.0
        self._rate = 0
        self._expected_before = 0
        self._received_before = 0
        self._report = 0
        self._report_at = 0.0

    @property
    def expected(self) -> int:
        """How many packets were sent up to the last one that came."""
        return self.order.top - self._first + 1

    @property
    def jitter(self) -> float:
        """The interarrival jitter, in seconds."""
        return self._jitter / self._rate if self._rate else 0.0

    def count(self, timestamp: int, rate: int, now: float) -> None:
        """Take note of a packet that came."""
        self.received += 1
        self.last_at = now
        transit = now * rate - timestamp
        difference = transit - self._transit
        # A wrap of the timestamp is no jitter, nor is another clock.
        if -10 * rate < difference < 10 * rate and rate == self._rate:
            self._jitter += (abs(difference) - self._jitter) / 16
        self._rate, self._transit = rate, transit

    def restart(self) -> None:
        """The sender has begun its sequence numbers anew."""
        self._first = self.order.top
        self.received = 1
        self._expected_before = self._received_before = 0

    def reported(self, ntp: int, now: float) -> None:
        """The sender's report of itself has come."""
        self._report, self._report_at = ntp >> 16 & 0xFFFFFFFF, now

    def block(self, now: float) -> Block:
        """What to tell the sender, of the time since the last such block."""
        expected, received = self.expected, self.received
        span = expected - self._expected_before
        lost = span - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        delay = min(0xFFFFFFFF, round((now - self._report_at) * 65536)) if self._report else 0
        return Block(
            ssrc=self.ssrc,
            fraction=min(255, lost * 256 // span) if span > 0 and lost > 0 else 0,
            lost=expected - received,
            highest=self.order.top & 0xFFFFFFFF,
            jitter=min(0xFFFFFFFF, int(self._jitter)),
            last=self._report,
            delay=delay,
        )
