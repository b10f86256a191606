"""Echo over a network that loses, doubles and reorders packets, in both directions."""

from __future__ import annotations

import asyncio

import pytest

from ringback.bots.calltest.link import Link
from ringback.bots.calltest.profiles import Profile
from ringback.bots.calltest.relay import Relay
from tests.callers import Caller, mirror_of, needs_address
from tests.test_mirror import Watched, bot, callers

__all__ = ["Watched", "bot", "callers"]
pytestmark = needs_address

PICTURES = 40
VP8 = 97
"""The payload type in aiortc's offers."""


async def talk(
    bot: Watched, callers: list[Caller], relay: Relay, damaged: int = 0
) -> tuple[list[int], bool]:
    """The numbers of the pictures that come back over a relay, and whether the sound does."""
    caller = Caller()
    callers.append(caller)
    await caller.call(relay.through(bot.peer.answer))
    return await asyncio.gather(caller.numbers(PICTURES, damaged=damaged), caller.hears())


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.1])
async def test_pictures_are_repaired_and_never_wrong(
    bot: Watched, callers: list[Caller], loss: float
) -> None:
    link = Link(loss=loss)
    async with Relay(Profile.both(link), round(1 + 100 * loss)) as relay:
        numbers, heard = await talk(bot, callers, relay, PICTURES // 2 if loss else 0)
        up, down = relay.up.counts, relay.down.counts
    assert heard
    assert bool(up["media lost"]) == bool(down["media lost"]) == bool(loss)
    repaired = [s.packets for s in mirror_of(bot.peer).streams.values() if s.rtx]
    lost = relay.up.lost_types[VP8] + relay.down.lost_types[VP8]
    # A request for one packet, or the packet sent again, may be lost too.
    if lost > 3:
        assert repaired[0] > 0
    if not loss:
        assert numbers == list(range(numbers[0], numbers[0] + PICTURES))


async def test_order_and_doubles_do_no_harm(bot: Watched, callers: list[Caller]) -> None:
    link = Link(reorder=0.1, duplicate=0.1, delay=0.005, jitter=0.005)
    async with Relay(Profile.both(link)) as relay:
        numbers, heard = await talk(bot, callers, relay)
        assert relay.up.counts["moved"] > 0 < relay.up.counts["doubled"]
    assert numbers == list(range(numbers[0], numbers[0] + PICTURES))
    assert heard
    loss = bot.peer.report("call").loss
    assert loss is not None
    assert loss < 0.05


async def test_one_direction_can_be_bad_alone(bot: Watched, callers: list[Caller]) -> None:
    async with Relay(Profile(down=Link(loss=0.1))) as relay:
        _, heard = await talk(bot, callers, relay, PICTURES // 2)
        assert relay.up.counts["lost"] == 0 < relay.down.counts["lost"]
    assert heard
    assert bot.peer.report("call").loss == 0
