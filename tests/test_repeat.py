"""What sets up a connection is repeated until it arrives: checks, and flights of the handshake."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import stun
from aiortc import RTCDtlsTransport

from ringback.bots.calltest.link import Send
from ringback.bots.calltest.packetlog import Way
from ringback.bots.calltest.profiles import profile
from ringback.bots.calltest.relay import Relay
from ringback.bots.media import parts
from ringback.bots.media.network import PRIVATE, Network
from ringback.bots.media.repeat import HANDSHAKE, Flights
from ringback.bots.media.udp import Hub
from ringback.bots.peer import CONNECT, Peer
from ringback.bots.values import Kind
from tests.callers import PATIENCE, needs_address
from tests.ends import End

CALLS = 30
HELLO, FINISHED = b"\x16hello", b"\x14finished"


# --- the flights, by themselves --------------------------------------------------------------


class Handshake:
    """What stands for a DTLS transport on its way, and for the pair it sends to."""

    def __init__(self, role: str = "client") -> None:
        self.state, self._role = "connecting", role
        self.transport = SimpleNamespace(_send=self._send)
        self.settled = False
        self.sent: list[bytes] = []
        self.repeated: asyncio.Queue[bytes] = asyncio.Queue()
        pair = SimpleNamespace(
            protocol=SimpleNamespace(transport=SimpleNamespace(sendto=self._repeat)),
            remote_addr=("192.0.2.1", 9),
        )
        self.nominations: dict[int, Any] = {1: pair}
        self.flights = Flights(cast(RTCDtlsTransport, self), self.nominations, lambda: self.settled)

    async def _send(self, data: bytes) -> None:
        self.sent.append(data)

    def _repeat(self, data: bytes, where: tuple[str, int]) -> None:
        assert where == ("192.0.2.1", 9)
        self.repeated.put_nowait(data)

    async def send(self, data: bytes) -> None:
        """As DTLS sends."""
        await self.transport._send(data)

    async def next(self) -> bytes:
        """What is sent again next."""
        async with asyncio.timeout(PATIENCE):
            return await self.repeated.get()


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a turn of the loop between two repetitions, and five of them."""
    monkeypatch.setattr(parts, "pauses", lambda: iter([0.0] * 5))


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_repetitions_are_quick_first_and_last_until_a_call_is_given_up() -> None:
    pauses = list(parts.pauses())
    assert pauses[:5] == [0.1, 0.2, 0.4, 0.8, 0.8]
    assert 0.9 * CONNECT < sum(pauses[:-1]) < CONNECT + 1


@pytest.mark.usefixtures("swift")
async def test_a_flight_goes_out_again_until_the_next_one_does() -> None:
    handshake = Handshake()
    await handshake.send(HELLO)
    assert [await handshake.next() for _ in range(2)] == [HELLO] * 2
    await handshake.send(FINISHED)
    while await handshake.next() == HELLO:
        pass
    assert await handshake.next() == FINISHED
    assert handshake.sent == [HELLO, FINISHED]
    handshake.flights.close()


@pytest.mark.usefixtures("swift")
async def test_a_flight_that_is_never_answered_is_given_up() -> None:
    handshake = Handshake()
    await handshake.send(HELLO)
    await turns()
    assert handshake.repeated.qsize() == handshake.flights.repeated == 5


@pytest.mark.usefixtures("swift")
@pytest.mark.parametrize(
    "end",
    [
        lambda handshake: setattr(handshake, "state", "connected"),
        lambda handshake: setattr(handshake, "state", "failed"),
        lambda handshake: handshake.nominations.clear(),
        lambda handshake: handshake.flights.close(),
    ],
    ids=["connected", "failed", "no pair", "closed"],
)
async def test_nothing_goes_out_when_it_is_over(end: Callable[[Handshake], None]) -> None:
    handshake = Handshake()
    await handshake.send(HELLO)
    end(handshake)
    await turns()
    assert handshake.repeated.empty()


@pytest.mark.usefixtures("swift")
async def test_who_has_the_last_word_repeats_it_until_the_keys_are_used() -> None:
    handshake = Handshake("server")
    await handshake.send(FINISHED)
    handshake.state = "connected"
    assert await handshake.next() == FINISHED
    handshake.settled = True
    await turns()
    while not handshake.repeated.empty():
        handshake.repeated.get_nowait()
    await handshake.send(FINISHED)
    await turns()
    assert handshake.repeated.empty()


@pytest.mark.usefixtures("swift")
@pytest.mark.parametrize("data", [b"\x15alert", b"\x17data", b"\x80media"])
async def test_what_is_no_handshake_goes_out_once(data: bytes) -> None:
    handshake = Handshake("server")
    await handshake.send(data)
    await turns()
    assert handshake.sent == [data]
    assert handshake.repeated.empty()


# --- over bad networks -----------------------------------------------------------------------


class Losing(Relay):
    """A network that loses the first `count` copies of what `which` gives a name to."""

    def __init__(self, which: Callable[[bytes], object], count: int) -> None:
        super().__init__()
        self._which, self._count = which, count
        self.lost: Counter[object] = Counter()

    def carry(self, way: Way, data: bytes, send: Send, headers: int) -> None:
        """As a relay, but for what is lost."""
        name = self._which(data)
        if name is not None and self.lost[way, name] < self._count:
            self.lost[way, name] += 1
        else:
            super().carry(way, data, send, headers)


def flight(data: bytes) -> object:
    """Which flight of a handshake this is: by its first message."""
    return (data[0], data[13]) if data[0] in HANDSHAKE else None


def request(data: bytes) -> object:
    """Which STUN request this is."""
    return data[8:20] if data[:2] == b"\0\1" else None


@pytest.fixture
async def ends() -> AsyncIterator[list[Peer]]:
    """Whatever peers a test puts in here are closed at its end."""
    made: list[Peer] = []
    yield made
    await asyncio.gather(*(peer.close() for peer in made))


async def meet(relay: Relay, ends: list[Peer]) -> None:
    """Two peers connect over a relay. Raises `TimeoutError` where they do not."""
    kinds: tuple[Kind, ...] = ("audio", "video")
    a, b = (End(Hub(Network(allow=PRIVATE)), receives=kinds, sends=kinds) for _ in range(2))
    ends += [a.peer, b.peer]
    answer = await b.peer.answer(relay.offered(await a.peer.offer(kinds)))
    await a.peer.accept(relay.answered(answer))
    changes = await asyncio.gather(a.connected(), b.connected())
    assert all(seen.state != "failed" for side in changes for seen in side)


@needs_address
@pytest.mark.parametrize(
    ("which", "count"), [(flight, 3), (request, 5)], ids=["handshake", "checks"]
)
async def test_what_is_lost_often_is_repeated_in_time(
    ends: list[Peer], which: Callable[[bytes], object], count: int
) -> None:
    """With the timers of the standards the next try would come after a call is given up."""
    async with Losing(which, count) as relay:
        await meet(relay, ends)
    assert max(relay.lost.values()) == count


@needs_address
async def test_many_calls_come_about_where_every_fifth_packet_is_lost(ends: list[Peer]) -> None:
    async def one(seed: int) -> int:
        async with Relay(profile("loss=20%,delay=20ms"), seed) as relay:
            await meet(relay, ends)
            return relay.up.counts["lost"] + relay.down.counts["lost"]

    lost = await asyncio.gather(*map(one, range(CALLS)))
    assert sum(lost) > CALLS


# --- what aioice has to offer ----------------------------------------------------------------


class Silent:
    """Takes requests, and answers none."""

    def __init__(self) -> None:
        self.sent = 0

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Take one."""
        self.sent += 1


async def ask(**options: Any) -> tuple[int, list[float]]:
    """How often a request that nobody answers is sent, and the pauses between."""
    silent, pauses = Silent(), list[float]()
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def at_once(delay: float, call: Callable[..., object], *rest: Any) -> asyncio.TimerHandle:
        pauses.append(delay)
        return later(0, call, *rest)

    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    transaction = stun.Transaction(message, ("192.0.2.1", 9), silent, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_later", at_once)
        with pytest.raises(stun.TransactionTimeout):
            await transaction.run()
    return silent.sent, pauses


async def test_a_request_of_a_connection_of_ours_is_repeated_quickly() -> None:
    with parts.quickly():
        sent, pauses = await ask()
    assert (sent, pauses) == (parts.TRIES, list(parts.pauses()))


async def test_other_requests_are_repeated_as_ever() -> None:
    sent, pauses = await ask()
    assert (sent, pauses[:4]) == (7, [0.5, 1, 2, 4])
    with parts.quickly():
        assert await ask(retransmissions=0) == (1, [0.5])
