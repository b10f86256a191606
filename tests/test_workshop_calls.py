"""Calls over the workshop's plain socket, with everybody there is."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ringback.server import workshop
from ringback.server.identity import mint_bot_token
from ringback.server.keys import ENGINE, SECRET
from ringback.server.protocol import ErrorCode
from tests.clients import ANSWER, OFFER, Crowd
from tests.phones import ICE, answer, call, candidate, ends, hears, refused
from tests.running import Server

WIRE_ICE = {
    "candidate": ICE["candidate"], "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    logged = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not logged, [r.getMessage() for r in logged]


# --- calls between all kinds of clients


async def test_two_plain_clients_call_each_other(server: Server, crowd: Crowd) -> None:
    ann, bob = await crowd.phone(server, "Ann"), await crowd.phone(server, "Bob")
    await call(ann, "Bob")
    await candidate(ann, "Bob")
    await hears(bob, "call_received", caller="Ann", rtcMessage=OFFER)
    await hears(bob, "ICEcandidate", rtcMessage=ICE)
    await answer(bob, "Ann")
    await hears(ann, "call_answered", rtcMessage=ANSWER)
    await candidate(bob, "Ann")
    await hears(ann, "ICEcandidate", rtcMessage=ICE)
    await candidate(ann, "BOB")
    await hears(bob, "ICEcandidate", rtcMessage=ICE)
    await bob.close()
    await ends(ann, "hangup")
    # The name is free, and Ann too.
    again = await crowd.phone(server, "Bob")
    await call(again, "Ann")
    await hears(ann, "call_received", caller="Bob", rtcMessage=OFFER)


async def test_a_plain_client_calls_somebody_on_the_wire(server: Server, crowd: Crowd) -> None:
    plain, ann = await crowd.phone(server, "Paula"), await crowd.come(server, "Ann")
    await call(plain, "Ann")
    ring = await ann.hear("ring", from_="Paula", description=OFFER)
    assert ring["media"] == {"audio": True, "video": True}
    await candidate(plain, "Ann")
    await ann.hear("candidate", call=ring["call"], candidate=WIRE_ICE)
    await ann.say("answer", call=ring["call"], description=ANSWER)
    await hears(plain, "call_answered", rtcMessage=ANSWER)
    await ann.say("candidate", call=ring["call"], candidate=WIRE_ICE)
    await hears(plain, "ICEcandidate", rtcMessage=ICE)
    # What a plain client has no word for is passed over.
    await ann.say("candidate", call=ring["call"], candidate=None)
    await ann.say("description", call=ring["call"], description=OFFER)
    await ann.say("hangup", call=ring["call"])
    await ann.hear("ended", reason="hangup")
    await ends(plain, "hangup")


async def test_somebody_on_the_wire_calls_a_plain_client(server: Server, crowd: Crowd) -> None:
    plain, ann = await crowd.phone(server, "Paula"), await crowd.come(server, "Ann")
    await ann.call("k", "Paula")
    await hears(plain, "call_received", caller="Ann", rtcMessage=OFFER)
    await ann.hear("ringing", call="k")
    await answer(plain, "Ann")
    await ann.hear("answered", call="k", description=ANSWER)
    # A plain client never says that it is connected: it is said for it.
    await candidate(plain, "Ann")
    await ann.hear("candidate", call="k")
    assert [c.state for c in await server.app[ENGINE].live_calls()] == ["connected"]
    await candidate(plain, "Ann")
    await ann.hear("candidate", call="k", candidate=WIRE_ICE)
    await plain.close()
    await ann.hear("ended", call="k", reason="hangup")


async def test_a_plain_client_calls_a_bot(server: Server, crowd: Crowd) -> None:
    bot = await crowd.connect(server)
    token = mint_bot_token(server.app[SECRET], "echo", 60)
    await bot.say("hello", v=1, token=token, about="I say it again.")
    await bot.hear("welcome", name="echo")
    plain = await crowd.phone(server, "Paula")
    await call(plain, "echo")
    ring = await bot.hear("ring", from_="Paula", description=OFFER)
    await bot.say("answer", call=ring["call"], description=ANSWER)
    await hears(plain, "call_answered", rtcMessage=ANSWER)
    await plain.close()
    await bot.hear("ended", reason="hangup")


async def test_a_plain_client_records_itself(server: Server, crowd: Crowd) -> None:
    """It is told nothing that it would not understand."""
    bot = await crowd.connect(server)
    token = mint_bot_token(server.app[SECRET], "recorder", 60)
    await bot.say("hello", v=1, token=token)
    await bot.hear("welcome", name="recorder")
    plain = await crowd.phone(server, "Paula")
    await call(plain, "recorder")
    ring = await bot.hear("ring", from_="Paula")
    assert [consent["name"] for consent in ring["recording"]["participants"]] == ["Paula"]
    await bot.say("answer", call=ring["call"], description=ANSWER)
    await hears(plain, "call_answered", rtcMessage=ANSWER)
    await bot.say("recording", recording=ring["recording"]["id"], state="on")
    await bot.say("recording", recording=ring["recording"]["id"], state="off", reason="too_long")
    await ends(plain, "hangup")


# --- calls that do not come about


async def test_a_caller_who_leaves_stops_the_ringing(server: Server, crowd: Crowd) -> None:
    plain, ann = await crowd.phone(server, "Paula"), await crowd.come(server, "Ann")
    await call(plain, "Ann")
    await ann.hear("ring")
    await plain.close()
    await ann.hear("ended", reason="cancelled")


async def test_a_callee_who_leaves_while_it_rings(server: Server, crowd: Crowd) -> None:
    plain, ann = await crowd.phone(server, "Paula"), await crowd.phone(server, "Ann")
    await call(ann, "Paula")
    await plain.hear("call_received")
    await plain.close()
    said = await ann.hear("call_ended")
    assert said["data"]["reason"] in ("unavailable", "lost")


async def test_a_second_caller_hears_busy(server: Server, crowd: Crowd) -> None:
    ann, bob = await crowd.phone(server, "Ann"), await crowd.phone(server, "Bob")
    carol = await crowd.come(server, "Carol")
    await call(ann, "Bob")
    await bob.hear("call_received")
    await answer(bob, "Ann")
    await ann.hear("call_answered")
    await carol.call("k", "Bob")
    await carol.hear("ended", call="k", reason="busy")
    await call(ann, "Carol")
    await refused(ann, ErrorCode.IN_CALL)
    # The call goes on.
    await candidate(ann, "Bob")
    await bob.hear("ICEcandidate")


async def test_nobody_is_there(server: Server, crowd: Crowd) -> None:
    ann = await crowd.phone(server, "Ann")
    await call(ann, "Nobody")
    await ends(ann, "unavailable")
    await candidate(ann, "Nobody")
    await refused(ann, ErrorCode.NO_SUCH_CALL)


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")], ids=["first wins", "second wins"])
async def test_both_call_at_once(
    server: Server, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, ids: tuple[str, str]
) -> None:
    monkeypatch.setattr(workshop, "new_call", iter(ids).__next__)
    ann, bob = await crowd.phone(server, "Ann"), await crowd.phone(server, "Bob")
    await call(ann, "Bob")
    await bob.hear("call_received", data={"caller": "Ann", "rtcMessage": OFFER})
    # Bob did not see it in time.
    await call(bob, "Ann")
    if ids[0] < ids[1]:
        caller, callee, names = ann, bob, ("Ann", "Bob")
    else:
        caller, callee, names = bob, ann, ("Bob", "Ann")
        await ann.hear("call_received", data={"caller": "Bob", "rtcMessage": OFFER})
    # Nothing ended for either: the one whose call lost answers the other one.
    await answer(callee, names[0])
    await hears(caller, "call_answered", rtcMessage=ANSWER)
    await candidate(callee, names[0])
    await hears(caller, "ICEcandidate", rtcMessage=ICE)
    await candidate(caller, names[1])
    await hears(callee, "ICEcandidate", rtcMessage=ICE)
    await caller.close()
    await ends(callee, "hangup")
