"""Whether there is a relay where nothing else is allowed, asked of a real TURN server."""

from __future__ import annotations

from pathlib import Path

from ringback.bots.calltest.refusal import why_no_relay
from ringback.server.protocol import IceServer
from tests.callers import needs_address
from tests.turn import ice_server, needs_turn, turn_server


async def test_no_server_is_named() -> None:
    assert await why_no_relay([]) == "No relay: the exchange names no TURN server."
    stun = IceServer(urls=["stun:192.0.2.1:3478"])
    assert await why_no_relay([stun]) == "No relay: the exchange names no TURN server."


async def test_an_address_that_is_none() -> None:
    bad = IceServer(urls=["turn:192.0.2.1:port"], username="ann", credential="secret")
    why = await why_no_relay([bad])
    assert why == "No relay: turn:192.0.2.1:port is no address of a TURN server."


@needs_turn
@needs_address
async def test_one_that_gives_a_relay_is_enough(tmp_path: Path) -> None:
    async with turn_server(tmp_path) as where:
        wrong = ice_server(where, "wrong")
        why = await why_no_relay([wrong])
        assert why is not None
        assert why.startswith(f"No relay: {where} says: 401")
        assert await why_no_relay([wrong, ice_server(where)]) is None
