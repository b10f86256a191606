"""An end of the media: coded frames in, coded frames out, no codec.

    peer = Peer(servers, certificate, changed, plane=partial(Endpoint, on_incoming=take))

makes an endpoint for each connection of a call; `take` gets each `Incoming` track before its
first packet and sets its `on_frame`. Which kinds are received and sent, `receives` and `sends`
say; what the peer then agrees to is in `incoming` and `outgoing`, by the mid of the section.
A peer that restarts gets a new endpoint, whose tracks are told of anew.

Everything happens in the datagram callback and in one timer, which runs only while something
is missing, asked for or to be reported. A callback that raises is not called again; its
exception is logged and given to `on_fault`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from aioice.ice import Connection
from aiortc import RTCDataChannel, RTCDtlsTransport, RTCRtpCodecParameters

from . import packet, parts, rtcp, rtp
from .channel import Channel
from .frames import Kind
from .incoming import Incoming
from .outgoing import Outgoing
from .payload import CODECS
from .plane import Direction, Plane, Section

CAP = 2_500_000
REPORT_FIRST, REPORT_EVERY = 0.1, 1.0
MAX_TRACKS = 16

logger = logging.getLogger(__name__)


class Route(NamedTuple):
    """Where the packets of one SSRC go."""

    track: Incoming
    rtx: bool


class Endpoint(Plane):
    """Receives the peer's tracks as frames, and sends it ours.

    `cap`: the most that the peer's pictures may take, bits per second. Called from the event
    loop, and never to be blocked: `on_incoming` with each track that the peer may send, before
    its first packet; `on_outgoing` with each that we may send; `on_digit` with each key
    pressed; `on_channel` with each data channel the peer opens; `on_fault` with what one of
    these raised.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        connection: Connection,
        *,
        receives: Collection[Kind] = ("audio", "video"),
        sends: Collection[Kind] = (),
        cap: int = CAP,
        on_incoming: Callable[[Incoming], None] | None = None,
        on_outgoing: Callable[[Outgoing], None] | None = None,
        on_digit: Callable[[str], None] | None = None,
        on_channel: Callable[[Channel], None] | None = None,
        on_fault: Callable[[Exception], None] | None = None,
    ) -> None:
        super().__init__(dtls, connection)
        self.cap = cap
        self.incoming: dict[str, Incoming] = {}
        self.outgoing: dict[str, Outgoing] = {}
        self.on_incoming = on_incoming
        self.on_outgoing = on_outgoing
        self.on_digit = on_digit
        self.on_channel = on_channel
        self.on_fault = on_fault
        self._receives = receives
        self._sends = sends
        self._routes: dict[int, Route] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf
        self._report_at = math.inf
        self._reported = 0
        self._cname = secrets.token_hex(8)
        # One steady clock for the sender reports of all tracks, whatever is done to the wall's.
        self._wall = time.time() - time.monotonic()

    def direction(self, kind: str) -> Direction:
        """What was asked for when the endpoint was made."""
        receives, sends = kind in self._receives, kind in self._sends
        if receives and sends:
            return "sendrecv"
        return "recvonly" if receives else "sendonly" if sends else "inactive"

    def takes(self, codec: RTCRtpCodecParameters) -> bool:
        """What can be taken apart into frames and put together again, and telephone keys."""
        name = codec.name.lower()
        if name == "h264":
            # Mode 0 would need each unit of a picture to fit into one packet.
            return str(codec.parameters.get("packetization-mode", "0")) == "1"
        return name == "telephone-event" or name in (known.lower() for known in CODECS)

    def configure(self, sections: Iterable[Section]) -> None:
        """Take over what was negotiated, now or anew; tracks stay what they are."""
        self._sections = list(sections)
        for section in self._sections[:MAX_TRACKS]:
            self._configure_outgoing(section)
            known = self.incoming.get(section.mid)
            if known is None and section.receives:
                known = self._add(section)
            if known is not None:
                known.configure(section)
                for number, theirs in enumerate(section.theirs[:2]):
                    if theirs not in self._routes and len(self._routes) < rtp.STREAMS:
                        self._routes[theirs] = Route(known, number == 1)

    def _configure_outgoing(self, section: Section) -> None:
        track = self.outgoing.get(section.mid)
        if track is not None:
            track.configure(section)
        elif section.returns:
            track = self.outgoing[section.mid] = Outgoing(section, self)
            if self.on_outgoing is not None:
                self.on_outgoing(track)

    def _add(self, section: Section) -> Incoming:
        track = self.incoming[section.mid] = Incoming(section.mid, section.kind)
        track.digits.on_digit = self._digit
        track.on_due = self.nudge
        track.configure(section)
        if self.on_incoming is not None:
            self.on_incoming(track)
        return track

    @property
    def loss(self) -> float | None:
        """The fraction of the peer's media packets that did not arrive the first time."""
        sources = [t.source for t in self.incoming.values() if t.source is not None]
        expected = sum(s.expected for s in sources)
        if not expected:
            return None
        return min(1.0, max(0.0, 1 - sum(s.received for s in sources) / expected))

    def take_channel(self, channel: RTCDataChannel) -> None:
        """Hand on a data channel, or close it where nobody wants it."""
        if self.on_channel is None:
            channel.close()
        else:
            self.on_channel(Channel(channel, self.fault))

    def close(self) -> None:
        """Stop the timer; nothing is called after this."""
        super().close()
        self._wake_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rtp(self, data: bytes) -> None:
        header = rtp.read_header(data)
        route = self._routes.get(header.ssrc)
        # Opening a packet makes the cipher remember its source: only where there is room.
        if route is None and not self._expected(header.payload_type):
            self.counts.dropped["unknown"] += 1
            return
        size = self._cipher.unprotect(data, rtcp=False)
        if not size:
            self.counts.dropped["not genuine"] += 1
            return
        now = time.monotonic()
        view = self._cipher.view
        try:
            start, end = packet.payload_span(view, size)
            route = route or self._meet(header, size)
        except ValueError:
            self.counts.dropped["malformed"] += 1
            return
        counts = self.counts
        self.guard.heard += 1
        counts.packets += 1
        counts.octets += size
        if counts.first is None:
            counts.first = now
        track = route.track
        payload = bytes(view[start:end])
        try:
            if route.rtx:
                track.receive_again(
                    header.payload_type, header.marker, header.timestamp, payload, now
                )
            else:
                track.receive(
                    header.ssrc, header.payload_type, header.sequence,
                    header.marker, header.timestamp, payload, now,
                )  # fmt: skip
        except Exception as error:
            track.on_frame = track.clock.on_report = track.digits.on_digit = None
            self.fault(error)
        if track.due < self._wake_at or self._report_at == math.inf:
            self._wake(now)

    def _expected(self, payload_type: int) -> bool:
        known = any(payload_type in s.payload_types | s.rtx_types for s in self._sections)
        return known and len(self._routes) < rtp.STREAMS and bool(self.incoming)

    def _meet(self, header: rtp.Header, size: int) -> Route:
        """A source that no description named: by its mid, or else by its payload type."""
        number = header.payload_type
        fitting = [
            s
            for s in self._sections
            if s.mid in self.incoming and number in s.payload_types | s.rtx_types
        ]
        named = [s for s in fitting if self._mid(s, size) == s.mid]
        free = [s for s in fitting if self.incoming[s.mid].source is None]
        found = [*named, *free, *fitting]
        if not found:
            raise ValueError("no section has this payload type")
        route = Route(self.incoming[found[0].mid], number in found[0].rtx_types)
        self._routes[header.ssrc] = route
        return route

    def _mid(self, section: Section, size: int) -> str | None:
        number = section.extensions.get(packet.MID)
        if number is None:
            return None
        value = packet.extension(self._cipher.view, size, number)
        return None if value is None else value.decode("ascii", "replace")

    def _rtcp(self, data: bytes) -> None:
        source = int.from_bytes(data[4:8], "big")
        if source not in self._routes and not self._room_for(source):
            self.counts.dropped["unknown"] += 1
            return
        size = self._cipher.unprotect(data, rtcp=True)
        if not size:
            self.counts.dropped["not genuine"] += 1
            return
        self.guard.heard += 1
        try:
            items = rtcp.read(self._cipher.view, size)
        except ValueError:
            self.counts.dropped["malformed"] += 1
            return
        now = time.monotonic()
        try:
            for item in items:
                self._feedback(item, now)
        except Exception as error:
            self.fault(error)

    def _feedback(self, item: rtcp.Item, now: float) -> None:
        match item:
            case rtcp.SenderReport(ssrc=ssrc):
                route = self._routes.get(ssrc)
                if route is not None and not route.rtx:
                    route.track.report(item, now)

            case rtcp.Reports(blocks=blocks):
                wall = now + self._wall
                for block in blocks:
                    for track in self._sources(block.ssrc):
                        track.stream.reported(block, wall)
            case rtcp.Nack(ssrc=ssrc, sequences=sequences):
                for track in self._sources(ssrc):
                    track.resend(sequences, now)
            case rtcp.KeyframeRequest(ssrc=ssrc):
                for track in self._sources(ssrc):
                    track.keyframe_requested(now)
            case rtcp.Remb(bitrate=bitrate, ssrcs=ssrcs):
                for track in self.outgoing.values():
                    if track.stream.ssrc in ssrcs and track.on_bitrate is not None:
                        track.on_bitrate(bitrate)

    def _sources(self, ssrc: int) -> list[Outgoing]:
        return [track for track in self.outgoing.values() if track.stream.ssrc == ssrc]

    @property
    def ready(self) -> bool:
        """Whether there is a connection over which media can be sent."""
        return self._cipher.ready and not self.closed and self._nominated()

    def carry(self, data: bytes, *, sealed: bool) -> bytes | None:
        """Send an RTP packet, sealing it first if it is not: as it went out, None if not now."""
        if self.guard.blocked or not self._nominated():
            return None
        size = len(data)
        if not sealed:
            self._cipher.view[:size] = data
            size = self._cipher.protect(size, rtcp=False)
            data = bytes(self._cipher.view[:size])
        if self._send is not None and data:
            self._send(data, self._address)
        if self._report_at == math.inf and self._wake_at > 0:
            self.nudge()
        return data

    def _nominated(self) -> bool:
        pair = parts.nominated(self.connection)
        if pair is not self._pair:
            self._follow(pair)
        return self._send is not None

    def _digit(self, digit: str) -> None:
        if self.on_digit is not None:
            self.on_digit(digit)

    def fault(self, error: Exception) -> None:
        """A callback raised: whose datagram that was, is not its fault."""
        logger.error("A callback of an endpoint failed.", exc_info=error)
        if self.on_fault is not None:
            self.on_fault(error)

    def _wake(self, now: float) -> None:
        """Do what is due, and set the timer for what is due next."""
        if self.closed:
            return
        for track in self.incoming.values():
            if track.due <= now:
                self._poll(track, now)
        for sent in self.outgoing.values():
            if sent.due <= now:
                sent.poll(now)
        if self._report_at == math.inf:
            self._report_at = now + REPORT_FIRST
        elif now >= self._report_at:
            self._report(now)
        dues = [track.due for track in self.incoming.values()]
        due = min([self._report_at, *dues, *(track.due for track in self.outgoing.values())])
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake_at = due
        if due < math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - now), self._on_time)

    def nudge(self) -> None:
        """Something of a track became due outside of a datagram."""
        if self.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(0.0, self._on_time)
        self._wake_at = 0.0

    def _on_time(self) -> None:
        self._timer = None
        self._wake_at = math.inf
        self._wake(time.monotonic())

    def _poll(self, track: Incoming, now: float) -> None:
        ours = self._own()
        try:
            feedback = track.poll(now)
        except Exception as error:
            track.on_frame = None
            self.fault(error)
            return
        if not feedback:
            return
        written = [
            rtcp.write_nack(ours, item)
            if isinstance(item, rtcp.Nack)
            else rtcp.write_keyframe_request(ours, item)
            for item in feedback
        ]
        self._send_rtcp([rtcp.write_receiver_report(ours), *written])

    def _report(self, now: float) -> None:
        """Report what was sent and received; without anything new the reports end."""
        moved = self.counts.packets + sum(t.stream.packets for t in self.outgoing.values())
        if moved == self._reported:
            self._report_at = math.inf
            return
        self._reported = moved
        self._report_at = now + REPORT_EVERY
        sources = [(t.kind, t.source) for t in self.incoming.values() if t.source is not None]
        blocks = [source.block(now) for _, source in sources]
        wanted = tuple(source.ssrc for kind, source in sources if kind == "video")
        for track in self.outgoing.values():
            report = track.stream.report(now, now + self._wall)
            if report is not None:
                self._send_rtcp([rtcp.write_sender_report(report, blocks)], report.ssrc)
                blocks = []
        rest = [rtcp.write_remb(self._own(), rtcp.Remb(self.cap, wanted))] if wanted else []
        if blocks or rest:
            self._send_rtcp([rtcp.write_receiver_report(self._own(), blocks), *rest])

    def _own(self) -> int:
        return self._sections[0].ours[0]

    def _send_rtcp(self, packets: list[bytes], ssrc: int | None = None) -> None:
        """Send a compound packet: a report first, and who sends it (RFC 3550, section 6.1)."""
        head, *rest = packets
        named = rtcp.write_description(ssrc or self._own(), self._cname)
        compound = b"".join([head, named, *rest])
        self._cipher.view[: len(compound)] = compound
        self._transmit(len(compound), rtcp=True)
