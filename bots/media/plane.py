"""What a leg does with its peer's media: the part that all planes have in common.

A plane is made by a leg once there is a transport, and lives as long as the leg. It owns the
guard before the sockets and the SRTP state; opened packets go to what a plane is made for:
`Mirror` returns them, `Endpoint` makes frames of them.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aioice.ice import CandidatePair, Connection
from aiortc import RTCDataChannel, RTCDtlsTransport, RTCRtpCodecParameters

from . import parts, rtp
from .frames import Kind
from .guard import Guard
from .payload import Codec
from .udp import Share

Send = Callable[[bytes | memoryview, tuple[str, int]], None]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True)
class Format:
    """What a payload type of a section means.

    `codec` is None for what is neither sound nor picture, as `telephone-event`; `apt` is the
    payload type that a retransmission format (rtx, RFC 4588) stands for. `nack`: what is lost
    may be asked for again.
    """

    payload_type: int
    name: str
    codec: Codec | None
    clock_rate: int
    channels: int
    apt: int | None
    nack: bool
    parameters: Mapping[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of the session as negotiated.

    `ours` and `theirs`: SSRCs of media and of retransmission, in this order; those of the
    peer as far as it names them. `returns`: the peer wants to get media from us, `receives`:
    it may send us some. `formats` by payload type, in the order of preference. `extensions`:
    ids of header extensions by URI.
    """

    mid: str
    kind: Kind
    payload_types: frozenset[int]
    rtx_types: frozenset[int]
    ours: tuple[int, int]
    theirs: tuple[int, ...]
    returns: bool
    receives: bool
    formats: Mapping[int, Format]
    extensions: Mapping[str, int]


@dataclass(slots=True)
class Counts:
    """What a plane has done. `first`: when the first media packet came (monotonic, seconds)."""

    packets: int = 0
    octets: int = 0
    first: float | None = None
    dropped: Counter[str] = field(default_factory=Counter)


MAX_EARLY = 128
"""Packets kept until there are keys: a keyframe and some sound."""


class Plane(ABC):
    """What becomes of one connection's media. `receive` takes SRTP and SRTCP datagrams.

    `patient`: they may wait in the socket for a moment, so that one wake serves many (`rest`).
    """

    patient = False

    def __init__(self, dtls: RTCDtlsTransport, connection: Connection) -> None:
        self.counts = Counts()
        self.closed = False
        self.connection = connection
        self.guard = Guard(connection, self.receive)
        self._sections: list[Section] = []
        self._strangers: set[int] = set()
        self._cipher = parts.Cipher(dtls)
        self._early: list[tuple[bytes, float]] = []
        self._nominations = parts.nominations(connection)
        self._pair: CandidatePair | None = None
        self._address: tuple[str, int] = ("", 0)
        self._send: Send | None = None

    @abstractmethod
    def configure(self, sections: Iterable[Section]) -> None:
        """Take over what was negotiated, now or anew."""

    @property
    @abstractmethod
    def loss(self) -> float | None:
        """The fraction of the peer's media packets that did not arrive; None before any did."""

    @abstractmethod
    def direction(self, kind: str) -> Direction:
        """What we want of a media section, `audio` or `video`, as seen from our side."""

    @abstractmethod
    def takes(self, codec: RTCRtpCodecParameters) -> bool:
        """Whether media of this codec is of use here."""

    @abstractmethod
    def limit(self, bits: int) -> None:
        """Let the peer know by REMB that it may send at most so many bits per second."""

    @abstractmethod
    def take_channel(self, channel: RTCDataChannel) -> None:
        """The peer has opened a data channel, or we have."""

    def close(self) -> None:
        """Free what the plane holds. Called when its leg ends."""
        self.closed = True

    def receive(self, data: bytes, at: float) -> None:
        """Take one packet of the peer, which arrived `at` a moment (monotonic, seconds)."""
        if self._cipher.open_rtp is None and not self._keys_came(data, at):
            return
        if self.guard.blocked:
            self.counts.dropped["blocked"] += 1
        elif 192 <= data[1] <= 223:  # as rtp.is_rtcp
            self._rtcp(data, at)
        else:
            self._rtp(data, at)

    def _keys_came(self, data: bytes, at: float) -> bool:
        """Whether packets can be opened by now. Until then they are kept, as many as there is
        room for: a peer that has its keys before we have ours begins with a keyframe (RFC 5764,
        section 5.1.2, allows both keeping and dropping)."""
        early = self._early
        if not self._cipher.ready:
            if len(early) < MAX_EARLY:
                early.append((data, at))
            else:
                self.counts.dropped["early"] += 1
            return False
        self._early = []
        for kept in early:
            self.receive(*kept)
        return True

    @abstractmethod
    def _rtp(self, data: bytes, at: float) -> None:
        """Take one SRTP packet."""

    @abstractmethod
    def _rtcp(self, data: bytes, at: float) -> None:
        """Take one SRTCP packet."""

    def _transmit(self, size: int, rtcp: bool) -> None:
        """Seal the packet in the cipher's buffer and send it to the nominated pair."""
        if self._nominations.get(1) is not self._pair:
            self._follow(self._nominations.get(1))
        sealed = self._cipher.protect(size, rtcp)
        if sealed and self._send is not None:
            self._send(self._cipher.view[:sealed], self._address)
        else:
            self.counts.dropped["unsent"] += 1

    def _follow(self, pair: CandidatePair | None) -> None:
        self._pair = pair
        self._send = None
        if pair is not None:
            self._send, self._address = _sender(pair.protocol.transport), pair.remote_addr

    def _room_for(self, source: int) -> bool:
        if len(self._strangers) < rtp.STREAMS:
            self._strangers.add(source)
        return source in self._strangers


def _sender(transport: asyncio.DatagramTransport) -> Send:
    """How a packet in the cipher's buffer leaves by a transport; it may not keep the buffer."""
    if isinstance(transport, Share):
        return transport.send
    return lambda packet, where: transport.sendto(bytes(packet), where)


PlaneFactory = Callable[[RTCDtlsTransport, Connection], Plane]
