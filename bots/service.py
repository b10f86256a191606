"""One bot on the line of one exchange: takes the calls that come to a client's name.

What every bot needs is here and in `call`; what makes it this bot is its handler.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Sequence

from ringback.server import protocol

from .call import BotCall, Handler
from .client import Client
from .media.mirror import Mirror
from .media.parts import Certificate
from .media.plane import PlaneFactory

MAX_CALLS = 200

logger = logging.getLogger(__name__)


async def busy(call: BotCall) -> None:
    """The handler of a call for which there is no room."""
    await call.decline("busy")


class Service:
    """Answers calls with `handle`, `max_calls` of them at once. `run` it until the session ends.

    `plane` makes what gets each call's packets: by default they go back to their sender.
    `on_event` gets what the exchange says that is no matter of one call: chat, people, orders.
    """

    def __init__(
        self,
        client: Client,
        handle: Handler,
        *,
        max_calls: int = MAX_CALLS,
        plane: PlaneFactory = Mirror,
        on_event: Callable[[protocol.ServerMessage], None] | None = None,
    ) -> None:
        self.client = client
        self.calls: dict[str, BotCall] = {}
        self._handler = handle
        self._max_calls = max_calls
        self._plane = plane
        self._on_event = on_event
        self._certificate = Certificate.generateCertificate()

    @property
    def ice_servers(self) -> list[protocol.IceServer]:
        """The STUN and TURN servers the exchange names."""
        return self.client.welcome.ice_servers if self.client.welcome is not None else []

    @property
    def certificate(self) -> Certificate:
        """The DTLS certificate of all calls, made anew before it expires."""
        left = self._certificate.expires - datetime.datetime.now(datetime.UTC)
        if left < datetime.timedelta(days=1):
            self._certificate = Certificate.generateCertificate()
        return self._certificate

    async def run(self) -> None:
        """Take calls until the session ends; then all calls are freed.

        Raises what ended the session (`ProtocolError` when its token is refused).
        """
        try:
            async for event in self.client:
                self._hear(event)
        finally:
            await self.close()

    async def close(self) -> None:
        """Free every call. The exchange notices on its own that we are gone."""
        tasks = [call.task for call in self.calls.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, call: BotCall) -> None:
        self.calls.pop(call.id, None)

    def _hear(self, event: protocol.ServerMessage) -> None:
        match event:
            case protocol.Ring():
                self._ring(event)
                return
            case (
                protocol.RelayedDescription(call=call)
                | protocol.RelayedCandidate(call=call)
                | protocol.RelayedMedia(call=call)
                | protocol.Ended(call=call)
                | protocol.Elsewhere(call=call)
            ):
                if (known := self.calls.get(call)) is not None:
                    known.signal(event)
                return
            case protocol.Welcome(resumed=True):
                for known in self.calls.values():
                    known.tell_state()
            case protocol.Welcome(calls=live):
                self._keep(live)
            case protocol.Resync(room=None) if self.client.welcome is not None:
                # Ends may be among what was missed.
                self._keep(self.client.welcome.calls)
            case protocol.Error(code=code, message=message):
                logger.debug("The exchange refused something: %s (%s)", message, code)
        if self._on_event is not None:
            self._on_event(event)

    def _keep(self, live: Sequence[protocol.CallInfo]) -> None:
        alive = {info.call for info in live}
        for known in list(self.calls.values()):
            if known.id not in alive:
                known.task.cancel()

    def _ring(self, ring: protocol.Ring) -> None:
        if ring.call in self.calls:
            return
        if len(self.calls) >= 2 * self._max_calls:
            logger.warning("Call %s is left ringing: there are too many to be declined.", ring.call)
            return
        full = len(self.calls) >= self._max_calls
        self.calls[ring.call] = BotCall(
            self.client,
            ring,
            busy if full else self._handler,
            ice_servers=self.ice_servers,
            certificate=self.certificate,
            plane=self._plane,
            on_end=self._forget,
        )
