"""The load generator for calls: callers that send a clip and count what comes back.

They neither encode nor decode. Run as a process it reads commands (`Place`), one JSON object
a line, and answers each with one (`Called`).
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci
from msgspec import Struct

from bench.clip import BITS, Clip, ClipTrack, load
from bench.processes import BenchError, CpuClock, answer_lines
from ringback.bots.client import Client
from ringback.bots.media import parts
from ringback.server import protocol

CONNECTING = 20.0
WARM = 1.5


class Place(Struct, frozen=True):
    """Hold `calls` calls for `seconds` and time the process `pid` meanwhile.

    `ringback`: the port is that of a Ringback with its echo bot, else of `codec_echo`.
    """

    port: int
    ringback: bool
    pid: int
    calls: int
    seconds: float


class Called(Struct, frozen=True):
    """What came of it, all calls together. Times in seconds of processor (`seconds`: clock)."""

    server: float
    generator: float
    seconds: float
    sent: Counts
    back: Counts


class Counts(Struct, frozen=True):
    """RTP packets, and how many pictures and sounds they made."""

    packets: int = 0
    pictures: int = 0
    sounds: int = 0

    def since(self, before: Counts) -> Counts:
        """What was added after `before`."""
        return Counts(
            self.packets - before.packets,
            self.pictures - before.pictures,
            self.sounds - before.sounds,
        )


# Gives an offer's SDP to somebody: a context that yields the answer's and ends the call.
Dial = Callable[[str], AbstractAsyncContextManager[str]]


def dial_plain(port: int) -> Dial:
    """The way to `codec_echo`."""

    @asynccontextmanager
    async def dial(offer: str) -> AsyncIterator[str]:
        url = f"http://127.0.0.1:{port}/"
        async with aiohttp.ClientSession() as http, http.post(url, data=offer) as reply:
            yield await reply.text()

    return dial


def dial_ringback(port: int) -> Dial:
    """The way to Ringback's echo bot, as any client has it."""

    @asynccontextmanager
    async def dial(offer: str) -> AsyncIterator[str]:
        call = f"bench-{secrets.token_hex(8)}"
        async with Client(f"ws://127.0.0.1:{port}/ws", name=call[:20]) as client:
            description = protocol.Description(type="offer", sdp=offer)
            await client.request(
                protocol.Call(call=call, to="echo", media=protocol.Media(), description=description)
            )
            async for event in client:
                if isinstance(event, protocol.Ended):
                    raise BenchError(f"the call ended: {event.message}")
                if isinstance(event, protocol.Answered):
                    break
            else:
                raise BenchError("the session ended before the call was answered")
            client.tell(protocol.Progress(call=call, state="connected"))
            yield event.description.sdp
            await client.request(protocol.Hangup(call=call))

    return dial


def _estimate(source: int) -> RtcpPsfbPacket:
    """Feedback (REMB) that says to `source`: the clip's bit rate may be sent here."""
    fci = pack_remb_fci(BITS, [source])
    return RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci)


class Caller:
    """One call. `counts` says what it sent and got so far."""

    def __init__(self, clip: Clip) -> None:
        self._tracks = {"video": ClipTrack.picture(clip), "audio": ClipTrack.sound(clip)}
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._senders = [self._add(track) for track in self._tracks.values()]
        self._back: Counter[str] = Counter()
        self._connected = asyncio.Event()
        self._pc.on("connectionstatechange", self._look)

    def _add(self, track: ClipTrack) -> RTCRtpSender:
        sender = self._pc.addTrack(track)
        receiver = next(t for t in self._pc.getTransceivers() if t.sender is sender).receiver

        async def count(packet: Any, arrival_time_ms: int) -> None:
            if track.kind == "video" and not self._back["video"]:
                # As a browser would: an encoder at the far end may use what we use. Unasked,
                # aiortc's sends half of it.
                await parts.send_feedback(receiver, _estimate(packet.ssrc))
            self._back["packets"] += 1
            # The last packet of a picture is marked; a sound is one packet.
            self._back[track.kind] += packet.marker if track.kind == "video" else 1

        parts.take_packets(receiver, count)
        return sender

    def _look(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()

    @asynccontextmanager
    async def call(self, dial: Dial) -> AsyncIterator[None]:
        """A connected call. Raises `BenchError` when it cannot be connected."""
        try:
            await self._pc.setLocalDescription(await self._pc.createOffer())
            async with dial(self._pc.localDescription.sdp) as answer:
                await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                async with asyncio.timeout(CONNECTING):
                    await self._connected.wait()
                yield
        except TimeoutError:
            raise BenchError("a call was not connected in time") from None
        finally:
            await self._pc.close()

    async def counts(self) -> tuple[Counts, Counts]:
        """What was sent, and what came back."""
        packets = 0
        for sender in self._senders:
            for item in (await sender.getStats()).values():
                packets += item.packetsSent if item.type == "outbound-rtp" else 0
        sent = Counts(packets, self._tracks["video"].sent, self._tracks["audio"].sent)
        back = self._back
        return sent, Counts(back["packets"], back["video"], back["audio"])


async def place(command: Place, clip: Clip) -> Called:
    """Make all calls, hold them, measure, hang up."""
    dial = (dial_ringback if command.ringback else dial_plain)(command.port)
    clock = CpuClock(command.pid)
    async with AsyncExitStack() as stack:
        callers = [Caller(clip) for _ in range(command.calls)]
        for caller in callers:
            await stack.enter_async_context(caller.call(dial))
        await asyncio.sleep(WARM)
        sent, back = await _total(callers)
        server, own, began = clock.seconds(), time.process_time(), time.monotonic()
        await asyncio.sleep(command.seconds)
        server, own = clock.seconds() - server, time.process_time() - own
        seconds = time.monotonic() - began
        sent_after, back_after = await _total(callers)
    return Called(server, own, seconds, sent_after.since(sent), back_after.since(back))


async def _total(callers: list[Caller]) -> tuple[Counts, Counts]:
    counts = [await caller.counts() for caller in callers]
    return _sum([sent for sent, _ in counts]), _sum([back for _, back in counts])


def _sum(counts: list[Counts]) -> Counts:
    return Counts(
        sum(c.packets for c in counts),
        sum(c.pictures for c in counts),
        sum(c.sounds for c in counts),
    )


async def main() -> None:
    """Answer commands until standard input closes; the argument is a clip's file."""
    clip = load(Path(sys.argv[1]))

    async def handle(line: bytes) -> bytes:
        command = msgspec.json.decode(line, type=Place)
        return msgspec.json.encode(await place(command, clip))

    await answer_lines(handle)


if __name__ == "__main__":
    asyncio.run(main())
