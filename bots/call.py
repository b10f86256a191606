"""One call of a bot: its signals, its media, and the coroutine that is the bot's own part.

Two tasks share a call: the line (this module) reads what the exchange and the connection say,
the handler does what the bot is there for. Whichever ends first ends the other, and everything
the call owns is freed, however the end comes about. The caller offers, we answer; we never
offer, so there is no glare in media.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Literal

from ringback.server import protocol
from ringback.server.protocol import ErrorCode, Part, ProtocolError

from .client import Client, Lost
from .host import Host
from .media.plane import Plane, PlaneFactory
from .peer import BadOffer, Change, Peer

MAX_WAITING = 256
TRIES = 3
REPORT_AFTER = 2.0
TIDY = 10.0
"""Seconds a handler has for tidying up after it was cancelled."""

logger = logging.getLogger(__name__)

Signal = (
    protocol.RelayedDescription
    | protocol.RelayedCandidate
    | protocol.RelayedMedia
    | protocol.Ended
    | protocol.Elsewhere
)
"""What the exchange says of one call once it has rung."""
Handler = Callable[["BotCall"], Awaitable[None]]


def signal_of(event: protocol.ServerMessage) -> Signal | None:
    """What the exchange says, if it is about one call that has rung; `call` names it."""
    return event if isinstance(event, Signal) else None


class _PickUp(asyncio.Event):
    """The handler wants the call answered; set once it is."""


class BotCall:
    """A call that rings, until it is over.

    `handle` gets it: `await call.answer()` picks up, returning hangs up (or declines, if it
    never answered), being cancelled means that the other side has gone. What it raises ends
    the call as `failed` and is logged; the next call is none the worse for it.

    `ring` is what the exchange said of it, `peer` its connection, `media` what the caller
    sends now; `on_media` is called when that changes, `on_renegotiated` after a later offer,
    `on_change` with what becomes of the connection.
    `leaving`: its service hangs up, whatever the two have still to say.
    `plane` makes what gets the packets, `on_plane` is called with each one before any packet
    reaches it: set it before answering.
    """

    def __init__(
        self,
        client: Client,
        ring: protocol.Ring,
        handle: Handler,
        *,
        ice_servers: Sequence[protocol.IceServer],
        host: Host,
        plane: PlaneFactory,
        on_end: Callable[[BotCall], None],
    ) -> None:
        self.id = ring.call
        self.ring = ring
        self.media = ring.media
        self.leaving = False
        self.on_media: Callable[[protocol.Media], None] | None = None
        self.on_renegotiated: Callable[[], None] | None = None
        self.on_plane: Callable[[Plane], None] | None = None
        self.on_change: Callable[[Change], None] | None = None
        self.peer = Peer(
            ice_servers, host.certificate, self._put,
            hub=host.hub, plane=plane, on_plane=self._new_plane,
        )  # fmt: skip
        self._client = client
        self._handler = asyncio.ensure_future(handle(self))
        self._on_end = on_end
        self._inbox: asyncio.Queue[Signal | Change | _PickUp] = asyncio.Queue(MAX_WAITING)
        self._state: Change | None = None
        self._connected = asyncio.Event()
        self._answered = False
        self._declined = False
        self._report: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run(), name=f"call {self.id}")
        # Not at the end of `_run`: a task that is cancelled at once never begins.
        self.task.add_done_callback(self._done)

    # --- what a handler does

    async def answer(self) -> None:
        """Pick up. Returns once the answer is with the exchange; the media then connects."""
        picked_up = _PickUp()
        self._put(picked_up)
        await picked_up.wait()

    async def connected(self) -> None:
        """Wait until media can flow both ways; the call must have been answered."""
        await self._connected.wait()

    async def over(self) -> None:
        """Wait until the call is over, which cancels the handler here."""
        await asyncio.Event().wait()

    async def decline(self, reason: Literal["declined", "busy"] = "declined") -> None:
        """Refuse a call that is not answered yet; one that is over already needs nothing."""
        self._declined = True
        try:
            await self.ask(protocol.Decline(call=self.id, reason=reason))
        except ProtocolError as error:
            if error.code is not ErrorCode.NO_SUCH_CALL:
                raise

    async def ask(self, message: protocol.Request) -> protocol.ServerMessage | None:
        """Say something that must arrive; when the socket drops meanwhile it is said again.

        The reply; None when it had arrived the first time and only its reply was lost. Raises
        `ProtocolError`, `Lost`, `TimeoutError`.
        """
        lost = False
        for left in reversed(range(TRIES)):
            try:
                return await self._client.request(message)
            except Lost:
                if not left:
                    raise
                lost = True
            except ProtocolError as error:
                if error.code is ErrorCode.WRONG_STATE and lost:
                    return None
                raise
        raise AssertionError("the last try returns or raises")

    def tell(self, message: protocol.Request) -> None:
        """Say something that may be lost with the session."""
        with suppress(Lost):
            self._client.tell(message)

    # --- what its service does

    def hang_up(self) -> None:
        """End the call from our side; its handler is cancelled and may tidy up."""
        self.leaving = True
        self._handler.cancel()

    def signal(self, signal: Signal) -> None:
        """Something was said about this call."""
        self._put(signal)

    def tell_state(self) -> None:
        """Say again how far the connection is, as the exchange may have missed it."""
        if self._state is not None and self._state.state not in ("failed", "closed"):
            state, part = self._state
            self.tell(protocol.Progress(call=self.id, state=state, part=part))  # type: ignore[arg-type]

    def _new_plane(self, plane: Plane) -> None:
        if self.on_plane is not None:
            self.on_plane(plane)

    def _put(self, item: Signal | Change | _PickUp) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            # Nobody sends this much in good faith; nothing of it is worth keeping.
            logger.warning("Call %s: too much was sent at once.", self.id)
            self.tell(protocol.Hangup(call=self.id, reason="failed", part="signalling"))
            self.task.cancel()

    # --- from ring to end

    async def _run(self) -> None:
        handler = self._handler
        line = asyncio.create_task(self._line(), name=f"line {self.id}")
        try:
            await asyncio.wait((handler, line), return_when=asyncio.FIRST_COMPLETED)
            await _end(line)
            if handler.done():
                await self._after(handler)
        except (Lost, TimeoutError, ProtocolError) as error:
            logger.info("Call %s ends: %s", self.id, error)
        except Exception:
            logger.exception("Call %s ends by a fault of ours.", self.id)
            self.tell(protocol.Hangup(call=self.id, reason="failed", part="media"))
        finally:
            if self._report is not None:
                self._report.cancel()
            try:
                await self._tidy(handler, line)
            finally:
                await self.peer.close()

    def _done(self, _: asyncio.Task[None]) -> None:
        self._handler.cancel()
        self._on_end(self)

    async def _after(self, handler: asyncio.Future[None]) -> None:
        """The handler has ended by itself: so does the call."""
        error = None if handler.cancelled() else handler.exception()
        if isinstance(error, Lost):
            raise error
        if error is not None:
            logger.error("Call %s: its bot failed.", self.id, exc_info=error)
            await self._hang_up("failed", "media", "its bot failed")
        elif self._answered:
            await self._hang_up("hangup", None, "its bot is done")
        elif not self._declined:
            await self.decline()

    async def _tidy(self, handler: asyncio.Future[None], line: asyncio.Task[None]) -> None:
        """See both tasks to their end; a handler that does not end is left to itself."""
        running = [task for task in (handler, line) if not task.done()]
        for task in running:
            task.cancel()
        if not running:
            return
        _, stuck = await asyncio.wait(running, timeout=TIDY)
        if stuck:
            logger.error("Call %s: its bot does not end.", self.id)
        elif handler in running and not handler.cancelled() and (error := handler.exception()):
            logger.error("Call %s: its bot failed at the end.", self.id, exc_info=error)

    async def _line(self) -> None:
        """Answer when the handler wants to, then react to what comes, until the end."""
        early: list[Signal | Change] = []
        while True:
            match item := await self._inbox.get():
                case _PickUp():
                    break
                case protocol.Ended() | protocol.Elsewhere():
                    return
                case _:
                    early.append(item)
        if not await self._pick_up(item):
            return
        for kept in early:
            await self._react(kept)
        while await self._react(await self._inbox.get()):
            pass

    async def _pick_up(self, wish: _PickUp) -> bool:
        """Answer the offer; whether the call goes on."""
        try:
            answer = await self.peer.answer(self.ring.description.sdp)
        except BadOffer as error:
            await self._hang_up("failed", error.part, str(error))
            return False
        description = protocol.Description(type="answer", sdp=answer)
        await self.ask(protocol.Answer(call=self.id, description=description))
        self._answered = True
        wish.set()
        return True

    async def _react(self, item: Signal | Change | _PickUp) -> bool:
        """React to one thing; whether the call goes on."""
        match item:
            case Change(state="failed", part=part):
                await self._hang_up("failed", part or "media", "the connection failed")
                return False
            case Change(state="closed"):
                await self._hang_up("hangup", None, "the caller closed the connection")
                return False
            case Change():
                self._changed(item)
            case protocol.RelayedDescription(description=description):
                return await self._renegotiate(description)
            case protocol.RelayedCandidate(candidate=candidate):
                try:
                    await self.peer.add_candidate(candidate)
                except BadOffer as error:
                    logger.info("Call %s: a candidate was passed over: %s", self.id, error)
            case protocol.RelayedMedia(media=media):
                self.media = media
                if self.on_media is not None:
                    self.on_media(media)
            case protocol.Ended() | protocol.Elsewhere():
                return False
            case _PickUp():
                item.set()
        return True

    def _changed(self, change: Change) -> None:
        self._state = change
        if self.on_change is not None:
            self.on_change(change)
        self.tell_state()
        if change.state == "connected" and self._report is None:
            self._connected.set()
            loop = asyncio.get_running_loop()
            # When the caller hangs up the record is closed: what is known goes in early.
            self._report = loop.call_later(REPORT_AFTER, self._tell_report)

    async def _renegotiate(self, description: protocol.Description) -> bool:
        if description.type != "offer":
            return True
        try:
            answer = await self.peer.answer(description.sdp)
        except BadOffer as error:
            await self._hang_up("failed", error.part, str(error))
            return False
        description = protocol.Description(type="answer", sdp=answer)
        await self.ask(protocol.SendDescription(call=self.id, description=description))
        if self.on_renegotiated is not None:
            self.on_renegotiated()
        return True

    async def _hang_up(
        self, reason: Literal["hangup", "failed"], part: Part | None, why: str
    ) -> None:
        logger.info("Call %s: hanging up (%s): %s", self.id, reason, why)
        self._tell_report()
        try:
            await self.ask(protocol.Hangup(call=self.id, reason=reason, part=part))
        except ProtocolError as error:
            if error.code is not ErrorCode.NO_SUCH_CALL:
                raise

    def _tell_report(self) -> None:
        if self._state is not None:
            self.tell(self.peer.report(self.id))


async def _end(line: asyncio.Task[None]) -> None:
    """End the line; raises what ended it, if something did."""
    line.cancel()
    await asyncio.wait((line,))
    if not line.cancelled():
        line.result()
