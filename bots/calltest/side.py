"""One side of a call test: a session with an exchange, and one call that it can judge.

async with Side(url, "ann") as ann, Side(url, "bob") as bob:
    async with verified(ann, bob) as call:          # see `verified`
        await call.proved(within=2)
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiortc import RTCRtpCodecParameters

from ringback.bots import process
from ringback.bots.client import Client, Lost
from ringback.bots.dial import Detour
from ringback.bots.host import Host
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.network import PRIVATE, Network
from ringback.bots.values import Kind
from ringback.server.protocol import ErrorCode, IceServer, ProtocolError

from . import speech
from .camera import Camera
from .chirps import WORDS
from .observed import Step
from .options import SOUND, CannotCheck, Options
from .party import Callee, Caller, Line, Party
from .talk import Talk

BIAS: dict[Kind, float] = {"audio": 0.0065, "video": 0.0}
"""Seconds that this receiver adds: Opus looks 6.5 ms ahead (RFC 7845, section 5.1); a picture is
handed on with its last packet."""


class Picky(Endpoint):
    """An endpoint that knows two codecs only, `SOUND` and one for pictures: what else would be
    sent nobody asked for."""

    picture = "VP8"

    def takes(self, codec: RTCRtpCodecParameters) -> bool:
        """As an endpoint, of the two."""
        wanted = {SOUND.lower(), self.picture.lower()}
        return codec.name.lower() in wanted and super().takes(codec)


class PickyH264(Picky):
    """The same with H.264."""

    picture = "H264"


class Side:
    """A person (or with a `token` a bot) at the exchange `url`, for one call.

    Enter it; it then has a session, and `name` is its name. `stream`: the identity in its
    marks, 1 to 4095, made up where it is None. A `pool` of worker threads may be shared by many
    sides, and so may a `camera`: then `stream` is that of its sounds alone, and `shown` that of
    the camera's pictures. `steps` is what happened at it, `bias` what its receiver adds to
    latencies. Entering raises `CannotCheck`.
    """

    def __init__(
        self,
        url: str,
        name: str | None = None,
        *,
        options: Options | None = None,
        stream: int | None = None,
        token: str | None = None,
        ca: Path | None = None,
        pool: Executor | None = None,
        camera: Camera | None = None,
    ) -> None:
        self.options = options or Options()
        self.stream = stream or _made_up()
        self._made_up = stream is None
        self.steps: list[Step] = []
        self.bias = BIAS
        self.party: Party | None = None
        self.talk: Talk | None = None
        self.on_step: Callable[[Step], None] | None = None
        self.on_news: Callable[[], None] | None = None
        self._name = name or ""
        self._url = url
        self._client = Client(process.socket_url(url), name=name, token=token, ca=ca)
        # Never shared: two ends of one call at one socket could not be told apart.
        self._host = Host(Network(allow=PRIVATE, relay_only=self.options.relay_only))
        self._own = ThreadPoolExecutor(min(2, os.cpu_count() or 1), "calltest")
        self._pool = pool or self._own
        self._camera = camera

    async def __aenter__(self) -> Self:
        if self.options.speech:
            await speech.ready()
        try:
            await self._client.open()
        except ProtocolError as error:
            taken = error.code in (ErrorCode.NAME_TAKEN, ErrorCode.NAME_RESERVED)
            raise CannotCheck("name_taken" if taken else "refused", str(error)) from error
        except (OSError, aiohttp.ClientError, TimeoutError, Lost) as error:
            why = str(error) or type(error).__name__
            raise CannotCheck("unreachable", f"{self._url} cannot be reached: {why}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up if it is still in a call, and free everything."""
        try:
            if self.talk is not None:
                await self.talk.stop()
        finally:
            try:
                if self.party is not None:
                    await self.party.close()
            finally:
                await self._client.close()
                self._own.shutdown(wait=False, cancel_futures=True)

    @property
    def url(self) -> str:
        """The address of its exchange."""
        return self._url

    @property
    def name(self) -> str:
        """What the exchange calls it."""
        return self._client.name or self._name

    @property
    def shown(self) -> int:
        """The identity in its pictures."""
        return self._camera.stream if self._camera is not None else self.stream

    @property
    def servers(self) -> Sequence[IceServer]:
        """The STUN and TURN servers that its exchange names."""
        return self._client.welcome.ice_servers if self._client.welcome is not None else ()

    @property
    def route(self) -> str | None:
        """The two candidates in use, in words."""
        peer = self.party.peer if self.party is not None else None
        return peer.leg.route if peer is not None and peer.leg is not None else None

    @property
    def restarts(self) -> int:
        """How often its connection was made anew."""
        peer = self.party.peer if self.party is not None else None
        return peer.report("").restarts if peer is not None else 0

    def differ(self, stream: int) -> None:
        """Be another stream than one whose sounds could be taken for ours, which are told apart
        modulo `WORDS`; where ours was given it stays."""
        while self._made_up and self.stream % WORDS == stream % WORDS:
            self.stream = _made_up()

    def expect(self, stream: int, *, stamped: bool = True, voice: int | None = None) -> Talk:
        """Prepare for pictures and sounds of this stream, whose stamps may say nothing; `voice` is
        that of the sounds where it is another."""
        self.talk = Talk(
            self.options, self.stream, stream, self._pool, self.note, self._news,
            stamped=stamped, voice=voice, camera=self._camera,
        )  # fmt: skip
        return self.talk

    def call(
        self, to: str, detour: Detour | None = None, servers: Sequence[IceServer] | None = None
    ) -> Party:
        """Call somebody, with `servers` instead of those of the exchange; `connect` of what it
        returns waits for them."""
        self.party = Caller(self._line(), to, detour, servers)
        self.party.begin()
        return self.party

    def listen(self) -> Party:
        """Answer the next call; `connect` of what it returns waits for it."""
        self.party = Callee(self._line())
        self.party.begin()
        return self.party

    def note(self, name: str, detail: str = "", at: float | None = None) -> None:
        """Take down a step, which happens now where `at` (monotonic seconds) is None."""
        step = Step(time.monotonic() if at is None else at, self.name, name, detail)
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(step)

    def _line(self) -> Line:
        if self.party is not None:
            raise RuntimeError("a side is for one call")
        talk = self.talk or self.expect(self.shown, voice=self.stream)
        endpoint = PickyH264 if self.options.codec == "H264" else Picky
        return Line(self._client, self.options.kinds, self._host, endpoint, self.note, talk.use)

    def _news(self) -> None:
        if self.on_news is not None:
            self.on_news()


def _made_up() -> int:
    return 1 + secrets.randbelow(4095)
