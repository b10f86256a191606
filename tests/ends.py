"""Peers of ours with an endpoint each, and marked pictures that go from one to the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from ringback.bots.media.channel import Channel
from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.parts import Certificate
from ringback.bots.media.payload import Codec
from ringback.bots.media.udp import Hub
from ringback.bots.peer import Change, Peer
from tests.callers import PATIENCE
from tests.coded import coded_pictures, decoded
from tests.marked import RATE, STREAM, number_of


def coded(codec: Codec, count: int, stream: int = STREAM) -> list[tuple[bytes, bool]]:
    """Pictures of a stream, and whether each is a keyframe."""
    pictures = coded_pictures(codec, count, stream=stream)
    return [(data, number == 0) for number, data in enumerate(pictures)]


class End:
    """A peer with an endpoint, what comes in and what can go out."""

    def __init__(self, hub: Hub | None = None, **options: object) -> None:
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.channels: asyncio.Queue[Channel] = asyncio.Queue()
        self.changes: asyncio.Queue[Change] = asyncio.Queue()
        self.outgoing: dict[str, Outgoing] = {}
        factory = partial(
            Endpoint,
            on_incoming=self._take,
            on_outgoing=self._give,
            on_channel=self.channels.put_nowait,
            **options,  # type: ignore[arg-type]
        )
        certificate = Certificate.generateCertificate()
        self.peer = Peer([], certificate, self.changes.put_nowait, hub=hub, plane=factory)

    def _take(self, track: Incoming) -> None:
        track.on_frame = self.frames.put_nowait

    def _give(self, track: Outgoing) -> None:
        self.outgoing[track.kind] = track

    async def connected(self) -> list[Change]:
        """The changes up to the connection."""
        seen: list[Change] = []
        async with asyncio.timeout(PATIENCE):
            while not seen or seen[-1].state != "connected":
                seen.append(await self.changes.get())
        return seen


@pytest.fixture
async def ends() -> AsyncIterator[list[Peer]]:
    """Whatever peers a test puts in here are closed at its end."""
    made: list[Peer] = []
    yield made
    for peer in made:
        await peer.close()


async def send(track: Outgoing, frames: list[tuple[bytes, bool]]) -> None:
    """Send coded pictures, faster than they are to be shown."""
    for number, (data, keyframe) in enumerate(frames):
        assert track.send(data, number * 90000 // RATE, keyframe=keyframe)
        await asyncio.sleep(0.01)


async def shown(end: End, count: int, codec: str, stream: int = STREAM) -> list[int]:
    """Which pictures of a stream the next frames show."""
    async with asyncio.timeout(PATIENCE):
        frames = [await end.frames.get() for _ in range(count)]
    assert {frame.codec for frame in frames} == {codec}
    pictures = decoded(codec, [frame.data for frame in frames])
    return [number_of(picture, stream) for picture in pictures]
