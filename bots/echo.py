"""The echo bot: repeats what it hears and sees, for as many callers at once as it is given.

One object per call owns all that belongs to the call and frees it at the end, however the
end comes about. The caller offers, we answer; we never offer, so there is no glare in media.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from ringback.server import protocol
from ringback.server.protocol import ErrorCode, Part, ProtocolError

from .client import Client, Lost
from .media.parts import Certificate
from .peer import BadOffer, Change, Peer

NAME = "echo"
ABOUT = "Repeats what it hears and sees."
MAX_CALLS = 200
MAX_WAITING = 256
TRIES = 3
REPORT_AFTER = 2.0

logger = logging.getLogger(__name__)

Signal = (
    protocol.RelayedDescription
    | protocol.RelayedCandidate
    | protocol.RelayedMedia
    | protocol.Ended
    | protocol.Elsewhere
)


class EchoCall:
    """One call: its signals, its peer, its task. `start` it; it leaves by itself."""

    def __init__(self, bot: EchoBot, ring: protocol.Ring, *, full: bool = False) -> None:
        self.id = ring.call
        self._full = full
        self.peer = Peer(bot.ice_servers, bot.certificate, self._put)
        self._bot = bot
        self._offer = ring.description.sdp
        self._inbox: asyncio.Queue[Signal | Change] = asyncio.Queue(MAX_WAITING)
        self._state: Change | None = None
        self._report: asyncio.TimerHandle | None = None
        self.task = asyncio.create_task(self._run(), name=f"echo {self.id}")

    def signal(self, signal: Signal) -> None:
        """Something was said about this call."""
        self._put(signal)

    def tell_state(self) -> None:
        """Say again how far the connection is, as the exchange may have missed it."""
        if self._state is not None and self._state.state not in ("failed", "closed"):
            state, part = self._state
            self._tell(protocol.Progress(call=self.id, state=state, part=part))  # type: ignore[arg-type]

    def _put(self, item: Signal | Change) -> None:
        try:
            self._inbox.put_nowait(item)
        except asyncio.QueueFull:
            # Nobody sends this much in good faith; nothing of it is worth keeping.
            logger.warning("Call %s: too much was sent at once.", self.id)
            self._tell(protocol.Hangup(call=self.id, reason="failed", part="signalling"))
            self.task.cancel()

    async def _run(self) -> None:
        try:
            await self._talk()
        except (Lost, TimeoutError, ProtocolError) as error:
            logger.info("Call %s ends: %s", self.id, error)
        except Exception:
            logger.exception("Call %s ends by a fault of ours.", self.id)
            self._tell(protocol.Hangup(call=self.id, reason="failed", part="media"))
        finally:
            if self._report is not None:
                self._report.cancel()
            self._bot.forget(self)
            await self.peer.close()

    async def _talk(self) -> None:
        if self._full:
            await self._ask(protocol.Decline(call=self.id, reason="busy"))
            return
        try:
            answer = await self.peer.answer(self._offer)
        except BadOffer as error:
            await self._hang_up("failed", error.part, str(error))
            return
        description = protocol.Description(type="answer", sdp=answer)
        await self._ask(protocol.Answer(call=self.id, description=description))
        self._offer = ""
        while await self._handle(await self._inbox.get()):
            pass

    async def _handle(self, item: Signal | Change) -> bool:
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
            case protocol.Ended() | protocol.Elsewhere():
                return False
        return True

    def _changed(self, change: Change) -> None:
        self._state = change
        self.tell_state()
        if change.state == "connected" and self._report is None:
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
        await self._ask(protocol.SendDescription(call=self.id, description=description))
        return True

    async def _hang_up(
        self, reason: Literal["hangup", "failed"], part: Part | None, why: str
    ) -> None:
        logger.info("Call %s: hanging up (%s): %s", self.id, reason, why)
        self._tell_report()
        try:
            await self._ask(protocol.Hangup(call=self.id, reason=reason, part=part))
        except ProtocolError as error:
            if error.code is not ErrorCode.NO_SUCH_CALL:
                raise

    async def _ask(self, message: protocol.Request) -> None:
        """Say something that must arrive; when the socket drops meanwhile it is said again."""
        lost = False
        for left in reversed(range(TRIES)):
            try:
                await self._bot.client.request(message)
                return
            except Lost:
                if not left:
                    raise
                lost = True
            except ProtocolError as error:
                # Said again after a loss: the first time arrived, only its reply did not.
                if error.code is ErrorCode.WRONG_STATE and lost:
                    return
                raise

    def _tell(self, message: protocol.Request) -> None:
        with suppress(Lost):
            self._bot.client.tell(message)

    def _tell_report(self) -> None:
        if self._state is not None:
            self._tell(self.peer.report(self.id))


class EchoBot:
    """Answers every call that comes to a client's name. `run` it until the session ends."""

    def __init__(self, client: Client, *, max_calls: int = MAX_CALLS) -> None:
        self.client = client
        self.calls: dict[str, EchoCall] = {}
        self._max_calls = max_calls
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
                self._handle(event)
        finally:
            await self.close()

    async def close(self) -> None:
        """Free every call. The exchange notices on its own that we are gone."""
        tasks = [call.task for call in self.calls.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def forget(self, call: EchoCall) -> None:
        """A call has ended."""
        self.calls.pop(call.id, None)

    def _handle(self, event: protocol.ServerMessage) -> None:
        match event:
            case protocol.Ring():
                self._ring(event)
            case (
                protocol.RelayedDescription(call=call)
                | protocol.RelayedCandidate(call=call)
                | protocol.Ended(call=call)
                | protocol.Elsewhere(call=call)
            ):
                if (known := self.calls.get(call)) is not None:
                    known.signal(event)
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
        self.calls[ring.call] = EchoCall(self, ring, full=full)
