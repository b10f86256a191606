"""Call tests that only a relay may carry: a real TURN server, over UDP and TCP, bad networks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ringback.bots.calltest import turns
from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Observed
from ringback.bots.calltest.options import CannotCheck, NoCall, Options
from ringback.bots.calltest.packetlog import PacketLog
from ringback.bots.calltest.profiles import profile
from ringback.bots.calltest.relay import Relay
from ringback.bots.calltest.run import Check, run
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.verified import Call, verified
from ringback.server.protocol import IceServer
from tests.callers import needs_address
from tests.lines import Line, Start, start
from tests.observations import codes
from tests.turn import ice_server, needs_turn, turn_server

__all__ = ["start"]
LONG = 60.0
RELAYED = Options(relay_only=True)
DELAY = 0.03

Turned = Callable[..., Awaitable[Line]]


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a TURN server."""
    async with turn_server(tmp_path) as found:
        yield found


@pytest.fixture
def turned(start: Start, where: str) -> Turned:
    """Starts an exchange that names it, with the options of `ice_server`."""

    async def begin(**options: str) -> Line:
        return await start(config={"ice_servers": (ice_server(where, **options),)})

    return begin


async def call(line: Line, between: bool, relay: Relay | None = None) -> Observed:
    """A call that is proved, by relays alone."""
    url = line.server.url
    async with (
        Side(url, "ann", options=RELAYED) as ann, Side(url, "bob", options=RELAYED) as bob,
        verified(ann, bob if between else "echo", relay=relay) as made,
    ):  # fmt: skip
        assert await made.proved(within=LONG)
    return made.observed()


# --- by a real TURN server -------------------------------------------------------------------


@needs_turn
@needs_address
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("between", [False, True], ids=["echo", "between"])
async def test_a_call_by_relays_alone(turned: Turned, transport: str, between: bool) -> None:
    seen = await call(await turned(transport=transport), between)
    assert sorted(seen.pairs) == (["ann", "bob"] if between else ["ann"])
    for pair in seen.pairs.values():
        ours, theirs = pair.split(" - ")
        assert ours.startswith("relay ")
        assert theirs.startswith("relay ") or not between
    for way in seen.directions:
        setup = figures(way, seen).setup
        steps = [setup.gathered, setup.checked, setup.ice, setup.dtls, setup.packet]
        told = [step for step in steps if step is not None]
        assert len(told) == len(steps)
        assert told == sorted(told)


@needs_turn
@needs_address
@pytest.mark.parametrize("between", [False, True], ids=["echo", "between"])
async def test_a_bad_network_stands_before_the_callers_turn_server(
    turned: Turned, between: bool
) -> None:
    """All passes it, and once: against the echo there and back, of two peers each way."""
    log = PacketLog()
    async with Relay(profile(f"delay={DELAY}s"), log=log) as relay:
        seen = await call(await turned(), between, relay)
        for lane in (relay.up, relay.down):
            assert lane.counts["media"] > 0
    assert {line.kind for line in log.lines} >= {"stun", "dtls", "rtp"}
    assert all(pair.startswith("relay ") for pair in seen.pairs.values())
    for way in seen.directions:
        latencies = figures(way, seen).latency
        assert latencies.count
        assert latencies.median is not None
        assert latencies.median >= (1 if between else 2) * DELAY


@needs_turn
@needs_address
async def test_who_answers_may_be_the_one_with_a_relay(turned: Turned) -> None:
    url = (await turned()).server.url
    async with Side(url, "ann") as ann, Side(url, "bob", options=RELAYED) as bob:
        with pytest.raises(CannotCheck, match="let the caller use one, too"):
            await Call(ann, bob).connect(Relay())
        async with verified(ann, bob) as made:
            assert await made.proved(within=LONG)
    assert made.observed().pairs["bob"].startswith("relay ")


@needs_turn
@needs_address
@pytest.mark.parametrize("between", [False, True], ids=["echo", "between"])
async def test_a_turn_server_that_refuses(turned: Turned, between: bool) -> None:
    line = await turned(credential="wrong")
    seen = await run(Check(line.server.url, between=between, relay_only=True))
    assert codes(seen) == ["relay_refused"]
    assert "401" in seen.reason
    assert "Let user and secret in --ice-server be those of the TURN server" in seen.reason
    assert seen.ending == "no relay"


async def test_a_turn_server_that_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(NoCall, match="cannot be reached: .*Start the TURN server there") as caught:
        await turns.ask(ice_server(f"127.0.0.1:{unused_tcp_port}", transport="tcp"))
    assert caught.value.ending == "no relay"


@needs_address
@pytest.mark.parametrize("between", [False, True], ids=["echo", "between"])
async def test_an_exchange_that_names_none(start: Start, between: bool) -> None:
    line = await start()
    with pytest.raises(CannotCheck, match="names no TURN server") as caught:
        await run(Check(line.server.url, between=between, relay_only=True))
    assert caught.value.code == "no_relay"


# --- which one it is -------------------------------------------------------------------------

SERVERS = [
    IceServer(["stun:192.0.2.1", "turn:nonsense:port"]),
    IceServer(["turn:192.0.2.2?transport=sctp", "turn:192.0.2.3?transport=tcp"], "ann", "secret"),
    IceServer(["turns:192.0.2.4", "turn:192.0.2.5"], "bob", "other"),
]


def test_the_first_that_peers_can_speak_to() -> None:
    found = turns.the_one(SERVERS)
    assert found == IceServer(["turn:192.0.2.3?transport=tcp"], "ann", "secret")
    assert turns.the_one(SERVERS[2:]).urls == ["turns:192.0.2.4"]


def test_the_first_over_udp() -> None:
    assert turns.the_one(SERVERS, udp=True) == IceServer(["turn:192.0.2.5"], "bob", "other")
    with pytest.raises(CannotCheck, match="over UDP, and the exchange names none"):
        turns.the_one(SERVERS[:2], udp=True)


def test_none_at_all() -> None:
    for udp in (False, True):
        with pytest.raises(CannotCheck, match="names no TURN server"):
            turns.the_one(SERVERS[:1], udp=udp)
