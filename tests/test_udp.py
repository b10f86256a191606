"""Sockets shared by many calls: real ICE connections over them, and strangers beside."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol, cast

import pytest
from aioice import stun
from aioice.ice import Connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.bots.media import parts, udp
from ringback.bots.media.network import Network, read_address
from ringback.bots.media.udp import Hub, SharedSocket
from tests.callers import PATIENCE, needs_address

pytestmark = needs_address


def connection(controlling: bool = False, **more: Any) -> Connection:
    """A connection that asks no servers; IPv4 alone, so that there is one socket."""
    return Connection(ice_controlling=controlling, use_ipv6=False, **more)


async def join(one: Connection, other: Connection) -> None:
    """Gather, exchange what signalling exchanges, and connect."""
    for end in (one, other):
        await end.gather_candidates()
    for end, far in ((one, other), (other, one)):
        end.remote_username, end.remote_password = far.local_username, far.local_password
        for candidate in far.local_candidates:
            await end.add_remote_candidate(candidate)
        await end.add_remote_candidate(None)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(one.connect(), other.connect())


Pair = tuple[Connection, Connection]


class Joined(Protocol):
    """Connects two."""

    def __call__(self, hub: Hub, *, patient: bool = False) -> Awaitable[Pair]: ...


@pytest.fixture
async def joined() -> AsyncIterator[Joined]:
    """Connects somebody with sockets of their own to somebody who uses a hub."""
    made: list[Connection] = []

    async def make(hub: Hub, *, patient: bool = False) -> Pair:
        caller, ours = connection(controlling=True), connection()
        made.extend((caller, ours))
        hub.attach(ours, patient=patient)
        await join(caller, ours)
        return caller, ours

    yield make
    for end in made:
        await end.close()


def socket_of(hub: Hub) -> SharedSocket:
    [[shared]] = hub._sockets.values()
    return shared


async def test_data_goes_both_ways(joined: Joined) -> None:
    caller, ours = await joined(Hub())
    await caller.send(b"\x80ping")
    assert await ours.recv() == b"\x80ping"
    await ours.send(b"\x80pong")
    assert await caller.recv() == b"\x80pong"


async def test_data_goes_both_ways_over_ipv6() -> None:
    caller, ours = (
        Connection(ice_controlling=controlling, use_ipv4=False) for controlling in (True, False)
    )
    hub = Hub()
    hub.attach(ours)
    if not await _candidates(Connection(ice_controlling=True, use_ipv4=False)):
        pytest.skip("this machine has no IPv6 address but that of loopback")
    await join(caller, ours)
    for _ in range(2):
        await caller.send(b"\x80ping")
        assert await ours.recv() == b"\x80ping"
        await ours.send(b"\x80pong")
        assert await caller.recv() == b"\x80pong"
    pair = parts.nominated(ours)
    assert pair is not None
    assert ":" in pair.remote_addr[0]
    for end in (caller, ours):
        await end.close()
    assert not hub.dropped


async def test_many_calls_share_one_socket_and_each_hears_its_own(joined: Joined) -> None:
    hub = Hub()
    pairs = [await joined(hub) for _ in range(5)]
    assert hub.open == 1
    for number, (caller, _) in enumerate(pairs):
        await caller.send(b"\x80" + bytes([number]))
    for number, (_, ours) in enumerate(pairs):
        assert await ours.recv() == b"\x80" + bytes([number])
    assert not hub.dropped


@pytest.mark.parametrize(("one_port", "sockets"), [(False, 3), (True, 1)])
async def test_many_calls_take_more_sockets_while_there_are_ports(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, one_port: bool, sockets: int
) -> None:
    monkeypatch.setattr(udp, "CALLS", 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        free = taken.getsockname()[1]
    hub = Hub(Network(ports=(free, free) if one_port else None))
    pairs = [await joined(hub) for _ in range(5)]
    assert hub.open == sockets
    for number, (caller, ours) in enumerate(pairs):
        await caller.send(b"\x80" + bytes([number]))
        assert await ours.recv() == b"\x80" + bytes([number])
    for _, ours in pairs[:4]:
        await ours.close()
    assert hub.open == 1
    await joined(hub)
    assert hub.open == 1


async def test_the_socket_goes_with_the_last_call(joined: Joined) -> None:
    hub = Hub()
    (_, first), (caller, second) = await joined(hub), await joined(hub)
    shared = socket_of(hub)
    await first.close()
    await caller.send(b"\x80still")
    assert await second.recv() == b"\x80still"
    await second.close()
    assert hub.open == 0
    assert shared.socket.fileno() == -1
    await joined(hub)
    assert hub.open == 1


async def test_nothing_of_a_call_is_left_behind(joined: Joined) -> None:
    hub = Hub()
    keeper = await joined(hub)
    shared = socket_of(hub)
    before = len(shared._owners), len(shared._routes), len(shared._calls)
    for _ in range(3):
        _, ours = await joined(hub)
        await ours.close()
    assert (len(shared._owners), len(shared._routes), len(shared._calls)) == before
    assert all(share.connection is keeper[1] for share in shared._hopeful.values())
    assert all(share.connection is keeper[1] for share in shared._asked.values())


async def test_ports_come_from_the_range(joined: Joined) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        low = taken.getsockname()[1]
        if low > 65_000:
            pytest.skip("no room for a range above the port that the system gave")
        _, ours = await joined(Hub(Network(ports=(low, low + 40))))
    ports = {candidate.port for candidate in ours.local_candidates}
    assert all(low < port <= low + 40 for port in ports), ports


async def test_no_free_port_means_no_candidate(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        hub, ours = Hub(Network(ports=(port, port))), connection()
        hub.attach(ours)
        await ours.gather_candidates()
    assert ours.local_candidates == []
    assert hub.open == 0
    assert "No socket for media at" in caplog.text
    await ours.close()


async def test_the_address_from_outside_is_offered_too() -> None:
    public = (read_address("192.0.2.7"), read_address("2001:db8::7"))
    ours = connection()
    Hub(Network(public=public)).attach(ours)
    await ours.gather_candidates()
    hosts = [c for c in ours.local_candidates if c.type == "host"]
    outside = [c for c in ours.local_candidates if c.type == "srflx"]
    assert len(hosts) == len(outside) > 0
    for host, told in zip(hosts, outside, strict=True):
        assert (told.host, told.port) == ("192.0.2.7", host.port)
        assert (told.related_address, told.related_port) == (host.host, host.port)
        assert told.priority < host.priority
    await ours.close()


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody that they are at 198.51.100.9:9."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        request = stun.parse_message(data)
        response = stun.Message(
            stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.9", 9)
        self.transport.sendto(bytes(response), addr)


async def test_a_stun_server_is_asked_through_the_shared_socket() -> None:
    loop = asyncio.get_running_loop()
    [host] = [c.host for c in await _candidates(connection()) if c.type == "host"][:1]
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=(host, 0))
    ours = connection(stun_server=transport.get_extra_info("sockname"))
    Hub().attach(ours)
    found = await _candidates(ours)
    transport.close()
    assert [(c.host, c.port) for c in found if c.type == "srflx"] == [("198.51.100.9", 9)]


async def _candidates(ours: Connection) -> list[Any]:
    await ours.gather_candidates()
    found = ours.local_candidates
    await ours.close()
    return found


# --- strangers ------------------------------------------------------------------------------


class Stranger:
    """A bare socket that says to a hub what it likes."""

    def __init__(self, hub: Hub) -> None:
        self.to = socket_of(hub).name
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.to[0], 0))

    def say(self, data: bytes) -> None:
        self.socket.sendto(data, self.to)

    def check(self, ours: Connection, password: str | None = None) -> bytes:
        """A check that nominates, as the peer of a connection would send it."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{ours.local_username}:{ours.remote_username}"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or ours.local_password).encode())
        return bytes(message)


@pytest.fixture
def stranger() -> Any:
    made: list[Stranger] = []

    def make(hub: Hub) -> Stranger:
        made.append(Stranger(hub))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


async def test_what_is_for_nobody_is_counted(joined: Joined, stranger: Any) -> None:
    hub = Hub()
    caller, ours = await joined(hub)
    other = stranger(hub)
    for data in (b"", b"\x80\x60" + bytes(60), b"\x16" + bytes(60), bytes(30), bytes(1800)):
        other.say(data)
    socket_of(hub).drain()
    assert hub.dropped["stranger"] == 5
    await caller.send(b"\x80after")
    assert await ours.recv() == b"\x80after"


async def test_a_check_without_the_password_opens_no_way(joined: Joined, stranger: Any) -> None:
    hub = Hub()
    _, ours = await joined(hub)
    other = stranger(hub)
    other.say(other.check(ours, password="a guess of mine"))
    other.say(b"\x80\x60 from a stranger")
    socket_of(hub).drain()
    assert hub.dropped["stranger"] == 1
    shared = socket_of(hub)
    assert other.socket.getsockname() not in shared._routes


async def test_only_so_many_addresses_may_hope(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_HOPEFUL", 4)
    hub = Hub()
    _, ours = await joined(hub)
    shared = socket_of(hub)
    check = Stranger.check(None, ours, password="a guess of mine")  # type: ignore[arg-type]
    for port in range(5000, 5009):
        shared._stun(check, ("192.0.2.7", port))
    assert [port for _, port in shared._hopeful] == [5005, 5006, 5007, 5008]


async def test_a_peer_belongs_to_the_call_it_proved_last(joined: Joined, stranger: Any) -> None:
    hub = Hub()
    (_, first), (_, second) = await joined(hub), await joined(hub)
    other = stranger(hub)
    where, shared = other.socket.getsockname(), socket_of(hub)
    for ours in (first, second, first):
        other.say(other.check(ours))
        shared.drain()
        assert shared._owners[where].connection is ours
        other.say(b"\x80 for whom?")
        assert await ours.recv() == b"\x80 for whom?"


async def test_addresses_that_are_never_right_are_not_heard(joined: Joined) -> None:
    hub = Hub()
    _, ours = await joined(hub)
    shared = socket_of(hub)
    for host in ("169.254.169.254", "100.100.100.200", "224.0.0.1"):
        shared._stun(Stranger.check(None, ours), (host, 5000))  # type: ignore[arg-type]
    assert hub.dropped["forbidden"] == 3
    if not shared._loopback:
        assert shared._never("127.0.0.1")
    assert not shared._never(shared.address)


async def test_requests_that_nobody_answers_are_forgotten(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_ASKED", 4)
    hub = Hub()
    _, ours = await joined(hub)
    shared = socket_of(hub)
    pair = parts.nominated(ours)
    assert pair is not None
    share = pair.protocol.transport
    assert isinstance(share, udp.Share)
    for number in range(9):
        head = b"\0\1\0\0\x21\x12\xa4\x42" + number.to_bytes(12, "big")
        share.sendto(head, share.get_extra_info("sockname"))
    assert len(shared._asked) == len(share.asked) == 4


async def test_a_send_that_fails_is_counted(joined: Joined) -> None:
    hub = Hub()
    _, ours = await joined(hub)
    pair = parts.nominated(ours)
    assert pair is not None
    share = pair.protocol.transport
    assert isinstance(share, udp.Share)
    share.send(bytes(70_000), pair.remote_addr)
    assert hub.dropped["unreachable"] == 1
    share.close()
    share.sendto(b"\x80late", pair.remote_addr)
    assert share.is_closing()
    assert hub.dropped["unreachable"] == 1


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.binary(max_size=80), max_size=5), st.binary(max_size=3))
def test_no_noise_raises_or_stays(noise: list[bytes], head: bytes) -> None:
    async def run() -> None:
        hub, ours = Hub(), connection()
        hub.attach(ours)
        await ours.gather_candidates()
        shared = socket_of(hub)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in (*noise, *(head + data for data in noise)):
                sender.sendto(data, shared.name)
        shared.drain()
        assert not shared._routes
        assert not shared._asked
        await ours.close()

    logging.getLogger(udp.__name__).addFilter(_no_traceback)
    asyncio.run(run())


def _no_traceback(record: logging.LogRecord) -> bool:
    assert record.exc_info is None, record.getMessage()
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a datagram arrived")
async def test_what_waited_in_a_socket_arrived_when_it_came(joined: Joined) -> None:
    hub = Hub()
    caller, ours = await joined(hub, patient=True)
    shared = socket_of(hub)
    asyncio.get_running_loop().remove_reader(shared.socket.fileno())
    came: list[float] = []
    for where in shared._routes:
        shared._routes[where] = lambda data, at: came.append(at)
    before = time.monotonic()
    await caller.send(b"\x80waits")
    await asyncio.sleep(0.2)
    looked = time.monotonic()
    while not came:
        shared.drain()
    assert before - 0.01 < came[0] < looked - 0.1


def test_a_clock_that_is_set_does_not_move_what_arrives() -> None:
    now, behind = 100.0, 1_700_000_000.0
    stamp = struct.pack("@ll", 1_700_000_099, 990_000_000)
    assert udp._moment(stamp, behind, now) == pytest.approx(99.99)
    assert udp._moment(stamp, behind + 3600, now) == now
    assert udp._moment(stamp, behind - 3600, now) == now
