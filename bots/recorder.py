"""The recorder: keeps what it is sent, coded as it came, for those who agreed to it.

Whom it records and that they agreed the exchange says in the order that comes with each ring;
without one nothing is answered. The participants of a recording call one by one; each such call
is a leg, and one recording lives as long as it has one (and a little longer, as a page may be
loaded again).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ringback.server import protocol
from ringback.server.protocol import ErrorCode, ProtocolError, RecordingOrder

from .call import BotCall
from .client import Client, Lost
from .host import Host
from .media.endpoint import Endpoint
from .media.incoming import Incoming
from .media.plane import Plane
from .media.record import FULL, Recording, RecordLimits
from .media.repair import repair, unfinished
from .media.sidecar import Reason, Sidecar
from .media.writer import Writer
from .service import Service

NAME = "recorder"
ABOUT = "Records you, for you alone."
FOLDER = "recordings"
MAX_CALLS = 100
LINGER = 35.0
"""Seconds a recording waits for another leg; the exchange gives up a little earlier."""

logger = logging.getLogger(__name__)


class Take:
    """One recording and the legs it has now."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.legs: set[BotCall] = set()
        self.ended = asyncio.Event()
        self.linger: asyncio.TimerHandle | None = None


class Recorder:
    """All recordings of one session. `service` puts it on the line; `close` it at the end."""

    def __init__(self, client: Client, folder: Path, limits: RecordLimits) -> None:
        self._client = client
        self._folder = folder
        self._limits = limits
        self._writer = Writer()
        self._takes: dict[str, asyncio.Task[Take]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._repairs = asyncio.create_task(self._repair(unfinished(folder)))

    async def handle(self, call: BotCall) -> None:
        """Record one leg until it ends, or the recording does."""
        order = call.ring.recording
        if order is None:
            await call.decline()
            return
        try:
            take = await self._take(order, call)
        except OSError as error:
            logger.warning("The recording %s cannot begin: %s", order.id, error)
            # Its folder is there already when the process died that had begun it.
            await self._tell_off(order.id, "disk_full" if error.errno in FULL else "failed")
            await call.decline()
            return
        call.on_plane = partial(_attach, take.recording.part(order.name).leg)
        take.legs.add(call)
        if take.linger is not None:
            take.linger.cancel()
        try:
            await call.answer()
            await take.ended.wait()
        finally:
            take.legs.discard(call)
            if not take.legs:
                self._left(order, take)

    def hear(self, event: protocol.ServerMessage) -> None:
        """What the exchange says of a recording: go on, pause, end."""
        if not isinstance(event, protocol.RecordingChange) or event.recording is None:
            return
        found = self._takes.get(event.recording)
        if found is None or not found.done() or found.cancelled() or found.exception():
            return
        take = found.result()
        match event.state:
            case "paused":
                take.recording.pause()
            case "on":
                take.recording.resume()
            case "off":
                self._end(event.recording, take)

    @property
    def running(self) -> bool:
        """Whether something is recorded, or is being completed."""
        return bool(self._takes or self._closing)

    async def settled(self) -> None:
        """Wait until one thing that is under way is done."""
        if self._closing:
            await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(0)

    async def repaired(self) -> None:
        """Wait until what an earlier process left behind is finished."""
        await asyncio.wait((self._repairs,))

    async def wind_up(self) -> None:
        """End every recording because its process is about to end."""
        await asyncio.gather(*(self._stop(*take) for take in self._takes.items()))

    async def _stop(self, id: str, found: asyncio.Task[Take]) -> None:
        try:
            take = await asyncio.shield(found)
        except OSError as error:
            logger.info("The recording %s had not begun: %s", id, error)
            return
        # At once, or the exchange's word that it is off would come first, with another reason.
        self._spawn(take.recording.close("stopping"))
        await self._ended(id, take, "stopping")

    async def close(self) -> None:
        """Complete every recording, and end the thread that writes."""
        self._repairs.cancel()
        for id, found in list(self._takes.items()):
            with suppress(OSError, asyncio.CancelledError):
                self._end(id, await found)
        if self._closing:
            await asyncio.wait(self._closing)
        await asyncio.to_thread(self._writer.close)

    async def _take(self, order: RecordingOrder, call: BotCall) -> Take:
        """The recording of an order, begun by whichever leg comes first."""
        found = self._takes.get(order.id)
        if found is None:
            found = self._takes[order.id] = asyncio.create_task(self._begin(order))
        try:
            return await asyncio.shield(found)
        except OSError:
            self._takes.pop(order.id, None)
            raise

    async def _begin(self, order: RecordingOrder) -> Take:
        about = Sidecar(order.id, order.call, round(time.time() * 1000))
        about.consent = list(order.participants)
        recording = Recording(self._folder / order.id, about, self._writer, self._limits)
        await recording.start(paused=order.paused)
        take = Take(recording)
        # In the order of the participants, whoever comes first.
        for consent in order.participants:
            recording.part(consent.name)
        recording.on_heard = lambda: self._spawn(self._tell_on(order.id))
        recording.on_end = lambda reason: self._spawn(self._ended(order.id, take, reason))
        return take

    async def _ended(self, id: str, take: Take, reason: Reason) -> None:
        """It ended by itself: the people hear why before their legs go."""
        await self._tell_off(id, reason)
        self._end(id, take)

    def _left(self, order: RecordingOrder, take: Take) -> None:
        """The last leg is gone."""
        if len(order.participants) == 1:
            # Somebody who records themselves: with their call it is over.
            self._end(order.id, take)
        elif not take.ended.is_set():
            loop = asyncio.get_running_loop()
            take.linger = loop.call_later(LINGER, self._end, order.id, take)

    def _end(self, id: str, take: Take) -> None:
        if take.linger is not None:
            take.linger.cancel()
        take.ended.set()
        if self._takes.pop(id, None) is not None:
            self._spawn(take.recording.close())

    async def _tell_on(self, id: str) -> None:
        await self._tell(protocol.TellRecording(recording=id, state="on"))

    async def _tell_off(self, id: str, reason: Reason) -> None:
        await self._tell(protocol.TellRecording(recording=id, state="off", reason=reason))

    async def _tell(self, message: protocol.TellRecording) -> None:
        try:
            await self._client.request(message)
        except ProtocolError as error:
            # It ended on the other side meanwhile.
            if error.code not in (ErrorCode.NO_SUCH_RECORDING, ErrorCode.WRONG_STATE):
                logger.warning("The exchange refused what was said of a recording: %s", error)
        except (Lost, TimeoutError) as error:
            logger.info("The exchange did not hear of a recording: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A recording could not be minded.", exc_info=error)

    async def _repair(self, folders: list[Path]) -> None:
        """Finish what an earlier process left behind; those of this one are not among it."""
        for folder in folders:
            try:
                await asyncio.to_thread(repair, folder)
                logger.info("Finished the recording in %s, whose process had died.", folder)
            except (OSError, ValueError) as error:
                logger.warning("The recording in %s cannot be finished: %s", folder, error)


def _attach(leg: Callable[[], Callable[[Incoming], None]], plane: Plane) -> None:
    """Let a leg's new connection give its tracks to the recording."""
    assert isinstance(plane, Endpoint)
    take = leg()
    for track in plane.incoming.values():
        take(track)
    plane.on_incoming = take


class RecorderService(Service):
    """The recorder on the line; its recordings are completed when the session ends."""

    def __init__(
        self, client: Client, host: Host, recorder: Recorder, max_calls: int, max_load: float | None
    ) -> None:
        super().__init__(
            client, recorder.handle, max_calls=max_calls, max_load=max_load, host=host,
            plane=partial(Endpoint, cap=host.hub.network.bandwidth, patient=True),
            on_event=recorder.hear,
        )  # fmt: skip
        self.recorder = recorder

    async def wind_up(self) -> None:
        """End what is recorded still, so that the people hear why before their legs go."""
        await self.recorder.wind_up()

    async def run(self) -> None:
        """As `Service.run`."""
        try:
            await super().run()
        finally:
            await self.recorder.close()


def service(
    client: Client, host: Host, files: Path, limits: RecordLimits | None = None, *,
    max_calls: int = MAX_CALLS, max_load: float | None = None,
) -> RecorderService:  # fmt: skip
    """The bot on the line of a client; recordings go into a folder below `files`.
    `max_calls`, `max_load`: see `Service`."""
    recorder = Recorder(client, files / FOLDER, limits or RecordLimits())
    return RecorderService(client, host, recorder, max_calls, max_load)
