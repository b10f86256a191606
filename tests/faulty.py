"""Bots, peers and servers that do one thing wrong, and what they are without it.

A bot sends back what comes. `Parrot` does so frame by frame, as it is; `Gateway` decodes pictures
and codes them anew, as what stands between two codecs does. Each faulty one is one of these with
one thing changed: where, chance decides, by a seed.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp import web
from av import VideoFrame

from ringback import bots
from ringback.bots.call import BotCall
from ringback.bots.calltest.camera import Camera
from ringback.bots.calltest.marked import Find, MarkedPictures
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.scene import Luma, Scene
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.talk import Talk
from ringback.bots.media.decoding import PictureDecoder
from ringback.bots.media.encoding import PictureEncoder
from ringback.bots.media.frames import Frame
from ringback.bots.media.outgoing import Outgoing

SILENCE = b"\xf8\xff\xfe"
"""20 ms of digital silence in Opus (RFC 6716)."""
STRANGER = 0x777
LATE = 0.2


# --- bots that send back what comes -----------------------------------------------------------


class Parrot:
    """Sends back what comes, as it is. `thresholds`: what is asked of it otherwise than of all."""

    thresholds: Sequence[str] = ()

    def __init__(self, seed: int = 1) -> None:
        self.first = random.Random(seed).randrange(2, 5)
        """Which picture is the first that something is wrong with."""

    def turn(self, number: int, every: int) -> bool:
        """Whether it is the turn of this picture, where one in so many is to be wrong."""
        return number % every == self.first

    async def handle(self, call: bots.Call) -> None:
        """One call."""
        async for frame in call.frames():
            for made in await self.answer(call, frame):
                call.send(made)

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        """What goes back for a frame that came."""
        return [frame]


class Silent(Parrot):
    """Its microphone is silent."""

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        return [frame._replace(data=SILENCE) if frame.kind == "audio" else frame]


class LateSound(Parrot):
    """Holds sound back for 200 ms."""

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        if frame.kind == "video":
            return [frame]
        asyncio.get_running_loop().call_later(LATE, call.send, frame)
        return []


class NoKeyframes(Parrot):
    """Never sends a keyframe, however often it is asked for one."""

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        return [] if frame.kind == "video" and frame.keyframe else [frame]


class Truncating(Parrot):
    """Cuts off the end of one picture in six."""

    number = 0

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        if frame.kind == "audio" or frame.keyframe:
            return [frame]
        self.number += 1
        if not self.turn(self.number, 6):
            return [frame]
        # Those that follow build on it, until the next keyframe.
        call.video.ask_keyframe()
        return [frame._replace(data=frame.data[: len(frame.data) // 2])]


class Leaving(Parrot):
    """Hangs up after the first pictures."""

    async def handle(self, call: bots.Call) -> None:
        left = 2 * self.first
        async for frame in call.frames():
            call.send(frame)
            left -= frame.kind == "video"
            if not left:
                return


class Gateway(Parrot):
    """Sends back the pictures that come, coded anew, which takes its time; sound does not wait."""

    thresholds = ("skew.median > 9s",)

    async def handle(self, call: bots.Call) -> None:
        self.number = 0
        self._decoder, self._encoder = PictureDecoder(), PictureEncoder("VP8", 600_000)
        await super().handle(call)

    async def answer(self, call: bots.Call, frame: Frame) -> Sequence[Frame]:
        if frame.kind == "audio":
            return [frame]
        return await asyncio.to_thread(self._anew, frame)

    def _anew(self, frame: Frame) -> list[Frame]:
        made: list[Frame] = []
        for _, picture in self._decoder.decode([frame]):
            for shown in self.show(picture):
                ticks = frame.timestamp + len(made)
                coded = self._encoder.encode(shown, ticks, frame.keyframe and not made)
                if coded is not None:
                    made.append(
                        frame._replace(data=coded.data, timestamp=ticks, keyframe=coded.keyframe)
                    )
            self.number += 1
        return made

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        """What is shown of a picture that came, the `number`th of the call."""
        return [picture]


class Frozen(Gateway):
    """Shows the same picture for ever, after the first ones."""

    still: VideoFrame | None = None

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        if self.number == self.first:
            self.still = picture
        return [self.still or picture]


class WrongPerson(Gateway):
    """Shows somebody else."""

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        scene = Scene(STRANGER, picture.width, picture.height)
        painted = scene.picture(Mark(STRANGER, self.number, 66 * self.number))
        return [VideoFrame.from_ndarray(painted, "yuv420p")]


class OneInAHundred(Gateway):
    """Leaves out one picture in a hundred."""

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        return [] if self.turn(self.number, 100) else [picture]


class Reordered(Gateway):
    """Shows one picture in six after the one that follows it."""

    _held: VideoFrame | None = None

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        if self._held is not None:
            held, self._held = self._held, None
            return [picture, held]
        if self.turn(self.number, 6):
            self._held = picture
            return []
        return [picture]


class Stale(Gateway):
    """In its second call shows pictures of its first among the others."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.calls = 0
        self._old: list[VideoFrame] = []

    async def handle(self, call: bots.Call) -> None:
        self.calls += 1
        await super().handle(call)

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        if self.calls == 1:
            self._old.append(picture)
        elif self._old and self.turn(self.number, 6):
            return [self._old.pop(), picture]
        return [picture]


class HalfSize(Gateway):
    """Shows pictures at half their width and height."""

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        return [picture.reformat(picture.width // 2, picture.height // 2)]


class EchoesItself(Gateway):
    """Sees what it sends itself, and sends that again, once."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self._round: deque[VideoFrame] = deque()

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        self._round.append(picture)
        return [picture, self._round.popleft()] if len(self._round) > 3 else [picture]


class Duplicating(Gateway):
    """Shows one picture in six twice."""

    def show(self, picture: VideoFrame) -> Sequence[VideoFrame]:
        return [picture, picture] if self.turn(self.number, 6) else [picture]


# --- peers of a call between two ----------------------------------------------------------------


class Swapped(Side):
    """Sends the pictures that belong in the other's track."""

    def expect(self, stream: int, **more: Any) -> Talk:
        talk = super().expect(stream, **more)
        talk.pictures = _pictures(self, talk, Scene(stream, *self.options.size))
        return talk


class _ClockSet(Scene):
    """Pictures by a clock that is set five seconds on, after the first ones."""

    def draw(self, made: Luma, mark: Mark) -> None:
        late = 5000 if mark.sequence >= 12 else 0
        super().draw(made, Mark(mark.stream, mark.sequence, (mark.stamp + late) & 0xFFFF))


class ClockJump(Side):
    """Its clock is set during the call."""

    def expect(self, stream: int, **more: Any) -> Talk:
        talk = super().expect(stream, **more)
        talk.pictures = _pictures(self, talk, _ClockSet(self.stream, *self.options.size))
        return talk


def _pictures(side: Side, talk: Talk, scene: Scene) -> MarkedPictures:
    camera = Camera(scene, side.options, side._pool)
    return MarkedPictures(camera, side.options.codec, talk.book.sent)


class _Hole:
    """A track that takes everything, and nothing of it leaves."""

    def __init__(self, track: Outgoing) -> None:
        self.codec = track.codec
        self.on_keyframe_request: Callable[[], None] | None = None

    def select(self, codec: str) -> None:
        """As a track does."""

    def send(self, data: bytes, ticks: int, *, keyframe: bool = False) -> bool:
        """Say that it is on its way."""
        return True


async def _unsent(run: Callable[..., Awaitable[None]], find: Find, *when: float) -> None:
    def hole() -> Outgoing | None:
        track = find()
        return cast(Outgoing, _Hole(track)) if track is not None else None

    await run(hole, *when)


class OneWaySound(Side):
    """Its sound never leaves."""

    def expect(self, stream: int, **more: Any) -> Talk:
        talk = super().expect(stream, **more)
        talk.sounds.run = partial(_unsent, talk.sounds.run)  # type: ignore[method-assign]
        return talk


class Dead(OneWaySound):
    """Nothing of it leaves."""

    def expect(self, stream: int, **more: Any) -> Talk:
        talk = super().expect(stream, **more)
        talk.pictures.run = partial(_unsent, talk.pictures.run)  # type: ignore[method-assign]
        return talk


# --- a server ----------------------------------------------------------------------------------


@asynccontextmanager
async def front(url: str, *, relays: bool = True) -> AsyncIterator[str]:
    """A server before the exchange at `url`; its own address. One that does not relay answers
    every request with `ok`, and passes on nothing but the hello."""

    async def socket(request: web.Request) -> web.WebSocketResponse:
        near = web.WebSocketResponse()
        await near.prepare(request)
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/ws") as far:
            back = asyncio.create_task(_pass(far, near.send_str))
            async for message in near:
                said: dict[str, Any] = msgspec.json.decode(message.data)
                if relays or said["type"] == "hello":
                    await far.send_str(message.data)
                elif said.get("id") is not None:
                    await near.send_json({"type": "ok", "re": said["id"]})
            back.cancel()
            await asyncio.wait((back,))
        return near

    app = web.Application()
    app.router.add_get("/ws", socket)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def _pass(far: aiohttp.ClientWebSocketResponse, on: Callable[[str], Awaitable[None]]) -> None:
    async for message in far:
        await on(message.data)


# --- a bot that takes one codec of pictures only ------------------------------------------------


async def knows_vp8_only(call: BotCall) -> None:
    """An echo that rejects pictures in any other codec, as RFC 3264, section 6, has it."""
    answer = call.peer.answer

    async def rejecting(sdp: str) -> str:
        if "VP8/90000" in sdp:
            return await answer(sdp)
        first, *sections = re.split(r"(?m)^(?=m=)", sdp)
        [pictures] = [s for s in sections if s.startswith("m=video")]
        mid = re.search(r"a=mid:(\S+)", pictures)
        assert mid is not None
        assert sections[-1] is pictures
        offered = "".join([first.replace(f" {mid[1]}\r", "\r"), *sections[:-1]])
        rejected = ("m=video 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", f"a=mid:{mid[1]}")
        return await answer(offered) + "".join(f"{line}\r\n" for line in rejected)

    call.peer.answer = rejecting  # type: ignore[method-assign]
    await call.answer()
    await call.over()
