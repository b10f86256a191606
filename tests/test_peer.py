"""The peer of one call: what it does with candidates, servers, silence and its own end."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from aiortc import RTCDataChannel, RTCIceServer

from ringback.bots import peer as module
from ringback.bots.media import leg, network, parts
from ringback.bots.media.mirror import MAX_UNSENT
from ringback.bots.media.parts import Certificate
from ringback.bots.media.plane import Plane
from ringback.bots.peer import BadOffer, Change, Peer, ice_servers
from ringback.server.protocol import Candidate, IceServer, Report
from tests.callers import PATIENCE, Caller, mirror_of, needs_address
from tests.offers import stopped

pytestmark = needs_address


class Heard:
    """A peer and the changes it tells of."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[Change] = asyncio.Queue()
        self.peer = Peer([], Certificate.generateCertificate(), self.changes.put_nowait)

    async def until(self, state: str) -> list[Change]:
        """The changes up to the first of this state."""
        seen: list[Change] = []
        async with asyncio.timeout(PATIENCE):
            while not seen or seen[-1].state != state:
                seen.append(await self.changes.get())
        return seen


@pytest.fixture
async def bot() -> AsyncIterator[Heard]:
    heard = Heard()
    yield heard
    await heard.peer.close()


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    made = Caller(video=None)
    yield made
    await made.close()


def without_candidates(sdp: str) -> str:
    return "\r\n".join(x for x in sdp.splitlines() if not x.startswith("a=candidate")) + "\r\n"


def remote_candidates(peer: Peer) -> int:
    assert peer.plane is not None
    return len(peer.plane.connection.remote_candidates)


def test_no_servers_means_none_and_not_somebodys_default() -> None:
    assert ice_servers([]) == []
    known = IceServer(urls=["turn:turn.example"], username="u", credential="c")
    assert ice_servers([known]) == [RTCIceServer(["turn:turn.example"], "u", "c")]


async def test_a_server_that_aiortc_cannot_read_costs_no_call(bot: Heard, caller: Caller) -> None:
    strange = IceServer(urls=["stun:[2001:db8::1]:3478", "stun:"])
    both = IceServer(urls=["turn:[2001:db8::1]", "turn:t.example?transport=tcp"], username="u")
    assert [s.urls for s in ice_servers([strange, both])] == [["turn:t.example?transport=tcp"]]
    peer = Peer([strange], Certificate.generateCertificate(), lambda change: None)
    assert "a=candidate" in await peer.answer(await caller.offer())
    await peer.close()


async def test_a_caller_in_a_private_network_is_found_by_its_own_checks(
    bot: Heard, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "PRIVATE", (ip_network("0.0.0.0/0"), ip_network("::/0")))

    async def answer(sdp: str) -> str:
        answered = await bot.peer.answer(sdp)
        assert remote_candidates(bot.peer) == 0
        return answered

    await caller.call(answer)
    assert await caller.hears()
    assert bot.peer.report("c").pair == "host/prflx"


async def test_nobody_is_found_where_nothing_is_ever_sent(
    bot: Heard, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dropped(Counter[str]):
        def __setitem__(self, why: str, number: int) -> None:
            super().__setitem__(why, number)
            if why == "forbidden" and number == 5:
                enough.set()

    everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    monkeypatch.setattr(network, "_NEVER", everywhere)
    enough = asyncio.Event()
    bot.peer._hub.dropped = Dropped()
    await caller.accept(await bot.peer.answer(await caller.offer()))
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    assert remote_candidates(bot.peer) == 0
    assert bot.peer.leg is not None
    assert bot.peer.leg.state == "ice"


async def test_a_caller_that_hides_its_addresses_is_found_by_its_own_checks(
    bot: Heard, caller: Caller
) -> None:
    async def hidden(sdp: str) -> str:
        return await bot.peer.answer(without_candidates(sdp))

    await caller.call(hidden)
    assert await caller.hears()
    assert bot.peer.report("c").pair == "host/prflx"


async def test_candidates_that_are_not_for_this_connection_are_passed_over(
    bot: Heard, caller: Caller
) -> None:
    text = "candidate:1 1 udp 1 192.0.2.77 50000 typ host"
    await bot.peer.add_candidate(Candidate(candidate=text))
    await bot.peer.answer(without_candidates(await caller.offer()))
    for passed_over in (
        None,
        Candidate(candidate=""),
        Candidate(candidate=text, username_fragment="other"),
        Candidate(candidate="candidate:1 1 udp 1 127.0.0.1 50000 typ host"),
        Candidate(candidate="candidate:1 1 udp 1 abc.local 50000 typ host"),
    ):
        await bot.peer.add_candidate(passed_over)
    assert remote_candidates(bot.peer) == 0
    await bot.peer.add_candidate(Candidate(candidate=text))
    assert remote_candidates(bot.peer) == 1
    with pytest.raises(BadOffer):
        await bot.peer.add_candidate(Candidate(candidate="nonsense"))


async def test_candidates_are_bounded(bot: Heard, caller: Caller) -> None:
    await bot.peer.answer(without_candidates(await caller.offer()))
    for port in range(50000, 50100):
        text = f"candidate:1 1 udp 1 192.0.2.77 {port} typ host"
        await bot.peer.add_candidate(Candidate(candidate=text))
    assert remote_candidates(bot.peer) == 50


async def test_a_bad_first_offer_leaves_nothing(bot: Heard, caller: Caller) -> None:
    offer = await caller.offer()
    for codec in ("opus/48000", "G722/8000", "PCMU/8000", "PCMA/8000"):
        offer = offer.replace(codec, "other/8000")
    tasks = asyncio.all_tasks()
    with pytest.raises(BadOffer) as caught:
        await bot.peer.answer(offer)
    assert caught.value.part == "media"
    assert bot.peer.leg is None
    assert asyncio.all_tasks() <= tasks
    assert bot.changes.empty()


async def test_a_bad_later_offer_leaves_the_media_as_it_is(bot: Heard, caller: Caller) -> None:
    await caller.call(bot.peer.answer)
    leg = bot.peer.leg
    with pytest.raises(BadOffer):
        await bot.peer.answer("v=0\r\n")
    assert bot.peer.leg is leg
    assert await caller.hears()


async def test_each_new_plane_is_told_of_before_its_first_packet(caller: Caller) -> None:
    planes: list[tuple[Plane, int]] = []
    peer = Peer(
        [],
        Certificate.generateCertificate(),
        lambda change: None,
        on_plane=lambda plane: planes.append((plane, plane.counts.packets)),
    )
    await caller.call(peer.answer)
    second = Caller(video=None)
    await second.call(peer.answer)
    assert [packets for _, packets in planes] == [0, 0]
    assert planes[0][0] is not planes[1][0]
    assert peer.plane is planes[1][0]
    await second.close()
    await peer.close()


async def test_closing_twice_is_closing_once_and_then_nothing_is_answered(
    bot: Heard, caller: Caller
) -> None:
    await caller.call(bot.peer.answer)
    await bot.peer.close()
    await bot.peer.close()
    assert bot.peer.leg is not None
    assert bot.peer.leg.state == "closed"
    other = Caller(video=None)
    with pytest.raises(BadOffer, match="over"):
        await bot.peer.answer(await other.offer())
    await other.close()


async def test_a_peer_closed_while_it_answers_frees_what_it_made(
    bot: Heard, caller: Caller
) -> None:
    answering = asyncio.create_task(bot.peer.answer(await caller.offer()))
    await asyncio.sleep(0)
    await bot.peer.close()
    with pytest.raises(BadOffer, match="over"):
        await answering
    assert bot.peer.leg is None


async def test_without_a_call_there_is_nothing_to_report(bot: Heard) -> None:
    assert bot.peer.report("c") == Report(call="c")


async def test_dtls_that_does_not_come_about_is_said_to_have_failed(
    bot: Heard, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await caller.offer()
    wrong = Certificate.generateCertificate().getFingerprints()[0].value
    lines = [x for x in offer.splitlines() if not x.startswith("a=fingerprint")]
    lines.append(f"a=fingerprint:sha-256 {wrong}")
    await caller.accept(await bot.peer.answer("\r\n".join(lines) + "\r\n"))
    assert (await bot.until("failed"))[-1] == Change("failed", "dtls")


def test_who_vanishes_is_noticed_in_ten_seconds() -> None:
    assert module.QUIET + module.TICK < module.GONE
    assert module.GONE + module.TICK <= 10.0


async def test_silence_is_told_then_ends_it(
    bot: Heard, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("TICK", 0.02), ("QUIET", 0.2), ("GONE", 0.5)):
        monkeypatch.setattr(module, name, seconds)
    await caller.call(bot.peer.answer)
    await bot.until("connected")
    assert await caller.hears()
    for protocol in parts.protocols(parts.ice_of(parts.dtls_of(caller.pc))):
        protocol.transport.abort()
    assert await bot.until("failed") == [Change("reconnecting"), Change("failed", "ice")]


async def test_who_closes_the_connection_may_make_another(bot: Heard) -> None:
    first, second = Caller(video=None), Caller(video=None)
    await first.call(bot.peer.answer)
    await bot.until("connected")
    await first.close()
    assert await bot.until("reconnecting") == [Change("reconnecting")]
    await second.call(bot.peer.answer)
    await bot.until("connected")
    assert await second.hears()
    await second.close()
    assert await bot.until("closed") == [Change("reconnecting"), Change("closed")]


async def test_what_is_stopped_is_gone_and_the_rest_goes_on(bot: Heard) -> None:
    caller = Caller()
    await caller.call(bot.peer.answer)
    assert await caller.numbers(1)
    sdp = caller.pc.localDescription.sdp.replace("\r\n", "\n")
    answered = await bot.peer.answer(stopped(sdp, "1"))
    assert re.findall(r"m=\w+ 0 .*\r\n.*\r\na=mid:(.)", answered) == ["1"]
    mirror = mirror_of(bot.peer)
    before = mirror.counts.dropped["unknown"]
    # More than may have been on its way already.
    for _ in range(3):
        assert await caller.hears()
    assert mirror.counts.dropped["unknown"] > before, "nobody takes its pictures now"
    assert {stream.rtx for stream in mirror.streams.values()} == {False}
    await caller.close()


async def test_everything_is_stopped_and_something_comes_anew(bot: Heard) -> None:
    first, second = Caller(video=None), Caller(video=None)
    await first.call(bot.peer.answer)
    await bot.until("connected")
    sdp = first.pc.localDescription.sdp.replace("\r\n", "\n")
    nothing = await bot.peer.answer(stopped(sdp, "0"))
    assert nothing.endswith("c=IN IP4 0.0.0.0\r\na=mid:0\r\na=inactive\r\n")
    assert "BUNDLE" not in nothing
    assert bot.peer.plane is None
    assert nothing == await bot.peer.answer(stopped(sdp, "0")), "as often as it is said"
    await bot.peer.add_candidate(Candidate(candidate="candidate:1 1 udp 1 192.0.2.7 5000 typ host"))
    assert bot.peer.report("c").pair is None
    await second.call(bot.peer.answer)
    states = [change.state for change in await bot.until("connected")]
    assert set(states) == {"reconnecting", "connected"}
    assert await second.hears()
    assert bot.peer.report("c").restarts == 1
    await first.close()
    await second.close()


async def test_a_first_offer_of_nothing(bot: Heard, caller: Caller) -> None:
    offer = (await caller.offer()).replace("\r\n", "\n")
    with pytest.raises(BadOffer, match="no media"):
        await bot.peer.answer(stopped(offer, "0"))


async def test_a_channel_too_many_is_closed(bot: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leg, "MAX_CHANNELS", 1)
    caller = Caller(audio=None, video=None, channel=True)
    await caller.call(bot.peer.answer)
    assert caller.channel is not None
    async with asyncio.timeout(PATIENCE):
        await caller.opened.wait()
        caller.channel.send("one")
        assert await caller.messages.get() == "one"
        second, closed = caller.pc.createDataChannel("second"), asyncio.Event()
        second.on("close", closed.set)
        await closed.wait()
        caller.channel.send("two")
        assert await caller.messages.get() == "two"
    await caller.close()


async def test_a_peer_that_takes_nothing_back_loses_messages_and_not_our_memory(
    bot: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(audio=None, video=None, channel=True)
    await caller.call(bot.peer.answer)
    assert caller.channel is not None
    unsent = [MAX_UNSENT, MAX_UNSENT - 1]
    monkeypatch.setattr(RTCDataChannel, "bufferedAmount", property(lambda _: unsent.pop(0)))
    async with asyncio.timeout(PATIENCE):
        await caller.opened.wait()
        caller.channel.send("lost")
        caller.channel.send("kept")
        assert await caller.messages.get() == "kept"
    await caller.close()
