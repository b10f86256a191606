"""A plain telephone of twenty lines calls echo, with real media."""

from __future__ import annotations

import asyncio

from tests.callers import PATIENCE, needs_address
from tests.clients import Client, Crowd
from tests.lines import Line, Start, line, start

__all__ = ["Start", "line", "start"]
pytestmark = needs_address


async def candidates(plain: Client, sdp: str) -> None:
    """Send the candidates of an offer one by one, as the workshop's page does."""
    for text in (x for x in sdp.splitlines() if x.startswith("a=candidate")):
        ice = {"label": 0, "id": "0", "candidate": text.removeprefix("a=")}
        await plain.say("ICEcandidate", data={"user": "echo", "rtcMessage": ice})


async def test_a_plain_telephone_sees_and_hears_itself(line: Line, crowd: Crowd) -> None:
    plain, caller = await crowd.phone(line.server, "Paula"), line.caller()
    sdp = await caller.offer()
    offer = {"type": "offer", "sdp": sdp}
    await plain.say("call", data={"name": "echo", "rtcMessage": offer})
    await candidates(plain, sdp)
    answered = await plain.hear("call_answered")
    assert answered["data"]["rtcMessage"]["type"] == "answer"
    await caller.accept(answered["data"]["rtcMessage"]["sdp"])
    await caller.connected()
    _, heard = await asyncio.gather(caller.numbers(5), caller.hears())
    assert heard
    tasks = [call.task for call in line.bot.calls.values()]
    assert len(tasks) == 1
    await plain.close()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(tasks)
    assert line.bot.calls == {}


async def test_garbage_from_a_plain_telephone_ends_its_call_in_words(
    line: Line, crowd: Crowd
) -> None:
    plain = await crowd.phone(line.server, "Paula")
    garbage = {"type": "offer", "sdp": "this is no offer"}
    await plain.say("call", data={"name": "echo", "rtcMessage": garbage})
    ended = await plain.hear("call_ended")
    assert ended["data"]["reason"] == "failed"
    assert ended["data"]["message"] == "The call to echo could not be connected."
