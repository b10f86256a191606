"""Chromium and an endpoint: its frames can be decoded, and it decodes ours."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import av
import pytest
import pytest_asyncio

from ringback.bots.media.channel import Channel
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.network import Network
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Hub
from ringback.bots.peer import Peer
from ringback.server.protocol import Candidate
from tests.browser.conftest import NewPerson
from tests.browser.person import Person
from tests.callers import PATIENCE, needs_address
from tests.running import Server

pytestmark = needs_address

SCRIPT = (Path(__file__).parent / "peer.js").read_text()
DECODERS = {"VP8": "vp8", "VP9": "vp9", "H264": "h264"}
CAP = 400_000


class Line:
    """A page, an endpoint, and everything that came from the one to the other."""

    def __init__(self, page: Person) -> None:
        self.page = page.page
        self.frames: list[Frame] = []
        self.tracks: dict[str, Incoming] = {}
        self.outgoing: dict[str, Outgoing] = {}
        self.digits: list[str] = []
        self.channels: list[Channel] = []
        self.faults: list[Exception] = []
        self.echo = False
        self.new = asyncio.Event()
        factory = partial(
            Endpoint,
            sends=("audio", "video"),
            on_incoming=self._take,
            on_outgoing=self._give,
            on_digit=self._digit,
            on_channel=self._open,
            on_fault=self.faults.append,
        )
        certificate, hub = Certificate.generateCertificate(), Hub(Network(bandwidth=CAP))
        self.peer = Peer([], certificate, lambda _: None, hub=hub, plane=factory)

    @property
    def endpoint(self) -> Endpoint:
        assert isinstance(self.peer.plane, Endpoint)
        return self.peer.plane

    def _take(self, track: Incoming) -> None:
        self.tracks[track.kind] = track
        track.on_frame = self._frame

    def _give(self, track: Outgoing) -> None:
        self.outgoing[track.kind] = track
        track.on_keyframe_request = lambda: self.tracks[track.kind].ask_keyframe()

    def _digit(self, digit: str) -> None:
        self.digits.append(digit)
        self.new.set()

    def _open(self, channel: Channel) -> None:
        self.channels.append(channel)
        channel.on_message = lambda message: (channel.send(message), None)[1]

    def _frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.new.set()
        if self.echo:
            track = self.outgoing[frame.kind]
            track.select(frame.codec)
            track.send(frame.data, frame.timestamp, keyframe=frame.keyframe)

    async def until(self, enough: Callable[[], object]) -> None:
        """Wait until something is true of what came."""
        async with asyncio.timeout(PATIENCE):
            while not enough():
                self.new.clear()
                await self.new.wait()

    def of(self, kind: str) -> list[Frame]:
        """The frames of this kind."""
        return [frame for frame in self.frames if frame.kind == kind]

    async def eventually(self, script: str) -> None:
        """Wait until a script's promise holds something true."""
        async with asyncio.timeout(PATIENCE):
            await self.page.evaluate(
                f"async () => {{ while (!(await ({script})))"
                " await new Promise((done) => setTimeout(done, 50)); }"
            )


@pytest_asyncio.fixture(loop_scope="session")
async def line(server: Server, new_person: NewPerson) -> AsyncIterator[Line]:
    ann = await new_person(server.url, "Ann")
    await ann.open_calls()
    made = Line(ann)

    async def candidate(text: str) -> None:
        await made.peer.add_candidate(Candidate(candidate=text))

    await ann.page.expose_function("answer", lambda sdp: made.peer.answer(sdp))
    await ann.page.expose_function("candidate", candidate)
    await ann.page.evaluate(SCRIPT)
    yield made
    await ann.page.evaluate("peer.pc.close()")
    await made.peer.close()
    assert made.faults == []


def decoded(frames: list[Frame]) -> list[tuple[int, int]]:
    """The sizes of the pictures that a decoder makes of frames; it complains of nothing."""
    decoder = av.CodecContext.create(DECODERS[frames[0].codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures = [p for f in frames for p in decoder.decode(av.Packet(f.data))]
    pictures += decoder.decode(None)
    return [(p.width, p.height) for p in pictures]


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
async def test_its_pictures_can_be_decoded(line: Line, codec: str) -> None:
    await line.page.evaluate(f"peer.add('video', '{codec}').then(peer.call)")
    await line.until(lambda: len(line.of("video")) >= 40)
    frames = line.of("video")
    assert {f.codec for f in frames} == {codec}
    assert frames[0].keyframe
    assert not any(f.gap for f in frames)
    assert len(decoded(frames)) == len(frames)
    assert all(a.timestamp < b.timestamp for a, b in zip(frames, frames[1:], strict=False))
    # Its camera slows down on a busy machine, and so do the ticks.
    passed = frames[-1].arrived - frames[0].arrived
    assert (frames[-1].timestamp - frames[0].timestamp) / 90000 == pytest.approx(passed, rel=0.5)


async def test_sound_and_keys_and_clocks(line: Line) -> None:
    await line.page.evaluate("Promise.all([peer.add('audio'), peer.add('video')]).then(peer.call)")
    await line.until(lambda: len(line.of("audio")) >= 50)
    assert {f.codec for f in line.of("audio")} == {"opus"}
    await line.page.evaluate("peer.sender('audio').dtmf.insertDTMF('12#*0', 100, 70)")
    await line.until(lambda: line.digits == ["1", "2", "#", "*", "0"])

    def known() -> bool:
        last = {f.kind: f for f in line.frames}
        return all(
            kind in last and track.clock.wall(last[kind].source, last[kind].timestamp) is not None
            for kind, track in line.tracks.items()
        )

    await line.until(known)
    late = {}
    for kind, track in line.tracks.items():
        frame = line.of(kind)[-1]
        wall = track.clock.wall(frame.source, frame.timestamp)
        assert wall is not None
        late[kind] = frame.arrived - wall
    assert late["audio"] == pytest.approx(late["video"], abs=0.5)


async def test_a_bad_way_costs_no_picture(line: Line) -> None:
    await line.page.evaluate("peer.add('video', 'VP8').then(peer.call)")
    await line.until(lambda: len(line.of("video")) >= 5)
    endpoint, luck = line.endpoint, random.Random(5)
    take = endpoint._rtp

    def lossy(data: bytes, at: float) -> None:
        if luck.random() >= 0.05:
            take(data, at)

    endpoint._rtp = lossy  # type: ignore[method-assign]
    begun = len(line.of("video"))
    await line.until(lambda: len(line.of("video")) >= begun + 120)
    frames = line.of("video")
    arrivals = line.tracks["video"].stats.arrivals
    assert arrivals.repaired >= 3
    assert not any(f.gap for f in frames)
    assert len(decoded(frames)) == len(frames)


async def test_a_camera_that_goes_off_and_on_and_is_another_one(line: Line) -> None:
    await line.page.evaluate("peer.add('video', 'VP8').then(peer.call)")
    await line.until(lambda: len(line.of("video")) >= 20)
    await line.page.evaluate("globalThis.video = peer.sender('video'); video.replaceTrack(null)")
    await line.page.evaluate(
        "navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } })"
        ".then((stream) => video.replaceTrack(stream.getVideoTracks()[0]))"
    )
    await line.until(lambda: (640, 480) in [f.size for f in line.of("video")])
    sizes = decoded(line.of("video"))
    assert len(sizes) == len(line.of("video"))
    assert sizes[0] != sizes[-1]


async def test_it_shows_and_plays_what_is_sent(line: Line) -> None:
    line.echo = True
    await line.page.evaluate(
        "Promise.all([peer.add('video', 'VP8'), peer.add('audio')]).then(peer.call)"
    )
    await line.eventually("peer.received('video').then(({ framesDecoded }) => framesDecoded > 40)")
    await line.eventually(
        "peer.received('audio').then((r) => r.packetsReceived > 50 && r.totalAudioEnergy > 0)"
    )
    # Our reports reached it: it knows the way there and back, and our clock.
    await line.eventually(
        "peer.pc.getStats().then((s) => [...s.values()].filter((r) =>"
        " r.type === 'remote-outbound-rtp' && r.reportsSent > 0).length === 2)"
    )


async def test_it_sends_no_more_than_it_may(line: Line) -> None:
    await line.page.evaluate("peer.add('video', 'VP8', 1280, 720).then(peer.call)")
    target = "peer.sent('video').then(({ targetBitrate }) => targetBitrate)"
    await line.eventually(f"{target}.then((bits) => bits > {CAP * 3 // 4})")
    await line.until(lambda: len(line.of("video")) >= 60)
    assert await line.page.evaluate(target) <= CAP


async def test_it_repairs_what_is_lost_of_ours(line: Line) -> None:
    line.echo = True
    await line.page.evaluate("peer.add('video', 'VP8').then(peer.call)")
    await line.until(lambda: len(line.of("video")) >= 5)
    endpoint, luck = line.endpoint, random.Random(6)
    carry = endpoint.carry

    def lossy(data: bytes, *, sealed: bool) -> bytes | None:
        return carry(data, sealed=sealed) if luck.random() >= 0.05 else data

    endpoint.carry = lossy  # type: ignore[method-assign]
    await line.eventually("peer.received('video').then(({ framesDecoded }) => framesDecoded > 100)")
    report = await line.page.evaluate("peer.received('video')")
    assert line.outgoing["video"].resent >= 3
    assert report["nackCount"] >= 3
    assert report["framesDropped"] <= 5


async def test_it_answers_a_caller_that_offers_once(line: Line) -> None:
    line.echo = True
    offer = await line.peer.offer(["audio", "video"], "control")
    await line.page.evaluate(
        "void (peer.pc.ondatachannel = ({ channel }) => (peer.channel = channel))"
    )
    # It answers first and switches its camera on then, which is an offer of its own.
    answer = await line.page.evaluate("(sdp) => peer.called(sdp)", offer)
    await line.peer.accept(answer)
    leg = line.peer.leg
    await line.page.evaluate(
        "navigator.mediaDevices.getUserMedia({ video: true, audio: true }).then(async (stream) => {"
        " for (const track of stream.getTracks()) peer.pc.addTrack(track, stream);"
        " await peer.call(); })"
    )
    await line.eventually("peer.received('video').then(({ framesDecoded }) => framesDecoded > 20)")
    assert line.peer.leg is leg
    heard = await line.page.evaluate(
        "new Promise((done) => { peer.channel.onmessage = ({ data }) => done(data);"
        " peer.channel.send('hello'); })"
    )
    assert heard == "hello"


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_the_mirror_returns_every_codec(line: Line, codec: str) -> None:
    await line.peer.close()
    line.peer = Peer([], Certificate.generateCertificate(), lambda _: None)
    await line.page.evaluate(f"peer.add('video', '{codec}').then(peer.call)")
    await line.eventually("peer.received('video').then(({ framesDecoded }) => framesDecoded > 20)")
    used = "peer.pc.getStats().then((s) => s.get([...s.values()].find((r) => r.type ==="
    used += " 'inbound-rtp').codecId).mimeType)"
    assert await line.page.evaluate(used) == f"video/{codec}"
