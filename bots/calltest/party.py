"""The signalling of one side of a call test: who calls, and who answers.

Both stand on what bots stand on. What they have in common is `Party`: `connect` returns once
media can flow, `over` is set when the call has ended, whoever ended it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ringback.bots.call import BotCall, signal_of
from ringback.bots.client import Client, Lost
from ringback.bots.dial import Detour, Dialled
from ringback.bots.host import Host
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.plane import Plane
from ringback.bots.peer import Change, Peer
from ringback.bots.values import Kind
from ringback.server import protocol
from ringback.server.protocol import ProtocolError

from .observed import Ending
from .options import NoCall
from .talk import Note

CONNECT = 20.0
"""Seconds from the answer until media can flow: the exchange itself gives up after 15."""
GOODBYE = 5.0


@dataclass(frozen=True, slots=True)
class Line:
    """What a party stands on. `endpoint` makes the ends of its media, `on_plane` gets each
    before anything arrives there; `note` takes down its steps."""

    client: Client
    kinds: tuple[Kind, ...]
    host: Host
    endpoint: Callable[..., Endpoint]
    note: Note
    on_plane: Callable[[Endpoint], None]


class Party(ABC):
    """One side's part in one call. `descriptions` are the offer and the answer; `ended` says
    how it ended, None while it has not."""

    def __init__(self, line: Line) -> None:
        self.answered = asyncio.Event()
        self.up = asyncio.Event()
        self.over = asyncio.Event()
        self.ended: protocol.Ended | None = None
        self.descriptions: list[protocol.Description] = []
        self._line = line
        self._note = line.note
        self._task: asyncio.Task[None] | None = None
        self._part: str | None = None
        self._checked = False

    @property
    @abstractmethod
    def peer(self) -> Peer | None:
        """Its connection, once there is one."""

    @abstractmethod
    async def _run(self) -> None:
        """See the call to its end."""

    @abstractmethod
    async def _hang_up(self) -> None:
        """Say that it is to end."""

    def begin(self) -> None:
        """Begin: call, or wait to be called."""
        self._task = asyncio.create_task(self._run(), name="party")
        self._task.add_done_callback(lambda _: self.over.set())

    async def connect(self, patience: float) -> None:
        """Wait until media can flow; for the answer at most `patience` seconds. Raises
        `NoCall`."""
        if not await self._until(self.answered, patience):
            # Who was called tried to, and could not.
            failed = self.ended is not None and self.ended.reason is protocol.Reason.FAILED
            raise NoCall(
                "never connected" if failed else "never answered",
                self.why() or f"No answer came in {patience:g} s.",
            )
        if not await self._until(self.up, CONNECT):
            part = f" (it got as far as {self._part.upper()})" if self._part else ""
            words = self.why() or f"The media did not connect in {CONNECT:g} s"
            raise NoCall("never connected", f"{words.rstrip('.')}{part}.")

    async def _until(self, event: asyncio.Event, seconds: float) -> bool:
        """Whether it comes about in time, and before the call is over."""
        waits = [asyncio.create_task(e.wait()) for e in (event, self.over)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)
        return event.is_set()

    @property
    def ending(self) -> Ending:
        """How a call ended that we did not end."""
        reason = self.ended.reason if self.ended is not None else None
        return "ended early" if reason is protocol.Reason.HANGUP else "failed"

    def why(self) -> str:
        """Why it is over, in words; empty while it is not."""
        if self.ended is not None:
            return self.ended.message
        task = self._task
        if task is None or not task.done() or task.cancelled():
            return ""
        error = task.exception()
        return str(error or "The session ended.") or "The exchange did not answer."

    async def hang_up(self) -> None:
        """End the call, and wait until it has ended; an exchange that is away is not waited
        for."""
        with suppress(Lost, TimeoutError, ProtocolError):
            async with asyncio.timeout(GOODBYE):
                await self._hang_up()
                await self.over.wait()

    async def close(self) -> None:
        """Free everything. Raises what is a fault of ours."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait((self._task,))
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None and not isinstance(error, (ProtocolError, Lost, TimeoutError)):
            raise error

    def _changed(self, change: Change) -> None:
        self._note_check()
        match change:
            case Change("connecting", part):
                if part == "dtls":
                    self._note("ice")
                self._part = part
            case Change("connected"):
                if not self.up.is_set():
                    self._note("dtls")
                self.up.set()
            case Change("reconnecting"):
                self._note("restart", "nothing is heard, or the other side connects anew")
            case Change(state, part):
                self._note("log", f"media {state} {part or ''}".rstrip())

    def _note_check(self) -> None:
        """Once it is known when a first check of ours was answered, say so."""
        leg = self.peer.leg if self.peer is not None else None
        if leg is not None and leg.checked is not None and not self._checked:
            self._checked = True
            self._note("checked", "", leg.checked)


class Caller(Party):
    """Calls `to`, by a `detour` where there is one, with `servers` for the exchange's own."""

    def __init__(
        self,
        line: Line,
        to: str,
        detour: Detour | None = None,
        servers: Sequence[protocol.IceServer] | None = None,
    ) -> None:
        super().__init__(line)
        self._call = Dialled(
            line.client, to, line.kinds, host=line.host, endpoint=line.endpoint, detour=detour,
            servers=servers, on_state=self._reached, on_change=self._changed,
            on_plane=line.on_plane,
        )  # fmt: skip
        self.descriptions = self._call.descriptions

    @property
    def peer(self) -> Peer:
        """Its connection."""
        return self._call.peer

    def _reached(self, state: str) -> None:
        if state == "ringing":
            # From where the call's own times count.
            self._note("gathered", "", self._call.times.placed)
        if state in ("ringing", "answered"):
            self._note(state)
        if state == "answered":
            self.answered.set()

    async def _run(self) -> None:
        self._note("placed", f"to {self._call.to}")
        self.ended = await self._call.run()
        self._note("ended", self.ended.message)

    async def _hang_up(self) -> None:
        await self._call.hang_up()


class Callee(Party):
    """Waits for a call and answers it; other calls are left ringing."""

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self._call: BotCall | None = None

    @property
    def peer(self) -> Peer | None:
        """Its connection, once it is rung."""
        return self._call.peer if self._call is not None else None

    async def _run(self) -> None:
        try:
            async for event in self._line.client:
                self._hear(event)
                if self.ended is not None:
                    self._note("ended", self.ended.message)
                    return
            raise Lost("The session ended before the call.")
        finally:
            if self._call is not None:
                self._call.hang_up()
                await asyncio.wait((self._call.task,))

    def _hear(self, event: protocol.ServerMessage) -> None:
        if self._call is None:
            if isinstance(event, protocol.Ring):
                self._ring(event)
            return
        signal = signal_of(event)
        if signal is not None and signal.call == self._call.id:
            self._call.signal(signal)
            if isinstance(signal, protocol.Ended):
                self.ended = signal

    def _ring(self, ring: protocol.Ring) -> None:
        line, welcome = self._line, self._line.client.welcome
        self._note("ringing", f"{ring.from_} calls")
        self.descriptions.append(ring.description)
        self._call = BotCall(
            line.client, ring, self._handle, host=line.host,
            ice_servers=welcome.ice_servers if welcome is not None else [],
            plane=partial(line.endpoint, receives=line.kinds, sends=line.kinds),
            on_end=lambda call: None,
        )  # fmt: skip
        self._call.on_plane = self._take
        self._call.on_change = self._changed

    def _take(self, plane: Plane) -> None:
        assert isinstance(plane, Endpoint)
        self._note("gathered")
        self._line.on_plane(plane)

    async def _handle(self, call: BotCall) -> None:
        await call.answer()
        self._note("answered")
        self.answered.set()
        await call.over()

    async def _hang_up(self) -> None:
        if self._call is not None:
            self._call.hang_up()
