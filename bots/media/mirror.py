"""Echo without a codec: each packet goes back to its sender with the sources exchanged.

The answer gives every media section a source of ours, so what the peer receives is a stream
of its own packets under another name. Feedback comes back the same way: the peer's reports
on our stream are reports on its own, its requests for a picture reach its own encoder.
Payload types and extension ids are equal both ways because both belong to one negotiation.

Everything happens in the datagram callback: no task, no queue, no thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from aioice.ice import Connection
from aiortc import RTCDataChannel, RTCDtlsTransport, RTCRtpCodecParameters

from . import rtp
from .plane import Direction, Plane, Section

MAX_UNSENT = 1024 * 1024

_read_word, _write_word = Struct("!I").unpack_from, Struct("!I").pack_into
_read_half = Struct("!H").unpack_from


@dataclass(slots=True)
class Stream:
    """One source of the peer: `span` counts sequence numbers, `packets` what came of them."""

    ours: int
    returns: bool
    rtx: bool
    packets: int = 0
    span: int = 0
    top: int = -1


class Mirror(Plane):
    """Returns the media and the messages of one connection."""

    def __init__(self, dtls: RTCDtlsTransport, connection: Connection) -> None:
        super().__init__(dtls, connection)
        self.sources = rtp.Sources()
        self.streams: dict[int, Stream] = {}
        self._named: set[int] = set()
        self._used: set[int] = set()

    def configure(self, sections: Iterable[Section]) -> None:
        """Take over what was negotiated, now or anew. Sources keep their counterparts."""
        self._sections = list(sections)
        self._forget({theirs for section in self._sections for theirs in section.theirs})
        for section in self._sections:
            for number, theirs in enumerate(section.theirs[:2]):
                if theirs not in self.streams and len(self.streams) < rtp.STREAMS:
                    self._add(section, theirs, number == 1)
            for theirs, stream in self.streams.items():
                if self.sources.ours[theirs] in section.ours or theirs in section.theirs:
                    stream.returns = section.returns

    def _forget(self, named: set[int]) -> None:
        """Make room: sources that were named once and are no more."""
        for theirs in self._named - named:
            stream = self.streams.pop(theirs, None)
            if stream is not None:
                self.sources.part(theirs)
                self._cipher.forget(theirs)
                # SRTP has numbered packets of it already, which the next one's would not follow.
                self._used.add(stream.ours)
        self._named = named
        self._used &= {ours for section in self._sections for ours in section.ours}

    @property
    def loss(self) -> float | None:
        """The fraction of the peer's media packets that did not arrive; None before any did."""
        streams = [s for s in self.streams.values() if s.packets and not s.rtx]
        expected = sum(s.span for s in streams)
        if not expected:
            return None
        return min(1.0, max(0.0, 1 - sum(s.packets for s in streams) / expected))

    def direction(self, kind: str) -> Direction:
        """Everything that the peer sends, it can have back."""
        return "sendrecv"

    def takes(self, codec: RTCRtpCodecParameters) -> bool:
        """What is not looked at can be anything."""
        return True

    def limit(self, bits: int) -> None:
        """What the peer says it can take, it is told itself; so it is told no more than this."""
        self.sources.cap = bits

    def take_channel(self, channel: RTCDataChannel) -> None:
        """Return each message of a data channel."""

        def echo(message: str | bytes) -> None:
            # A peer that sends more than it takes back loses messages, not our memory.
            if channel.readyState == "open" and channel.bufferedAmount < MAX_UNSENT:
                channel.send(message)

        channel.on("message", echo)

    def _rtp(self, data: bytes, at: float) -> None:
        """Return one SRTP packet. In one piece: what is called here is paid for by every packet."""
        cipher, counts = self._cipher, self.counts
        (theirs,) = _read_word(data, 8)
        stream = self.streams.get(theirs)
        # Opening a packet makes the cipher remember its source: only where there is room.
        if stream is None and not self._expected(data[1] & 127):
            counts.dropped["unknown"] += 1
            return
        view, length = cipher.view, cipher.length
        size = length[0] = len(data)
        view[:size] = data
        if cipher.open_rtp():  # type: ignore[misc]
            counts.dropped["not genuine"] += 1
            return
        if stream is None:
            stream = self._meet(rtp.read_header(data))
        (sequence,) = _read_half(data, 2)
        ahead = (sequence - stream.top) & 0xFFFF
        if ahead < 0x8000 or stream.top < 0:
            stream.span += ahead if stream.top >= 0 else 1
            stream.top = sequence
        stream.packets += 1
        self.guard.heard += 1
        counts.packets += 1
        counts.octets += length[0]
        if counts.first is None:
            counts.first = at
        if not stream.returns:
            return
        if self._nominations.get(1) is not self._pair:
            self._follow(self._nominations.get(1))
        _write_word(view, 8, stream.ours)
        if self._send is None or cipher.seal_rtp():  # type: ignore[misc]
            counts.dropped["unsent"] += 1
        else:
            self._send(view[: length[0]], self._address)

    def _rtcp(self, data: bytes, at: float) -> None:
        source = int.from_bytes(data[4:8], "big")
        if source not in self.streams and not self._room_for(source):
            self.counts.dropped["unknown"] += 1
            return
        size = self._cipher.unprotect(data, rtcp=True)
        if not size:
            self.counts.dropped["not genuine"] += 1
            return
        self.guard.heard += 1
        try:
            size = rtp.mirror_rtcp(self._cipher.view, size, self.sources)
        except ValueError:
            self.counts.dropped["malformed"] += 1
            return
        if size:
            self._transmit(size, rtcp=True)

    def _expected(self, payload_type: int) -> bool:
        known = any(payload_type in s.payload_types | s.rtx_types for s in self._sections)
        return known and len(self.streams) < rtp.STREAMS

    def _meet(self, header: rtp.Header) -> Stream:
        """A source that no offer named: it belongs to the section with its payload type."""
        fitting = [
            s for s in self._sections if header.payload_type in s.payload_types | s.rtx_types
        ]
        rtx = header.payload_type in fitting[0].rtx_types
        free = [s for s in fitting if s.ours[rtx] not in self.sources.theirs]
        return self._add((free or fitting)[0], header.ssrc, rtx)

    def _add(self, section: Section, theirs: int, rtx: bool) -> Stream:
        ours = section.ours[rtx]
        if ours in self.sources.theirs or ours in self._used:
            # A new source needs a new counterpart: SRTP numbers each stream's packets.
            ours = secrets.randbits(32)
        self.sources.pair(theirs, ours)
        stream = self.streams[theirs] = Stream(ours, section.returns, rtx)
        return stream
