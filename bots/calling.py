"""What `ringback call` does: one call, what it sends, what it keeps, what it shows."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from ringback.server.protocol import ProtocolError

from . import process, testcard
from .client import Client, Lost
from .dial import Dialled
from .measure import Measured, as_json, measure
from .media.reading import CannotPlay
from .media.writing import CannotRecord
from .progress import Progress
from .recording import Recording
from .values import Kind

TICK = 0.5
GOODBYE = 5.0


class CannotCall(Exception):
    """The call cannot be placed; `str()` is one line that says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `url` is a socket's; `seconds` count from the connection."""

    url: str
    name: str | None
    to: str
    play: Path | None = None
    loop: bool = False
    record: Path | None = None
    seconds: float | None = None
    sound_only: bool = False
    token: str | None = None
    ca: Path | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is offered."""
        return ("audio",) if self.sound_only else ("audio", "video")


async def run(plan: Plan, print_json: bool = False) -> int:
    """Make the call and show it; the exit code. Raises `CannotCall`."""
    recording = Recording(plan.record) if plan.record is not None else None
    client = Client(plan.url, name=plan.name, token=plan.token, ca=plan.ca)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(client)
        except ProtocolError as error:
            raise CannotCall(str(error)) from error
        except (OSError, aiohttp.ClientError, TimeoutError, Lost) as error:
            why = str(error) or type(error).__name__
            raise CannotCall(f"{plan.url} cannot be reached: {why}") from error
        progress = stack.enter_context(Progress(plan.to, shown=not print_json))
        call = Dialled(client, plan.to, plan.kinds, on_state=progress.reach)
        running = Running(plan, call, recording, progress)
        measured = await running.run()
        ok = measured.flowed and not running.troubles
    for trouble in running.troubles:
        sys.stderr.write(f"ringback: {trouble}\n")
    if print_json:
        sys.stdout.write(json.dumps(as_json(call, measured, ok)) + "\n")
    else:
        progress.conclude(call, measured, ok)
    return 0 if ok else 1


class Running:
    """One call with all that goes on beside it. `troubles` are what went wrong of our own."""

    def __init__(
        self, plan: Plan, call: Dialled, recording: Recording | None, progress: Progress
    ) -> None:
        self.troubles: list[str] = []
        self._plan = plan
        self._call = call
        self._recording = recording
        self._progress = progress
        self._stop = asyncio.Event()
        self._last = Measured()

    async def run(self) -> Measured:
        """See the call to its end; what was measured of it."""
        process.on_signals(self._stop.set)
        call = asyncio.create_task(self._call.run(), name="call")
        beside = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("talk", self._talk()), ("record", self._record()), ("watch", self._watch()),
                ("stop", self._until_told()),
            )
        ]  # fmt: skip
        talk, stop = beside[0], beside[-1]
        try:
            await asyncio.wait((call, talk, stop), return_when=asyncio.FIRST_COMPLETED)
            # Hung up; an exchange that is away will not say so.
            await asyncio.wait((call,), timeout=GOODBYE)
        finally:
            for task in (call, *beside):
                task.cancel()
            await asyncio.wait((call, *beside))
        for task in (call, *beside):
            self._note(task)
        return self._last

    def _note(self, task: asyncio.Task[object]) -> None:
        error = None if task.cancelled() else task.exception()
        match error:
            case None:
                return
            case ProtocolError() | CannotPlay() | CannotRecord() | Lost() | TimeoutError():
                self.troubles.append(str(error) or "The exchange did not answer.")
            case _:
                raise error

    async def _talk(self) -> None:
        """Send what there is to send from when the connection stands, then hang up."""
        await self._call.connected.wait()
        send = asyncio.create_task(self._send())
        try:
            await asyncio.wait((send,), timeout=self._plan.seconds)
        finally:
            send.cancel()
            await asyncio.wait((send,))
            self._look()
            await self._hang_up()
        if not send.cancelled():
            send.result()

    async def _send(self) -> None:
        sender = self._call.sender
        if self._plan.play is not None:
            await sender.play(self._plan.play, self._plan.loop)
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(sender.publish(testcard.tone()))
            if "video" in self._plan.kinds:
                both.create_task(sender.publish(testcard.card()))

    async def _record(self) -> None:
        if self._recording is None:
            return
        async with self._recording as file:
            async for frame in self._call.frames():
                file.write(frame)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._look()

    def _look(self) -> None:
        measured = measure(self._call)
        if measured.flows:
            self._last = measured
        self._progress.show(self._last)

    async def _until_told(self) -> None:
        await self._stop.wait()
        self._look()
        await self._hang_up()

    async def _hang_up(self) -> None:
        async with asyncio.timeout(GOODBYE):
            await self._call.hang_up()
