"""One RTCPeerConnection that answers offers; what becomes of the media is its plane's matter.

A leg lives as long as the peer keeps its ICE and DTLS parameters; aiortc cannot restart
either, so a peer that does gets a new leg.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc import sdp as session_description

from . import parts
from .mirror import Mirror
from .offer import MAX_CANDIDATES, BadOffer, Offer, RemoteCandidate
from .payload import CODECS
from .plane import Format, Plane, PlaneFactory, Section

MAX_CHANNELS = 16

State = Literal["new", "ice", "dtls", "connected", "failed", "closed"]


class Leg:
    """A connection to the peer, made from its offer. Call `answer` first, `close` at the end.

    `changed` is called (without arguments, from the event loop) when `state` may be another.
    `plane` makes, once there is a transport, what gets the media.
    """

    def __init__(
        self,
        servers: Sequence[RTCIceServer],
        changed: Callable[[], None],
        certificate: parts.Certificate,
        plane: PlaneFactory = Mirror,
    ) -> None:
        self.offer: Offer | None = None
        self.plane: Plane | None = None
        self._make_plane = plane
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=list(servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        parts.use_certificate(self._pc, certificate)
        self._pc.on("connectionstatechange", changed)
        self._pc.on("iceconnectionstatechange", changed)
        self._pc.on("datachannel", self._on_channel)
        self._channels: set[RTCDataChannel] = set()
        self._candidates = 0

    @property
    def state(self) -> State:
        """How far the connection is: `ice` and `dtls` while these are being set up."""
        match self._pc.connectionState:
            case "connected" | "failed" | "closed" as state:
                return state
        if self.offer is None:
            return "new"
        return "dtls" if self._pc.iceConnectionState == "completed" else "ice"

    @property
    def failed_part(self) -> Literal["ice", "dtls"]:
        """What failed, for a leg whose state is `failed` (or what it was still waiting for)."""
        return "dtls" if self._pc.iceConnectionState == "completed" else "ice"

    @property
    def pair(self) -> str | None:
        """The kinds of the two candidates in use, ours first, as `host/prflx`."""
        if self.plane is None:
            return None
        pair = parts.nominated(self.plane.connection)
        if pair is None:
            return None
        return f"{pair.local_candidate.type}/{pair.remote_candidate.type}"

    def takes(self, offer: Offer) -> bool:
        """Whether a later offer is for this leg, not for a new one."""
        return self.offer is not None and self.offer.transport == offer.transport

    async def answer(self, offer: Offer) -> str:
        """Take an offer, the first or a later one on the same transport; the answer's SDP.

        Raises `BadOffer` when there is nothing in it that can be answered.
        """
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            transport = parts.dtls_of(self._pc)
            if self.plane is None:
                self.plane = self._make_plane(transport, parts.ice_of(transport))
            remote = session_description.SessionDescription.parse(offer.sdp)
            self._prepare(remote, self.plane)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # aiortc's parsers meet what strangers wrote: whatever they raise is the offer's.
            raise BadOffer(f"The offer cannot be answered: {error!r:.200}", "media") from error
        if self.offer is None:
            self.plane.guard.watch()
        self.offer = offer
        self.plane.configure(self._sections(remote))
        for candidate in offer.candidates:
            await self.add_candidate(candidate)
        return self._pc.localDescription.sdp

    async def add_candidate(self, candidate: RemoteCandidate) -> bool:
        """Try one more address of the peer; whether it was taken.

        That there are no more is never told to aioice: it would give up a peer whose own
        checks have yet to show where it is (one that hides its addresses, for example).
        """
        if self.offer is None or self._candidates >= MAX_CANDIDATES:
            return False
        self._candidates += 1
        await self._pc.addIceCandidate(
            RTCIceCandidate(
                component=1,
                foundation=candidate.foundation,
                ip=candidate.address,
                port=candidate.port,
                priority=candidate.priority,
                protocol="udp",
                type=candidate.kind,
                sdpMLineIndex=0,
            )
        )
        return True

    async def close(self) -> None:
        """Free everything the leg holds."""
        self._pc.remove_all_listeners()
        for channel in self._channels:
            channel.remove_all_listeners()
        self._channels.clear()
        if self.plane is not None:
            self.plane.close()
        await self._pc.close()

    def _prepare(self, remote: session_description.SessionDescription, plane: Plane) -> None:
        """Take and give what the plane wants, in just the form in which the peer sends it."""
        offered = {m.rtp.muxId: {c.payloadType: c for c in m.rtp.codecs} for m in remote.media}
        for transceiver in self._pc.getTransceivers():
            parts.hold_still(transceiver)
            transceiver.direction = plane.direction(transceiver.kind)
            for codec in parts.codecs_of(transceiver):
                theirs = offered.get(transceiver.mid or "", {}).get(codec.payloadType)
                if theirs is not None and theirs.mimeType.lower() == codec.mimeType.lower():
                    codec.parameters = theirs.parameters

    def _sections(self, remote: session_description.SessionDescription) -> list[Section]:
        media = {m.rtp.muxId: m for m in remote.media}
        return [
            _section(transceiver, media[transceiver.mid])
            for transceiver in self._pc.getTransceivers()
            if transceiver.mid in media
        ]

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if len(self._channels) >= MAX_CHANNELS:
            channel.close()
            return
        self._channels.add(channel)

        def forget() -> None:
            self._channels.discard(channel)

        channel.on("close", forget)
        if self.plane is not None:
            self.plane.take_channel(channel)


def _section(
    transceiver: RTCRtpTransceiver, media: session_description.MediaDescription
) -> Section:
    formats = {f.payload_type: f for f in map(_format, parts.codecs_of(transceiver))}
    named = tuple(source.ssrc for source in media.ssrc)
    for group in media.ssrc_group:
        if group.semantic == "FID":
            named = tuple(int(item) for item in group.items)
    return Section(
        mid=transceiver.mid or "",
        kind="audio" if transceiver.kind == "audio" else "video",
        payload_types=frozenset(number for number, form in formats.items() if form.apt is None),
        rtx_types=frozenset(number for number, form in formats.items() if form.apt is not None),
        ours=parts.sources_of(transceiver),
        theirs=named if len(named) <= 2 else (),
        returns=transceiver.currentDirection in ("sendrecv", "sendonly"),
        receives=transceiver.currentDirection in ("sendrecv", "recvonly"),
        formats=formats,
        extensions=parts.extensions_of(transceiver),
    )


def _format(codec: RTCRtpCodecParameters) -> Format:
    apt = codec.parameters.get("apt")
    name = codec.name.lower()
    return Format(
        payload_type=codec.payloadType or 0,
        name=name,
        codec=next((known for known in CODECS if known.lower() == name), None),
        clock_rate=codec.clockRate,
        channels=codec.channels or 1,
        apt=apt if name == "rtx" and isinstance(apt, int) else None,
        nack=any(f.type == "nack" and not f.parameter for f in codec.rtcpFeedback),
        parameters=codec.parameters,
    )
