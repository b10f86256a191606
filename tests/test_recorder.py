"""The recorder, called by real peers; what it kept is decoded and measured."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from ringback.__main__ import main
from ringback.bots import recorder
from ringback.bots.client import Client
from ringback.bots.host import Host
from ringback.bots.media.record import RecordLimits
from ringback.bots.media.sidecar import NAME as SIDECAR
from ringback.bots.media.sidecar import Participant, Sidecar, write
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from ringback.server.recording import VERSION
from tests.callers import PATIENCE, Caller, needs_address
from tests.conftest import Serve
from tests.lines import GENEROUS, Phone
from tests.marked import RATE, SIZE, play
from tests.test_matroska import film

pytestmark = needs_address
SMALL = RecordLimits(free=1_000_000)


@dataclass
class Studio:
    """An exchange with the recorder on the line, and what the recorder kept."""

    folder: Path
    service: recorder.RecorderService
    url: str
    stack: AsyncExitStack
    stop: Callable[[], Awaitable[None]]

    async def phone(self, name: str) -> Phone:
        """Somebody's telephone."""
        client = Client(self.url, name=name)
        await self.stack.enter_async_context(client)
        return Phone(client)

    def caller(self, **options: Any) -> Caller:
        """A peer that hangs up at the end."""
        made = Caller(**options)
        self.stack.push_async_callback(made.close)
        return made

    async def dial(self, phone: Phone, caller: Caller, **more: Any) -> None:
        """Call the recorder, which is agreeing to be recorded."""
        call = p.Call(
            call=secrets.token_hex(8), to="recorder", media=p.Media(), consent=VERSION,
            description=p.Description(type="offer", sdp=await caller.offer()), **more,
        )  # fmt: skip
        phone.call = call.call
        await phone.client.request(call)
        answer = await phone.event(p.Answered)
        await caller.accept(answer.description.sdp)
        await caller.connected()

    async def finished(self) -> tuple[Path, Sidecar]:
        """The folder of the one recording, once it is complete."""
        async with asyncio.timeout(PATIENCE):
            while self.service.recorder.running:
                await self.service.recorder.settled()
        [folder] = [path for path in self.folder.iterdir() if path.is_dir()]
        return folder, msgspec.json.decode((folder / SIDECAR).read_bytes(), type=Sidecar)


NewStudio = Callable[..., Awaitable[Studio]]


@pytest.fixture
async def studio(serve: Serve, tmp_path: Path) -> AsyncIterator[NewStudio]:
    async with AsyncExitStack() as stack:

        async def make(limits: RecordLimits = SMALL) -> Studio:
            server = await serve(limits=GENEROUS)
            token = mint_bot_token(server.app[SECRET], "recorder", 600)
            client = Client(f"ws{server.url[4:]}/ws", token=token, name="recorder")
            await stack.enter_async_context(client)
            service = recorder.service(client, Host(), tmp_path / "files", limits)
            running = asyncio.create_task(service.run())

            async def stop() -> None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

            stack.push_async_callback(stop)
            folder = tmp_path / "files" / recorder.FOLDER
            return Studio(folder, service, client.url, stack, stop)

        yield make


NAMES = {"VP8": "vp8", "H264": "h264", "opus": "opus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}


@pytest.mark.parametrize(
    ("video", "audio"),
    [
        ("VP8", "opus"), ("H264", "opus"), ("VP8", None), (None, "opus"), (None, "PCMU"),
        (None, "PCMA"),
    ],
)  # fmt: skip
async def test_what_is_sent_is_kept(
    studio: NewStudio, video: str | None, audio: str | None
) -> None:
    room = await studio()
    phone, caller = await room.phone("ann"), room.caller(video=video, audio=audio)
    await room.dial(phone, caller)
    if video is not None:
        await caller.pictures.reached(caller.pictures.sent + 45)
    else:
        await asyncio.sleep(3)
    sent = caller.pictures.sent
    assert (await phone.hang_up()).reason is p.Reason.HANGUP
    folder, about = await room.finished()
    [part] = about.participants
    assert part.name == "ann"
    assert about.reason == "stopped"
    assert about.ended is not None
    found = play(folder / part.file, caller.stream)
    assert found.codecs == {NAMES[codec] for codec in (video, audio) if codec is not None}
    if video is not None:
        assert part.video is not None
        assert (part.video.width, part.video.height) == SIZE
        assert part.video.frames == len(found.numbers) >= 30
        first = found.numbers[0]
        assert found.numbers == list(range(first, first + len(found.numbers)))
        assert found.numbers[-1] <= sent
        assert found.times == sorted(set(found.times))
        seconds = found.times[-1] - found.times[0]
        assert seconds == pytest.approx((len(found.numbers) - 1) / RATE, rel=0.1)
        assert part.thumbnail == "1.jpg"
        assert (folder / "1.jpg").read_bytes()[:2] == b"\xff\xd8"
    if audio is not None:
        assert part.audio is not None
        numbers = [sound.number for sound in found.sounds]
        assert len(numbers) >= 3
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert found.seconds == pytest.approx(part.duration_ms / 1000, abs=0.5)
    assert part.gaps == []


@pytest.mark.parametrize("video", ["VP8", "H264"])
async def test_what_was_kept_becomes_a_film(studio: NewStudio, tmp_path: Path, video: str) -> None:
    room = await studio()
    phone, caller = await room.phone("ann"), room.caller(video=video)
    await room.dial(phone, caller)
    await caller.pictures.reached(caller.pictures.sent + 30)
    await phone.hang_up()
    folder, about = await room.finished()
    output = tmp_path / "film.mp4"
    words = ["recordings", "compose", about.id, str(output), "--data", str(tmp_path / "files")]
    done = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert done.exit_code == 0, done.output
    kept, film = (
        play(path, caller.stream) for path in (folder / about.participants[0].file, output)
    )
    assert film.codecs == {"h264", "aac"}
    # Each picture of the recording is in the film, at its own time.
    shown = dict(zip(reversed(film.numbers), reversed(film.times), strict=True))
    pictures = list(zip(kept.numbers, kept.times, strict=True))
    for number, time in pictures[1:]:
        assert shown[number] == pytest.approx(time, abs=0.01)
    # The first is there from the beginning, also where the sound began a moment before it.
    first, time = pictures[0]
    assert shown[first] <= time + 0.01
    assert [sound.number for sound in film.sounds] == [sound.number for sound in kept.sounds]
    for there, here in zip(film.sounds, kept.sounds, strict=True):
        assert there.time == pytest.approx(here.time, abs=0.01)


async def test_who_is_recorded_hears_that_it_runs_and_why_it_ended(studio: NewStudio) -> None:
    room = await studio(RecordLimits(seconds=1.5, free=0))
    phone, caller = await room.phone("ann"), room.caller(video=None)
    await room.dial(phone, caller)
    states: list[p.RecordingChange] = []
    while not states or states[-1].state != "off":
        states.append(await phone.event(p.RecordingChange))
    assert [change.state for change in states][-2:] == ["on", "off"]
    assert states[-1].reason is p.RecordingEnd.TOO_LONG
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP
    _, about = await room.finished()
    assert about.reason == "too_long"
    assert [consent.name for consent in about.consent] == ["ann"]


async def test_nothing_is_kept_in_a_pause(studio: NewStudio) -> None:
    room = await studio()
    phone, caller = await room.phone("ann"), room.caller(audio=None)
    await room.dial(phone, caller)
    await caller.pictures.reached(caller.pictures.sent + 15)
    await phone.client.request(p.ControlRecording(call=phone.call, do="pause"))
    first = caller.pictures.sent
    await caller.pictures.reached(first + 20)
    await phone.client.request(p.ControlRecording(call=phone.call, do="resume"))
    second = caller.pictures.sent
    await caller.pictures.reached(second + 30)
    await phone.hang_up()
    folder, about = await room.finished()
    numbers = play(folder / about.participants[0].file, caller.stream).numbers
    missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    assert missing == list(range(missing[0], missing[-1] + 1))
    assert abs(missing[0] - first) <= 8
    assert missing[-1] >= second - 8
    assert about.participants[0].gaps == []
    [(_, paused)] = about.pauses
    assert paused == pytest.approx(len(missing) / 15 * 1000, abs=700)


async def test_without_room_nobody_is_answered(
    studio: NewStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await studio(RecordLimits(free=2**62))
    phone, caller = await room.phone("ann"), room.caller(video=None)
    call = p.Call(
        call="c1", to="recorder", media=p.Media(), consent=VERSION,
        description=p.Description(type="offer", sdp=await caller.offer()),
    )  # fmt: skip
    await phone.client.request(call)
    change = await phone.event(p.RecordingChange)
    while change.state != "off":
        change = await phone.event(p.RecordingChange)
    assert change.reason is p.RecordingEnd.DISK_FULL
    await phone.event(p.Ended)
    assert not room.service.recorder.running


async def test_what_an_earlier_process_left_is_finished(studio: NewStudio, tmp_path: Path) -> None:
    folder = tmp_path / "files" / recorder.FOLDER / "old"
    folder.mkdir(parents=True)
    film(folder / "1.webm", seconds=2).abandon()
    write(folder, Sidecar("old", "call", 1, participants=[Participant("ann", "1.webm")]))
    room = await studio()
    async with asyncio.timeout(PATIENCE):
        await room.service.recorder.repaired()
    about = msgspec.json.decode((folder / SIDECAR).read_bytes(), type=Sidecar)
    assert about.reason == "failed"
    assert about.participants[0].duration_ms == 1980
    assert play(folder / "1.webm").numbers == list(range(30))


async def test_recordings_are_complete_when_the_bot_stops(studio: NewStudio) -> None:
    room = await studio()
    phone, caller = await room.phone("ann"), room.caller()
    await room.dial(phone, caller)
    await caller.pictures.reached(caller.pictures.sent + 20)
    await room.stop()
    folder, about = await room.finished()
    assert about.ended is not None
    assert len(play(folder / about.participants[0].file, caller.stream).numbers) >= 10
