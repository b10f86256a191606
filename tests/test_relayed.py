"""Calls to bots that only a relay connects: through a real TURN server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Share
from ringback.bots.peer import Peer, ice_servers
from ringback.server.protocol import IceServer
from tests.callers import Caller, needs_address
from tests.turn import ice_server, needs_turn, turn_server

pytestmark = [needs_address, needs_turn]


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[IceServer]:
    """A TURN server with one user."""
    async with turn_server(tmp_path) as where:
        yield ice_server(where)


def relayed_only(sdp: str) -> str:
    lines = [x for x in sdp.splitlines() if "a=candidate" not in x or "typ relay" in x]
    return "\r\n".join(lines) + "\r\n"


async def test_a_bot_that_only_a_relay_reaches(
    relay: IceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Share, "send", lambda share, data, where: None)
    peer = Peer([relay], Certificate.generateCertificate(), lambda change: None)
    caller = Caller(audio="opus")

    async def answer(sdp: str) -> str:
        answered = await peer.answer(sdp)
        assert "typ host" in answered
        return relayed_only(answered)

    await caller.call(answer)
    assert await caller.hears()
    numbers = await caller.numbers(5)
    assert numbers == sorted(numbers)
    assert peer.report("c").pair == "relay/host"
    await peer.close()
    await caller.close()


async def test_a_caller_that_only_a_relay_reaches(relay: IceServer) -> None:
    peer = Peer([], Certificate.generateCertificate(), lambda change: None)
    caller = Caller(video=None, servers=ice_servers([relay]), policy=RTCIceTransportPolicy.RELAY)

    offer = await caller.offer()
    assert "typ relay" in offer
    assert "typ host" not in offer
    await caller.call(peer.answer)
    assert await caller.hears()
    assert peer.report("c").pair == "host/relay"
    await peer.close()
    await caller.close()
