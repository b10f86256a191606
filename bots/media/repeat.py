"""How what sets up a connection is repeated while nothing answers: ICE checks and DTLS flights.

The standards begin with 0.5 s (RFC 8445, section 14.3) and 1 s (RFC 6347, section 4.2.4.1) and
double that each time, so that five and four tries fit into the 15 s that a call has to connect: at
10 % loss one call in some hundred does not. Browsers begin with 0.05 s, and so nearly do we.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from aioice.ice import CandidatePair
from aiortc import RTCDtlsTransport

from . import parts

HANDSHAKE = (20, 22)
"""Records of a handshake: change of cipher, and its messages (RFC 5246, section 6.2.1)."""


class Flights:
    """Sends the latest flight of a DTLS handshake again until the peer goes on.

    The same records go out again, which a peer that has them drops as replayed (RFC 6347,
    section 4.1.2.6); OpenSSL repeats with new ones on its own, slower timer. Who has sent the
    last flight of all cannot know whether it came, until something comes that takes its keys:
    `settled`.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        nominations: Mapping[int, CandidatePair],
        settled: Callable[[], bool],
    ) -> None:
        self.repeated = 0
        """Datagrams that were sent again."""
        self._dtls = dtls
        self._nominations = nominations
        self._settled = settled
        self._flight = b""
        self._pauses: Iterator[float] = iter(())
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        parts.on_dtls_sent(dtls, self._sent)

    def _sent(self, data: bytes) -> None:
        if data[0] in HANDSHAKE and not self._closed:
            self._flight, self._pauses = data, parts.pauses()
            self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        pause = next(self._pauses, None)
        loop = asyncio.get_running_loop()
        self._timer = None if pause is None else loop.call_later(pause, self._again)

    def _again(self) -> None:
        self._timer = None
        pair = self._nominations.get(1)
        if pair is None or not self._wanted():
            return
        self.repeated += 1
        pair.protocol.transport.sendto(self._flight, pair.remote_addr)
        self._wait()

    def _wanted(self) -> bool:
        """Whether the peer may still lack the flight."""
        if self._dtls.state == "connected":
            return parts.is_dtls_server(self._dtls) and not self._settled()
        return self._dtls.state == "connecting"

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
