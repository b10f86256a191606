"""Pictures that aiortc's encoders never send, recorded as they come: VP9, and other sizes in
mid-call, as when somebody turns their telephone or shows a screen."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial

import av
import pytest

from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Kind
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.parts import Certificate
from ringback.bots.media.payload import Codec
from ringback.bots.peer import Change, Peer
from ringback.server import protocol as p
from ringback.server.recording import VERSION
from tests.callers import PATIENCE, needs_address
from tests.coded import video_encoder
from tests.lines import Phone
from tests.marked import RATE, picture, play
from tests.test_recorder import NewStudio, Studio, studio

__all__ = ["NewStudio", "studio"]
pytestmark = needs_address
PICTURES = 15
Size = tuple[int, int]


class Camera:
    """A peer with an endpoint, which sends numbered pictures in a codec of the test's choice."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.sent = 0
        self._wanted = True
        self._connected = asyncio.Event()
        self._track: Outgoing | None = None
        kinds: tuple[Kind, ...] = ("video",)
        plane = partial(Endpoint, receives=(), sends=kinds, on_outgoing=self._give)
        self.peer = Peer([], Certificate.generateCertificate(), self._changed, plane=plane)

    def _give(self, track: Outgoing) -> None:
        self._track = track
        track.on_keyframe_request = self._want

    def _want(self) -> None:
        self._wanted = True

    def _changed(self, change: Change) -> None:
        if change.state == "connected":
            self._connected.set()

    async def dial(self, room: Studio) -> Phone:
        """Call the recorder."""
        phone = await room.phone("ann")
        phone.call = secrets.token_hex(8)
        offer = p.Description(type="offer", sdp=await self.peer.offer(["video"]))
        await phone.client.request(
            p.Call(
                call=phone.call, to="recorder", media=p.Media(audio=False), consent=VERSION,
                description=offer,
            )
        )  # fmt: skip
        answer = await phone.event(p.Answered)
        await self.peer.accept(answer.description.sdp)
        async with asyncio.timeout(PATIENCE):
            await self._connected.wait()
        assert self._track is not None
        self._track.select(self.codec)
        return phone

    async def send(self, size: Size, count: int = PICTURES) -> None:
        """Send pictures of a size."""
        assert self._track is not None
        encoder, self._wanted = video_encoder(self.codec, *size), True
        for _ in range(count):
            frame = picture(self.sent, size=size)
            frame.pts = self.sent * 90_000 // RATE
            if self._wanted:
                frame.pict_type = av.video.frame.PictureType.I
                self._wanted = False
            for coded in encoder.encode(frame):
                self._track.send(bytes(coded), frame.pts, keyframe=coded.is_keyframe)
            self.sent += 1
            await asyncio.sleep(1 / RATE)

    async def send_until(self, size: Size, done: asyncio.Task[None]) -> None:
        """Send pictures of a size until something has happened."""
        async with asyncio.timeout(PATIENCE):
            while not done.done():
                await self.send(size, 5)
        await done


async def recorded(phone: Phone) -> None:
    """Wait until somebody is told that they are being recorded: a picture has come."""
    while (await phone.event(p.RecordingChange)).state != "on":
        continue


@pytest.fixture
async def camera() -> AsyncIterator[Callable[[Codec], Camera]]:
    made: list[Camera] = []

    def make(codec: Codec) -> Camera:
        made.append(Camera(codec))
        return made[-1]

    yield make
    for one in made:
        await one.peer.close()


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264"])
async def test_another_size_in_mid_call(
    studio: NewStudio, camera: Callable[[Codec], Camera], codec: Codec
) -> None:
    room, sender = await studio(), camera(codec)
    phone = await sender.dial(room)
    sizes = [(160, 128), (320, 256), (96, 64)]
    await sender.send_until(sizes[0], asyncio.create_task(recorded(phone)))
    for size in sizes:
        await sender.send(size)
    await phone.hang_up()
    folder, about = await room.finished()
    [part] = about.participants
    assert part.video is not None
    assert (part.video.codec, part.video.width, part.video.height) == (codec, 320, 256)
    assert part.gaps == []
    found = play(folder / part.file)
    first = found.numbers[0]
    assert found.numbers == list(range(first, first + part.video.frames))
    assert list(dict.fromkeys(picture.size for picture in found.pictures)) == sizes
