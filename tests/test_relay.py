"""The made-up network on real sockets: as exact as it says, and the same each time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from ringback.bots.calltest import relay as module
from ringback.bots.calltest.detour import Address, beside
from ringback.bots.calltest.doors import Datagrams
from ringback.bots.calltest.link import Link
from ringback.bots.calltest.packetlog import PacketLog, Way
from ringback.bots.calltest.profiles import Change, Profile, profile
from ringback.bots.calltest.relay import Lateness, Relay
from ringback.server.protocol import IceServer
from tests.callers import PATIENCE

RTP = b"\x80\x60" + bytes(10)


class End:
    """One end of a network: keeps what it gets, with the time and where it came from."""

    def __init__(self, host: str, echo: bool = False) -> None:
        self.got: list[tuple[float, bytes, Address]] = []
        self.echo = echo
        self._some = asyncio.Event()
        self.socket = Datagrams(self._take, here=host)

    def _take(self, data: bytes, where: Address) -> None:
        self.got.append((time.monotonic(), data, where))
        self._some.set()
        if self.echo:
            self.socket.send_to(data, where)

    async def has(self, count: int) -> list[bytes]:
        """Wait until so many have come; what they are."""
        async with asyncio.timeout(PATIENCE):
            while len(self.got) < count:
                self._some.clear()
                await self._some.wait()
        return [data for _, data, _ in self.got]


NewEnd = Callable[..., End]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


HOSTS = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")),
]


@pytest.fixture
async def end() -> AsyncIterator[NewEnd]:
    made: list[End] = []

    def make(host: str = "127.0.0.1", echo: bool = False) -> End:
        made.append(End(beside((host, 9)), echo))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


def way_to(relay: Relay, end: End) -> Address:
    """Where the relay stands for an end, found as a caller finds it."""
    host, port = end.socket.name
    text = relay.candidate(f"candidate:1 1 udp 1 {host} {port} typ host")
    assert text is not None
    _, _, _, _, ours, at, *_ = text.split()
    return ours, int(at)


class Noted(PacketLog):
    """A log that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._some = asyncio.Event()

    def note(self, now: float, way: Way, data: bytes, fate: str, due: float | None = None) -> None:
        super().note(now, way, data, fate, due)
        self._some.set()

    async def has(self, count: int) -> None:
        """Wait until so many packets have come."""
        async with asyncio.timeout(PATIENCE):
            while len(self.lines) < count:
                self._some.clear()
                await self._some.wait()


class Loop:
    """How late this process's event loop itself is: what no timer in it can better."""

    def __init__(self) -> None:
        self.late = Lateness()

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + 0.002
            await asyncio.sleep(0.002)
            self.late.note(max(0.0, time.monotonic() - due))


@asynccontextmanager
async def watched() -> AsyncIterator[Loop]:
    loop = Loop()
    task = asyncio.create_task(loop.watch())
    yield loop
    task.cancel()
    await asyncio.wait((task,))


# --- accuracy -------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.005, 0.04, 0.15])
async def test_delay_is_kept_within_3_ms(end: NewEnd, delay: float) -> None:
    caller, callee, log = end(), end(), PacketLog(began=0.0)
    async with Relay(Profile.both(Link(delay=delay)), log=log) as relay, watched() as loop:
        there = way_to(relay, callee)
        sent = []
        for number in range(100):
            sent.append(time.monotonic())
            caller.socket.send_to(number.to_bytes(2, "big"), there)
            await asyncio.sleep(0.005)
        assert [int.from_bytes(data, "big") for data in await callee.has(100)] == list(range(100))
    took = sorted(at - start for (at, _, _), start in zip(callee.got, sent, strict=True))
    # What is decided is exact, and nothing comes early; how late it leaves is the loop's matter.
    assert all(line.arrives == line.time + delay for line in log.lines)
    assert took[0] >= delay
    # Three wakes are in it: the packet comes, its time comes, it arrives.
    error, own = took[50] - delay, loop.late.quantile(0.5)
    assert error < 0.003 + 3 * own, f"{error * 1000:.2f} ms, the loop {own * 1000:.2f} ms"
    assert relay.late.quantile(0.5) < 0.003 + own


async def test_rate_is_kept_within_a_tenth(end: NewEnd) -> None:
    caller, callee = end(), end()
    # 972 bytes and 28 of headers are 8000 bits: at 800 kbit/s one each 10 ms.
    link = Link(rate=800_000, queue_time=5.0)
    async with Relay(Profile.both(link)) as relay, watched() as loop:
        there = way_to(relay, callee)
        for _ in range(60):
            caller.socket.send_to(bytes(972), there)
        await callee.has(60)
    span = callee.got[-1][0] - callee.got[0][0]
    # The first and the last may leave late: by what was measured, and the loop's own lateness.
    slack = relay.late.worst + loop.late.worst
    assert span == pytest.approx(59 * 8000 / 800_000, abs=0.059 + slack)
    assert all(b - a >= 0 for (a, _, _), (b, _, _) in pairwise(callee.got))


async def numbers(end: NewEnd, seed: int) -> list[bytes]:
    """Which of 300 packets arrive over a bad network, in which order."""
    caller, callee = end(), end()
    bad = Link(loss=0.1, burst=0.1, duplicate=0.1, reorder=0.1, late=0.5)
    log = Noted()
    async with Relay(Profile.both(bad), seed, log) as relay:
        there = way_to(relay, callee)
        for number in range(300):
            caller.socket.send_to(number.to_bytes(2, "big"), there)
            if number % 20 == 0:
                await asyncio.sleep(0)
        await log.has(300)
        await callee.has(relay.up.counts["passed"] + relay.up.counts["doubled"])
    return sorted(data for _, data, _ in callee.got)


async def test_the_same_seed_loses_and_doubles_the_same(end: NewEnd) -> None:
    once, again, other = [await numbers(end, seed) for seed in (1, 1, 2)]
    assert once == again != other


async def test_directions_have_fates_of_their_own() -> None:
    relay = Relay(Profile.both(Link(loss=0.5)), 1)
    way = [
        [lane.put(RTP, lambda _: None, 0.0).word for _ in range(50)]
        for lane in (relay.up, relay.down)
    ]
    assert way[0] != way[1]


# --- ways through -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", HOSTS)
async def test_packets_go_there_and_back_and_callers_stay_apart(end: NewEnd, host: str) -> None:
    callee, callers = end(host, echo=True), [end(host), end(host)]
    async with Relay() as relay:
        there = way_to(relay, callee)
        assert there != callee.socket.name
        assert there == way_to(relay, callee)
        for number, caller in enumerate(callers):
            caller.socket.send_to(b"caller %d" % number, there)
            assert await caller.has(1) == [b"caller %d" % number]
            assert caller.got[0][2] == there
        assert len({where for _, _, where in callee.got}) == 2
        assert relay.up.counts["passed"] == relay.down.counts["passed"] == 2


async def test_each_address_of_who_answers_has_a_door_of_its_own(end: NewEnd) -> None:
    caller, first, second = end(), end(), end()
    async with Relay() as relay:
        for callee, data in ((first, b"1"), (second, b"2")):
            caller.socket.send_to(data, way_to(relay, callee))
            assert await callee.has(1) == [data]


async def test_only_so_many_addresses_are_relayed(
    end: NewEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FLOWS", 2)
    monkeypatch.setattr(module, "MAX_DOORS", 1)
    callee, callers = end(echo=True), [end(), end(), end()]
    async with Relay() as relay:
        there = way_to(relay, callee)
        assert relay.candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host") is None
        for caller in callers:
            caller.socket.send_to(b"hello", there)
        await asyncio.gather(*(caller.has(1) for caller in callers[:2]))
        callers[0].socket.send_to(b"still", there)
        await callers[0].has(2)
        assert relay.refused == 1
        assert callers[2].got == []


async def test_nobody_there_is_no_trouble(end: NewEnd) -> None:
    gone = End("127.0.0.1")
    caller, callee = end(), end()
    async with Relay() as relay:
        nowhere, there = way_to(relay, gone), way_to(relay, callee)
        gone.socket.close()
        for _ in range(3):
            caller.socket.send_to(b"hello", nowhere)
            caller.socket.send_to(b"hello", there)
        await callee.has(3)


async def test_after_its_end_nothing_arrives_and_no_door_opens(end: NewEnd) -> None:
    caller, callee = end(), end()
    log = Noted()
    async with Relay(Profile.both(Link(delay=10.0)), log=log) as relay:
        caller.socket.send_to(b"hello", way_to(relay, callee))
        await log.has(1)
    assert relay.up.next() == float("inf")
    assert relay.candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host") is None


# --- time of the call -------------------------------------------------------------------------


async def said(relay: Relay, caller: End, callee: End, data: bytes) -> None:
    """Send something, and wait until it is decided what becomes of it."""
    log = relay.log = Noted()
    caller.socket.send_to(data, way_to(relay, callee))
    await log.has(1)


async def test_the_call_begins_with_the_first_media(end: NewEnd) -> None:
    caller, callee = end(), end()
    dark = profile("blackout=0s-30s")
    async with Relay(dark) as relay:
        await said(relay, caller, callee, bytes(20))
        assert [lane.began for lane in (relay.up, relay.down)] == [None, None]
        await said(relay, caller, callee, RTP)
        began = [lane.began for lane in (relay.up, relay.down)]
        assert began[0] is not None
        assert began[0] == began[1]
        assert relay.up.counts == {"passed": 1, "blackout": 1, "media": 1, "media lost": 1} | {
            "doubled": 0, "moved": 0,
        }  # fmt: skip


async def test_the_call_may_begin_when_one_says(end: NewEnd) -> None:
    caller, callee = end(), end()
    link = Link()
    changing = Profile("x", link, link, (Change(0.0, Link(blackout=((0.0, 30.0),)), link),))
    async with Relay(changing) as relay:
        relay.begin()
        await said(relay, caller, callee, bytes(20))
        assert relay.up.counts["blackout"] == 1


# --- TURN -------------------------------------------------------------------------------------


async def test_a_turn_server_is_reached_through_it(end: NewEnd) -> None:
    caller, turn = end(), end(echo=True)
    host, port = turn.socket.name
    server = IceServer(
        urls=[f"turn:{host}:{port}?transport=tcp", f"turn:{host}:{port}", f"stun:{host}"],
        username="ann",
        credential="secret",
    )
    async with Relay() as relay:
        ours = await relay.server(server)
        assert (ours.username, ours.credential) == ("ann", "secret")
        [url] = ours.urls
        _, where, at = url.removesuffix("?transport=udp").split(":")
        caller.socket.send_to(b"allocate", (where, int(at)))
        assert await caller.has(1) == [b"allocate"]


@pytest.mark.parametrize(
    "url", ["turns:turn.example.org", "stun:192.0.2.1", "turn:x?transport=tcp"]
)
async def test_no_turn_over_udp_is_told(url: str) -> None:
    async with Relay() as relay:
        with pytest.raises(ValueError, match="there is no TURN over UDP"):
            await relay.server(IceServer(urls=[url]))


def test_lateness() -> None:
    late = Lateness()
    assert (late.quantile(0.5), late.worst) == (0.0, 0.0)
    for number in range(100):
        late.note(number / 1000)
    assert (late.quantile(0.5), late.quantile(1.0), late.worst) == (0.05, 0.099, 0.099)


Answer = Callable[[str], Awaitable[str]]


async def test_a_way_of_being_answered(end: NewEnd) -> None:
    heard: list[str] = []
    host, port = end().socket.name

    async def answer(offer: str) -> str:
        heard.append(offer)
        return f"v=0\r\na=candidate:1 1 udp 1 {host} {port} typ host\r\n"

    async with Relay() as relay:
        answered = await relay.through(answer)("v=0\r\na=candidate:1 1 udp 1 ::1 9 typ host\r\n")
    assert heard == ["v=0\r\n"]
    assert "typ host" in answered
    assert f" {port} " not in answered
