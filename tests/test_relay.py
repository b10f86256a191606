"""The bad network that other tests call over: it does what it says, and the same each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import islice
from typing import cast

import pytest

from tests import relay as module
from tests.callers import PATIENCE, needs_address
from tests.relay import Lane, Link, Relay

pytestmark = needs_address

RTP = b"\x80\x60" + bytes(30)
STUN = bytes(32)
ANSWER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
m=audio 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=rtpmap:96 opus/48000/2
a=candidate:a 1 udp 1 fd00::1 5000 typ host
a=candidate:b 1 udp 1 {host} {port} typ host
a=mid:0
"""


def shares(link: Link, packets: int = 20_000) -> dict[str, float]:
    fates = list(islice(link.fates(random.Random(7)), packets))
    return {
        "loss": sum(fate.copies == 0 for fate in fates) / packets,
        "duplicate": sum(fate.copies == 2 for fate in fates) / packets,
        "reorder": sum(fate.moved for fate in fates) / packets,
    }


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("what", ["loss", "duplicate", "reorder"])
def test_shares_are_kept(what: str, share: float) -> None:
    found = shares(Link(**{what: share}))
    assert found.pop(what) == pytest.approx(share, abs=0.01)
    assert set(found.values()) == {0.0}


def test_the_same_seed_is_the_same_network() -> None:
    link = Link(loss=0.1, duplicate=0.1, reorder=0.1, delay=1, jitter=1)
    once, again, other = (list(islice(link.fates(random.Random(s)), 99)) for s in (1, 1, 2))
    assert once == again != other


def test_more_loss_loses_what_less_did_and_more() -> None:
    less, more = (
        [fate.copies == 0 for fate in islice(Link(loss=loss).fates(random.Random(3)), 999)]
        for loss in (0.05, 0.1)
    )
    assert all(b for a, b in zip(less, more, strict=True) if a)
    assert sum(more) > sum(less)


async def test_a_good_link_passes_at_once_and_in_order() -> None:
    lane, arrived = Lane(Link(), 1), list[bytes]()
    for number in range(100):
        lane.carry(bytes([number]), arrived.append)
    assert arrived == [bytes([number]) for number in range(100)]
    assert lane.counts["passed"] == 100


async def test_jitter_never_overtakes_and_reordering_does() -> None:
    async def carry(link: Link) -> list[int]:
        lane, arrived, done = Lane(link, 1), list[int](), asyncio.Event()

        def take(data: bytes) -> None:
            arrived.append(data[0])
            if len(arrived) == 100:
                done.set()

        for number in range(100):
            lane.carry(bytes([number]), take)
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        assert lane.counts["moved"] == 0 or link.reorder
        return arrived

    assert await carry(Link(delay=0.001, jitter=0.01)) == list(range(100))
    moved = await carry(Link(reorder=0.1))
    assert moved != list(range(100))
    assert sorted(moved) == list(range(100))


async def test_what_is_lost_and_doubled_is_counted() -> None:
    lane, arrived = Lane(Link(loss=0.2, duplicate=0.2), 1), list[bytes]()
    for _ in range(500):
        lane.carry(RTP, arrived.append)
        lane.carry(STUN, arrived.append)
    counts = lane.counts
    assert counts["media"] == 500
    assert 0 < counts["media lost"] < counts["lost"]
    assert len(arrived) == counts["passed"] == 1000 - counts["lost"] + counts["doubled"]


async def test_no_more_is_held_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 5)
    lane = Lane(Link(delay=100), 1)
    for _ in range(7):
        lane.carry(RTP, lambda _packet: None)
    assert lane.counts["overflowed"] == 2
    lane.close()


class Echo(asyncio.DatagramProtocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.callers: set[tuple[str, int]] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.callers.add(addr)
        self.transport.sendto(data, addr)


class Caller(asyncio.DatagramProtocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.put_nowait(data)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Echo, local_addr=(module._address(), 0))
    yield made
    transport.close()


async def test_packets_go_there_and_back_and_callers_stay_apart(echo: Echo) -> None:
    host, port = echo.transport.get_extra_info("sockname")
    loop = asyncio.get_running_loop()
    async with Relay() as relay:
        answer = relay.answered(ANSWER.format(host=host, port=port))
        [candidate] = module._candidates(answer)
        assert (candidate.ip, candidate.port) != (host, port)
        for number in range(2):
            transport, caller = await loop.create_datagram_endpoint(
                Caller, remote_addr=(candidate.ip, candidate.port)
            )
            async with asyncio.timeout(PATIENCE):
                # The first opens the way, and is lost: the relay has no socket for it yet.
                while caller.got.empty():
                    transport.sendto(b"caller %d" % number)
                    await asyncio.sleep(0.01)
                assert await caller.got.get() == b"caller %d" % number
            transport.close()
        assert len(echo.callers) == 2
        assert relay.up.counts["passed"] >= relay.down.counts["passed"] >= 2


def test_offers_tell_nothing_and_answers_only_of_the_relay() -> None:
    offer = module.offered(ANSWER.format(host="192.0.2.9", port=7))
    assert "candidate" not in offer
    assert "a=mid:0" in offer
