"""What a plain telephone of `/ws/call/` says and hears."""

from __future__ import annotations

from typing import Any

from ringback.server.protocol import ErrorCode
from tests.clients import ANSWER, OFFER, Client, Said

ICE = {"label": 0, "id": "0", "candidate": "candidate:1 1 udp 1 192.0.2.1 5 typ host"}


async def hears(client: Client, type_: str, **data: Any) -> Said:
    """The next message of a telephone, with exactly these data."""
    said = await client.next()
    assert said == {"type": type_, "data": data}, said
    return said


async def ends(client: Client, reason: str) -> None:
    """The next message says that the call is over."""
    said = await client.hear("call_ended")
    assert said["data"]["reason"] == reason, said
    assert said["data"]["message"]


async def refused(client: Client, code: ErrorCode) -> None:
    said = await client.next()
    assert said["type"] == "error", said
    assert set(said["data"]) == {"code", "message"}
    assert said["data"]["code"] == code, said


async def call(client: Client, name: str) -> None:
    await client.say("call", data={"name": name, "rtcMessage": OFFER})


async def answer(client: Client, caller: str) -> None:
    await client.say("answer_call", data={"caller": caller, "rtcMessage": ANSWER})


async def candidate(client: Client, user: str) -> None:
    await client.say("ICEcandidate", data={"user": user, "rtcMessage": ICE})
