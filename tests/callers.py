"""Callers for tests: an aiortc peer with numbered pictures and a tone, and what it gets back."""

from __future__ import annotations

import array
import asyncio
import fractions
import math
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

from ringback.bots.media.mirror import Mirror
from ringback.bots.peer import Peer

WIDTH, HEIGHT, CELLS = 160, 128, 8
RATE = 15
TONE = 500.0
PATIENCE = 30.0

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


def picture(number: int) -> VideoFrame:
    """A picture that shows `number` (16 bits, black and white cells in two rows)."""
    rows = []
    for row in range(2):
        bits = [number >> (row * CELLS + cell) & 1 for cell in range(CELLS)]
        line = b"".join((b"\xeb" if bit else b"\x10") * (WIDTH // CELLS) for bit in bits)
        rows.append(line * (HEIGHT // 2))
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    frame.planes[0].update(_padded(b"".join(rows), frame.planes[0].line_size))
    for plane in frame.planes[1:]:
        plane.update(b"\x80" * plane.buffer_size)
    return frame


def _padded(luma: bytes, line: int) -> bytes:
    lines = (luma[start : start + WIDTH] for start in range(0, len(luma), WIDTH))
    return b"".join(part + bytes(line - WIDTH) for part in lines)


def number_of(frame: VideoFrame) -> int:
    """The number that a picture shows."""
    plane = frame.planes[0]
    luma = memoryview(plane)
    number = 0
    for row in range(2):
        y = HEIGHT // 4 + row * HEIGHT // 2
        for cell in range(CELLS):
            x = cell * WIDTH // CELLS + WIDTH // CELLS // 2
            number |= (luma[y * plane.line_size + x] > 128) << (row * CELLS + cell)
    return number


class Pictures(MediaStreamTrack):
    """Numbered pictures, `RATE` a second, counted from `first`."""

    kind = "video"

    def __init__(self, first: int = 0) -> None:
        super().__init__()
        self.sent = 0
        self.first = first
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
        frame = picture(self.first + self.sent)
        frame.pts = self.sent * 90000 // RATE
        frame.time_base = fractions.Fraction(1, 90000)
        self.sent += 1
        return frame


class Tone(MediaStreamTrack):
    """A tone of `TONE` Hz in parts of 20 ms."""

    kind = "audio"

    def __init__(self, rate: int = 48000) -> None:
        super().__init__()
        self._rate = rate
        self._sent = 0
        self._start = 0.0

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, when they are due."""
        self._start = self._start or time.monotonic()
        samples = self._rate // 50
        await asyncio.sleep(max(0.0, self._start + self._sent / self._rate - time.monotonic()))
        step = 2 * math.pi * TONE / self._rate
        wave = array.array(
            "h", (round(12000 * math.sin(step * (self._sent + n))) for n in range(samples))
        )
        frame = av.AudioFrame(format="s16", layout="mono", samples=samples)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate = self._rate
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, self._rate)
        self._sent += samples
        return frame


def pitch(frames: list[av.AudioFrame]) -> float:
    """The pitch in Hz of what was heard, by its passages through zero; 0 for silence."""
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
        self.pictures = Pictures()
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.pc.on("track", self._on_track)
        if audio is not None:
            self.add(Tone(48000 if audio == "opus" else 8000), audio)
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

    async def numbers(self, count: int) -> list[int]:
        """The numbers on the next pictures that come back."""
        async with asyncio.timeout(PATIENCE):
            frames = [await self.tracks["video"].recv() for _ in range(count)]
        return [number_of(frame) for frame in frames if isinstance(frame, VideoFrame)]

    async def heard(self) -> float:
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
