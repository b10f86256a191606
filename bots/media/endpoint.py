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

import logging
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from aioice.ice import Connection
from aiortc import RTCDataChannel, RTCDtlsTransport, RTCRtpCodecParameters

from . import packet, parts, rtcp, rtp
from .channel import Channel
from .congestion import ReceiveRate
from .feedback import Feedback
from .frames import Kind
from .incoming import Incoming
from .outgoing import Outgoing
from .payload import CODECS
from .plane import Direction, Plane, Section

CAP = 2_500_000
MAX_TRACKS = 16

_read_header = packet.HEADER.unpack_from

logger = logging.getLogger(__name__)


class Route(NamedTuple):
    """Where the packets of one SSRC go."""

    track: Incoming
    rtx: bool


class Endpoint(Plane):
    """Receives the peer's tracks as frames, and sends it ours.

    `cap`: the most that the peer's pictures may take, bits per second. `patient`: what comes is
    only kept, and nobody waits for it. Called from the event
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
        patient: bool = False,
        on_incoming: Callable[[Incoming], None] | None = None,
        on_outgoing: Callable[[Outgoing], None] | None = None,
        on_digit: Callable[[str], None] | None = None,
        on_channel: Callable[[Channel], None] | None = None,
        on_fault: Callable[[Exception], None] | None = None,
    ) -> None:
        super().__init__(dtls, connection)
        self.patient = patient
        self.incoming: dict[str, Incoming] = {}
        self.outgoing: dict[str, Outgoing] = {}
        self.on_incoming = on_incoming
        self.on_outgoing = on_outgoing
        self.on_digit = on_digit
        self.on_channel = on_channel
        self.on_fault = on_fault
        self._cap = cap
        self._receives = receives
        self._sends = sends
        self._routes: dict[int, Route] = {}
        self._named: set[int] = set()
        self._ended: list[Incoming] = []
        self._feedback = Feedback(self.incoming, self.outgoing, self._send_rtcp, self.fault, cap)

    def direction(self, kind: str) -> Direction:
        """What was asked for when the endpoint was made."""
        receives, sends = kind in self._receives, kind in self._sends
        if receives and sends:
            return "sendrecv"
        return "recvonly" if receives else "sendonly" if sends else "inactive"

    def takes(self, codec: RTCRtpCodecParameters) -> bool:
        """What can be taken apart into frames and put together again, and telephone keys."""
        name = codec.name.lower()
        return name == "telephone-event" or name in (known.lower() for known in CODECS)

    def configure(self, sections: Iterable[Section]) -> None:
        """Take over what was negotiated, now or anew; tracks stay what they are, until their
        section is no more."""
        self._sections = list(sections)
        self._feedback.ssrc = self._sections[0].ours[0] if self._sections else 0
        self._end_tracks({(section.mid, section.kind) for section in self._sections})
        self._forget()
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

    def _end_tracks(self, sections: set[tuple[str, Kind]]) -> None:
        """End the tracks of no such section. Their sources are kept until the next change: what
        is still on its way must not be taken for another track's."""
        for ssrc, route in list(self._routes.items()):
            if route.track in self._ended:
                del self._routes[ssrc]
                self._cipher.forget(ssrc)
        self._ended = [t for t in self.incoming.values() if (t.mid, t.kind) not in sections]
        for track in self._ended:
            self.incoming.pop(track.mid).end()
        for sent in [t for t in self.outgoing.values() if (t.mid, t.kind) not in sections]:
            self.outgoing.pop(sent.mid).end()

    def _forget(self) -> None:
        """Make room: what was named once and is no more, and is not what comes just now."""
        named = {ssrc for section in self._sections for ssrc in section.theirs}
        sources = [track.source for track in (*self.incoming.values(), *self._ended)]
        current = {source.ssrc for source in sources if source is not None}
        for ssrc in self._named - named - current:
            self._named.discard(ssrc)
            if self._routes.pop(ssrc, None) is not None:
                self._cipher.forget(ssrc)
        self._named |= named

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
        if track.kind == "video":
            track.path = ReceiveRate(self._cap)
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

    def limit(self, bits: int) -> None:
        """Ask for no more than this, nor than the endpoint was made for."""
        self._feedback.cap = min(self._cap, bits)

    def take_channel(self, channel: RTCDataChannel) -> None:
        """Hand on a data channel, or close it where nobody wants it."""
        if self.on_channel is None:
            channel.close()
        else:
            self.on_channel(Channel(channel, self.fault))

    def close(self) -> None:
        """Stop the timer; nothing is sent after this."""
        super().close()
        self._feedback.close()
        for track in self.outgoing.values():
            track.end()

    def _rtp(self, data: bytes, at: float) -> None:
        """Take one SRTP packet. In one piece: what is called here is paid for by every packet."""
        first, second, sequence, timestamp, ssrc = _read_header(data)
        cipher, counts = self._cipher, self.counts
        route = self._routes.get(ssrc)
        # Opening a packet makes the cipher remember its source: only where there is room.
        if route is None and not self._expected(second & 127):
            counts.dropped["unknown"] += 1
            return
        view, length = cipher.view, cipher.length
        size = length[0] = len(data)
        view[:size] = data
        if cipher.open_rtp():  # type: ignore[misc]
            counts.dropped["not genuine"] += 1
            return
        start, end = rtp.RTP_HEADER, length[0]
        try:
            if first & packet.MORE:
                start, end = packet.payload_span(view, end)
            track, rtx = route or self._meet(second & 127, ssrc, length[0])
        except ValueError:
            counts.dropped["malformed"] += 1
            return
        self.guard.heard += 1
        counts.packets += 1
        counts.octets += length[0]
        if counts.first is None:
            counts.first = at
        payload = bytes(view[start:end])
        try:
            if rtx:
                track.receive_again(second & 127, second > 127, timestamp, payload, at)
            else:
                track.receive(ssrc, second & 127, sequence, second > 127, timestamp, payload, at)
        except Exception as error:
            track.silence()
            self.fault(error)
        if track.due < self._feedback.due or self._feedback.idle:
            self._feedback.wake(at)

    def _expected(self, payload_type: int) -> bool:
        known = any(payload_type in s.payload_types | s.rtx_types for s in self._sections)
        return known and len(self._routes) < rtp.STREAMS and bool(self.incoming)

    def _meet(self, number: int, ssrc: int, size: int) -> Route:
        """A source that no description named: by its mid, or else by its payload type."""
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
        self._routes[ssrc] = route
        return route

    def _mid(self, section: Section, size: int) -> str | None:
        number = section.extensions.get(packet.MID)
        if number is None:
            return None
        value = packet.extension(self._cipher.view, size, number)
        return None if value is None else value.decode("ascii", "replace")

    def _rtcp(self, data: bytes, at: float) -> None:
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
        try:
            for item in items:
                self._said(item, at)
        except Exception as error:
            self.fault(error)

    def _said(self, item: rtcp.Item, now: float) -> None:
        if isinstance(item, rtcp.SenderReport):
            route = self._routes.get(item.ssrc)
            if route is not None and not route.rtx:
                route.track.report(item, now)
        else:
            self._feedback.take(item, now)

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
        if self._feedback.idle:
            self.nudge()
        return data

    def nudge(self) -> None:
        """Something of a track became due outside of a datagram."""
        self._feedback.nudge()

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

    def _send_rtcp(self, compound: bytes) -> None:
        self._cipher.view[: len(compound)] = compound
        self._transmit(len(compound), rtcp=True)
