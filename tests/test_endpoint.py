"""An endpoint and real callers: their pictures and sound arrive as frames that can be decoded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from functools import partial

import av
import pytest

from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.parts import Certificate
from ringback.bots.media.rtcp import Block
from ringback.bots.peer import Peer
from tests.callers import PATIENCE, Caller, needs_address
from tests.coded import decoded
from tests.marked import RATE, SIZE, heard, number_of, voice

pytestmark = needs_address


class Heard:
    """A peer with an endpoint, and every frame that came."""

    def __init__(self, **options: object) -> None:
        self.frames: dict[str, list[Frame]] = {"audio": [], "video": []}
        self.tracks: list[Incoming] = []
        self.faults: list[Exception] = []
        self._new = asyncio.Event()
        factory = partial(
            Endpoint,
            on_incoming=self._take,
            on_fault=self.faults.append,
            **options,  # type: ignore[arg-type]
        )
        self.peer = Peer([], Certificate.generateCertificate(), lambda change: None, plane=factory)

    @property
    def endpoint(self) -> Endpoint:
        assert isinstance(self.peer.plane, Endpoint)
        return self.peer.plane

    def _take(self, track: Incoming) -> None:
        self.tracks.append(track)
        track.on_frame = self._frame

    def _frame(self, frame: Frame) -> None:
        self.frames[frame.kind].append(frame)
        self._new.set()

    async def until(self, enough: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not enough():
                self._new.clear()
                await self._new.wait()

    async def count(self, kind: str, number: int) -> list[Frame]:
        await self.until(lambda: len(self.frames[kind]) >= number)
        return self.frames[kind][:number]


@pytest.fixture
async def bot() -> AsyncIterator[Heard]:
    heard = Heard()
    yield heard
    await heard.peer.close()
    assert heard.faults == []


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_pictures_arrive(bot: Heard, codec: str) -> None:
    caller = Caller(audio=None, video=codec)
    await caller.call(bot.peer.answer)
    frames = await bot.count("video", 12)
    assert frames[0].keyframe
    assert frames[0].size == SIZE
    assert {f.codec for f in frames} == {codec}
    assert not any(f.gap for f in frames)
    pictures = list(decoded(codec, [frame.data for frame in frames]))
    assert {(picture.width, picture.height) for picture in pictures} == {SIZE}
    shown = [number_of(picture, caller.stream) for picture in pictures]
    assert len(shown) >= 10
    assert shown == list(range(shown[0], shown[0] + len(shown)))
    steps = {b.timestamp - a.timestamp for a, b in zip(frames, frames[1:], strict=False)}
    # aiortc rounds the random number it starts at.
    assert steps <= {90000 // RATE + n for n in (-1, 0, 1)}
    await caller.close()


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
async def test_sound_arrives(bot: Heard, codec: str) -> None:
    caller = Caller(audio=codec, video=None)
    await caller.call(bot.peer.answer)
    frames = (await bot.count("audio", 60))[10:]
    assert {f.codec for f in frames} == {codec}
    assert all(f.keyframe for f in frames)
    name = {"opus": "libopus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[codec]
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = frames[0].clock_rate
    decoder.layout = "stereo" if codec == "opus" else "mono"
    sounds = heard(s for f in frames for s in decoder.decode(av.Packet(f.data)))
    assert {sound.stream for sound in sounds} == {voice(caller.stream)}
    await caller.close()


async def test_both_are_on_one_clock_of_the_sender(bot: Heard) -> None:
    caller = Caller()
    await caller.call(bot.peer.answer)
    reports: list[str] = []
    await bot.count("video", 3)
    for track in bot.tracks:
        track.clock.on_report = lambda *_, kind=track.kind: reports.append(kind)
    await bot.until(lambda: set(reports) == {"audio", "video"})
    moments = {}
    for track in bot.tracks:
        frame = bot.frames[track.kind][-1]
        sent = track.clock.wall(frame.source, frame.timestamp)
        assert sent is not None
        moments[track.kind] = sent - frame.arrived
    # Frames arrive when the machine has time; a wrong clock would be off by hours.
    assert moments["audio"] == pytest.approx(moments["video"], abs=2)
    await caller.close()


class Echo(Heard):
    """An endpoint that sends each frame back as it came."""

    def __init__(self, **options: object) -> None:
        super().__init__(sends=("audio", "video"), on_outgoing=self._give, **options)
        self.sends: dict[str, Outgoing] = {}

    def _give(self, track: Outgoing) -> None:
        self.sends[track.kind] = track
        track.on_keyframe_request = self._ask

    def _ask(self) -> None:
        for track in self.tracks:
            track.ask_keyframe()

    def _frame(self, frame: Frame) -> None:
        super()._frame(frame)
        track = self.sends[frame.kind]
        if frame.codec != track.codec:
            track.select(frame.codec)
        track.send(frame.data, frame.timestamp, keyframe=frame.keyframe)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    heard = Echo()
    yield heard
    await heard.peer.close()
    assert heard.faults == []


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_pictures_are_sent(echo: Echo, codec: str) -> None:
    caller = Caller(audio=None, video=codec)
    await caller.call(echo.peer.answer)
    assert await caller.numbers(10)
    await caller.close()


@pytest.mark.parametrize("codec", ["opus", "PCMU"])
async def test_sound_is_sent(echo: Echo, codec: str) -> None:
    caller = Caller(audio=codec, video=None)
    await caller.call(echo.peer.answer)
    assert await caller.hears()
    await caller.close()


async def test_what_is_lost_either_way_is_repaired(echo: Echo) -> None:
    caller = Caller(audio=None)
    await caller.call(echo.peer.answer)
    await caller.numbers(2)
    endpoint = echo.endpoint
    receive, carry = endpoint._rtp, endpoint.carry
    luck = random.Random(1)
    lost = {"in": 0, "out": 0}

    def lossy_carry(data: bytes, *, sealed: bool) -> bytes | None:
        if luck.random() < 0.2 and not sealed:
            lost["out"] += 1
            return data
        return carry(data, sealed=sealed)

    def lossy_receive(data: bytes, at: float) -> None:
        if luck.random() < 0.2:
            lost["in"] += 1
            return
        receive(data, at)

    endpoint.carry = lossy_carry  # type: ignore[method-assign]
    endpoint._rtp = lossy_receive  # type: ignore[method-assign]
    assert await caller.numbers(30, damaged=15)
    assert min(lost.values()) >= 3
    [track] = echo.tracks
    assert track.stats.arrivals.repaired >= 3
    assert echo.sends["video"].resent >= 3
    await caller.close()


async def test_the_callers_request_reaches_the_bot_and_its_reports_too(echo: Echo) -> None:
    caller = Caller(audio=None)
    await caller.call(echo.peer.answer)
    await caller.numbers(3)
    [transceiver] = caller.pc.getTransceivers()
    sent = echo.sends["video"]
    asked, known = asyncio.Event(), asyncio.Event()
    bitrates: list[int] = []
    sent.on_keyframe_request, sent.on_bitrate = asked.set, bitrates.append
    reported = sent.stream.reported

    def note(block: Block, wall: float) -> None:
        reported(block, wall)
        if sent.round_trip is not None:
            known.set()

    sent.stream.reported = note  # type: ignore[method-assign]
    [source] = transceiver.receiver.getSynchronizationSources()
    await transceiver.receiver._send_rtcp_pli(source.source)
    async with asyncio.timeout(PATIENCE):
        await asked.wait()
        await known.wait()
    assert sent.round_trip is not None
    assert 0 <= sent.round_trip < 5
    assert sent.loss == 0
    # Our own reports reached the caller's sender.
    stats = await transceiver.sender.getStats()
    remote = [s for s in stats.values() if s.type == "remote-inbound-rtp"]
    assert remote
    await caller.close()
