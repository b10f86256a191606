"""Names that browsers hide addresses behind: answered over real multicast by a real responder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aioice import mdns
from aioice.candidate import Candidate as IceCandidate

from ringback.bots.media import localnames
from ringback.bots.media.localnames import LocalNames
from ringback.bots.media.network import Network, is_local_name
from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Hub
from ringback.bots.peer import Peer
from ringback.server.protocol import Candidate
from tests.callers import PATIENCE, Caller, needs_address

Publish = Callable[[str], Awaitable[str]]


@pytest.fixture
async def publish() -> AsyncIterator[Publish]:
    """Makes up a name that stands for an address, as a browser does."""
    responder = await mdns.create_mdns_protocol()

    async def make(address: str) -> str:
        name = mdns.create_mdns_hostname()
        try:
            await responder.publish(name, address)
        except OSError as error:
            pytest.skip(f"there is no multicast here: {error}")
        return name

    yield make
    await responder.close()


def test_only_names_that_browsers_make_up() -> None:
    assert is_local_name(mdns.create_mdns_hostname())
    for other in ("router.local", "3f2a-11.local", "x" * 36 + ".local", "", ".local"):
        assert not is_local_name(other)
    assert not is_local_name(mdns.create_mdns_hostname() + ".example")


async def test_a_name_is_looked_up_where_that_is_allowed(publish: Publish) -> None:
    name = await publish("192.168.7.9")
    assert await LocalNames(Network(names=True)).find(name) == "192.168.7.9"
    assert await LocalNames(Network(names=False)).find(name) is None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "224.0.0.1", "100.100.100.200"]
)
async def test_what_a_name_stands_for_is_judged(publish: Publish, address: str) -> None:
    name = await publish(address)
    assert await LocalNames(Network(names=True)).find(name) is None


async def test_a_name_that_nobody_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localnames, "PATIENCE", 0.05)
    lookup = LocalNames(Network(names=True))
    assert await lookup.find(mdns.create_mdns_hostname()) is None
    assert await lookup.find("router.local") is None


async def test_only_so_many_are_looked_up_at_once(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localnames, "MAX_LOOKUPS", 2)
    lookup, name = LocalNames(Network(names=True)), await publish("192.168.7.9")
    found = await asyncio.gather(*(lookup.find(name) for _ in range(5)))
    assert sorted(found, key=str) == ["192.168.7.9", "192.168.7.9", None, None, None]
    assert await lookup.find(name) == "192.168.7.9"


@needs_address
async def test_a_peers_name_becomes_a_candidate_and_is_waited_for_by_nobody(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer(
        [], Certificate.generateCertificate(), lambda change: None, hub=Hub(Network(names=True))
    )
    caller = Caller(video=None)
    offer = [x for x in (await caller.offer()).splitlines() if not x.startswith("a=candidate")]
    await peer.answer("\r\n".join(offer) + "\r\n")
    assert peer.plane is not None
    connection = peer.plane.connection
    taken = asyncio.Event()
    add = connection.add_remote_candidate

    async def watched(candidate: IceCandidate | None) -> None:
        await add(candidate)
        taken.set()

    monkeypatch.setattr(connection, "add_remote_candidate", watched)
    name = await publish("198.51.100.7")
    unknown = mdns.create_mdns_hostname()
    for host in (unknown, name):
        line = f"candidate:1 1 udp 1 {host} 50000 typ host"
        await peer.add_candidate(Candidate(candidate=line))
    assert connection.remote_candidates == []
    async with asyncio.timeout(PATIENCE):
        await taken.wait()
    assert [(c.host, c.port) for c in connection.remote_candidates] == [("198.51.100.7", 50000)]
    # The other name is still being looked up; nothing of that outlives the call.
    await peer.close()
    await caller.close()
    await asyncio.sleep(0)
    assert not [t for t in asyncio.all_tasks() if "_look_up" in repr(t.get_coro())]
