"""A sender and a track in virtual time, for tests: pictures in packets over a scripted path."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.bots.media.frames import Frame, Kind
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.payload import Codec, packetise
from ringback.bots.media.plane import Format, Section
from ringback.bots.media.rtcp import KeyframeRequest, Nack

SSRC, RTX_SSRC = 1111, 2222
STEP = 3000
# payload type: name, clock rate, what it retransmits
PICTURES = {96: ("VP8", 90000, None), 97: ("rtx", 90000, 96), 98: ("VP9", 90000, None)}
SOUND = {111: ("opus", 48000, None), 0: ("PCMU", 8000, None), 110: ("telephone-event", 48000, None)}
NAMES: dict[str, Codec] = {"VP8": "VP8", "VP9": "VP9", "opus": "opus", "PCMU": "PCMU"}


def section(kind: Kind = "video", *, nack: bool = True, receives: bool = True) -> Section:
    """A media section as it would have been negotiated."""
    formats = {
        number: Format(
            payload_type=number,
            name=name.lower(),
            codec=NAMES.get(name),
            clock_rate=rate,
            channels=1,
            apt=apt,
            nack=nack and kind == "video",
            parameters={},
        )
        for number, (name, rate, apt) in (PICTURES if kind == "video" else SOUND).items()
    }
    return Section(
        mid="0",
        kind=kind,
        payload_types=frozenset(n for n, f in formats.items() if f.apt is None),
        rtx_types=frozenset(n for n, f in formats.items() if f.apt is not None),
        ours=(1, 2),
        theirs=(),
        returns=True,
        receives=receives,
        formats=formats,
        extensions={},
    )


def vp8(
    number: int, *, key: bool = False, size: tuple[int, int] = (64, 48), length: int = 40
) -> bytes:
    """What is a VP8 frame as far as anybody looks who does not decode: it holds a number."""
    head = bytes([0 if key else 1, 0, 0])
    if key:
        head += b"\x9d\x01\x2a" + size[0].to_bytes(2, "little") + size[1].to_bytes(2, "little")
    return head + number.to_bytes(4, "big") + bytes(max(0, length - len(head) - 4))


def number_in(frame: Frame) -> int:
    """The number in a frame that `vp8` made."""
    at = 10 if frame.keyframe else 3
    return int.from_bytes(frame.data[at : at + 4], "big")


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet on its way."""

    sequence: int
    marker: bool
    timestamp: int
    payload: bytes
    ssrc: int = SSRC
    payload_type: int = 96
    again: bool = False


class Receiver:
    """A track, what it gave, and what it asked for."""

    def __init__(self, kind: Kind = "video", *, nack: bool = True) -> None:
        self.now = 0.0
        self.frames: list[Frame] = []
        self.asked: list[tuple[float, Nack | KeyframeRequest]] = []
        self.track = Incoming("0", kind)
        self.track.configure(section(kind, nack=nack))
        self.track.on_frame = self.frames.append
        self.on_feedback: Callable[[Nack | KeyframeRequest], None] = lambda item: None

    def poll(self) -> None:
        """Do what is due, as an endpoint does."""
        if self.track.due <= self.now:
            for item in self.track.poll(self.now):
                self.asked.append((self.now, item))
                self.on_feedback(item)

    def until(self, when: float) -> None:
        """Let time pass."""
        while self.track.due <= when:
            self.now = max(self.now, self.track.due)
            self.poll()
        self.now = when

    def take(self, *packets: Sent) -> None:
        """Receive packets now."""
        for sent in packets:
            if sent.again:
                wrapped = sent.sequence.to_bytes(2, "big") + sent.payload
                self.track.receive_again(97, sent.marker, sent.timestamp, wrapped, self.now)
            else:
                self.track.receive(
                    sent.ssrc, sent.payload_type, sent.sequence, sent.marker, sent.timestamp,
                    sent.payload, self.now,
                )  # fmt: skip
            self.poll()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the pictures that came."""
        return [number_in(frame) for frame in self.frames]

    @property
    def keyframe_requests(self) -> list[float]:
        """When keyframes were asked for."""
        return [at for at, item in self.asked if isinstance(item, KeyframeRequest)]


class Sender:
    """Makes the packets of numbered pictures."""

    def __init__(self, sequence: int = 1000, timestamp: int = 5000, ssrc: int = SSRC) -> None:
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.number = 0
        self.history: dict[int, Sent] = {}

    def picture(
        self, *, key: bool = False, packets: int = 1, size: tuple[int, int] = (64, 48)
    ) -> list[Sent]:
        """The packets of the next picture."""
        data = vp8(self.number, key=key, size=size, length=90 * packets)
        payloads = packetise("VP8", data, 101)
        assert len(payloads) == packets
        return self.send(payloads)

    def send(self, payloads: Sequence[bytes], payload_type: int = 96) -> list[Sent]:
        """These payloads with one timestamp."""
        sent = []
        for number, payload in enumerate(payloads):
            packet = Sent(
                self.sequence & 0xFFFF, number == len(payloads) - 1, self.timestamp & 0xFFFFFFFF,
                payload, self.ssrc, payload_type,
            )  # fmt: skip
            self.history[packet.sequence] = packet
            sent.append(packet)
            self.sequence += 1
        self.timestamp += STEP
        self.number += 1
        return sent


class Path:
    """Carries packets from a sender to a receiver in virtual time, and requests back.

    `fate` says of each packet after how long it arrives, once or more often; nothing: lost.
    """

    def __init__(
        self, sender: Sender, receiver: Receiver, fate: Callable[[Sent], Sequence[float]],
        *, back: float = 0.03,
    ) -> None:  # fmt: skip
        self.sender, self.receiver, self.fate, self.back = sender, receiver, fate, back
        self.keyframe_wanted = True
        self._events: list[tuple[float, int, Sent | Nack | KeyframeRequest]] = []
        self._count = 0
        receiver.on_feedback = lambda item: self._add(receiver.now + back, item)

    def _add(self, at: float, item: Sent | Nack | KeyframeRequest) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, item))

    def send(self, packets: Sequence[Sent]) -> None:
        """Put packets on the path now."""
        for sent in packets:
            for delay in self.fate(sent):
                self._add(self.receiver.now + delay, sent)

    def until(self, when: float) -> None:
        """Let time pass, and everything happen that happens in it."""
        while self._events and self._events[0][0] <= when:
            at, _, item = heapq.heappop(self._events)
            self.receiver.until(max(at, self.receiver.now))
            match item:
                case Sent():
                    self.receiver.take(item)
                case Nack(sequences=sequences):
                    self.send([self._again(s) for s in sequences if s in self.sender.history])
                case KeyframeRequest():
                    self.keyframe_wanted = True
        self.receiver.until(when)

    def _again(self, sequence: int) -> Sent:
        sent = self.sender.history[sequence]
        return Sent(sent.sequence, sent.marker, sent.timestamp, sent.payload, again=True)

    def stream(self, pictures: int, *, packets: int = 3, every: float = STEP / 90000) -> None:
        """Send pictures at a steady rate, keyframes when they are asked for."""
        for _ in range(pictures):
            key, self.keyframe_wanted = self.keyframe_wanted, False
            self.send(self.sender.picture(key=key, packets=packets))
            self.until(self.receiver.now + every)
