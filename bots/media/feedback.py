"""What an endpoint and its peer say of the media: reports, requests, and when they are due.

One timer, and only while something is missing, asked for, waiting to be sent or to be
reported: reports go out every `REPORT_EVERY` seconds as long as there is anything new.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Mapping

from . import rtcp
from .incoming import Incoming
from .outgoing import Outgoing

REPORT_FIRST, REPORT_EVERY = 0.1, 1.0
SLOTS = 4
"""Moments in a second at which reports go out: one wake for all endpoints that are due."""


class Feedback:
    """RTCP of one endpoint, both ways. `send` seals and sends a compound packet.

    `fault` gets what a track's callback raised. `ssrc` is our source where no other is meant,
    `cap` the most that the peer's pictures may take. `idle` is true when no report is due;
    `due` is when the timer runs next.
    """

    def __init__(
        self,
        incoming: Mapping[str, Incoming],
        outgoing: Mapping[str, Outgoing],
        send: Callable[[bytes], None],
        fault: Callable[[Exception], None],
        cap: int,
    ) -> None:
        self.ssrc = 0
        self.cap = cap
        self.idle = True
        self.due = math.inf
        self._incoming = incoming
        self._outgoing = outgoing
        self._send = send
        self._fault = fault
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._report_at = math.inf
        self._reported = 0
        self._cname = secrets.token_hex(8)
        # One steady clock for the reports of all tracks, whatever is done to the wall's.
        self._wall = time.time() - time.monotonic()

    def close(self) -> None:
        """Stop the timer, for good."""
        self._closed = True
        self._stop()

    def take(self, item: rtcp.Item, now: float) -> None:
        """React to what the peer says about tracks of ours."""
        match item:
            case rtcp.Reports(blocks=blocks):
                for block in blocks:
                    for track in self._of(block.ssrc):
                        track.reported(block, now, now + self._wall)
            case rtcp.Nack(ssrc=ssrc, sequences=sequences):
                for track in self._of(ssrc):
                    track.resend(sequences, now)
            case rtcp.KeyframeRequest(ssrc=ssrc):
                for track in self._of(ssrc):
                    track.keyframe_requested(now)
            case rtcp.Remb(bitrate=bitrate, ssrcs=ssrcs):
                for track in self._outgoing.values():
                    if track.stream.ssrc in ssrcs:
                        track.asked(bitrate)

    def _of(self, ssrc: int) -> list[Outgoing]:
        return [track for track in self._outgoing.values() if track.stream.ssrc == ssrc]

    def nudge(self) -> None:
        """Something became due outside of a datagram: soon, but not within this call."""
        if self.due <= 0 or self._closed:
            return
        self._stop()
        self.due = 0.0
        self._timer = asyncio.get_running_loop().call_later(0.0, self._on_time)

    def wake(self, now: float) -> None:
        """Do what is due, and set the timer for what is due next."""
        if self._closed:
            return
        for track in self._incoming.values():
            if track.due <= now:
                self._ask(track, now)
            if track.path is not None and track.path.hurry:
                track.path.hurry = False
                self._report_at = now
        for sent in self._outgoing.values():
            if sent.due <= now:
                sent.poll(now)
        if self.idle:
            self.idle = False
            self._report_at = now + REPORT_FIRST
        elif now >= self._report_at:
            self._report(now)
        self._stop()
        dues = [track.due for track in self._incoming.values()]
        self.due = min([self._report_at, *dues, *(t.due for t in self._outgoing.values())])
        if self.due < math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self.due - now), self._on_time)

    def _stop(self) -> None:
        self.due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        self.wake(time.monotonic())

    def _ask(self, track: Incoming, now: float) -> None:
        """Ask for packets and keyframes."""
        try:
            feedback = track.poll(now)
        except Exception as error:
            track.silence()
            self._fault(error)
            return
        if feedback:
            written = [
                rtcp.write_nack(self.ssrc, item)
                if isinstance(item, rtcp.Nack)
                else rtcp.write_keyframe_request(self.ssrc, item)
                for item in feedback
            ]
            self._compound(self.ssrc, rtcp.write_receiver_report(self.ssrc), *written)

    def _report(self, now: float) -> None:
        """Report what was sent and received; without anything new the reports end."""
        received = sum(t.stats.packets for t in self._incoming.values())
        moved = received + sum(t.stream.packets for t in self._outgoing.values())
        if moved == self._reported:
            self.idle, self._report_at = True, math.inf
            return
        self._reported = moved
        self._report_at = math.floor((now + REPORT_EVERY) * SLOTS) / SLOTS
        sources = [(t.kind, t.source) for t in self._incoming.values() if t.source is not None]
        blocks = [source.block(now) for _, source in sources]
        for track in self._outgoing.values():
            report = track.stream.report(now, now + self._wall)
            if report is not None:
                self._compound(report.ssrc, rtcp.write_sender_report(report, blocks))
                blocks = []
        pictures = tuple(source.ssrc for kind, source in sources if kind == "video")
        rest = (
            [rtcp.write_remb(self.ssrc, rtcp.Remb(self._carried(), pictures))] if pictures else []
        )
        if blocks or rest:
            self._compound(self.ssrc, rtcp.write_receiver_report(self.ssrc, blocks), *rest)

    def _carried(self) -> int:
        """What the peer may send us: what the way here carries, and no more than `cap`."""
        paths = [t.path for t in self._incoming.values() if t.path is not None and t.source]
        return min(self.cap, sum(path.bits for path in paths) if paths else self.cap)

    def _compound(self, ssrc: int, report: bytes, *rest: bytes) -> None:
        """A report comes first, then who sends it (RFC 3550, section 6.1)."""
        self._send(b"".join([report, rtcp.write_description(ssrc, self._cname), *rest]))
