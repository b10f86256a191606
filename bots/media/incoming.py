"""One track that the peer sends us: its packets in, its frames out.

Pure: time comes in as an argument, and what is to be sent back is returned by `poll`. An
endpoint drives it; a bot sets `on_frame`, reads `stats` and asks for keyframes:

    def on_incoming(track: Incoming) -> None:
        track.on_frame = lambda frame: muxer.put(frame)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .assembler import Assembler, Whole
from .clock import SenderClock, Timeline
from .congestion import ReceiveRate
from .digits import Digits
from .frames import Frame, Kind
from .payload import Codec
from .plane import Section
from .receiving import Part, Reception
from .reorder import TICK, Arrivals, Hole
from .rtcp import KeyframeRequest, Nack, SenderReport

# How long a missing packet is waited for: where it can be asked for, and where it cannot.
PATIENCE, BRIEF_PATIENCE = 1.0, 0.1
KEYFRAME_EVERY = 0.2
SILENCE = 1.0
RECEPTIONS = 8
_NO_MEANING: tuple[None, int] = (None, 0)


@dataclass(slots=True)
class Stats:
    """What a track has received. `arrivals`: of the present source (see `Arrivals`)."""

    packets: int = 0
    octets: int = 0
    frames: int = 0
    keyframes_asked: int = 0
    skipped: int = 0
    malformed: int = 0
    unknown: int = 0
    arrivals: Arrivals = field(default_factory=Arrivals)


class Incoming:
    """A track of the peer's. `on_frame` gets each frame as soon as it is whole and in its turn.

    `path`, where it is set, learns from pictures what the way here carries. `due` is when `poll`
    wants to be called next (monotonic seconds, infinite for never); `on_due` is called when it
    became earlier without a packet.
    """

    def __init__(self, mid: str, kind: Kind) -> None:
        self.mid = mid
        self.kind: Kind = kind
        self.codec: Codec | None = None
        self.on_frame: Callable[[Frame], None] | None = None
        self.on_due: Callable[[], None] | None = None
        self.digits = Digits()
        self.clock = SenderClock()
        self.stats = Stats()
        self.path: ReceiveRate | None = None
        self.active = self.ended = False
        self.due = math.inf
        self._pictures = kind == "video"
        self._section: Section | None = None
        self._meanings: dict[int, tuple[Codec | None, int]] = {}
        self._nacks = False
        self._receptions: dict[int, Reception] = {}
        self._current: Reception | None = None
        self._timeline = Timeline()
        self._assembler = Assembler()
        self._gap = False
        self._ask_at = 0.0
        self._heard = False
        self._wanted = False
        self._early: dict[int, tuple[SenderReport, float]] = {}

    @property
    def rate(self) -> int:
        """Ticks a second of the source that is received now, 0 before its first frame."""
        return self._timeline.rate

    @property
    def source(self) -> Reception | None:
        """The source that is received now."""
        return self._current

    @property
    def _asking(self) -> bool:
        return self._pictures and (self._wanted or self._assembler.needs_keyframe)

    def silence(self) -> None:
        """Call nothing of the bot's any more."""
        self.on_frame = self.clock.on_report = self.digits.on_digit = None

    def end(self) -> None:
        """The section is no more: nothing comes of it from now on."""
        self.silence()
        self.on_due = None
        self.active, self.ended = False, True

    def configure(self, section: Section) -> None:
        """Take over what was negotiated, now or anew."""
        self._section = section
        self.active = section.receives
        self._meanings = {n: (form.codec, form.clock_rate) for n, form in section.formats.items()}
        self._nacks = any(f.nack for f in section.formats.values())
        if self.codec is None:
            self.codec = next((f.codec for f in section.formats.values() if f.codec), None)

    def ask_keyframe(self) -> None:
        """Ask the sender for a keyframe, and again until it comes; pictures go on meanwhile."""
        if self._pictures:
            self._wanted = self._heard = True
            self.due = min(self.due, self._ask_at)
            if self.on_due is not None:
                self.on_due()

    def receive(
        self,
        ssrc: int,
        payload_type: int,
        sequence: int,
        marker: bool,
        timestamp: int,
        payload: bytes,
        now: float,
        *,
        again: bool = False,
    ) -> None:
        """Take one packet of media; `again` for one unwrapped from the retransmission stream.

        In as few pieces as can be while packets come in their turn: each pays for them.
        """
        source = self._current
        if source is None or source.ssrc != ssrc:
            source = self._switch(ssrc, sequence, now)
            if source is None:
                return
        codec, rate = self._meanings.get(payload_type, _NO_MEANING)
        stats, order = self.stats, source.order
        stats.packets += 1
        stats.octets += len(payload)
        if rate and not again:
            source.count(timestamp, rate, now)
            # The end of a picture: one look at the path for all its packets.
            if marker and self.path is not None:
                self._look(timestamp, rate, now)
        if codec is not None and payload and order.in_turn(sequence):
            self._give(codec, rate, marker, timestamp, payload, now)
        else:
            part = Part(payload_type, codec, rate, marker, timestamp, payload)
            self._take(order.put(sequence, part, now), now)
            if order.pending:
                self.due = min(self.due, now)
        if self._pictures and (self._wanted or self._assembler.needs_keyframe):
            self._heard = True
            self.due = min(self.due, max(self._ask_at, now))

    def _look(self, timestamp: int, rate: int, now: float) -> None:
        assert self.path is not None
        self.path.picture(timestamp, rate, self.stats.octets, now)
        if self.path.hurry:
            self.due = now

    def receive_again(
        self, payload_type: int, marker: bool, timestamp: int, payload: bytes, now: float
    ) -> None:
        """Take one packet of the retransmission stream (RFC 4588). Empty ones are padding."""
        if self._current is None or len(payload) < 2 or self._section is None:
            return
        form = self._section.formats.get(payload_type)
        if form is None or form.apt is None:
            return
        sequence = payload[0] << 8 | payload[1]
        # Some senders probe the path by sending again what nobody asked for.
        if not self._current.order.wants(sequence):
            self._current.order.counts.duplicates += 1
            return
        self.receive(
            self._current.ssrc, form.apt, sequence, marker, timestamp, payload[2:], now, again=True
        )

    def report(self, report: SenderReport, now: float) -> None:
        """Take a sender report of one of this track's sources."""
        source = self._receptions.get(report.ssrc)
        if source is not None:
            source.reported(report.ntp, now)
        if source is None or source is not self._current or not self._timeline.rate:
            if source is None or source is self._current:
                self._early = {report.ssrc: (report, now)}
            return
        timestamp = self._timeline.find(report.timestamp)
        rate = self._timeline.rate
        self.clock.report(self._timeline.source, timestamp, report.ntp, now, rate)

    def poll(self, now: float) -> Sequence[Nack | KeyframeRequest]:
        """Do what is due: what is to be sent to the peer."""
        feedback: list[Nack | KeyframeRequest] = []
        self.due = math.inf
        source = self._current
        if source is None:
            return feedback
        if source.order.pending:
            self._take(source.order.poll(now), now)
        if source.order.pending:
            self.due = now + TICK
            if self._nacks and (lost := source.order.nacks(now)):
                feedback.append(Nack(source.ssrc, lost))
        if self._asking:
            if self._heard and now >= self._ask_at:
                feedback.append(KeyframeRequest(source.ssrc))
                self.stats.keyframes_asked += 1
                self._heard, self._ask_at = False, now + KEYFRAME_EVERY
            elif self._heard:
                self.due = min(self.due, self._ask_at)
        return feedback

    def _switch(self, ssrc: int, sequence: int, now: float) -> Reception | None:
        """Another source sends: it takes over when it is new, or the present one is silent."""
        known = self._receptions.get(ssrc)
        current = self._current
        if known is not None and current is not None and now - current.last_at < SILENCE:
            return None
        if current is not None:
            self._take(current.order.flush(), now)
            self._assembler.restart()
            self._timeline.begin()
        patience = PATIENCE if self._nacks else BRIEF_PATIENCE
        source = Reception(ssrc, sequence, patience)
        self._receptions.pop(ssrc, None)
        self._receptions[ssrc] = self._current = source
        while len(self._receptions) > RECEPTIONS:
            del self._receptions[next(iter(self._receptions))]
        self.stats.arrivals = source.order.counts
        return source

    def _take(self, items: Sequence[Part | Hole], now: float) -> None:
        for item in items:
            if isinstance(item, Hole):
                self._lose(item)
            elif item.codec is None:
                self._other(item)
            elif item.payload:
                self._give(item.codec, item.rate, item.marker, item.timestamp, item.payload, now)

    def _give(
        self, codec: Codec, rate: int, marker: bool, timestamp: int, payload: bytes, now: float
    ) -> None:
        """The next packet of media, in order."""
        if not self._pictures:
            gap, self._gap = self._gap, False
            self._tell(codec, payload, timestamp, rate, True, None, gap, now)
            return
        wholes = self._assembler.put(codec, marker, timestamp, payload)
        if wholes or marker or self._assembler.needs_keyframe:
            for whole in wholes:
                self._picture(whole, rate, now)
            self.stats.skipped = self._assembler.skipped
            self.stats.malformed = self._assembler.malformed

    def _lose(self, hole: Hole) -> None:
        self._gap = self._heard = True
        self._assembler.lose()
        if hole is Hole.RESTART and self._current is not None:
            self._current.restart()
            self._timeline.begin()

    def _other(self, part: Part) -> None:
        form = self._section.formats.get(part.payload_type) if self._section else None
        if form is None or form.name != "telephone-event":
            self.stats.unknown += 1
            return
        try:
            self.digits.put(part.timestamp, part.payload)
        except ValueError:
            self.stats.malformed += 1

    def _picture(self, whole: Whole, rate: int, now: float) -> None:
        data, keyframe, size = whole.picture
        if keyframe:
            self._wanted = False
        self._tell(whole.codec, data, whole.timestamp, rate, keyframe, size, whole.gap, now)

    def _tell(
        self,
        codec: Codec,
        data: bytes,
        timestamp: int,
        rate: int,
        keyframe: bool,
        size: tuple[int, int] | None,
        gap: bool,
        now: float,
    ) -> None:
        place = self._timeline.place(timestamp, rate, now)
        self.codec = codec
        self.stats.frames += 1
        if self._early:
            self._take_early()
        if self.on_frame is not None:
            self.on_frame(
                Frame(
                    self.kind, codec, data, place, rate, keyframe, size, now,
                    self._timeline.source, gap,
                )
            )  # fmt: skip

    def _take_early(self) -> None:
        """Reports that came before anything they could speak of."""
        early, self._early = self._early, {}
        for report, arrived in early.values():
            if self._current is not None and report.ssrc == self._current.ssrc:
                self.report(report, arrived)
