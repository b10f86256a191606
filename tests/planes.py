"""A plane without a network, for tests: real SRTP, and datagrams in and out by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pylibsrtp import Policy, Session

from ringback.bots.media import rtcp as control
from ringback.bots.media import rtp as media
from ringback.bots.media.plane import PlaneFactory

KEY = bytes(range(30))
PATIENCE = 10.0


def session(direction: int) -> Session:
    """One direction of SRTP, with a key that both ends know."""
    return Session(Policy(key=KEY, ssrc_type=direction))


class Wired:
    """A plane and its peer: `rtp` and `rtcp` seal and deliver, `sent` is what came back, open."""

    def __init__(self, factory: PlaneFactory) -> None:
        self.sent: list[bytes] = []
        self._new = asyncio.Event()
        self.sealer = session(Policy.SSRC_ANY_OUTBOUND)
        self._opener = session(Policy.SSRC_ANY_INBOUND)
        transport = SimpleNamespace(sendto=self._take)
        pair = SimpleNamespace(
            protocol=SimpleNamespace(transport=transport), remote_addr=("192.0.2.1", 9)
        )
        connection: Any = SimpleNamespace(_nominated={1: pair}, _protocols=[])
        dtls: Any = SimpleNamespace(
            _rx_srtp=session(Policy.SSRC_ANY_INBOUND), _tx_srtp=session(Policy.SSRC_ANY_OUTBOUND)
        )
        self.connection, self.dtls = connection, dtls
        self.plane = factory(dtls, connection)

    def _take(self, data: bytes, address: object) -> None:
        opened = self._opener.unprotect_rtcp if media.is_rtcp(data) else self._opener.unprotect
        self.sent.append(opened(data))
        self._new.set()

    async def until(self, enough: Callable[[], object]) -> None:
        """Wait until what came back is enough."""
        async with asyncio.timeout(PATIENCE):
            while not enough():
                self._new.clear()
                await self._new.wait()

    def rtp(self, data: bytes) -> None:
        """Deliver an RTP packet."""
        self.plane.receive(self.sealer.protect(data), time.monotonic())

    def rtcp(self, data: bytes) -> None:
        """Deliver a compound RTCP packet."""
        self.plane.receive(self.sealer.protect_rtcp(data), time.monotonic())

    @property
    def items(self) -> list[control.Item]:
        """What the RTCP that came back says, all together."""
        return [
            item
            for data in self.sent
            if media.is_rtcp(data)
            for item in control.read(data, len(data))
        ]

    @property
    def media(self) -> list[bytes]:
        """The RTP that came back."""
        return [data for data in self.sent if not media.is_rtcp(data)]
