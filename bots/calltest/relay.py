"""A network that is made up, between a caller and whatever answers: a UDP relay in user space.

    async with Relay(profile("train"), seed=1) as relay:
        await caller.accept(relay.answered(await answer(relay.offered(offer))))

The caller learns the relay's addresses in place of those of who answers, one for each; who
answers learns none, and finds the relay when it is asked for, like a peer behind a NAT. All that
passes, STUN and DTLS too, meets its link: `up` from the caller to who answers, `down` back.
A relayed call stays one: `server` puts the relay between a peer and its TURN server instead.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from ringback.server.protocol import IceServer

from . import detour
from .detour import Address
from .doors import Door
from .link import Lane, Send
from .packetlog import PacketLog, Way, is_media
from .profiles import Profile

MAX_DOORS = 16
"""Addresses of who answers that are relayed; more are passed over."""
MAX_FLOWS = 64
"""Addresses of callers that are relayed; what comes from more is dropped."""
REMEMBERED = 20_000

logger = logging.getLogger(__name__)

Answer = Callable[[str], Awaitable[str]]


class Lateness:
    """How long after their time packets left, in seconds: of the last `REMEMBERED`, and the
    worst of all."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._last: deque[float] = deque(maxlen=REMEMBERED)

    def note(self, seconds: float) -> None:
        """One more packet."""
        self._last.append(seconds)
        self.worst = max(self.worst, seconds)

    def quantile(self, share: float) -> float:
        """What this share of the packets does not exceed; 0 when there were none."""
        ordered = sorted(self._last)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Relay:
    """Enter it, then have the answer rewritten by `answered`, or the TURN server by `server`.

    `profile` says what the network does (nothing if not given), the same `seed` does the same
    again. `up` and `down` count what became of the packets; `late` says how late they left,
    `refused` how many came from one caller too many. `log` takes note of each.
    """

    def __init__(
        self, profile: Profile | None = None, seed: int = 1, log: PacketLog | None = None
    ) -> None:
        self.profile = profile or Profile()
        self.up = Lane(self.profile.up, f"{seed} up", [(c.at, c.up) for c in self.profile.changes])
        self.down = Lane(
            self.profile.down, f"{seed} down", [(c.at, c.down) for c in self.profile.changes]
        )
        self.log = log
        self.late = Lateness()
        self.refused = 0
        self._doors: dict[Address, Door] = {}
        self._flows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.up.drop()
        self.down.drop()
        for door in self._doors.values():
            door.close()

    def through(self, answer: Answer) -> Answer:
        """The same way of being answered, but that the media goes through this relay."""

        async def relayed(offer: str) -> str:
            return self.answered(await answer(self.offered(offer)))

        return relayed

    def offered(self, sdp: str) -> str:
        """An offer that says nothing of where the caller is."""
        return detour.without_candidates(sdp)

    def answered(self, sdp: str) -> str:
        """An answer in which the relay stands for whoever gave it."""
        return detour.through(sdp, self._door_to)

    def candidate(self, text: str) -> str | None:
        """The same for a candidate that whoever answers sends later; None when it cannot be
        relayed. Those of the caller are not to reach them."""
        return detour.candidate(text, self._door_to)

    async def server(self, server: IceServer) -> IceServer:
        """A TURN server that is reached through this relay, over UDP: whoever uses it has all
        that is relayed for them pass here. Raises `ValueError` when it offers no TURN over UDP,
        `OSError` when it is not found."""
        urls = []
        for host, port in filter(None, map(detour.turn_over_udp, server.urls)):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            door = self._door_to((str(found[0][4][0]), port))
            if door is not None:
                urls.append(detour.turn_url(door))
        if not urls:
            raise ValueError(f"{', '.join(server.urls)}: there is no TURN over UDP.")
        return IceServer(urls=urls, username=server.username, credential=server.credential)

    def begin(self) -> None:
        """Let the times of changes and blackouts count from now, not from the first media."""
        self.up.began = self.down.began = time.monotonic()

    def _door_to(self, target: Address) -> Address | None:
        door = self._doors.get(target)
        if door is None:
            if len(self._doors) >= MAX_DOORS or self._closed:
                return None
            try:
                door = self._doors[target] = Door(target, self.carry, self._admit)
            except OSError as error:
                logger.info("%s port %d cannot be relayed: %s", *target, error.strerror)
                return None
        return door.address

    def _admit(self) -> bool:
        """Whether there is room for one more address of a caller."""
        if self._flows >= MAX_FLOWS:
            self.refused += 1
            return False
        self._flows += 1
        return True

    def carry(self, way: Way, data: bytes, send: Send, headers: int) -> None:
        """Let `send` have the packet when, and as often as, it arrives."""
        now = time.monotonic()
        lane = self.up if way == "up" else self.down
        if self.up.began is None and is_media(data):
            self.up.began = self.down.began = now
        fate = lane.put(data, send, now, headers)
        if self.log is not None:
            self.log.note(now, way, data, fate.word, fate.due if fate.copies else None)
        self._arm()

    def _arm(self) -> None:
        """Send what is due; one timer for what is due next."""
        for lane in (self.up, self.down):
            for when, data, send in lane.take(time.monotonic()):
                send(data)
                self.late.note(max(0.0, time.monotonic() - when))
        due = min(self.up.next(), self.down.next())
        if due == math.inf or self._closed:
            return
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._due - time.monotonic()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._arm()
