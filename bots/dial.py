"""A call that a program places: it offers, and is told what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

from msgspec.structs import replace

from ringback.server import protocol
from ringback.server.protocol import ErrorCode, ProtocolError

from .client import Client, Lost
from .host import Host
from .media.endpoint import Endpoint
from .media.incoming import Incoming
from .media.network import PRIVATE, Network
from .media.plane import Plane
from .peer import BadOffer, Change, Peer
from .sender import Sender
from .track import Frames, Track, both
from .values import Kind

State = Literal["calling", "ringing", "answered", "connected", "ended"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Times:
    """When a call got how far, in seconds since it was placed."""

    placed: float = field(default_factory=time.monotonic)
    reached: dict[State, float] = field(default_factory=dict)

    def reach(self, state: State) -> None:
        """Take note, the first time."""
        self.reached.setdefault(state, time.monotonic() - self.placed)


class Detour(Protocol):
    """A way round for a call's media, such as a bad network that is made up."""

    def offered(self, sdp: str) -> str:
        """Our offer as the other side is to read it."""

    def answered(self, sdp: str) -> str:
        """Their answer as we are to read it."""

    def candidate(self, text: str) -> str | None:
        """The same of a candidate of theirs that comes later; None where it is of no use."""


class Dialled:
    """One call from us to somebody: `run` it, which returns when it is over.

    `on_state` is called with each state, `on_change` with what becomes of the connection,
    `on_plane` with the end of its media (made by `endpoint`) before any arrives. `audio` and
    `video` are what the other side sends, `sender` what they get. `ended` says at last how it
    ended, None while it has not. `descriptions` are the offer and the answer as they were
    exchanged. `servers` are used instead of the exchange's own.
    """

    def __init__(
        self,
        client: Client,
        to: str,
        kinds: Sequence[Kind],
        *,
        host: Host | None = None,
        endpoint: Callable[..., Endpoint] = Endpoint,
        detour: Detour | None = None,
        servers: Sequence[protocol.IceServer] | None = None,
        on_state: Callable[[State], None] | None = None,
        on_change: Callable[[Change], None] | None = None,
        on_plane: Callable[[Endpoint], None] | None = None,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.to = to
        self.kinds = tuple(kinds)
        self.times = Times()
        self.state: State = "calling"
        self.ended: protocol.Ended | None = None
        self.media = protocol.Media(audio=True, video=True)
        self.connected = asyncio.Event()
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, "media")
        self.audio = Track("audio", self._pool, self._ask_keyframe)
        self.video = Track("video", self._pool, self._ask_keyframe)
        self.sender = Sender(self._pool, self._ask_keyframe)
        self._client = client
        # Where both are in one private network, somebody has to send first: who calls.
        self._host = host or Host(Network(allow=PRIVATE))
        self.descriptions: list[protocol.Description] = []
        self._detour = detour
        self._on_state = on_state
        self._on_change = on_change
        self._on_plane = on_plane
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._early: list[protocol.Candidate | None] = []
        if servers is None:
            servers = client.welcome.ice_servers if client.welcome is not None else []
        self._peer = Peer(
            servers,
            self._host.certificate,
            self._changes.put_nowait,
            hub=self._host.hub,
            plane=partial(endpoint, receives=self.kinds, sends=self.kinds),
            on_plane=self._take_plane,
        )

    @property
    def plane(self) -> Endpoint | None:
        """The end of its media, once there is one."""
        return self._peer.plane if isinstance(self._peer.plane, Endpoint) else None

    def frames(self) -> Frames:
        """Coded sound and pictures from now on, both in one iterator."""
        return both(self.audio, self.video)

    @property
    def peer(self) -> Peer:
        """The connection."""
        return self._peer

    @property
    def pair(self) -> str | None:
        """The kinds of the candidates in use."""
        return self._peer.leg.pair if self._peer.leg is not None else None

    async def run(self) -> protocol.Ended:
        """Place the call and see it to its end.

        Raises `ProtocolError` when the exchange refuses it, and what ends the session.
        """
        changes = asyncio.create_task(self._follow(), name="changes")
        try:
            sdp = await self._peer.offer(self.kinds)
            media = protocol.Media(audio="audio" in self.kinds, video="video" in self.kinds)
            sdp = self._detour.offered(sdp) if self._detour is not None else sdp
            description = protocol.Description(type="offer", sdp=sdp)
            self.descriptions.append(description)
            self.times = Times()
            await self._client.request(
                protocol.Call(call=self.id, to=self.to, media=media, description=description)
            )
            async for event in self._client:
                await self._hear(event)
                if self.ended is not None:
                    return self.ended
            raise Lost("The session ended before the call.")
        finally:
            changes.cancel()
            await asyncio.wait((changes,))
            self.audio.end()
            self.video.end()
            await self.sender.close()
            await self._peer.close()
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def hang_up(
        self, reason: Literal["hangup", "failed"] = "hangup", part: protocol.Part | None = None
    ) -> None:
        """End the call; `run` then returns."""
        with suppress(Lost):
            self._client.tell(self._peer.report(self.id))
        try:
            await self._client.request(protocol.Hangup(call=self.id, reason=reason, part=part))
        except ProtocolError as error:
            if error.code is not ErrorCode.NO_SUCH_CALL:
                raise

    def _reach(self, state: State) -> None:
        self.state = state
        self.times.reach(state)
        if self._on_state is not None:
            self._on_state(state)

    async def _hear(self, event: protocol.ServerMessage) -> None:
        match event:
            case protocol.Ringing(call=self.id):
                self._reach("ringing")
            case protocol.Answered(call=self.id, description=description):
                self._reach("answered")
                self.descriptions.append(description)
                await self._accept(description.sdp)
                for candidate in self._early:
                    await self._try(candidate)
            case protocol.RelayedDescription(call=self.id, description=description):
                if description.type == "offer":
                    await self._renegotiate(description.sdp)
            case protocol.RelayedCandidate(call=self.id, candidate=candidate):
                if self.state in ("calling", "ringing"):
                    # After their answer, from which a detour learns who they are.
                    self._early.append(candidate)
                else:
                    await self._try(candidate)
            case protocol.RelayedMedia(call=self.id, media=media):
                self.media = media
            case protocol.Ended(call=self.id):
                self.ended = event
                self._reach("ended")

    async def _accept(self, sdp: str) -> None:
        try:
            await self._peer.accept(self._detour.answered(sdp) if self._detour else sdp)
        except BadOffer as error:
            logger.warning("The answer cannot be used: %s", error)
            await self.hang_up("failed", error.part)

    async def _renegotiate(self, sdp: str) -> None:
        try:
            answer = await self._peer.answer(sdp)
        except BadOffer as error:
            logger.warning("The other side's new offer cannot be used: %s", error)
            await self.hang_up("failed", error.part)
            return
        description = protocol.Description(type="answer", sdp=answer)
        await self._client.request(protocol.SendDescription(call=self.id, description=description))

    async def _try(self, candidate: protocol.Candidate | None) -> None:
        if self._detour is not None and candidate is not None and candidate.candidate:
            text = self._detour.candidate(candidate.candidate)
            if text is None:
                return
            candidate = replace(candidate, candidate=text)
        try:
            await self._peer.add_candidate(candidate)
        except BadOffer as error:
            logger.info("A candidate was passed over: %s", error)

    async def _follow(self) -> None:
        """Tell the exchange how far the connection is, which its clocks depend on."""
        while True:
            change = await self._changes.get()
            if self._on_change is not None:
                self._on_change(change)
            if change.state == "failed":
                await self.hang_up("failed", change.part or "media")
            elif change.state == "closed":
                await self.hang_up()
            else:
                with suppress(Lost):
                    self._client.tell(
                        protocol.Progress(call=self.id, state=change.state, part=change.part)
                    )
            if change.state == "connected" and not self.connected.is_set():
                self.connected.set()
                self._reach("connected")

    def _take_plane(self, plane: Plane) -> None:
        assert isinstance(plane, Endpoint)
        plane.on_incoming = self._take_track
        for track in plane.incoming.values():
            self._take_track(track)
        self.sender.use(plane)
        if self._on_plane is not None:
            self._on_plane(plane)

    def _take_track(self, incoming: Incoming) -> None:
        incoming.on_frame = self.audio.take if incoming.kind == "audio" else self.video.take

    def _ask_keyframe(self) -> None:
        for track in self.plane.incoming.values() if self.plane is not None else ():
            track.ask_keyframe()
