"""Callers for tests: an aiortc peer with marked pictures and sounds, and what it gets back."""

from __future__ import annotations

import array
import asyncio
import fractions
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence

import av
import ifaddr
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from av.video.frame import VideoFrame

from ringback.bots.calltest.identity import identify
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.observed import Direction, SeenPicture, SentPicture
from ringback.bots.media.mirror import Mirror
from ringback.bots.peer import Peer
from tests.marked import RATE, SIZE, STREAM, Listener, mark_of, picture, read, sound, voice

PATIENCE = 30.0
# The first few are of files and bots.
_streams = itertools.cycle(n for n in range(8, 1 << 12) if voice(n) >= 8)

needs_address = pytest.mark.skipif(
    not any(ip.ip != "127.0.0.1" and ip.is_IPv4 for a in ifaddr.get_adapters() for ip in a.ips),
    reason="WebRTC in Python needs an address other than 127.0.0.1: "
    "`ip addr add 127.0.0.2/8 dev lo` gives one.",
)
"""Marks tests that make real connections: aioice offers no candidate on 127.0.0.1."""


def mirror_of(peer: Peer) -> Mirror:
    """The mirror of a peer that has answered."""
    assert isinstance(peer.plane, Mirror)
    return peer.plane


class Pictures(MediaStreamTrack):
    """The pictures of a stream, `RATE` a second."""

    kind = "video"

    def __init__(self, stream: int = STREAM) -> None:
        super().__init__()
        self.sent = 0
        self.stream = stream
        self.noted: list[SentPicture] = []
        self._start = 0.0
        self._milestones: list[tuple[int, asyncio.Event]] = []

    async def reached(self, number: int) -> None:
        """Wait until the picture of this number has been asked for."""
        event = asyncio.Event()
        self._milestones.append((number, event))
        async with asyncio.timeout(PATIENCE):
            await event.wait()

    async def recv(self) -> VideoFrame:
        """The next picture, when it is due."""
        for number, event in self._milestones:
            if number <= self.sent:
                event.set()
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self.sent / RATE - time.monotonic()))
        taken = time.monotonic()
        self.noted.append(SentPicture(self.sent, taken))
        frame = picture(self.sent, self.stream, at=taken)
        frame.pts = self.sent * 90000 // RATE
        frame.time_base = fractions.Fraction(1, 90000)
        self.sent += 1
        return frame


class Sounds(MediaStreamTrack):
    """The sounds of a stream in parts of 20 ms."""

    kind = "audio"

    def __init__(self, stream: int = STREAM) -> None:
        super().__init__()
        self.stream = stream
        self._sent = 0
        self._start = 0.0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self._sent / 48_000 - time.monotonic()))
        frame = sound(self._sent, stream=self.stream)
        self._sent += frame.samples
        return frame


def pitch(frames: list[av.AudioFrame]) -> float:
    """The pitch in Hz of what is a tone and no marked sound, by its passages through zero; 0 for
    silence."""
    wave: array.array[int] = array.array("h")
    for frame in frames:
        channels = len(frame.layout.channels)
        plane = array.array("h", bytes(frame.planes[0])[: frame.samples * channels * 2])
        wave.extend(plane[::channels])
    if max(map(abs, wave)) < 1000:
        return 0.0
    rising = sum(a < 0 <= b for a, b in zip(wave, wave[1:], strict=False))
    return rising * frames[0].sample_rate / len(wave)


class Caller:
    """An aiortc peer that calls: `await caller.call(peer.answer)`, and look at what comes back.

    Each has a stream of its own, by which what comes back is known.
    `video` and `audio` name codecs (`VP8`, `H264`, `opus`, `PCMU`, ...), None sends none.
    `servers` are STUN and TURN servers, `policy` says whether they alone are used.
    """

    def __init__(
        self,
        *,
        audio: str | None = "opus",
        video: str | None = "VP8",
        channel: bool = False,
        servers: Sequence[RTCIceServer] = (),
        policy: RTCIceTransportPolicy = RTCIceTransportPolicy.ALL,
    ) -> None:
        self.pc = RTCPeerConnection(
            RTCConfiguration(
                iceServers=list(servers),
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
                iceTransportPolicy=policy,
            )
        )
        self.stream = next(_streams)
        self.pictures = Pictures(self.stream)
        self.way = Direction(
            "caller", "caller", self.stream, ("video",), RATE, SIZE, sent=self.pictures.noted
        )
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.pc.on("track", self._on_track)
        if audio is not None:
            self.add(Sounds(self.stream), audio)
        if video is not None:
            self.add(self.pictures, video)
        # After the tracks: aiortc stops the common transport of a channel that came first.
        self.channel = self.pc.createDataChannel("echo") if channel else None
        if self.channel is not None:
            self.channel.on("open", self.opened.set)
            self.channel.on("message", self.messages.put_nowait)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    def add(self, track: MediaStreamTrack, codec: str) -> None:
        """Send one more track, in the codec of this name."""
        self.pc.addTrack(track)
        known = RTCRtpSender.getCapabilities(track.kind).codecs
        chosen = [c for c in known if c.mimeType.lower().endswith(("/" + codec.lower(), "/rtx"))]
        [transceiver] = [t for t in self.pc.getTransceivers() if t.sender.track is track]
        transceiver.setCodecPreferences(chosen)

    async def offer(self) -> str:
        """A new offer, gathered."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Take the answer."""
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def call(self, answer: Callable[[str], Awaitable[str]]) -> None:
        """Offer to whatever answers, and wait until the media is connected."""
        await self.accept(await answer(await self.offer()))
        await self.connected()

    async def connected(self) -> None:
        """Wait until the connection is there."""
        done = asyncio.Event()

        def look() -> None:
            if self.pc.connectionState == "connected":
                done.set()

        self.pc.on("connectionstatechange", look)
        look()
        async with asyncio.timeout(PATIENCE):
            await done.wait()

    async def _frames(self, count: int) -> list[VideoFrame]:
        async with asyncio.timeout(PATIENCE):
            frames = [await self.tracks["video"].recv() for _ in range(count)]
        return [frame for frame in frames if isinstance(frame, VideoFrame)]

    async def marks(self, count: int) -> list[Mark]:
        """What the next pictures that come say; one that cannot be read is an error."""
        return [mark_of(frame, None) for frame in await self._frames(count)]

    async def numbers_of(self, stream: int, count: int) -> list[int]:
        """Which pictures of a stream come next; one of another is an error."""
        marks = await self.marks(count)
        assert {mark.stream for mark in marks} == {stream}
        return [mark.sequence for mark in marks]

    async def numbers(self, count: int, *, damaged: int = 0) -> list[int]:
        """Which of one's own pictures come back next. Of all that came back none may be somebody
        else's, from another time, there twice or after a later one, and no more than `damaged`
        unreadable: what aiortc shows of a picture when one that it builds on was lost."""
        marks = [read(frame) for frame in await self._frames(count)]
        now = time.monotonic()
        for mark in marks:
            stream, sequence, stamp = mark if mark is not None else (None, None, None)
            self.way.seen.append(SeenPicture(now, now, stream, sequence, stamp, *SIZE))
        found = identify(self.way)
        wrong = found.strange, found.stale, found.repeats, found.reordered
        assert not any(wrong), (wrong, self.way.seen[-count:])
        assert found.erased <= damaged, self.way.seen[-count:]
        return [mark.sequence for mark in marks if mark is not None]

    async def hears(self, of: int | None = None) -> bool:
        """Whether the next sound that comes back and is understood is of one's own stream, or
        that named."""
        listener = Listener()
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = await self.tracks["audio"].recv()
                assert isinstance(frame, av.AudioFrame)
                if found := listener.hear(frame):
                    return found[0].stream == voice(self.stream if of is None else of)

    async def pitch(self) -> float:
        """The pitch of half a second of what comes back, without the silence before it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                frames = [await self.tracks["audio"].recv() for _ in range(25)]
                sound = [frame for frame in frames if isinstance(frame, av.AudioFrame)]
                if heard := pitch(sound):
                    return heard

    async def close(self) -> None:
        """Hang up."""
        await self.pc.close()
