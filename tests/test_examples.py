"""The five bots of bots/examples, each on the line of a real exchange and called."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import av
import pytest
from aiortc.contrib.media import MediaPlayer
from av.video.frame import VideoFrame

from ringback.bots.calltest import marks
from ringback.bots.calltest.watching import plane
from ringback.bots.loading import load
from ringback.bots.media.endpoint import Endpoint
from ringback.server import protocol as p
from tests.callers import PATIENCE, Caller, needs_address, pitch
from tests.lines import Line, Phone
from tests.marked import growing
from tests.process import ROOT
from tests.robots import Host, host

__all__ = ["host"]

EXAMPLES = ROOT / "bots" / "examples"


async def told(phone: Phone, pattern: str) -> str:
    """The first message that matches."""
    while True:
        message = await phone.event(p.ChatMessage)
        if re.search(pattern, message.text):
            return message.text


async def in_room(line: Line, name: str, room: str) -> Phone:
    phone = await line.phone(name)
    await phone.client.request(p.Join(room=room))
    return phone


async def picture(caller: Caller) -> VideoFrame:
    """The next picture that comes."""
    async with asyncio.timeout(PATIENCE):
        frame = await caller.tracks["video"].recv()
    assert isinstance(frame, VideoFrame)
    return frame


def test_every_example_is_tried() -> None:
    files = {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__"}
    assert files == {"studio", "hold", "clerk", "negative", "captions"}
    for name in files:
        assert f"test_{name}" in globals(), name


@needs_address
async def test_studio(host: Host) -> None:
    line = await host(load(str(EXAMPLES / "studio.py")))
    _, caller = await line.talking()
    assert await caller.pitch() == pytest.approx(440.0, rel=0.02)
    places = []
    for _ in range(6):
        frame = (await picture(caller)).reformat(format="gray")
        rows = bytes(frame.planes[0])
        white = [at for at, value in enumerate(rows) if value > 200]
        assert 300 < len(white) < 600, "one ball of 24 pixels across"
        places.append(sum(white) / len(white))
    assert len(set(places)) > 3, "it moves"


@needs_address
async def test_hold(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    coded: list[Any] = []
    monkeypatch.setattr("ringback.bots.sounds.SoundEncoder", coded.append)
    line = await host(load(str(EXAMPLES / "hold.py")))
    phone, caller = await line.talking(video=None)
    first = await caller.pitch()
    assert 150 < first < 600, "music"
    [call] = line.bot.calls.values()
    assert isinstance(call.peer.plane, Endpoint)
    assert call.peer.plane.on_digit is not None
    call.peer.plane.on_digit("5")
    assert 150 < await caller.pitch() < 600
    assert coded == [], "nothing was coded anew"
    assert (await phone.hang_up()).reason is p.Reason.HANGUP
    await line.idle()


async def test_clerk(host: Host) -> None:
    line = await host(load(str(EXAMPLES / "clerk.py")))
    ann = await in_room(line, "ann", "lobby")
    # Whoever was there first: it greets, or says so when it is asked.
    await ann.client.request(p.Chat(room="lobby", text="!help", cid="0"))
    assert "I know !time" in await told(ann, "I know")
    for cid, (asked, answer) in enumerate(
        {
            "!time": r"It is \d\d:\d\d UTC\.",
            "!roll 3d6": r"ann has thrown \d \+ \d \+ \d = \d+\.",
            "!roll lots": r"ann, write it like !roll 2d6\.",
            "!who": r"Here are .*ann",
        }.items()
    ):
        await ann.client.request(p.Chat(room="lobby", text=asked, cid=f"c{cid}"))
        await told(ann, answer)


@needs_address
async def test_negative(host: Host) -> None:
    line = await host(load(str(EXAMPLES / "negative.py")))
    _, caller = await line.talking()
    assert await caller.hears()
    numbers = []
    for _ in range(10):
        seen = (await picture(caller)).reformat(format="yuv420p")
        found = marks.read(255 - plane(seen)).mark
        assert found is not None
        assert found.stream == caller.stream
        numbers.append(found.sequence)
    assert growing(numbers)


@needs_address
async def test_captions(host: Host) -> None:
    speech = ROOT / "tests" / "sounds" / "new-york-city.ogg"
    line = await host(load(str(EXAMPLES / "captions.py")))
    ben = await in_room(line, "ben", "captions")
    voice = MediaPlayer(str(speech)).audio
    assert voice is not None
    caller = line.caller(audio=None, video=None)
    caller.add(voice, "opus")
    ann = await line.phone("ann")
    await ann.talk(caller, "captions")
    text = await told(ben, "^ann: ")
    assert "new york city" in text
    voice.stop()


def test_the_music_is_small_and_opus() -> None:
    path = EXAMPLES / "hold.ogg"
    assert path.stat().st_size < 64 * 1024
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "libopus" or (
            container.streams.audio[0].codec_context.codec.canonical_name == "opus"
        )
        frames = list(container.decode(audio=0))
    assert 150 < pitch_of(frames) < 600


def pitch_of(frames: list[av.AudioFrame]) -> float:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
    return pitch([made for frame in frames[:200] for made in resampler.resample(frame)])
