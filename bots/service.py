"""One bot on the line of one exchange: takes the calls that come to a client's name.

What every bot needs is here and in `call`; what makes it this bot is its handler.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from ringback.server import protocol

from .admission import Admission, LoadMeter
from .call import TIDY, BotCall, Handler, signal_of
from .client import Client, Lost
from .host import Host
from .media.mirror import Mirror
from .media.plane import PlaneFactory

MAX_CALLS = 200
SAMPLE = 1.0
"""Seconds between two looks at the load."""

logger = logging.getLogger(__name__)


async def busy(call: BotCall) -> None:
    """The handler of a call for which there is no room."""
    await call.decline("busy")


class Service:
    """Answers calls with `handle`, as many at once as `max_calls` and `max_load` allow.

    `run` it until the session ends, or `drain` it. `plane` makes what gets each call's packets:
    by default they go back to their sender. `host` is shared by all services of a process.
    `meter` measures the load (1: as busy as can be).
    `on_event` gets what the exchange says that is no matter of one call: chat, people, orders.
    """

    def __init__(
        self,
        client: Client,
        handle: Handler,
        *,
        max_calls: int = MAX_CALLS,
        max_load: float | None = None,
        meter: Callable[[], float] | None = None,
        plane: PlaneFactory = Mirror,
        host: Host | None = None,
        on_event: Callable[[protocol.ServerMessage], None] | None = None,
    ) -> None:
        self.client = client
        self.calls: dict[str, BotCall] = {}
        self._handler = handle
        self.admission = Admission(max_calls, max_load)
        self._meter = meter or LoadMeter()
        self._timer: asyncio.TimerHandle | None = None
        self._told: protocol.Capacity | None = None
        self._idle = asyncio.Event()
        self._plane = plane
        self._on_event = on_event
        self.host = host or Host()

    @property
    def ice_servers(self) -> list[protocol.IceServer]:
        """The STUN and TURN servers the exchange names."""
        return self.client.welcome.ice_servers if self.client.welcome is not None else []

    async def run(self) -> None:
        """Take calls until the session ends; then all calls are freed.

        Raises what ended the session (`ProtocolError` when its token is refused).
        """
        self._look()
        try:
            async for event in self.client:
                self._hear(event)
        finally:
            await self.close()

    async def drain(self, seconds: float) -> None:
        """Take no new calls, and wait until those there are have ended by themselves; after so
        many seconds they are hung up."""
        self.admission.draining = True
        self._tell_capacity()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_idle()
        await self.wind_up()
        left = list(self.calls.values())
        if left:
            logger.warning("Hanging up %d calls that did not end in %g s.", len(left), seconds)
        for call in left:
            call.hang_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(TIDY):
                await self._until_idle()

    async def wind_up(self) -> None:
        """What a bot still has to say before its last calls are hung up."""

    async def _until_idle(self) -> None:
        while self.calls:
            self._idle.clear()
            await self._idle.wait()

    async def close(self) -> None:
        """Free every call. The exchange notices on its own that we are gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks = [call.task for call in self.calls.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, call: BotCall) -> None:
        self.calls.pop(call.id, None)
        if not self.calls:
            self._idle.set()

    def _look(self) -> None:
        """Measure the load, now and again after a while."""
        self._timer = asyncio.get_running_loop().call_later(SAMPLE, self._look)
        self.admission.measure(self._meter())
        self._tell_capacity()

    def _tell_capacity(self, anew: bool = False) -> None:
        capacity = protocol.Capacity(
            max_calls=self.admission.max_calls, accepting=self.admission.accepting
        )
        if capacity != self._told or anew:
            self._told = capacity
            with suppress(Lost):
                self.client.tell(capacity)

    def _hear(self, event: protocol.ServerMessage) -> None:
        if (signal := signal_of(event)) is not None:
            if (known := self.calls.get(signal.call)) is not None:
                known.signal(signal)
            return
        match event:
            case protocol.Ring():
                self._ring(event)
                return
            case protocol.Welcome(resumed=True):
                for known in self.calls.values():
                    known.tell_state()
            case protocol.Welcome(calls=live):
                self._tell_capacity(anew=True)
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
        if len(self.calls) >= 2 * self.admission.max_calls:
            logger.warning("Call %s is left ringing: there are too many to be declined.", ring.call)
            return
        takes = self.admission.takes(len(self.calls))
        self.calls[ring.call] = BotCall(
            self.client,
            ring,
            self._handler if takes else busy,
            ice_servers=self.ice_servers,
            host=self.host,
            plane=self._plane,
            on_end=self._forget,
        )
