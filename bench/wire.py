"""What carries the packets of a call: a WebRTC connection, or a bare socket.

aiortc sets a connection up; the packets go past it, so that the load generator costs little.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from msgspec import Struct
from pylibsrtp import Error, Policy

from bench import floor
from bench.processes import BenchError
from ringback.bots.media import parts
from ringback.bots.media.rtp import is_rtcp

CONNECTING = 20.0
CODECS = {"video": ("video/vp8", "video/rtx"), "audio": ("audio/opus",)}

# Gives an offer's SDP to somebody: a context that yields the answer's and ends the call.
Dial = Callable[[str], AbstractAsyncContextManager[str]]
Take = Callable[[memoryview, bool], None]
"""Gets each packet that came, opened, and whether it is RTCP."""


class Medium(Struct, frozen=True):
    """How one medium is sent: its source and its payload type."""

    ssrc: int
    payload_type: int


class Wire(Protocol):
    """A connected call's packets. Numbers of `media` by `audio` and `video`."""

    media: dict[str, Medium]

    def send(self, packet: bytes, rtcp: bool = False) -> None:
        """Seal a packet and send it."""


class WebRtc:
    """A call over ICE, DTLS and SRTP, with a data channel if it has a `label`. Enter `call`,
    then `send`."""

    def __init__(
        self,
        take: Take,
        certificate: parts.Certificate,
        kinds: tuple[str, ...],
        label: str | None = None,
    ) -> None:
        self.media: dict[str, Medium] = {}
        self._take = take
        self._cipher: parts.Cipher | None = None
        self._send: Callable[[bytes, Any], None] | None = None
        self._address: object = None
        self._pc = parts.connection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE), certificate
        )
        for kind in kinds:
            self._add(kind)
        # After the media: aiortc stops the common transport of a channel that came first.
        self.channel = self._pc.createDataChannel(label) if label is not None else None

    def _add(self, kind: str) -> None:
        transceiver: RTCRtpTransceiver = self._pc.addTransceiver(kind)
        known = RTCRtpSender.getCapabilities(kind).codecs
        transceiver.setCodecPreferences([c for c in known if c.mimeType.lower() in CODECS[kind]])
        parts.hold_still(transceiver)

    @asynccontextmanager
    async def call(self, dial: Dial) -> AsyncIterator[None]:
        """A connected call. Raises `BenchError` when it cannot be connected."""
        connected = asyncio.Event()

        def look() -> None:
            if self._pc.connectionState == "connected":
                connected.set()

        self._pc.on("connectionstatechange", look)
        try:
            await self._pc.setLocalDescription(await self._pc.createOffer())
            async with dial(self._pc.localDescription.sdp) as answer:
                await self._accept(answer)
                async with asyncio.timeout(CONNECTING):
                    await connected.wait()
                self._follow()
                yield
        except TimeoutError:
            raise BenchError("a call was not connected in time") from None
        finally:
            await self._pc.close()

    async def _accept(self, answer: str) -> None:
        connection = parts.ice_of(parts.dtls_of(self._pc))

        def receive(data: bytes, _component: int) -> None:
            if data and 127 < data[0] < 192:
                self._open(data)
            else:
                parts.pass_data(connection, data)

        parts.refuse_data(connection, receive)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        for transceiver in self._pc.getTransceivers():
            codec = parts.codecs_of(transceiver)[0]
            assert codec.payloadType is not None
            source = parts.sources_of(transceiver)[0]
            self.media[transceiver.kind] = Medium(source, codec.payloadType)

    def _follow(self) -> None:
        dtls = parts.dtls_of(self._pc)
        pair = parts.nominated(parts.ice_of(dtls))
        if pair is None:
            raise BenchError("a connected call has no pair of addresses")
        self._cipher = parts.Cipher(dtls)
        self._send, self._address = pair.protocol.transport.sendto, pair.remote_addr

    def _open(self, data: bytes) -> None:
        if self._cipher is None:
            return
        rtcp = is_rtcp(data)
        if size := self._cipher.unprotect(data, rtcp):
            self._take(self._cipher.view[:size], rtcp)

    def send(self, packet: bytes, rtcp: bool = False) -> None:
        """Seal a packet and send it."""
        assert self._cipher is not None
        assert self._send is not None
        self._cipher.view[: len(packet)] = packet
        sealed = self._cipher.protect(len(packet), rtcp)
        self._send(bytes(self._cipher.view[:sealed]), self._address)


class Bare(asyncio.DatagramProtocol):
    """A socket to `bench.floor`: no call, only packets."""

    def __init__(self, take: Take, media: dict[str, Medium]) -> None:
        self.media = media
        self._take = take
        self._outbound = floor.session(Policy.SSRC_ANY_OUTBOUND)
        self._inbound = floor.session(Policy.SSRC_ANY_INBOUND)
        self._transport: asyncio.DatagramTransport | None = None

    @asynccontextmanager
    async def call(self, port: int) -> AsyncIterator[None]:
        """A socket that is open."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, remote_addr=("127.0.0.1", port), family=socket.AF_INET
        )
        try:
            yield
        finally:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Open what came back."""
        rtcp = is_rtcp(data)
        try:
            plain = (self._inbound.unprotect_rtcp if rtcp else self._inbound.unprotect)(data)
        except Error as error:
            raise BenchError(f"the floor returned what is not genuine: {error}") from error
        self._take(memoryview(plain), rtcp)

    def send(self, packet: bytes, rtcp: bool = False) -> None:
        """Seal a packet and send it."""
        assert self._transport is not None
        seal = self._outbound.protect_rtcp if rtcp else self._outbound.protect
        self._transport.sendto(seal(packet))
