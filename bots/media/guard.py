"""What may reach a peer connection: the first to see each datagram of a call's sockets.

aioice hands whatever is not STUN to aiortc, from anybody, and aiortc ends the call over an
empty datagram or one that is too long. So every socket's datagrams come here first. STUN goes
on to aioice, which authenticates it. DTLS and media pass only from addresses that have proven
to be the peer's; media does not go to aiortc at all. The rest is counted and dropped.
"""

from __future__ import annotations

import logging
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from aioice.ice import Connection, StunProtocol

from . import parts
from .udp import Share

MAX_WAITING = 64
MAX_ADDRESSES = 64
"""From so many addresses checks are heard in one call: aioice remembers each for good."""
CHECKS, BURST = 100.0, 500.0
"""STUN messages heard in a second, and at once. A browser with many candidates sends 50."""
_MIN_STUN, _MIN_DTLS, _MIN_MEDIA = 20, 13, 12

logger = logging.getLogger(__name__)


class _Bucket:
    """How many more STUN messages are heard: `BURST` at once, `CHECKS` a second."""

    def __init__(self) -> None:
        self._left, self._since = BURST, time.monotonic()

    def take(self) -> bool:
        """One of them, if there is one."""
        now = time.monotonic()
        self._left = min(BURST, self._left + CHECKS * (now - self._since))
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Guard:
    """Stands before the sockets of one ICE connection.

    `media` gets each SRTP and SRTCP packet of the peer, still encrypted, and when it arrived
    (monotonic, seconds). `heard` counts what
    came from the peer, `dropped` by reason what did not pass.
    """

    def __init__(self, connection: Connection, media: Callable[[bytes, float], None]) -> None:
        self.heard = 0
        self.dropped: Counter[str] = Counter()
        self.blocked = False
        self._callers: set[object] = set()
        self._strangers, self._peer = _Bucket(), _Bucket()
        self._connection = connection
        self._media = media
        parts.refuse_data(connection, self._refuse)

    def watch(self) -> None:
        """Stand before every socket. To be called once they are gathered, before any await."""
        for protocol in parts.protocols(self._connection):
            self._watch(protocol)

    def _watch(self, protocol: StunProtocol) -> None:
        known: set[tuple[Any, ...]] = set()
        stun = protocol.datagram_received
        media = self._media

        def take(data: bytes, at: float) -> None:
            """What is not STUN and comes from the peer."""
            size = len(data)
            first = data[0] if size else 64
            if 127 < first < 192 and _MIN_MEDIA <= size <= parts.DATAGRAM:
                media(data, at)
            elif size > parts.DATAGRAM:
                self.dropped["too long"] += 1
            elif 19 < first < 64 and size >= _MIN_DTLS:
                self._dtls(data)
            else:
                self.dropped["malformed"] += 1

        def received(data: bytes, address: tuple[Any, ...]) -> None:
            if data and data[0] < 4:
                # What strangers send must not silence the peer.
                proven = address in known or self._learn(protocol, address, known)
                if not self._hear(address, proven):
                    self.dropped["flood"] += 1
                elif self._stun(stun, data, address):
                    self.heard += address in known or self._learn(protocol, address, known)
            elif address in known or self._learn(protocol, address, known):
                take(data, time.monotonic())
            else:
                self.dropped["stranger"] += 1

        # The transport looks its protocol's methods up for each datagram.
        protocol.datagram_received = received  # type: ignore[method-assign,assignment]
        if isinstance(protocol.transport, Share):
            protocol.transport.take = take
        protocol.pause_writing = self._pause  # type: ignore[method-assign]
        protocol.resume_writing = self._resume  # type: ignore[method-assign]

    def _stun(self, stun: Callable[[bytes, Any], None], data: bytes, address: object) -> bool:
        """Give aioice a message; whether it could be read."""
        if not _MIN_STUN <= len(data) <= parts.DATAGRAM:
            self.dropped["malformed"] += 1
            return False
        try:
            stun(data, address)
        except (ValueError, struct.error, LookupError, AssertionError, OSError) as error:
            self.dropped["malformed"] += 1
            logger.debug("STUN from %s cannot be read: %r", address, error)
            return False
        return True

    def _hear(self, address: object, proven: bool) -> bool:
        """Whether one more STUN message is heard, from there."""
        if proven:
            return self._peer.take()
        if address not in self._callers and len(self._callers) >= MAX_ADDRESSES:
            return False
        if not self._strangers.take():
            return False
        self._callers.add(address)
        return True

    def _dtls(self, data: bytes) -> None:
        if parts.waiting(self._connection) >= MAX_WAITING:
            self.dropped["too many"] += 1
            return
        self.heard += 1
        parts.pass_data(self._connection, data)

    def _learn(
        self, protocol: StunProtocol, address: tuple[Any, ...], known: set[tuple[Any, ...]]
    ) -> bool:
        if not parts.proven(self._connection, protocol, (address[0], address[1])):
            return False
        known.add(address)
        return True

    def _refuse(self, _data: bytes, _component: int) -> None:
        """What aioice did not take for STUN, or came before the guard stood."""
        self.dropped["malformed"] += 1

    def _pause(self) -> None:
        # More than the high-water mark waits for the socket: media that is late is no use.
        self.blocked = True

    def _resume(self) -> None:
        self.blocked = False
