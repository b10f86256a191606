"""Peers that call: a headless caller offers once, and pictures go over what is then agreed."""

from __future__ import annotations

import asyncio
import re

import pytest
from aiortc import RTCSessionDescription

from ringback.bots.media.encoding import PictureEncoder
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Kind
from ringback.bots.media.parts import Certificate
from ringback.bots.media.payload import Codec
from ringback.bots.media.payload.h264 import START
from ringback.bots.media.udp import Hub
from ringback.bots.peer import BadOffer, Change, Peer
from tests.callers import PATIENCE, Caller, needs_address
from tests.ends import End, coded, ends, send, shown
from tests.marked import picture

__all__ = ["ends"]
pytestmark = needs_address


async def call(caller: Peer, callee: Peer, channel: str | None = None) -> None:
    await caller.accept(await callee.answer(await caller.offer(["audio", "video"], channel)))


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
async def test_pictures_go_from_caller_to_callee(ends: list[Peer], codec: Codec) -> None:
    caller, callee = End(receives=(), sends=("video",)), End()
    ends += [caller.peer, callee.peer]
    await call(caller.peer, callee.peer)
    await asyncio.gather(caller.connected(), callee.connected())
    track = caller.outgoing["video"]
    track.select(codec)
    frames = coded(codec, 10)
    _, numbers = await asyncio.gather(send(track, frames), shown(callee, 10, codec))
    assert numbers == list(range(10))


def rejecting(answer: str, kind: str, *, named: bool) -> str:
    """An answer in which one kind is rejected, as those write it who never agreed to it."""
    head, *sections = re.split("(?m)^(?=m=)", answer)
    for n, section in enumerate(sections):
        if section.startswith(f"m={kind} "):
            [mid] = re.findall("(?m)^a=mid:(.*)\r$", section)
            protocol = section.split()[2]
            lines = [f"m={kind} 0 {protocol} 0", "c=IN IP4 0.0.0.0", "a=inactive"]
            lines += [f"a=mid:{mid}"] if named else []
            sections[n] = "".join(line + "\r\n" for line in lines)
    taken = [re.findall("(?m)^a=mid:(.*)\r$", s)[0] for s in sections if s.split()[1] != "0"]
    head = re.sub("(?m)^a=group:BUNDLE.*\r$", f"a=group:BUNDLE {' '.join(taken)}\r", head)
    return "".join([head, *sections])


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("rejected", "left"), [("audio", "video"), ("video", "audio")])
async def test_a_kind_that_is_rejected_is_missing_and_no_more(
    ends: list[Peer], rejected: str, left: Kind, named: bool
) -> None:
    both: tuple[Kind, ...] = ("audio", "video")
    caller, callee = End(sends=both), End(sends=both)
    ends += [caller.peer, callee.peer]
    answer = await callee.peer.answer(await caller.peer.offer(both, "control"))
    await caller.peer.accept(rejecting(answer, rejected, named=named))
    await asyncio.gather(caller.connected(), callee.connected())
    assert list(caller.outgoing) == [left]
    plane = caller.peer.plane
    assert isinstance(plane, Endpoint)
    assert [track.kind for track in plane.incoming.values()] == [left]
    data = coded("VP8", 1)[0][0] if left == "video" else b"\xfc\xff\xfe"
    for one, other in ((caller, callee), (callee, caller)):
        assert one.outgoing[left].send(data, 0, keyframe=True)
        async with asyncio.timeout(PATIENCE):
            assert (await other.frames.get()).kind == left
    opened = asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        channel = await caller.channels.get()
        channel.on_open = opened.set
        if not channel.open:
            await opened.wait()


async def test_a_channel_that_is_rejected_leaves_the_rest(ends: list[Peer]) -> None:
    caller, callee = End(receives=(), sends=("video",)), End()
    ends += [caller.peer, callee.peer]
    answer = await callee.peer.answer(await caller.peer.offer(["video"], "control"))
    await caller.peer.accept(rejecting(answer, "application", named=False))
    await asyncio.gather(caller.connected(), callee.connected())
    await asyncio.gather(send(caller.outgoing["video"], coded("VP8", 5)), shown(callee, 5, "VP8"))


async def test_an_answer_that_rejects_everything(ends: list[Peer]) -> None:
    caller, callee = End(), End()
    ends += [caller.peer, callee.peer]
    answer = await callee.peer.answer(await caller.peer.offer(["audio"]))
    with pytest.raises(BadOffer, match="takes nothing"):
        await caller.peer.accept(rejecting(answer, "audio", named=True))
    await caller.peer.accept(answer)
    await caller.connected()


def singly(offer: str) -> str:
    """An offer of whom H.264 is for only without fragments."""
    return re.sub("packetization-mode=1", "packetization-mode=0", offer)


async def test_h264_goes_in_single_units_to_whom_takes_nothing_else(ends: list[Peer]) -> None:
    caller, callee = End(receives=(), sends=("video",)), End()
    ends += [caller.peer, callee.peer]
    offer = await caller.peer.offer(["video"])
    answer = await callee.peer.answer(singly(offer))
    assert "packetization-mode=0" in answer
    await caller.peer.accept(answer)
    await asyncio.gather(caller.connected(), callee.connected())
    track = caller.outgoing["video"]
    assert track.passes == ("VP8", "VP9")
    assert not track.slices
    track.select("H264")
    assert bool(track.slices)
    encoder = PictureEncoder("H264", 3_000_000, track.slices)
    frames = [encoder.encode(picture(n), n * 3000, n == 0) for n in range(10)]
    sent = [(frame.data, frame.keyframe) for frame in frames if frame is not None]
    _, numbers = await asyncio.gather(send(track, sent), shown(callee, 10, "H264"))
    assert numbers == list(range(10))
    with pytest.raises(ValueError, match="no packet"):
        track.send(START + b"\x65" + b"\x88" * 2000, 10 * 90000, keyframe=True)


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
async def test_the_echo_returns_every_codec(ends: list[Peer], codec: Codec) -> None:
    caller = End(sends=("audio", "video"))
    there = asyncio.Event()

    def look(change: Change) -> None:
        if change.state == "connected":
            there.set()

    echo = Peer([], Certificate.generateCertificate(), look)
    ends += [caller.peer, echo]
    await call(caller.peer, echo)
    assert await caller.connected() == [
        Change("connecting", "ice"),
        Change("connecting", "dtls"),
        Change("connected"),
    ]
    async with asyncio.timeout(PATIENCE):
        await there.wait()
    track = caller.outgoing["video"]
    track.select(codec)
    _, numbers = await asyncio.gather(send(track, coded(codec, 10)), shown(caller, 10, codec))
    assert numbers == list(range(10))


async def test_nothing_is_dropped_between_the_checks_and_the_handshake(ends: list[Peer]) -> None:
    """The callee's first word comes at once after its answer to the caller's check."""
    certificate, done = Certificate.generateCertificate(), asyncio.Event()
    hubs = [Hub(), Hub()]

    def look(change: Change) -> None:
        if change.state == "connected":
            done.set()

    caller = Peer([], certificate, look, hub=hubs[0], plane=Endpoint)
    callee = Peer([], certificate, look, hub=hubs[1])
    ends += [caller, callee]
    await call(caller, callee)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert [hub.dropped["stranger"] for hub in hubs] == [0, 0]


async def test_channels_that_the_caller_opens(ends: list[Peer]) -> None:
    caller, callee = End(), End()
    ends += [caller.peer, callee.peer]
    await call(caller.peer, callee.peer, "control")
    heard: asyncio.Queue[str | bytes] = asyncio.Queue()
    opened, closed = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        ours = await caller.channels.get()
        assert not ours.send("too early")
        ours.on_open, ours.on_close = opened.set, closed.set
        theirs = await callee.channels.get()
        assert (ours.label, theirs.label) == ("control", "control")
        ours.on_message = theirs.on_message = heard.put_nowait
        await opened.wait()
        assert theirs.send("hello")
        assert await heard.get() == "hello"
        assert ours.send(b"\x00\x01")
        assert await heard.get() == b"\x00\x01"
        theirs.close()
        await closed.wait()
    assert not ours.send("too late")


async def test_the_callee_may_add_media_later_on_the_same_connection(ends: list[Peer]) -> None:
    end = End()
    ends.append(end.peer)
    caller = Caller(video=None)
    await caller.call(end.peer.answer)
    leg = end.peer.leg
    caller.add(caller.pictures, "VP8")
    await caller.accept(await end.peer.answer(await caller.offer()))
    async with asyncio.timeout(PATIENCE):
        while (await end.frames.get()).kind != "video":
            pass
    assert end.peer.leg is leg
    await caller.close()


async def test_one_that_was_called_may_offer_to_the_caller_afterwards(ends: list[Peer]) -> None:
    """A browser that answered us switches its camera on: it offers on the connection there is."""
    end = End()
    ends.append(end.peer)
    other = Caller(video=None)
    offer = await end.peer.offer(["audio"])
    await other.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await other.pc.setLocalDescription(await other.pc.createAnswer())
    await end.peer.accept(other.pc.localDescription.sdp)
    await other.connected()
    leg = end.peer.leg
    other.add(other.pictures, "VP8")
    await other.accept(await end.peer.answer(await other.offer()))
    async with asyncio.timeout(PATIENCE):
        while (await end.frames.get()).kind != "video":
            pass
    assert end.peer.leg is leg
    await other.close()


async def test_an_answer_is_taken_once_and_only_after_an_offer(ends: list[Peer]) -> None:
    caller, callee = End(), End()
    ends += [caller.peer, callee.peer]
    with pytest.raises(BadOffer, match="no offer of ours"):
        await caller.peer.accept("v=0")
    answer = await callee.peer.answer(await caller.peer.offer(["audio"]))
    assert caller.changes.empty()
    await caller.peer.accept(answer)
    with pytest.raises(BadOffer, match="no offer of ours"):
        await caller.peer.accept(answer)


async def test_a_call_that_ends_before_the_offer_is_made_leaves_nothing(ends: list[Peer]) -> None:
    end = End()
    offering = asyncio.create_task(end.peer.offer(["audio"]))
    await asyncio.sleep(0)
    await end.peer.close()
    with pytest.raises(BadOffer, match="over"):
        await offering
    assert end.peer.leg is None
