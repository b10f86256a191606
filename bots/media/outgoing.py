"""One track that we send: coded frames in, packets out.

    def on_outgoing(track: Outgoing) -> None:
        track.on_keyframe_request = encoder.force_keyframe
        ...
    track.send(data, timestamp, keyframe=True)

Timestamps are ticks of `clock_rate` and may begin anywhere; tracks whose ticks mean the same
time are in step at the peer, too. When to send is the caller's matter, but the packets of one
frame leave at most `BURST` at a time, every `PACE` seconds: more at once, and sockets on the
way overflow.
"""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from . import packet
from .congestion import SendRate
from .frames import Kind
from .payload import Codec, packetise
from .plane import Format, Section
from .rtcp import Block
from .sending import Seeds, Transmission

PAYLOAD = 1180
# What came from a peer as one packet goes to another as one.
PAYLOAD_WHOLE = 1400
BURST, PACE = 32, 0.005
MAX_QUEUE = 1024
REQUEST_EVERY = 0.1
MOST = 2_500_000


class Wire(Protocol):
    """What carries packets to the peer."""

    @property
    def ready(self) -> bool:
        """Whether there is a connection."""

    def carry(self, data: bytes, *, sealed: bool) -> bytes | None:
        """Send an RTP packet, sealing it first if it is not: as it went out, None if not now."""

    def nudge(self) -> None:
        """Something of a track became due."""


class _Waiting(NamedTuple):
    data: bytes
    sealed: bool
    fresh: bool


class Outgoing:
    """A track of ours. `active`: the peer wants it now, and `send` does something.

    `codecs` are those the peer can take, in its order; `codec` is in use (see `select`).
    `on_keyframe_request` is called when the peer needs a keyframe, `on_bitrate` when
    `bits`, what may be sent in a second, has changed. `frames` were sent, `dropped` were not,
    `resent` counts packets.
    """

    def __init__(self, section: Section, wire: Wire) -> None:
        self.mid = section.mid
        self.kind: Kind = section.kind
        self.codec: Codec | None = None
        self.codecs: tuple[Codec, ...] = ()
        self.active = False
        self.on_keyframe_request: Callable[[], None] | None = None
        self.on_bitrate: Callable[[int], None] | None = None
        self.frames = self.dropped = self.resent = 0
        self.due = math.inf
        seeds = Seeds(secrets.randbits(15), secrets.randbits(15), secrets.randbits(32))
        self._rate = SendRate(MOST)
        self._reported = 0
        self.stream = Transmission(*section.ours, seeds)
        self._wire = wire
        self._formats: dict[Codec, Format] = {}
        self._rtx: dict[int, int] = {}
        self._extensions = b""
        self._queue: deque[_Waiting] = deque()
        self._needs_keyframe = False
        self._requested = -math.inf
        self.configure(section)

    @property
    def clock_rate(self) -> int:
        """How many ticks of a timestamp are one second."""
        return self._formats[self.codec].clock_rate if self.codec is not None else 0

    @property
    def loss(self) -> float | None:
        """The fraction of packets that the peer last missed."""
        return self.stream.loss

    @property
    def round_trip(self) -> float | None:
        """How long a packet and the answer to it take, in seconds."""
        return self.stream.round_trip

    @property
    def bits(self) -> int:
        """How many bits a second the peer wants and the way there carries, as far as is known."""
        return self._rate.bits

    @property
    def carried(self) -> float:
        """How many bits a second the way there carries by the losses there were; infinite where
        they say nothing."""
        return self._rate.carried

    def asked(self, bits: int) -> None:
        """The peer wants no more than so many bits per second."""
        before = self.bits
        self._rate.asked(bits)
        self._tell_bits(before)

    def reported(self, block: Block, now: float, wall: float) -> None:
        """Take what the peer reports of this track; `wall`: since 1970."""
        self.stream.reported(block, wall)
        expected = (block.highest - self._reported) & 0xFFFFFFFF if self._reported else 0
        self._reported = block.highest
        # Numbers that were never sent are nothing to go by.
        if 0 < expected <= self.stream.packets:
            before = self.bits
            self._rate.reported(block.fraction / 256, expected, self.round_trip or 0.0, now)
            self._tell_bits(before)

    def _tell_bits(self, before: int) -> None:
        if self.bits != before and self.on_bitrate is not None:
            self.on_bitrate(self.bits)

    def configure(self, section: Section) -> None:
        """Take over what was negotiated, now or anew."""
        self._formats = {}
        for form in section.formats.values():
            known = self._formats.get(form.codec) if form.codec is not None else None
            if form.codec is not None and (known is None or (_singly(known) and not _singly(form))):
                self._formats[form.codec] = form
        self._rtx = {f.apt: n for n, f in section.formats.items() if f.apt is not None}
        self.codecs = tuple(self._formats)
        if self.codec not in self._formats:
            self.codec = self.codecs[0] if self.codecs else None
        self.active = section.returns and self.codec is not None
        mid = section.extensions.get(packet.MID)
        value = section.mid.encode()
        self._extensions = packet.one_byte_extension(mid, value) if mid is not None else b""

    def end(self) -> None:
        """The section is no more: nothing is sent from now on."""
        self.active = False
        self.on_keyframe_request = self.on_bitrate = None
        self._queue.clear()
        self.due = math.inf

    @property
    def slices(self) -> int | None:
        """How many bytes each unit of a picture in this `codec` may have at most; None for any
        number. H.264 to a peer that cannot join fragments (packetisation mode 0)."""
        form = self._formats.get(self.codec) if self.codec is not None else None
        return PAYLOAD if form is not None and _singly(form) else None

    @property
    def passes(self) -> tuple[Codec, ...]:
        """The codecs in which a picture may go out however it was coded."""
        return tuple(codec for codec, form in self._formats.items() if not _singly(form))

    def select(self, codec: Codec) -> None:
        """Send in this codec from now on. Raises `ValueError` when the peer cannot take it."""
        if codec not in self._formats:
            raise ValueError(f"the peer does not take {codec}")
        self.codec = codec

    def send(self, data: bytes, timestamp: int, *, keyframe: bool = False) -> bool:
        """Send a frame; whether it is on its way.

        False when nobody wants it (now), or when too much still waits; then pictures are
        refused up to the next keyframe, as what depends on one that is missing is no use.
        Raises `ValueError` for data that is nothing of `codec`.
        """
        if not self.active or self.codec is None or not self._wire.ready:
            return False
        form = self._formats[self.codec]
        most = PAYLOAD_WHOLE if _singly(form) else PAYLOAD
        payloads = packetise(self.codec, data, most, singly=_singly(form))
        if not self._admit(len(payloads), keyframe):
            return False
        now = time.monotonic()
        # The marker ends a picture; of sound, it says that a silence ends.
        marker = self.kind == "video" or not self.frames
        self.stream.moment(timestamp, form.clock_rate, now)
        packets = self.stream.number(
            payloads, form.payload_type, timestamp, marker=marker, extensions=self._extensions
        )
        self.frames += 1
        self._put([_Waiting(data, False, True) for data in packets], now)
        return True

    def _admit(self, packets: int, keyframe: bool) -> bool:
        if len(self._queue) + packets > MAX_QUEUE or (self._needs_keyframe and not keyframe):
            self.dropped += 1
            if self.kind == "video":
                self._needs_keyframe = True
                self.keyframe_requested(time.monotonic())
            return False
        self._needs_keyframe = False
        return True

    def resend(self, lost: Sequence[int], now: float) -> None:
        """Send again what a NACK names, if it is still known."""
        if self.codec is None or len(self._queue) > MAX_QUEUE:
            return
        rtx = self._rtx.get(self._formats[self.codec].payload_type)
        found = self.stream.again(lost, rtx, now)
        self.resent += len(found)
        self._put([_Waiting(data, sealed, False) for data, sealed in found], now)

    def keyframe_requested(self, now: float) -> None:
        """The peer needs a keyframe; what it says twice at once is told once."""
        if self.on_keyframe_request is not None and now - self._requested >= REQUEST_EVERY:
            self._requested = now
            self.on_keyframe_request()

    def _put(self, packets: list[_Waiting], now: float) -> None:
        idle = not self._queue
        self._queue.extend(packets)
        if idle:
            self.poll(now)
            if self.due < math.inf:
                self._wire.nudge()

    def poll(self, now: float) -> None:
        """Send what may leave now."""
        for _ in range(min(BURST, len(self._queue))):
            data, sealed, fresh = self._queue[0]
            sent = self._wire.carry(data, sealed=sealed)
            if sent is None:
                break
            self._queue.popleft()
            if fresh:
                # What went into SRTP once cannot be sealed again under the same number.
                plain = data[1] & 0x7F in self._rtx
                sequence = data[2] << 8 | data[3]
                self.stream.keep(data if plain else sent, sequence, now, sealed=not plain)
        self.due = now + PACE if self._queue else math.inf


def _singly(form: Format) -> bool:
    """Whether each unit must be one packet: mode 0 of RFC 6184, also where no mode is named."""
    return form.codec == "H264" and str(form.parameters.get("packetization-mode", "0")) == "0"
