"""`ringback check doctor` against a real exchange, its echo and a real TURN server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from ringback import bots
from ringback.bots import echo
from ringback.bots.calltest.advice import Way
from ringback.bots.calltest.doctor import CannotExamine, Finding, Plan, examine
from ringback.bots.media import turnprobe
from ringback.bots.media.udp import Share
from ringback.server.protocol import IceServer
from ringback.server.tls import self_signed
from tests.callers import needs_address
from tests.lines import Line, Start, start
from tests.robots import Host, host
from tests.turn import SECRET, USER, ice_server, needs_turn, own_address, turn_server

__all__ = ["host", "start"]
pytestmark = needs_address


def told(*servers: IceServer) -> Mapping[str, object]:
    """What makes an exchange name these servers to its clients."""
    return {"ice_servers": servers}


async def examined(line: Line, patience: float = 30.0) -> dict[Way, Finding]:
    """What is found, by way; each is announced before it is tried."""
    begun: list[tuple[Way, str]] = []
    plan = Plan(line.server.ws + "/ws", patience=patience)
    found = await examine(plan, lambda way, server: begun.append((way, server)))
    tried = [(one.way, one.server) for one in found if one.state != "absent"]
    assert begun == tried
    await line.idle()
    return {one.way: one for one in found}


async def test_a_direct_way_alone(start: Start) -> None:
    found = await examined(await start())
    assert found["direct"].state == "works"
    assert found["direct"].pair == "host/host"
    assert found["direct"].seconds is not None
    for way in ("udp", "tcp"):
        assert found[way].state == "absent"
        assert "--ice-server turn:HOST" in found[way].advice
    assert "tls" not in found


@needs_turn
async def test_every_way_that_is_offered_works(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = self_signed(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    async with turn_server(tmp_path, f"--cert={cert}", f"--pkey={key}") as where:
        tls = IceServer(urls=[f"turns:{where}"], username=USER, credential=SECRET)
        servers = [ice_server(where), ice_server(where, transport="tcp"), tls]
        found = await examined(await start(config=told(*servers)))
    assert {way: one.state for way, one in found.items()} == dict.fromkeys(
        ("direct", "udp", "tcp", "tls"), "works"
    )
    assert found["direct"].pair == "host/host"
    for way in ("udp", "tcp", "tls"):
        assert found[way].pair == "relay/host"
        assert found[way].server == where


@needs_turn
async def test_a_wrong_secret(start: Start, tmp_path: Path) -> None:
    async with turn_server(tmp_path) as where:
        servers = [ice_server(where, "wrong"), ice_server(where, transport="tcp")]
        found = await examined(await start(config=told(*servers)))
    assert (found["udp"].state, found["udp"].code) == ("fails", "wrong_secret")
    assert found["udp"].happened.startswith(f"{where} says: 401")
    assert "static-auth-secret" in found["udp"].advice
    assert found["tcp"].state == found["direct"].state == "works"


@needs_turn
async def test_a_turn_server_that_does_not_relay_to_the_bot(start: Start, tmp_path: Path) -> None:
    ours = own_address()
    denied = [f"--denied-peer-ip={ours}", "--denied-peer-ip=fc00::-fdff:ffff::"]
    async with turn_server(tmp_path, *denied) as where:
        server = ice_server(where)
        found = await examined(await start(config=told(server)), patience=3.0)
    assert (found["udp"].state, found["udp"].code) == ("fails", "denied_peer")
    assert f"does not relay to {ours}" in found["udp"].happened
    assert "denied-peer-ip" in found["udp"].advice
    assert found["direct"].state == "works"


async def test_a_turn_server_that_is_not_there(
    start: Start, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(turnprobe, "PATIENCE", 0.5)
    servers = [
        ice_server(f"127.0.0.1:{unused_tcp_port}", transport="tcp"),
        IceServer(urls=["turn:x:y:z"], username="a", credential="b"),
    ]
    found = await examined_any(await start(config=told(*servers)))
    assert [(one.state, one.code) for one in found[1:3]] == [
        ("fails", "refused"), ("fails", "unreadable"),
    ]  # fmt: skip


async def examined_any(line: Line) -> list[Finding]:
    return await examine(Plan(line.server.ws + "/ws"), lambda way, server: None)


@needs_turn
async def test_only_a_relay_leads_there(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot's own sockets reach nobody: it lives by its relay, and so does who calls."""
    monkeypatch.setattr(Share, "send", lambda share, data, where: None)
    async with turn_server(tmp_path) as where:
        found = await examined(await start(config=told(ice_server(where))), patience=8.0)
    assert (found["direct"].state, found["direct"].code) == ("fails", "no_way")
    assert "--media-ports" in found["direct"].advice
    assert (found["udp"].state, found["udp"].pair) == ("works", "relay/relay")


async def test_a_way_on_which_nothing_comes_back(host: Host) -> None:
    @bots.bot("mute")
    async def mute(call: bots.Call) -> None:
        await asyncio.Event().wait()

    line = await host(mute)
    plan = Plan(line.server.ws + "/ws", to="mute", patience=3.0)
    [direct, *_] = await examine(plan, lambda way, server: None)
    assert (direct.state, direct.code) == ("fails", "no_media")
    assert direct.pair is not None
    assert "the bot's log" in direct.advice


async def test_nobody_to_call(start: Start) -> None:
    line = await start()
    plan = Plan(line.server.ws + "/ws", to="nobody")
    with pytest.raises(CannotExamine, match="nobody is not here right now"):
        await examine(plan, lambda way, server: None)


async def test_a_name_that_is_taken(start: Start) -> None:
    line = await start()
    plan = Plan(line.server.ws + "/ws", name=echo.NAME)
    with pytest.raises(CannotExamine, match="This name is kept for a bot"):
        await examine(plan, lambda way, server: None)


async def test_no_exchange(unused_tcp_port: int) -> None:
    plan = Plan(f"ws://127.0.0.1:{unused_tcp_port}/ws")
    with pytest.raises(CannotExamine, match="cannot be reached"):
        await examine(plan, lambda way, server: None)
