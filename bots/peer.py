"""A bot's side of one call's media: answers offers, survives restarts, notices silence.

Used by one call, from one task: `answer` and `add_candidate` as signalling brings them (who
calls begins with `offer` and `accept`), `close` at the end. What happens to the media comes
back through `on_change`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

from aiortc import RTCIceServer

from ringback.server.protocol import Candidate, IceServer, Part, Report

from .media.description import BadOffer
from .media.frames import Kind
from .media.leg import Leg
from .media.mirror import Mirror
from .media.offer import Offer, read_answer, read_candidate, read_offer
from .media.parts import Certificate, reads_server
from .media.plane import Plane, PlaneFactory
from .media.rejection import nothing_left
from .media.udp import Hub

TICK = 1.0
CONNECT = 15.0
# Two ends that send nothing but consent checks may be silent for six seconds (RFC 7675).
QUIET = 7.0
# Looked at once a second, so it is noticed within ten.
GONE = 9.0
ANEW = 2.0
"""Seconds in which a peer that closed its connection may offer another one: a browser that stops
the section with the common transport does both, in any order."""

State = Literal["connecting", "connected", "reconnecting", "failed", "closed"]
logger = logging.getLogger(__name__)

__all__ = ["BadOffer", "Change", "Peer", "State", "ice_servers"]


class Change(NamedTuple):
    """What became of the media, and the part of the set-up it concerns."""

    state: State
    part: Part | None = None


def ice_servers(servers: Sequence[IceServer]) -> list[RTCIceServer]:
    """The exchange's STUN and TURN servers as aiortc wants them: none means none.

    Addresses that aiortc cannot read, which browsers may well, are passed over.
    """
    return [
        RTCIceServer(urls=urls, username=s.username, credential=s.credential)
        for s in servers
        if (urls := [url for url in s.urls if reads_server(url)])
    ]


class Peer:
    """Answers one caller's offers; `plane` makes what gets its media (a mirror if not said).
    The calls of a process share the sockets of one `hub`.

    `on_change` is called from the event loop with each `Change`: `connecting` (by part),
    `connected`, `reconnecting` after `QUIET` seconds of silence or when the peer restarts,
    `failed` when a part did not come about or the peer has been silent for `GONE` seconds,
    `closed` when the peer closed its connection and made no other. `on_plane` is called with
    each new plane, the first one's and those of restarts, before any media reaches it.
    """

    def __init__(
        self,
        servers: Sequence[IceServer],
        certificate: Certificate,
        on_change: Callable[[Change], None],
        *,
        hub: Hub | None = None,
        plane: PlaneFactory = Mirror,
        on_plane: Callable[[Plane], None] | None = None,
    ) -> None:
        self._servers = ice_servers(servers)
        self._certificate = certificate
        self._hub = hub or Hub()
        self._on_change = on_change
        self._make_plane = plane
        self._on_plane = on_plane
        self._leg: Leg | None = None
        self._last = Change("connecting")
        self._started = self._heard_at = time.monotonic()
        self._heard = 0
        self._closed_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._legs = 0
        self._closed = False

    @property
    def leg(self) -> Leg | None:
        """The connection in use."""
        return self._leg

    @property
    def plane(self) -> Plane | None:
        """What gets the media of the connection in use."""
        return self._leg.plane if self._leg is not None else None

    async def answer(self, sdp: str) -> str:
        """The answer to an offer of the peer: its first, a renegotiation or a restart.

        A later one in which everything is stopped ends the connection, and no more: the next is
        a restart. Raises `BadOffer`; the connection in use goes on if there is one.
        """
        offer = read_offer(sdp, self._hub.network)
        if not offer.sdp:
            return await self._answer_nothing(offer)
        if self._leg is not None and self._leg.takes(offer):
            return await self._leg.answer(offer)
        # Browsers begin DTLS anew only where the fingerprint is another (RFC 8842, section 4).
        certificate = Certificate.generateCertificate() if self._legs else self._certificate
        leg = Leg(self._servers, self._look, certificate, self._make_plane, self._hub)
        answer = await self._described(leg, leg.answer(offer))
        old, self._leg = self._leg, leg
        self._begin(leg)
        if old is not None:
            await old.close()
        self._look()
        return answer

    async def _answer_nothing(self, offer: Offer) -> str:
        """The answer to an offer in which everything is stopped."""
        if self._leg is None and not self._legs:
            raise BadOffer("The offer has no media.", "media")
        old, self._leg = self._leg, None
        if old is not None:
            await old.close()
        return nothing_left(offer.rejected)

    async def offer(self, kinds: Sequence[Kind], channel: str | None = None) -> str:
        """An offer of these kinds of media, and of a data channel of this label: to be made
        once, by who calls, before anything else. What the plane sends and receives decides
        about the directions."""
        leg = Leg(self._servers, self._look, self._certificate, self._make_plane, self._hub)
        offer = await self._described(leg, leg.offer(kinds, channel))
        self._leg = leg
        return offer

    async def accept(self, sdp: str) -> None:
        """Take the answer to our offer; of a kind that it rejects nothing comes or goes.

        Raises `BadOffer`.
        """
        leg = self._leg
        if leg is None:
            raise BadOffer("There is no offer of ours to be answered.")
        await leg.accept(read_answer(sdp, leg.offered, self._hub.network))
        self._begin(leg)
        self._look()

    async def _described(self, leg: Leg, describing: Awaitable[str]) -> str:
        try:
            description = await describing
        except BaseException:
            await leg.close()
            raise
        if self._closed:
            await leg.close()
            raise BadOffer("The call is over.")
        return description

    def _begin(self, leg: Leg) -> None:
        """A connection is being made: what is told of it counts from here."""
        self._legs += 1
        self._started = self._heard_at = time.monotonic()
        self._heard = 0
        self._closed_at = math.inf
        if self._on_plane is not None and leg.plane is not None:
            self._on_plane(leg.plane)
        self._timer = self._timer or asyncio.get_running_loop().call_later(TICK, self._tick)

    async def add_candidate(self, candidate: Candidate | None) -> None:
        """One more address of the peer (None or an empty one: no more).

        One that belongs to an earlier leg, or that our policy refuses, is passed over.
        Raises `BadOffer` for what is no candidate.
        """
        leg = self._leg
        if leg is None or leg.remote is None or candidate is None or not candidate.candidate:
            return
        fragment = candidate.username_fragment
        if fragment is not None and f"a=ice-ufrag:{fragment}" not in leg.remote.transport:
            return
        read = read_candidate(candidate.candidate, self._hub.network)
        if read is not None:
            await leg.add_candidate(read)

    async def close(self) -> None:
        """Free everything. May be called more than once."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leg is not None:
            await self._leg.close()

    def report(self, call: str) -> Report:
        """What this side measured, for the record of the call."""
        plane = self.plane
        first = plane.counts.first if plane is not None else None
        return Report(
            call=call,
            first_media_ms=None if first is None else max(0, round((first - self._started) * 1000)),
            pair=self._leg.pair if self._leg is not None else None,
            restarts=max(0, self._legs - 1),
            loss=plane.loss if plane is not None else None,
        )

    def _look(self) -> None:
        """Tell what changed, if anything did."""
        leg = self._leg
        if leg is None or self._closed or not self._legs:
            return
        match leg.state:
            case "connected":
                quiet = time.monotonic() - self._heard_at >= QUIET
                self._tell(Change("reconnecting" if quiet else "connected"))
            case "failed":
                self._tell(Change("failed", leg.failed_part))
            case "closed":
                self._closed_at = min(self._closed_at, time.monotonic())
                over = time.monotonic() - self._closed_at >= ANEW
                self._tell(Change("closed" if over else "reconnecting"))
            case _:
                state: State = "connecting" if self._legs < 2 else "reconnecting"
                self._tell(Change(state, leg.failed_part))

    def _tell(self, change: Change) -> None:
        if change != self._last and self._last.state not in ("failed", "closed"):
            self._last = change
            self._on_change(change)

    def _tick(self) -> None:
        """Once a second: who has not been heard, or does not connect?"""
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        leg = self._leg
        if leg is None or leg.plane is None:
            return
        now = time.monotonic()
        heard = leg.plane.guard.heard
        if heard != self._heard:
            self._heard, self._heard_at = heard, now
        if leg.state in ("ice", "dtls") and now - self._started > CONNECT:
            self._tell(Change("failed", leg.failed_part))
        elif leg.state == "connected" and now - self._heard_at > GONE:
            self._tell(Change("failed", "ice"))
        else:
            self._look()
