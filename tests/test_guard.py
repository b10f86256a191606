"""Which datagrams reach a peer: on real ICE connections, with strangers about."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aioice.ice import Connection, StunProtocol

from ringback.bots.media import guard, parts
from tests.callers import PATIENCE, needs_address

pytestmark = needs_address

SRTP = b"\x80\x60" + bytes(60)
DTLS = b"\x16\xfe\xfd" + bytes(60)


@dataclass
class Guarded:
    """A guarded connection, the peer at its other end, and what the guard let through."""

    peer: Connection
    connection: Connection
    media: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.guard = guard.Guard(self.connection, lambda data, at: self.media.put_nowait(data))

    @property
    def protocol(self) -> StunProtocol:
        """The socket in use."""
        pair = parts.nominated(self.connection)
        assert pair is not None
        return pair.protocol

    @property
    def address(self) -> tuple[str, int]:
        """Where the peer sends from."""
        pair = parts.nominated(self.connection)
        assert pair is not None
        return pair.remote_addr

    def arrive(self, data: bytes, address: tuple[str, int] | None = None) -> None:
        """A datagram arrives at the socket in use, from the peer or from elsewhere."""
        self.protocol.datagram_received(data, address or self.address)

    async def next_media(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.media.get()


@pytest.fixture
async def unconnected() -> AsyncIterator[Guarded]:
    """Both ends have gathered and know each other, and the guard stands."""
    peer, connection = Connection(ice_controlling=True), Connection(ice_controlling=False)
    guarded = Guarded(peer, connection)
    for mine, other in ((peer, connection), (connection, peer)):
        await mine.gather_candidates()
        other.remote_username, other.remote_password = mine.local_username, mine.local_password
    guarded.guard.watch()
    for mine, other in ((peer, connection), (connection, peer)):
        for candidate in mine.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
    yield guarded
    await peer.close()
    await connection.close()


@pytest.fixture
async def guarded(unconnected: Guarded) -> Guarded:
    await asyncio.gather(unconnected.peer.connect(), unconnected.connection.connect())
    return unconnected


async def test_the_peers_media_comes_over_the_wire_to_whoever_wants_it(guarded: Guarded) -> None:
    await guarded.peer.send(SRTP)
    assert await guarded.next_media() == SRTP
    assert not guarded.guard.dropped


async def test_the_peers_dtls_goes_on_to_aiortc(guarded: Guarded) -> None:
    await guarded.peer.send(DTLS)
    async with asyncio.timeout(PATIENCE):
        assert await guarded.connection.recv() == DTLS
    assert guarded.media.empty()


async def test_what_ends_an_aiortc_call_is_dropped_from_the_peer_too(guarded: Guarded) -> None:
    guarded.arrive(b"")
    guarded.arrive(b"\x80" * (parts.DATAGRAM + 1))
    guarded.arrive(b"\x16" * (parts.DATAGRAM + 1))
    assert guarded.guard.dropped == {"malformed": 1, "too long": 2}
    assert parts.waiting(guarded.connection) == 0
    assert guarded.media.empty()


async def test_only_media_and_dtls_pass_by_their_first_byte(guarded: Guarded) -> None:
    passed: dict[str, list[int]] = {"media": [], "dtls": [], "dropped": []}
    for first in range(256):
        media, dtls = guarded.media.qsize(), parts.waiting(guarded.connection)
        dropped = guarded.guard.dropped.total()
        guarded.arrive(bytes([first]) + bytes(30))
        passed["media"] += [first] * (guarded.media.qsize() - media)
        passed["dtls"] += [first] * (parts.waiting(guarded.connection) - dtls)
        passed["dropped"] += [first] * (guarded.guard.dropped.total() - dropped)
    assert passed["media"] == list(range(128, 192))
    assert passed["dtls"] == list(range(20, 64))
    assert passed["dropped"] == [*range(20), *range(64, 128), *range(192, 256)]


@pytest.mark.parametrize("data", [b"\x80" * 11, b"\x16" * 12, b"\x00" * 19], ids=str)
async def test_what_is_too_short_is_dropped(guarded: Guarded, data: bytes) -> None:
    guarded.arrive(data)
    assert guarded.guard.dropped == {"malformed": 1}


async def test_strangers_get_nothing_through(guarded: Guarded) -> None:
    for data in (SRTP, DTLS, b"", b"\x80" * 2000, b"hello"):
        guarded.arrive(data, ("192.0.2.99", 4000))
        guarded.arrive(data, (guarded.address[0], guarded.address[1] ^ 1))
    assert guarded.guard.dropped == {"stranger": 10}
    assert guarded.media.empty()
    assert parts.waiting(guarded.connection) == 0


async def test_a_strangers_real_datagrams(guarded: Guarded) -> None:
    """The same over a socket of the system, in one stream with the peer's own."""
    address = guarded.protocol.transport.get_extra_info("sockname")
    family = guarded.protocol.transport.get_extra_info("socket").family
    with socket.socket(family, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"\x80" * 2000, SRTP, DTLS):
            stranger.sendto(data, address)
    await guarded.peer.send(SRTP)
    assert await guarded.next_media() == SRTP
    assert guarded.guard.dropped == {"stranger": 4}


async def test_before_the_peer_has_proven_itself_nothing_passes(unconnected: Guarded) -> None:
    [protocol, *_] = parts.protocols(unconnected.connection)
    [candidate, *_] = unconnected.peer.local_candidates
    protocol.datagram_received(SRTP, (candidate.host, candidate.port))
    assert unconnected.guard.dropped == {"stranger": 1}
    assert unconnected.media.empty()


async def test_stun_that_cannot_be_read_is_dropped_and_the_call_goes_on(guarded: Guarded) -> None:
    broken_attribute = (
        b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x01\x00\0\0\0"
    )
    for data in (bytes(20), bytes(200), b"\x00\x01" + bytes(26), broken_attribute):
        guarded.arrive(data, ("192.0.2.99", 4000))
    assert guarded.guard.dropped == {"malformed": 4}
    await guarded.peer.send(SRTP)
    assert await guarded.next_media() == SRTP


async def test_a_flood_of_dtls_is_bounded(guarded: Guarded) -> None:
    for _ in range(guard.MAX_WAITING + 5):
        guarded.arrive(DTLS)
    assert parts.waiting(guarded.connection) == guard.MAX_WAITING
    assert guarded.guard.dropped == {"too many": 5}


async def test_the_peer_is_heard_and_strangers_are_not(guarded: Guarded) -> None:
    before = guarded.guard.heard
    guarded.arrive(DTLS)
    assert guarded.guard.heard == before + 1
    guarded.arrive(DTLS, ("192.0.2.99", 4000))
    guarded.arrive(bytes(20), ("192.0.2.99", 4000))
    assert guarded.guard.heard == before + 1


async def test_a_full_socket_is_known(guarded: Guarded) -> None:
    states = [guarded.guard.blocked]
    for change in (guarded.protocol.pause_writing, guarded.protocol.resume_writing):
        change()
        states.append(guarded.guard.blocked)
    assert states == [False, True, False]


async def test_data_that_comes_while_candidates_are_gathered_is_dropped() -> None:
    connection = Connection(ice_controlling=False)
    stands = guard.Guard(connection, lambda data, at: None)
    await connection.gather_candidates()
    for data in (b"", SRTP, DTLS):
        parts.protocols(connection)[0].datagram_received(data, ("192.0.2.99", 4000))
    assert stands.dropped == {"malformed": 3}
    assert parts.waiting(connection) == 0
    await connection.close()


CHECK = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)


async def test_a_flood_of_checks_is_bounded_and_ends(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.arrive(SRTP)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(int(guard.BURST) + 7):
        guarded.arrive(CHECK)
    assert 7 <= guarded.guard.dropped["flood"] <= 8
    flooded, heard = guarded.guard.dropped["flood"], guarded.guard.heard
    now += 1
    for _ in range(int(guard.CHECKS)):
        guarded.arrive(CHECK)
    assert guarded.guard.heard == heard + guard.CHECKS
    assert guarded.guard.dropped["flood"] == flooded


async def test_only_so_many_addresses_are_heard(guarded: Guarded) -> None:
    guarded.arrive(SRTP)
    for number in range(guard.MAX_ADDRESSES + 9):
        guarded.arrive(CHECK, ("192.0.2.99", 4000 + number))
    assert guarded.guard.dropped["flood"] >= 9
    heard = guarded.guard.heard
    guarded.arrive(CHECK)
    assert guarded.guard.heard == heard + 1


async def test_strangers_cannot_silence_the_peer(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded.arrive(SRTP)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(int(guard.BURST) + 9):
        guarded.arrive(CHECK, ("192.0.2.99", 4000))
    assert guarded.guard.dropped["flood"] >= 9
    heard = guarded.guard.heard
    guarded.arrive(CHECK)
    assert guarded.guard.heard == heard + 1
