"""One RTCPeerConnection: it answers offers, or makes one; the media is its plane's matter.

A leg lives as long as the peer keeps its ICE and DTLS parameters; aiortc cannot restart
either, so a peer that does gets a new leg.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCRtpCodecParameters,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc import sdp as session_description

from . import negotiation, parts
from .description import BadOffer
from .frames import Kind
from .mirror import Mirror
from .network import is_local_name
from .offer import MAX_CANDIDATES, Offer, RemoteCandidate, limited
from .payload import CODECS
from .plane import Format, Plane, PlaneFactory, Section
from .rejection import put_back
from .repeat import Flights
from .udp import Hub

MAX_CHANNELS = 16

State = Literal["new", "ice", "dtls", "connected", "failed", "closed"]


class Leg:
    """A connection to the peer. Call `answer` first, or `offer` and then `accept`; `close` at
    the end.

    A leg that answers never offers: it is the impolite peer, and has no open offer that the
    peer's own could meet. A leg that has offered, once, answers from then on.

    `changed` is called (without arguments, from the event loop) when `state` may be another.
    `plane` makes, once there is a transport, what gets the media.
    """

    def __init__(
        self,
        servers: Sequence[RTCIceServer],
        changed: Callable[[], None],
        certificate: parts.Certificate,
        plane: PlaneFactory = Mirror,
        hub: Hub | None = None,
    ) -> None:
        self.remote: Offer | None = None
        self.plane: Plane | None = None
        self._make_plane = plane
        self._hub = hub or Hub()
        self._pc = parts.connection(
            RTCConfiguration(
                iceServers=list(servers),
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
                iceTransportPolicy=(
                    RTCIceTransportPolicy.RELAY
                    if self._hub.network.relay_only
                    else RTCIceTransportPolicy.ALL
                ),
            ),
            certificate,
        )
        self._pc.on("connectionstatechange", changed)
        self._pc.on("iceconnectionstatechange", changed)
        self._pc.on("datachannel", self._on_channel)
        self._channels: set[RTCDataChannel] = set()
        self._flights: Flights | None = None
        self._candidates = 0
        self._lookups: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> State:
        """How far the connection is: `ice` and `dtls` while these are being set up."""
        match self._pc.connectionState:
            case "connected" | "failed" | "closed" as state:
                return state
        if self.remote is None:
            return "new"
        return "dtls" if self._pc.iceConnectionState == "completed" else "ice"

    @property
    def failed_part(self) -> Literal["ice", "dtls"]:
        """What failed, for a leg whose state is `failed` (or what it was still waiting for)."""
        return "dtls" if self._pc.iceConnectionState == "completed" else "ice"

    @property
    def checked(self) -> float | None:
        """When the peer answered a check of ours first (monotonic, seconds)."""
        return parts.checked(self.plane.connection) if self.plane is not None else None

    @property
    def pair(self) -> str | None:
        """The kinds of the two candidates in use, ours first, as `host/prflx`."""
        if self.plane is None:
            return None
        pair = parts.nominated(self.plane.connection)
        if pair is None:
            return None
        return f"{pair.local_candidate.type}/{pair.remote_candidate.type}"

    @property
    def route(self) -> str | None:
        """The two candidates in use, ours first, with their addresses, for people to read."""
        pair = parts.nominated(self.plane.connection) if self.plane is not None else None
        if pair is None:
            return None
        ours, theirs = pair.local_candidate, pair.remote_candidate
        return (
            f"{ours.type} {ours.host}:{ours.port} - {theirs.type} {theirs.host}:{theirs.port} "
            f"({ours.transport})"
        )

    def takes(self, offer: Offer) -> bool:
        """Whether a later offer is for this leg, not for a new one."""
        ours = self.remote is not None and self.remote.same_transport(offer)
        return ours and self.state != "closed"

    async def answer(self, offer: Offer) -> str:
        """Take an offer, the first or a later one on the same transport; the answer's SDP.

        Raises `BadOffer` when there is nothing in it that can be answered.
        """
        with _whose_fault("The offer"):
            with parts.negotiating(self._negotiator()):
                await self._pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            if self.remote is not None:
                await parts.keep_sections(self._pc, offer.sections)
            plane = self.plane or self._make()
            self._prepare(plane)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        if self.remote is None:
            plane.guard.watch()
        await self._agreed(offer, plane)
        return put_back(self._described(), offer.rejected)

    async def offer(self, kinds: Sequence[Kind], channel: str | None = None) -> str:
        """Offer sections of these kinds, and a data channel of this label; the offer's SDP.

        To be called once, before anything else; then comes `accept`.
        """
        if self.plane is not None:
            raise RuntimeError("a leg offers once, and first")
        for kind in kinds:
            self._pc.addTransceiver(kind)
        # After the tracks: aiortc stops the common transport of a channel that came first.
        opened = self._pc.createDataChannel(channel) if channel is not None else None
        plane = self._make()
        for transceiver in self._pc.getTransceivers():
            parts.hold_still(transceiver)
            transceiver.direction = plane.direction(transceiver.kind)
        with parts.negotiating(self._negotiator(plane)):
            await self._pc.setLocalDescription(await self._pc.createOffer())
        plane.guard.watch()
        if opened is not None:
            self._on_channel(opened)
        return self._described()

    @property
    def offered(self) -> str:
        """The SDP of the offer that was made."""
        return str(self._pc.localDescription.sdp)

    async def accept(self, answer: Offer) -> None:
        """Take the answer to our offer. Raises `BadOffer` when it is none."""
        if self.plane is None or self.remote is not None:
            raise BadOffer("There is no offer of ours to be answered.")
        with _whose_fault("The answer"), parts.negotiating(self._negotiator(self.plane)):
            await self._pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await self._agreed(answer, self.plane)

    def _make(self) -> Plane:
        transport = parts.dtls_of(self._pc)
        connection = parts.ice_of(transport)
        plane = self.plane = self._make_plane(transport, connection)
        self._flights = Flights(
            transport, parts.nominations(connection), lambda: plane.counts.first is not None
        )
        self._hub.attach(connection, patient=self.plane.patient)
        self.plane.limit(self._hub.network.bandwidth)
        return self.plane

    def _described(self) -> str:
        """Our description, with what the peer may send."""
        return limited(self._pc.localDescription.sdp, self._hub.network.bandwidth)

    def _negotiator(self, plane: Plane | None = None) -> parts.Negotiator:
        takes = plane.takes if plane is not None else lambda codec: True
        return parts.Negotiator(
            offered=lambda kind: negotiation.offered(kind, takes), common=negotiation.common
        )

    async def _agreed(self, remote: Offer, plane: Plane) -> None:
        """Both sides have described themselves, now or anew."""
        self.remote = remote
        plane.configure(self._sections(parts.remote_of(self._pc)))
        for candidate in remote.candidates:
            await self.add_candidate(candidate)

    async def add_candidate(self, candidate: RemoteCandidate) -> bool:
        """Try one more address of the peer; whether it was taken.

        That there are no more is never told to aioice: it would give up a peer whose own
        checks have yet to show where it is (one that hides its addresses, for example).
        """
        if self.remote is None or self._candidates >= MAX_CANDIDATES:
            return False
        self._candidates += 1
        if is_local_name(candidate.address):
            # The call does not wait for it: the peer's own checks may be here long before.
            lookup = asyncio.create_task(self._look_up(candidate))
            self._lookups.add(lookup)
            lookup.add_done_callback(self._lookups.discard)
        else:
            await self._try(candidate, candidate.address)
        return True

    async def _look_up(self, candidate: RemoteCandidate) -> None:
        address = await self._hub.names.find(candidate.address)
        if address is not None:
            await self._try(candidate, address)

    async def _try(self, candidate: RemoteCandidate, address: str) -> None:
        await self._pc.addIceCandidate(
            RTCIceCandidate(
                component=1,
                foundation=candidate.foundation,
                ip=address,
                port=candidate.port,
                priority=candidate.priority,
                protocol="udp",
                type=candidate.kind,
                sdpMLineIndex=0,
            )
        )

    async def close(self) -> None:
        """Free everything the leg holds."""
        self._pc.remove_all_listeners()
        for lookup in self._lookups:
            lookup.cancel()
        for channel in self._channels:
            channel.remove_all_listeners()
        self._channels.clear()
        if self._flights is not None:
            self._flights.close()
        if self.plane is not None:
            self.plane.close()
            parts.stop_connecting(parts.dtls_of(self._pc))
        await self._pc.close()

    def _prepare(self, plane: Plane) -> None:
        """Take and give what the plane wants, in just the form in which the peer sends it."""
        for transceiver in self._pc.getTransceivers():
            parts.hold_still(transceiver)
            transceiver.direction = plane.direction(transceiver.kind)
            codecs = parts.codecs_of(transceiver)
            codecs[:] = negotiation.keep(codecs, plane.takes)
            if not codecs:
                raise ValueError("no codec is known here")

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


@contextmanager
def _whose_fault(what: str) -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        raise
    except Exception as error:
        # aiortc's parsers meet what strangers wrote: whatever they raise is the stranger's.
        raise BadOffer(f"{what} cannot be taken: {error!r:.200}", "media") from error


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
