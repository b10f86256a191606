"""Pages that call over a made-up network, and know nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from ringback.bots.calltest.packetlog import PacketLog
from ringback.bots.calltest.pagelink import lead
from ringback.bots.calltest.profiles import profile
from ringback.bots.calltest.relay import Relay
from tests.browser.person import NewPerson, connected
from tests.callers import needs_address


@pytest_asyncio.fixture(loop_scope="session")
async def relay() -> AsyncIterator[Relay]:
    """A network that loses and delays a little, and takes note."""
    async with Relay(profile("loss=1%,delay=20ms"), seed=3, log=PacketLog()) as made:
        yield made


def check(relay: Relay) -> None:
    """Media went over it, in both directions."""
    assert relay.log is not None
    for way in ("up", "down"):
        kinds = {line.kind for line in relay.log.lines if line.direction == way}
        assert kinds >= {"stun", "dtls", "rtp", "rtcp"}
    assert relay.up.counts["media"] > 50 < relay.down.counts["media"]


@needs_address
async def test_a_page_calls_echo_over_it(
    exchange: str, new_person: NewPerson, relay: Relay
) -> None:
    ann = await new_person(exchange, "Ann")
    await lead(ann.page, relay)
    await ann.open_calls()
    await ann.call("echo")
    await connected(ann)
    await ann.receives()
    check(relay)
    await ann.press("Hang up")
    await ann.sees_end("You hung up.")


@needs_address
async def test_who_is_called_may_be_led_over_it_too(
    exchange: str, new_person: NewPerson, relay: Relay
) -> None:
    cora, dan = await new_person(exchange, "Cora"), await new_person(exchange, "Dan")
    await lead(dan.page, relay)
    await cora.open_calls()
    await dan.open_calls()
    await cora.call("Dan")
    await dan.press("Answer")
    await connected(cora, dan)
    await cora.receives()
    await dan.receives()
    check(relay)
    await cora.press("Hang up")
