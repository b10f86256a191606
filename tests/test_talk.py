"""Calls with bots of one's own: what comes, what goes, and what happens."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from av import AudioFrame

from ringback import bots
from ringback.bots import pictures
from ringback.bots.calltest.marks import Mark
from ringback.bots.media import rtcp
from ringback.bots.media.decoding import pixels
from ringback.bots.media.encoding import PictureEncoder, picture_of
from ringback.bots.media.payload import Codec
from ringback.server import protocol as p
from tests.callers import PATIENCE, needs_address
from tests.clients import eventually
from tests.lines import Phone
from tests.marked import PACKET, STREAM, growing, heard, mark_of, picture, sound, voice
from tests.robots import Host, host

__all__ = ["host"]
pytestmark = needs_address


async def test_an_echo_in_a_few_lines(host: Host) -> None:
    @bots.bot("parrot", about="Repeats what it hears and sees.")
    async def parrot(call: bots.Call) -> None:
        async for frame in call.frames():
            call.send(frame)

    line = await host(parrot)
    _, caller = await line.talking()
    numbers, hears = await asyncio.gather(caller.numbers(8), caller.hears())
    assert hears


async def test_sound_is_decoded_on_demand(host: Host) -> None:
    came: asyncio.Queue[bots.Sound] = asyncio.Queue()

    @bots.bot("ear")
    async def ear(call: bots.Call) -> None:
        async for piece in call.audio.pcm(16_000, channels=1):
            came.put_nowait(piece)

    line = await host(ear)
    _, caller = await line.talking(video=None)
    async with asyncio.timeout(PATIENCE):
        pieces = [await came.get() for _ in range(50)]
    assert {(piece.rate, piece.channels) for piece in pieces} == {(16_000, 1)}
    times = [piece.time for piece in pieces if piece.time is not None]
    assert growing([round(1000 * at) for at in times])
    assert sum(piece.seconds for piece in pieces) == pytest.approx(1.0, rel=0.1)
    found = heard(frame_of(piece) for piece in pieces)
    assert {sound.stream for sound in found} == {voice(caller.stream)}


async def test_pictures_are_decoded_on_demand_and_scaled(host: Host) -> None:
    seen: asyncio.Queue[bots.Picture] = asyncio.Queue()

    @bots.bot("eye")
    async def eye(call: bots.Call) -> None:
        async for one in call.video.video(width=80, format="gray"):
            seen.put_nowait(one)

    line = await host(eye)
    _, caller = await line.talking(audio=None)
    async with asyncio.timeout(PATIENCE):
        pictures = [await seen.get() for _ in range(8)]
    for one in pictures:
        assert (one.width, one.height, one.format) == (80, 48, "gray")
        assert len(one.data) == 80 * 48
    found = [mark_in(one) for one in pictures]
    assert {mark.stream for mark in found} == {caller.stream}
    assert growing([mark.sequence for mark in found])


async def test_only_the_newest_picture_is_handed_out(host: Host) -> None:
    numbers: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    look = asyncio.Event()

    @bots.bot("eye")
    async def eye(call: bots.Call) -> None:
        pictures = call.video.video(width=80, format="gray")
        first = mark_in(await anext(pictures)).sequence
        await look.wait()
        numbers.put_nowait((first, mark_in(await anext(pictures)).sequence))
        assert call.video.dropped["not the newest"] >= 5
        await asyncio.Event().wait()

    line = await host(eye)
    _, caller = await line.talking(audio=None)
    await caller.pictures.reached(25)
    look.set()
    async with asyncio.timeout(PATIENCE):
        first, second = await numbers.get()
    assert second - first >= 5


async def test_what_a_bot_makes_is_heard_and_seen(host: Host) -> None:
    @bots.bot("studio")
    async def studio(call: bots.Call) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(call.publish(sounds()))
            both.create_task(call.publish(counting()))

    line = await host(studio)
    _, caller = await line.talking()
    numbers, hears = await asyncio.gather(caller.numbers_of(STREAM, 12), caller.hears(STREAM))
    assert growing(numbers)
    assert hears


async def test_pictures_take_no_more_than_the_peer_asks_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[PictureEncoder] = []

    class Noted(PictureEncoder):
        def __init__(self, codec: Codec, bit_rate: int, slices: int | None = None) -> None:
            super().__init__(codec, bit_rate, slices)
            made.append(self)

    monkeypatch.setattr(pictures, "PictureEncoder", Noted)

    @bots.bot("studio")
    async def studio(call: bots.Call) -> None:
        await call.publish(counting())

    line = await host(studio)
    _, caller = await line.talking(audio=None)
    await caller.numbers_of(STREAM, 3)
    [encoder] = made
    assert encoder.bit_rate == pictures.BIT_RATE
    [transceiver] = caller.pc.getTransceivers()
    [source] = transceiver.receiver.getSynchronizationSources()
    remb = rtcp.write_remb(1, rtcp.Remb(300_000, (source.source,)))
    await transceiver.receiver.transport._send_rtp(rtcp.write_receiver_report(1) + remb)
    async with asyncio.timeout(PATIENCE):
        while encoder.bit_rate == pictures.BIT_RATE:
            await caller.marks(1)
    assert encoder.bit_rate == pytest.approx(300_000, rel=1e-4)
    assert growing(await caller.numbers_of(STREAM, 5)), "the same pictures go on"
    assert made == [encoder]


async def test_a_picture_that_stands_is_sent_again_to_who_missed_it(host: Host) -> None:
    @bots.bot("poster")
    async def poster(call: bots.Call) -> None:
        async def one() -> AsyncIterator[bots.Picture]:
            yield picture_with(7)

        await call.publish(one())
        async for _ in call.events():
            pass

    line = await host(poster)
    _, caller = await line.talking(audio=None)
    [receiver] = [r for r in caller.pc.getReceivers() if r.track.kind == "video"]
    # aiortc gives a picture out when the next one begins to arrive: here, the same again.
    streams = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
    await eventually(lambda: bool(streams))
    await receiver._send_rtcp_pli(next(iter(streams)))
    assert await caller.numbers_of(STREAM, 1) == [7]


async def test_sound_is_paced_and_follows_without_a_gap(host: Host) -> None:
    sent: list[float] = []

    @bots.bot("speaker")
    async def speaker(call: bots.Call) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(2):
            await call.publish(sounds(seconds=0.5))
            sent.append(loop.time() - began)
            began = loop.time()

    line = await host(speaker)
    phone, caller = await line.talking(video=None)
    assert await caller.hears(STREAM)
    assert (await phone.event(p.Ended)).reason is p.Reason.HANGUP
    # No sooner; how much later depends on what else this machine does.
    assert all(0.45 < seconds < 1.5 for seconds in sent), sent


async def test_one_kind_is_published_by_one_at_a_time(host: Host) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()

    @bots.bot("choir")
    async def choir(call: bots.Call) -> None:
        async with asyncio.TaskGroup() as both:
            first = both.create_task(call.publish(sounds()))
            await asyncio.sleep(0)
            try:
                await call.publish(sounds())
            except RuntimeError as error:
                said.put_nowait(str(error))
            first.cancel()
        await call.publish(sounds(seconds=0.1))
        said.put_nowait("done")

    line = await host(choir)
    await line.talking(video=None)
    async with asyncio.timeout(PATIENCE):
        assert await said.get() == "The call's audio is being sent already."
        assert await said.get() == "done"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (bots.Sound(b"\0" * 3, 8000), "two bytes"),
        (bots.Sound(b"\0" * 4, 80), "1,000 to 192,000"),
        (bots.Sound(b"\0" * 6, 8000, 3), "one channel or two"),
        (bots.Picture(b"\0" * 11, 2, 2), "another number of bytes"),
        ("noise", "sends Sound, Picture or Frame, not str"),
    ],
)
async def test_what_is_no_sound_and_no_picture(host: Host, item: object, words: str) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()

    @bots.bot("noise")
    async def noise(call: bots.Call) -> None:
        async def one() -> AsyncIterator[bots.Sound]:
            yield item  # type: ignore[misc]

        try:
            await call.publish(one())
        except (ValueError, TypeError) as error:
            said.put_nowait(str(error))

    line = await host(noise)
    await line.talking()
    async with asyncio.timeout(PATIENCE):
        assert words in await said.get()


# --- what happens in a call -----------------------------------------------------------------


async def test_mute_hold_and_keys_are_told(host: Host) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    listening = asyncio.Event()

    @bots.bot("clerk")
    async def clerk(call: bots.Call) -> None:
        events = call.events()
        listening.set()
        async for event in events:
            told.put_nowait((event, call.audio.muted, call.held))

    line = await host(clerk)
    phone, caller = await line.talking(video=None)
    async with asyncio.timeout(PATIENCE):
        await listening.wait()
        # Its own announcement: it has no camera.
        assert await muted(phone, told, audio=False) == [
            (bots.Muted("audio", True), True, False),
            (bots.Muted("video", True), True, False),
        ]
        assert await muted(phone, told, audio=True) == [(bots.Muted("audio", False), False, False)]
        [transceiver] = caller.pc.getTransceivers()
        transceiver.direction = "sendonly"
        await phone.renegotiate(caller)
        assert await told.get() == (bots.Held(True), False, True)
        transceiver.direction = "sendrecv"
        await phone.renegotiate(caller)
        assert await told.get() == (bots.Held(False), False, False)


async def muted(phone: Phone, told: asyncio.Queue[object], audio: bool) -> list[object]:
    """Say what one sends; what the bot is told of it."""
    media = p.Media(audio=audio, video=False)
    await phone.client.request(p.SendMedia(call=phone.call, media=media))
    heard = [await told.get()]
    await asyncio.sleep(0)
    while not told.empty():
        heard.append(told.get_nowait())
    return heard


async def test_a_data_channel_carries_text_and_bytes(host: Host) -> None:
    @bots.bot("shouter")
    async def shouter(call: bots.Call) -> None:
        channel = await call.channel("echo")
        async for message in channel:
            channel.send(message.upper())

    line = await host(shouter)
    _, caller = await line.talking(audio=None, video=None, channel=True)
    assert caller.channel is not None
    async with asyncio.timeout(PATIENCE):
        await caller.opened.wait()
        caller.channel.send("hello")
        assert await caller.messages.get() == "HELLO"
        caller.channel.send(b"hello")
        assert await caller.messages.get() == b"HELLO"


async def test_who_is_not_accepted_is_declined(host: Host) -> None:
    accepted = ["bob"]

    @bots.bot("club", accepts=accepted.__contains__)
    async def club(call: bots.Call) -> None:
        assert call.caller == "bob"
        assert not call.caller_is_bot

    line = await host(club)
    ann, bob = await line.phone("ann"), await line.phone("bob")
    await ann.dial(await line.caller(video=None).offer(), "club")
    assert (await ann.event(p.Ended)).reason is p.Reason.DECLINED
    await bob.talk(line.caller(video=None), "club")
    assert (await bob.event(p.Ended)).reason is p.Reason.HANGUP


async def test_a_bot_that_fails_is_told_and_the_next_call_works(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    @bots.bot("clown")
    async def clown(call: bots.Call) -> None:
        calls.append(call.id)
        async for frame in call.frames():
            call.send(frame)
            if len(calls) == 1:
                raise LookupError("the nose is lost")

    line = await host(clown)
    phone, _ = await line.talking(video=None)
    ended = await phone.event(p.Ended)
    assert (ended.reason, ended.part) == (p.Reason.LOST, "media")
    assert "the nose is lost" in caplog.text
    assert "Traceback" in caplog.text
    again = line.caller(video=None)
    await phone.talk(again, "clown")
    assert await again.hears()


async def test_reading_goes_on_over_a_restart_of_the_callers_connection(host: Host) -> None:
    @bots.bot("parrot")
    async def parrot(call: bots.Call) -> None:
        async for frame in call.frames():
            call.send(frame)

    line = await host(parrot)
    phone, first = await line.talking(audio=None)
    await first.numbers(2)
    second = line.caller(audio=None)
    await phone.renegotiate(second)
    await second.connected()
    assert await second.numbers(5)


def test_a_bot_is_a_coroutine_function() -> None:
    with pytest.raises(TypeError, match="write `async def`"):

        @bots.bot("clerk")  # type: ignore[arg-type]
        def clerk(call: bots.Call) -> None:
            """No coroutine."""


# --- what the bots here make and look at ----------------------------------------------------


async def sounds(seconds: float = math.inf) -> AsyncIterator[bots.Sound]:
    """Marked sound in pieces of 20 ms."""
    at = 0
    while at < seconds * 48_000:
        yield bots.Sound(bytes(sound(at).planes[0]), 48_000)
        at += PACKET


def frame_of(piece: bots.Sound) -> AudioFrame:
    """A piece of sound of one channel as a frame."""
    frame = AudioFrame("s16", "mono", piece.samples)
    frame.planes[0].update(piece.data)
    frame.sample_rate = piece.rate
    return frame


def picture_with(number: int) -> bots.Picture:
    """A marked picture."""
    data, wide, high = pixels(picture(number), None, "yuv420p")
    return bots.Picture(data, wide, high, "yuv420p")


async def counting() -> AsyncIterator[bots.Picture]:
    """Numbered pictures, 15 a second."""
    for number in itertools.count():
        yield replace(picture_with(number), time=number / 15)


def mark_in(made: bots.Picture) -> Mark:
    """What a picture says."""
    return mark_of(picture_of(made.data, made.width, made.height, made.format), None)
