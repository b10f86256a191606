"""What an endpoint asks of its sender, over the link of call tests: packets, a rate, a queue.

On a virtual clock: a sender of pictures that does what it is asked, packets as they are on the
wire, the track that receives them, and what it asks for as it is sent.
"""

from __future__ import annotations

import random
from functools import partial

import pytest

from ringback.bots.calltest.link import Lane, Link
from ringback.bots.media import packet, rtcp
from ringback.bots.media.congestion import ReceiveRate
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.payload import packetise
from tests.tracks import SSRC, section, vp8

FPS = 30
MOST = 2_500_000
WAY_BACK = 0.03


class Call:
    """A sender, a link and a receiver. `waits`: seconds on the way of each packet that came."""

    def __init__(self, link: Link, *changes: tuple[float, Link], wish: float = 2_000_000) -> None:
        self.lane = Lane(link, 1, changes)
        self.lane.began = 1000.0
        self.track = Incoming("0", "video")
        self.track.configure(section())
        self.track.path = ReceiveRate(MOST)
        self.wish = wish
        self.now = 1000.0
        self.asked: float = MOST
        self.waits: list[tuple[float, float]] = []
        self.rates: list[tuple[float, float]] = []
        self._dice = random.Random(3)
        self._sequence = self._pictures = 0
        self._report_at = 1001.0
        self._under_way: list[tuple[float, bytes]] = []

    def run(self, seconds: float) -> None:
        """Let time pass, a picture at a time, and a millisecond at a time between them."""
        for _ in range(round(seconds * FPS)):
            self._send_picture()
            until = self.now + 1 / FPS
            while self.now < until:
                self._arrive()
                self._ask()
                self.now += 0.001

    def _send_picture(self) -> None:
        rate = min(self.wish, self.asked)
        self.rates.append((self.now, rate))
        length = round(rate / FPS / 8 * self._dice.uniform(0.8, 1.2))
        data = vp8(self._pictures, key=self._pictures == 0, length=max(40, length))
        self._pictures += 1
        payloads, ticks = packetise("VP8", data, 1180), round((self.now - 1000) * 90_000)
        for number, payload in enumerate(payloads):
            made = packet.build(
                96, self._sequence & 0xFFFF, ticks, SSRC, payload,
                marker=number == len(payloads) - 1,
            )  # fmt: skip
            self._sequence += 1
            self.lane.put(made, partial(self._take, self.now), self.now)

    def _take(self, sent: float, data: bytes) -> None:
        self.waits.append((sent, self.now - sent))
        start, end = packet.payload_span(memoryview(data), len(data))
        _, second, sequence, timestamp, ssrc = packet.HEADER.unpack_from(data)
        payload = data[start:end]
        self.track.receive(ssrc, second & 127, sequence, second > 127, timestamp, payload, self.now)

    def _arrive(self) -> None:
        for _, data, send in self.lane.take(self.now):
            send(data)
        while self._under_way and self._under_way[0][0] <= self.now:
            _, report = self._under_way.pop(0)
            for item in rtcp.read(memoryview(report), len(report)):
                if isinstance(item, rtcp.Remb):
                    self.asked = item.bitrate

    def _ask(self) -> None:
        """As an endpoint does: once a second, and at once where it is urgent."""
        path = self.track.path
        assert path is not None
        if self.now < self._report_at and not path.hurry:
            return
        path.hurry = False
        self._report_at = self.now + 1.0
        report = rtcp.write_receiver_report(1) + rtcp.write_remb(1, rtcp.Remb(path.bits, (SSRC,)))
        self._under_way.append((self.now + WAY_BACK, report))

    def sent(self, begin: float, end: float) -> float:
        """The mean rate of the sender between two moments."""
        found = [rate for at, rate in self.rates if begin <= at - 1000 < end]
        return sum(found) / len(found)

    def longest(self, begin: float, end: float) -> float:
        """The longest that a packet was under way which was sent between two moments."""
        return max(wait for at, wait in self.waits if begin <= at - 1000 < end)


@pytest.mark.parametrize(("rate", "drained"), [(1_500_000, 6), (1_000_000, 12), (700_000, 45)])
def test_the_sender_falls_under_the_rate_of_the_link_and_its_queue_drains(
    rate: int, drained: float
) -> None:
    call = Call(Link(rate=rate, delay=0.02, queue_time=4.0))
    call.run(drained + 10)
    assert call.longest(0, 3) > 0.3, "there was a queue"
    assert 0.5 * rate < call.sent(drained, drained + 10) < rate, "headers are not even counted"
    assert call.longest(drained, drained + 9) < 0.15
    assert call.lane.counts["queue"] == 0, "and it was noticed before anything was lost"


def test_a_link_that_becomes_narrow_and_wide_again() -> None:
    wide, narrow = Link(delay=0.02), Link(rate=800_000, delay=0.02, queue_time=4.0)
    call = Call(wide, (5.0, narrow), (20.0, wide))
    call.run(60)
    assert call.sent(0, 5) == 2_000_000
    assert call.longest(0, 4.9) < 0.03
    assert call.sent(12, 20) < 800_000
    assert call.longest(13, 20) < 0.15
    assert call.sent(55, 60) > 1_500_000, "and what it carries then is found again"


def test_a_link_that_carries_it_asks_for_nothing() -> None:
    call = Call(Link(rate=4_000_000, delay=0.05, jitter=0.003))
    call.run(15)
    assert call.asked == pytest.approx(MOST, rel=0.01)
