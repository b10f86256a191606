"""The echo bot on the line of a real exchange, called by aiortc peers."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aioice.ice import StunProtocol

from ringback.bots import call as bot_call
from ringback.bots import peer
from ringback.bots.media import parts
from ringback.bots.media.udp import Share
from ringback.server import protocol as p
from tests.callers import PATIENCE, needs_address
from tests.lines import GENEROUS, Line, Start, line, start
from tests.marked import growing
from tests.running import Server

__all__ = ["line", "start"]
pytestmark = needs_address


# --- a call -------------------------------------------------------------------------------


async def test_echo_is_on_the_line_and_says_what_it_does(line: Line) -> None:
    phone = await line.phone("ann")
    people = await phone.client.request(p.Contacts())
    assert isinstance(people, p.ContactList)
    [contact] = [person for person in people.people if person.bot]
    assert contact == p.Contact(name="echo", bot=True, about="Repeats what it hears and sees.")


async def test_who_calls_echo_sees_and_hears_themselves(line: Line) -> None:
    phone, caller = await line.talking(channel=True)
    _, heard = await asyncio.gather(caller.numbers(8), caller.hears())
    assert heard
    ended = await phone.hang_up()
    assert ended.reason is p.Reason.HANGUP
    await line.idle()
    records = await phone.client.request(p.Records())
    assert isinstance(records, p.RecordList)
    [record] = records.records
    assert (record.peer, record.outgoing, record.reason) == ("echo", True, p.Reason.HANGUP)
    assert record.connected is not None, "the bot did not say that it was connected"


async def test_several_callers_at_once_get_their_own_pictures(line: Line) -> None:
    calls = [await line.talking(name, audio=None) for name in ("ann", "bob", "eve")]
    assert len(line.bot.calls) == 3
    assert len({caller.stream for _, caller in calls}) == 3
    for _, caller in calls:
        assert await caller.numbers(20)
    for phone, _ in calls:
        await phone.hang_up()
    await line.idle()


async def test_the_camera_comes_later(line: Line) -> None:
    phone, caller = await line.talking(video=None)
    caller.add(caller.pictures, "VP8")
    await phone.renegotiate(caller)
    assert await caller.numbers(5)


async def test_the_caller_restarts_its_connection(line: Line) -> None:
    phone, first = await line.talking(audio=None)
    await first.numbers(2)
    second = line.caller(audio=None)
    await phone.renegotiate(second)
    await second.connected()
    assert await second.numbers(5)
    assert (await phone.hang_up()).reason is p.Reason.HANGUP
    await line.idle()


async def test_candidates_may_come_one_by_one_and_be_nonsense(line: Line) -> None:
    phone, caller = await line.phone("ann"), line.caller(video=None)
    lines = (await caller.offer()).splitlines()
    await phone.dial("\r\n".join(x for x in lines if "candidate" not in x) + "\r\n")
    candidates = [x[2:] for x in lines if x.startswith("a=candidate")]
    for text in ("nonsense", "candidate:1 1 udp 1 127.0.0.1 80 typ host", *candidates, ""):
        candidate = p.Candidate(candidate=text, sdp_mid="0", sdp_m_line_index=0)
        await phone.client.request(p.SendCandidate(call=phone.call, candidate=candidate))
    await phone.client.request(p.SendCandidate(call=phone.call, candidate=None))
    await caller.accept((await phone.event(p.Answered)).description.sdp)
    await caller.connected()
    assert await caller.hears()


# --- how calls end ------------------------------------------------------------------------


GARBAGE = {
    "nothing": ("", "signalling"),
    "prose": ("I would like to talk to echo, please.", "signalling"),
    "only a version": ("v=0\r\n", "media"),
    "long": ("v=0\r\n" + "a=x\r\n" * 6000, "signalling"),
    "no transport": ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n", "signalling"),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_an_offer_that_is_garbage_ends_failed_and_the_next_call_works(
    line: Line, name: str
) -> None:
    sdp, part = GARBAGE[name]
    phone = await line.phone("ann")
    await phone.dial(sdp)
    ended = await phone.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.FAILED, part)
    caller = line.caller(video=None)
    await phone.talk(caller)
    assert await caller.hears()


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (r"a=rtpmap:(\d+) opus/48000/2", r"a=rtpmap:\1 opus/fast/2", "media"),
        (r"a=rtpmap:(\d+) opus/48000/2", r"a=rtpmap:\1 speex/16000", "media"),
        (r"a=setup:actpass", r"a=setup:maybe", "media"),
        (r"a=ice-pwd:\S+", "a=ice-pwd:short", "ice"),
        (r"a=extmap:1 ", "a=extmap:one ", "media"),
    ],
)
async def test_an_offer_that_is_nearly_right_ends_failed(
    line: Line, old: str, new: str, part: str
) -> None:
    phone, caller = await line.phone("ann"), line.caller(video=None)
    await phone.dial(re.sub(old, new, await caller.offer()))
    ended = await phone.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.FAILED, part)
    await line.idle()


async def test_garbage_in_a_call_ends_that_call_only(line: Line) -> None:
    phone, _ = await line.talking()
    other, caller = await line.talking("bob")
    description = p.Description(type="offer", sdp="garbage")
    await phone.client.request(p.SendDescription(call=phone.call, description=description))
    assert (await phone.event(p.Ended)).reason is p.Reason.LOST
    assert await caller.numbers(5)
    await other.hang_up()
    await line.idle()


async def test_a_caller_whose_media_closes_is_hung_up_on(line: Line) -> None:
    phone, caller = await line.talking(video=None)
    await caller.close()
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP
    await line.idle()


async def test_a_caller_who_vanishes_is_noticed(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("TICK", 0.05), ("QUIET", 0.3), ("GONE", 0.8)):
        monkeypatch.setattr(peer, name, seconds)
    phone, caller = await line.talking(video=None)
    [call] = line.bot.calls.values()
    for protocol in parts.protocols(parts.ice_of(parts.dtls_of(caller.pc))):
        protocol.transport.abort()
    ended = await phone.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.LOST, "ice")
    await line.idle()
    assert call.peer.leg is not None
    assert call.peer.leg.state == "closed"


def _routes(protocol: StunProtocol) -> dict[Any, Any]:
    share = protocol.transport
    assert isinstance(share, Share)
    return share._shared._routes


async def test_a_silence_that_passes_is_only_a_reconnecting(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("TICK", 0.05), ("QUIET", 0.3)):
        monkeypatch.setattr(peer, name, seconds)
    phone, caller = await line.talking(video=None)
    assert await caller.hears()
    [call] = line.bot.calls.values()
    leg = call.peer.leg
    assert leg is not None
    assert leg.plane is not None
    states: asyncio.Queue[str] = asyncio.Queue()
    tell = line.bot.client.tell

    def listen(message: p.Request) -> None:
        if isinstance(message, p.Progress):
            states.put_nowait(message.state)
        tell(message)

    monkeypatch.setattr(line.bot.client, "tell", listen)
    sockets = parts.protocols(leg.plane.connection)
    hearing = [protocol.datagram_received for protocol in sockets]
    routes = [_routes(protocol) for protocol in sockets]
    kept = [dict(table) for table in routes]
    for protocol, table in zip(sockets, routes, strict=True):
        monkeypatch.setattr(protocol, "datagram_received", lambda data, address: None)
        table.update(dict.fromkeys(table, lambda data: None))
    async with asyncio.timeout(PATIENCE):
        while await states.get() != "reconnecting":
            pass
    for protocol, hears, table, old in zip(sockets, hearing, routes, kept, strict=True):
        monkeypatch.setattr(protocol, "datagram_received", hears)
        table.update(old)
    async with asyncio.timeout(PATIENCE):
        while await states.get() != "connected":
            pass
    assert (await phone.hang_up()).reason is p.Reason.HANGUP


async def test_a_caller_who_never_connects_fails(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("TICK", 0.05), ("CONNECT", 0.3)):
        monkeypatch.setattr(peer, name, seconds)
    phone, caller = await line.phone("ann"), line.caller(video=None)
    await phone.dial(await caller.offer())
    await phone.event(p.Answered)
    ended = await phone.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.FAILED, "ice")
    await line.idle()


async def test_a_full_bot_is_busy(start: Start) -> None:
    line = await start(max_calls=1)
    first, caller = await line.talking()
    second = await line.phone("bob")
    await second.dial(await line.caller(video=None).offer())
    assert (await second.event(p.Ended)).reason is p.Reason.BUSY
    assert await caller.numbers(3)
    await first.hang_up()
    await line.idle()
    await second.talk(line.caller(video=None))


async def test_a_flood_of_signals_ends_the_call(line: Line) -> None:
    phone, caller = await line.talking(video=None)
    assert await caller.hears()
    [call] = line.bot.calls.values()
    candidate = p.RelayedCandidate(call=call.id, candidate=None)
    for _ in range(bot_call.MAX_WAITING + 1):
        call.signal(candidate)
    assert (await phone.event(p.Ended)).reason is p.Reason.LOST
    await line.idle()


async def test_an_unanswered_call_that_is_cancelled_is_freed(line: Line) -> None:
    phone, caller = await line.phone("ann"), line.caller(video=None)
    await phone.dial(await caller.offer())
    await phone.client.request(p.Hangup(call=phone.call))
    await phone.event(p.Ended)
    await line.idle()


# --- what happens around a call -----------------------------------------------------------


async def test_datagrams_that_end_aiortc_calls_do_not_end_ours(line: Line) -> None:
    phone, caller = await line.talking(audio=None)
    before = await caller.numbers(3)
    ports = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", phone.answer)
    assert ports
    for host, port in set(ports):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as stranger:
            for data in (b"", b"\x80" * 1501, b"\xbf" * 9000, b"\x16", b"\x00" * 20, b"x"):
                stranger.sendto(data, (host, int(port)))
    after = await caller.numbers(12)
    assert growing(before + after)
    [call] = line.bot.calls.values()
    assert call.peer.leg is not None
    assert call.peer.leg.plane is not None
    assert line.bot.host.hub.dropped == {"stranger": 6 * len(set(ports))}
    assert not call.peer.leg.plane.guard.dropped
    assert (await phone.hang_up()).reason is p.Reason.HANGUP


async def test_a_call_outlives_the_bots_socket(line: Line) -> None:
    phone, caller = await line.talking(audio=None)
    ws = line.bot.client._ws
    assert ws is not None
    await ws.close()
    assert await caller.numbers(10)
    await phone.renegotiate(caller)
    assert await caller.numbers(3)
    assert (await phone.hang_up()).reason is p.Reason.HANGUP
    await line.idle()


async def test_a_call_outlives_a_restart_of_the_exchange(
    line: Line, serve: Callable[..., Awaitable[Server]]
) -> None:
    phone, caller = await line.talking(audio=None)
    await line.server.stop()
    assert await caller.numbers(5)
    await serve(port=line.server.port, data=line.server.data, limits=GENEROUS)
    while (await phone.event(p.Welcome)).resumed is False:
        raise AssertionError("the session was not resumed")
    assert await caller.numbers(5)
    assert (await phone.hang_up()).reason is p.Reason.HANGUP
    await line.idle()


async def test_a_new_session_frees_the_calls_of_the_old(line: Line) -> None:
    await line.talking(video=None)
    client = line.bot.client
    client._memory.forget()
    assert client._ws is not None
    await client._ws.close()
    await line.idle()


async def test_a_certificate_is_renewed_before_it_expires(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = line.bot.host.certificate
    assert line.bot.host.certificate is first
    monkeypatch.setattr(
        type(first), "expires", property(lambda self: datetime.datetime.now(datetime.UTC))
    )
    assert line.bot.host.certificate is not first
