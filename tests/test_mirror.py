"""A caller's own pictures and sound come back from the mirror, decoded only by the caller."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator

import pytest
from aiortc import MediaStreamTrack

from ringback.bots.media import packet
from ringback.bots.media.mirror import Mirror
from ringback.bots.media.parts import Certificate
from ringback.bots.media.rtp import read_header
from ringback.bots.peer import Change, Peer
from tests.callers import PATIENCE, Caller, Pictures, mirror_of, needs_address
from tests.marked import growing
from tests.planes import Wired
from tests.tracks import section

pytestmark = needs_address


class Watched:
    """A peer and what it said of itself."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._new = asyncio.Event()
        self.peer = Peer([], Certificate.generateCertificate(), self._changed)

    def _changed(self, change: Change) -> None:
        self.changes.append(change)
        self._new.set()

    async def wait(self, *states: str) -> Change:
        async with asyncio.timeout(PATIENCE):
            while not self.changes or self.changes[-1].state not in states:
                self._new.clear()
                await self._new.wait()
        return self.changes[-1]


@pytest.fixture
async def bot() -> AsyncIterator[Watched]:
    watched = Watched()
    yield watched
    await watched.peer.close()


@pytest.fixture
async def callers() -> AsyncIterator[list[Caller]]:
    """Whatever a test puts in here hangs up at its end."""
    made: list[Caller] = []
    yield made
    for caller in made:
        await caller.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_pictures_come_back(bot: Watched, callers: list[Caller], codec: str) -> None:
    caller = Caller(audio=None, video=codec)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    numbers = await caller.numbers(10)
    assert 0 <= numbers[0] < numbers[-1] < caller.pictures.sent


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA", "G722"])
async def test_sound_comes_back(bot: Watched, callers: list[Caller], codec: str) -> None:
    caller = Caller(audio=codec, video=None)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    assert await caller.hears()


async def test_all_together_without_a_thread_or_task_of_ours(
    bot: Watched, callers: list[Caller]
) -> None:
    caller = Caller(channel=True)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    _, heard = await asyncio.gather(caller.numbers(5), caller.hears())
    assert heard
    # The caller decodes two tracks; the bot must have added no decoder of its own.
    assert sum("decoder" in t.name for t in threading.enumerate()) == 2
    report = bot.peer.report("c1")
    assert report.pair == "host/host"
    assert report.first_media_ms is not None
    assert report.loss == 0
    assert report.restarts == 0


async def test_messages_come_back_as_they_were(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller(audio=None, video=None, channel=True)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    assert caller.channel is not None
    async with asyncio.timeout(PATIENCE):
        await caller.opened.wait()
        for message in ("hello", b"\x00\xff", "ä" * 2000, b""):
            caller.channel.send(message)
            assert await caller.messages.get() == message


async def test_states_are_told_in_order(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller(video=None)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    await bot.wait("connected")
    assert bot.changes == [
        Change("connecting", "ice"),
        Change("connecting", "dtls"),
        Change("connected"),
    ]
    await caller.close()
    await bot.wait("closed")


async def test_a_request_for_a_picture_reaches_the_callers_own_encoder(
    bot: Watched, callers: list[Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(audio=None)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    await caller.numbers(3)
    [transceiver] = caller.pc.getTransceivers()
    asked = asyncio.Event()
    monkeypatch.setattr(transceiver.sender, "_send_keyframe", asked.set)
    [source] = transceiver.receiver.getSynchronizationSources()
    await transceiver.receiver._send_rtcp_pli(source.source)
    async with asyncio.timeout(PATIENCE):
        await asked.wait()


async def test_what_is_lost_is_asked_for_and_sent_again(
    bot: Watched, callers: list[Caller]
) -> None:
    caller = Caller(audio=None)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    before = await caller.numbers(3)
    mirror = mirror_of(bot.peer)
    send = mirror._send
    assert send is not None
    lost: list[int] = []

    def lossy(data: bytes | memoryview, address: tuple[str, int]) -> None:
        if data[1] & 127 < 64 or data[1] & 127 > 95:
            lost.append(len(data))
            if len(lost) % 5 == 0:
                return
        send(data, address)

    mirror._send = lossy
    after = await caller.numbers(12)
    assert growing(before + after)
    assert len(lost) >= 5
    assert [s.packets for s in mirror.streams.values() if s.rtx][0] > 0


async def test_camera_added_in_the_call(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller(video=None)
    callers.append(caller)
    await caller.call(bot.peer.answer)
    assert await caller.hears()
    leg = bot.peer.leg
    caller.add(caller.pictures, "VP8")
    await caller.accept(await bot.peer.answer(await caller.offer()))
    assert await caller.numbers(5)
    assert bot.peer.leg is leg, "adding a camera must not make a new connection"
    assert [c.state for c in bot.changes].count("connected") == 1


async def test_mute_stops_what_is_returned(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller()
    callers.append(caller)
    await caller.call(bot.peer.answer)
    await caller.numbers(3)
    audio, video = caller.pc.getTransceivers()
    video.direction = "inactive"
    answer = await bot.peer.answer(await caller.offer())
    assert answer.count("a=inactive") == 1
    await caller.accept(answer)
    assert await caller.hears()
    assert audio.currentDirection == "sendrecv"


async def test_a_caller_that_only_sends_gets_nothing(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller(audio=None)
    callers.append(caller)
    caller.pc.getTransceivers()[0].direction = "sendonly"
    await caller.call(bot.peer.answer)
    counts = mirror_of(bot.peer).counts
    await caller.pictures.reached(10)
    assert counts.packets >= 5
    assert caller.tracks == {}


async def test_a_restart_gets_a_new_connection_and_the_media_goes_on(
    bot: Watched, callers: list[Caller]
) -> None:
    first = Caller()
    callers.append(first)
    await first.call(bot.peer.answer)
    await first.numbers(3)
    old = bot.peer.leg
    # aiortc cannot restart ICE; a second peer with new parameters is what the bot sees.
    second = Caller()
    callers.append(second)
    await second.call(bot.peer.answer)
    assert bot.peer.leg is not old
    assert await second.numbers(5)
    assert old is not None
    assert old.state == "closed"
    assert [c.state for c in bot.changes if c.part is None] == ["connected", "connected"]
    assert ("reconnecting", "ice") in bot.changes
    assert bot.peer.report("c").restarts == 1


async def test_sources_that_no_offer_named(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller()
    callers.append(caller)

    async def nameless(sdp: str) -> str:
        lines = [x for x in sdp.splitlines() if not x.startswith(("a=ssrc:", "a=ssrc-group:"))]
        return await bot.peer.answer("\r\n".join(lines) + "\r\n")

    await caller.call(nameless)
    assert await caller.numbers(5)
    assert await caller.hears()


async def test_two_cameras_come_back_apart(bot: Watched, callers: list[Caller]) -> None:
    caller = Caller(audio=None)
    callers.append(caller)
    second = Pictures(caller.stream + 1000)
    tracks: list[MediaStreamTrack] = []
    caller.pc.on("track", tracks.append)
    caller.pc.addTransceiver(second)
    await caller.call(bot.peer.answer)
    for track, stream in zip(tracks, (caller.stream, second.stream), strict=True):
        caller.tracks["video"] = track
        assert growing(await caller.numbers_of(stream, 3))


async def test_sources_come_and_go_as_often_as_they_like() -> None:
    wired = Wired(Mirror)
    ours: set[int] = set()
    for number in range(100, 140):
        both = dataclasses.replace(section(), theirs=(number, number + 1000), returns=True)
        wired.plane.configure([both])
        for sequence in range(3):
            wired.rtp(packet.build(96, sequence, 0, number, b"picture"))
            wired.rtp(packet.build(97, sequence, 0, number + 1000, b"again"))
        ours |= {read_header(data).ssrc for data in wired.sent[-6:]}
    assert len(wired.sent) == 6 * 40
    assert len(ours) == 2 * 40
    assert wired.plane.counts.dropped == {}


async def test_connections_share_a_certificate(bot: Watched, callers: list[Caller]) -> None:
    certificate = Certificate.generateCertificate()
    value = certificate.getFingerprints()[0].value
    for _ in range(2):
        caller = Caller(video=None)
        callers.append(caller)
        peer = Peer([], certificate, lambda change: None)
        answer = await peer.answer(await caller.offer())
        await peer.close()
        assert value in answer
        assert "stun" not in answer
