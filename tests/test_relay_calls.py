"""Calls over a made-up network: two peers of ours, both families, a TURN server between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import ifaddr
import pytest
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from ringback.bots.calltest.packetlog import PacketLog
from ringback.bots.calltest.profiles import profile
from ringback.bots.calltest.relay import Relay
from ringback.bots.media.network import PRIVATE, Network
from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Hub
from ringback.bots.peer import Peer, ice_servers
from ringback.server.protocol import Candidate
from tests.callers import Caller, mirror_of, needs_address
from tests.ends import End, coded, ends, send, shown
from tests.turn import ice_server, needs_turn, turn_server

__all__ = ["ends"]
pytestmark = needs_address

PICTURES = 20

needs_ipv6 = pytest.mark.skipif(
    not any(
        ip.is_IPv6 and not ip.ip[0].startswith(("fe80", "::1"))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ),
    reason="needs an IPv6 address",
)


def new_end() -> End:
    """A peer that sends pictures and gets them, also from a private network."""
    kinds = ("audio", "video")
    return End(Hub(Network(allow=PRIVATE)), receives=kinds, sends=kinds)


def only(sdp: str, family: int) -> str:
    """A description with the candidates of one family of addresses."""
    lines = sdp.splitlines()
    wrong = "." if family == 6 else ":"
    kept = [x for x in lines if not x.startswith("a=candidate") or wrong not in x.split()[4]]
    return "\r\n".join(kept) + "\r\n"


@pytest.mark.parametrize("family", [4, pytest.param(6, marks=needs_ipv6)])
async def test_two_peers_of_ours_meet_over_it(ends: list[Peer], family: int) -> None:
    caller, callee, log = new_end(), new_end(), PacketLog()
    ends += [caller.peer, callee.peer]
    async with Relay(profile("delay=5ms"), log=log) as relay:
        offer = relay.offered(await caller.peer.offer(["audio", "video"]))
        assert "a=candidate" not in offer
        answer = only(await callee.peer.answer(offer), family)
        await caller.peer.accept(relay.answered(answer))
        await asyncio.gather(caller.connected(), callee.connected())
        for stream, end, other in ((1, caller, callee), (2, callee, caller)):
            pictures = coded("VP8", PICTURES, stream)
            numbers, _ = await asyncio.gather(
                shown(other, PICTURES, "VP8", stream), send(end.outgoing["video"], pictures)
            )
            assert numbers == list(range(PICTURES))
        for lane in (relay.up, relay.down):
            assert lane.counts["media"] >= PICTURES
            assert lane.counts["media lost"] == 0
    assert {line.kind for line in log.lines} >= {"stun", "dtls", "rtp"}


async def test_addresses_that_are_told_later_are_relayed_too(ends: list[Peer]) -> None:
    caller, callee = new_end(), new_end()
    ends += [caller.peer, callee.peer]
    async with Relay() as relay:
        answer = await callee.peer.answer(relay.offered(await caller.peer.offer(["video"])))
        await caller.peer.accept(relay.offered(answer))
        for line in answer.splitlines():
            if line.startswith("a=candidate:"):
                text = relay.candidate(line.removeprefix("a="))
                assert text is not None
                await caller.peer.add_candidate(Candidate(text, sdp_mid="0"))
        await asyncio.gather(caller.connected(), callee.connected())
        assert relay.up.counts["passed"] > 0 < relay.down.counts["passed"]


async def test_a_network_that_goes_dark_in_mid_call(ends: list[Peer]) -> None:
    """Media that came before it is there, nothing comes during it."""
    caller, callee, log = new_end(), new_end(), PacketLog()
    ends += [caller.peer, callee.peer]
    async with Relay(profile("up.blackout=200ms-30s"), log=log) as relay:
        answer = await callee.peer.answer(relay.offered(await caller.peer.offer(["video"])))
        await caller.peer.accept(relay.answered(answer))
        await asyncio.gather(caller.connected(), callee.connected())
        track = caller.outgoing["video"]
        await asyncio.gather(send(track, coded("VP8", 60)), shown(callee, 1, "VP8"))
        assert relay.up.counts["blackout"] > 0
    media = [line for line in log.lines if line.kind == "rtp" and line.direction == "up"]
    began = media[0].time
    assert {line.fate for line in media if line.time - began < 0.2} == {"passed"}
    assert {line.fate for line in media if line.time - began >= 0.2} == {"blackout"}


@needs_turn
async def test_a_relayed_call_stays_one(tmp_path: Path) -> None:
    """What a TURN server relays passes too, between a peer and the server."""
    peer = Peer([], Certificate.generateCertificate(), lambda change: None)
    log = PacketLog()
    async with turn_server(tmp_path) as where, Relay(profile("loss=2%"), log=log) as relay:
        server = await relay.server(ice_server(where))
        caller = Caller(servers=ice_servers([server]), policy=RTCIceTransportPolicy.RELAY)
        await caller.call(peer.answer)
        assert await caller.numbers(PICTURES)
        assert peer.report("c").pair == "host/relay"
        assert mirror_of(peer).streams
        for lane in (relay.up, relay.down):
            assert lane.counts["media"] > PICTURES
        await caller.close()
        await peer.close()
    assert {line.kind for line in log.lines} >= {"stun", "dtls", "rtp", "rtcp"}
