"""What calls cost is counted right: tiny runs, and nothing depends on how fast they are."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import msgspec
import psutil
import pytest
from aiortc import RTCDataChannel
from aiortc.codecs.vpx import VpxPayloadDescriptor

from bench import calls, clip, contestants, generators, held, janus, limits, message, recorded
from bench.caller import Counts
from bench.compare import Plan
from bench.contestants import Contestant
from bench.dial import Way, dial
from bench.held import Held
from bench.load import Close, Load, Look, Open, Seen
from bench.processes import BenchError, memory, pin
from tests.callers import PATIENCE, needs_address

TINY = Plan(
    turns=1, call=0.3, warm=0.3, calls=(1, 2), codec_calls=(1,), several=2, set_ups=1,
    fit=(1, 2), codec_fit=(),
)  # fmt: skip


@pytest.fixture(scope="module")
def made() -> clip.Clip:
    return clip.make(1)


# --- the clip ----------------------------------------------------------------------------


def test_a_clip_is_what_it_says(made: clip.Clip) -> None:
    assert (len(made.pictures), len(made.sounds)) == (30, 50)
    assert 0.5 < made.bits / clip.BITS < 1.5


def test_a_clip_is_kept(made: clip.Clip, tmp_path: Path) -> None:
    clip.save(made, tmp_path / "clip")
    assert clip.load(tmp_path / "clip") == made


def test_pictures_are_cut_into_payloads_that_make_them_again(made: clip.Clip) -> None:
    codec = av.CodecContext.create("vp8", "r")
    for payloads, picture in zip(clip.reels(made)["video"].units, made.pictures, strict=True):
        parts = [VpxPayloadDescriptor.parse(payload) for payload in payloads]
        assert [head.partition_start for head, _ in parts] == [1] + [0] * (len(parts) - 1)
        assert all(len(payload) <= clip.PAYLOAD + 1 for payload in payloads)
        assert b"".join(rest for _, rest in parts) == picture
        [frame] = codec.decode(av.Packet(picture))
        assert (frame.width, frame.height) == (clip.WIDTH, clip.HEIGHT)


# --- the generator -----------------------------------------------------------------------

Spoil = Callable[[int, bytes], bytes | None]


class Mirror(asyncio.DatagramProtocol):
    """Sends each datagram back as it is (the generator's keys are the same both ways), or
    what `spoil` makes of it, given its number."""

    def __init__(self, spoil: Spoil) -> None:
        self._spoil = spoil
        self._number = 0
        self._wanted = -1
        self._there = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self.way = Way("bare", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.way = Way("bare", transport.get_extra_info("sockname")[1])

    async def got(self, number: int) -> None:
        """Wait until so many packets came."""
        self._wanted = number
        async with asyncio.timeout(PATIENCE):
            await self._there.wait()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if not 192 <= data[1] <= 223:
            self._number += 1
            if self._number == self._wanted:
                self._there.set()
            if (back := self._spoil(self._number, data)) is not None:
                self._transport.sendto(back, addr)


@asynccontextmanager
async def mirror(spoil: Spoil = lambda _number, data: data) -> AsyncIterator[Mirror]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(
        lambda: Mirror(spoil), local_addr=("127.0.0.1", 0)
    )
    yield made
    transport.close()


async def ask(load: Load, command: msgspec.Struct) -> Seen:
    return msgspec.json.decode(await load.handle(msgspec.json.encode(command)), type=Seen)


async def test_everything_that_comes_back_is_counted(made: clip.Clip) -> None:
    load = Load(made)
    async with mirror() as far:
        await ask(load, Open(far.way, 2, timed=True))
        await far.got(150)
        seen = await ask(load, Close(echo=True))
    assert seen.sent == seen.back
    assert seen.sent.packets >= 150
    assert seen.sent.pictures > 0
    assert seen.delays
    assert all(0 < delay < 5 for delay in seen.delays)
    assert (await ask(load, Look())).sent == Counts()


async def test_sound_alone(made: clip.Clip) -> None:
    load = Load(made)
    async with mirror() as far:
        await ask(load, Open(far.way, 1, video=False))
        await far.got(10)
        seen = await ask(load, Close(echo=True))
    assert seen.sent == seen.back
    assert (seen.sent.pictures, seen.sent.sounds) == (0, seen.sent.packets)


async def test_a_lost_packet_is_noticed(made: clip.Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.DRAIN", 0.2)
    load = Load(made)
    async with mirror(lambda number, data: None if number in (20, 30) else data) as far:
        await ask(load, Open(far.way, 1))
        await far.got(60)
        seen = await ask(load, Close(echo=True))
    assert seen.sent.packets - seen.back.packets == 2


async def test_nobody_there_fails(made: clip.Clip) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    load = Load(made)
    for kind in ("plain", "janus", "ringback"):
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await load.open(Open(Way(kind, port), 1))
    await load.close()


def test_calls_are_shared_out_evenly() -> None:
    assert generators.share(50, 3) == [17, 17, 16]
    assert generators.share(1, 2) == [1, 0]
    one = Seen(Counts(3, 2, 1), Counts(1, 1, 1), 0.5, [0.1], 1)
    both = generators.total([one, Seen(Counts(1, 1, 1), Counts(), 0.7)])
    assert both == Seen(Counts(4, 3, 2), Counts(1, 1, 1), 0.7, [0.1], 1)


def test_a_generator_without_time_is_not_trusted() -> None:
    generators.check(4.4, 5)
    with pytest.raises(BenchError, match="too little time"):
        generators.check(4.6, 5)


class Heard:
    """A data channel, as far as a speaker knows one."""

    def __init__(self) -> None:
        self.readyState = "open"
        self.said: list[str] = []
        self.hear: Callable[[str], None] = lambda _text: None

    def on(self, _event: str, hear: Callable[[str], None]) -> None:
        self.hear = hear

    def send(self, text: str) -> None:
        self.said.append(text)


async def test_a_speaker_records_listens_and_does_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(message, "SAID", 0.0)
    channel = Heard()
    speaker = message.Speaker(cast(RTCDataChannel, channel))
    for state in ("greeting", "recording", "recording", "recorded", "playing", "recorded"):
        channel.hear(f'{{"state":"{state}","seconds":1}}')
        await asyncio.sleep(0.01)
    assert channel.said == ['{"do":"stop"}', '{"do":"listen"}', '{"do":"redo"}']
    channel.readyState = "closed"
    channel.hear('{"state":"recorded"}')
    speaker.stop()
    assert len(channel.said) == 3


# --- what was held -----------------------------------------------------------------------


def held_calls(lost: int, total: int = 800, generator: float = 0.5) -> Held:
    counts = Counts(800, 150, 250)
    return Held(2, 5.0, 0.2, generator, counts, counts, lost, total, [])


def test_costs_are_of_one_call() -> None:
    assert held_calls(0).cost == pytest.approx(2.0)
    assert held_calls(0).rate == 160


def test_a_server_that_loses_fails_the_run() -> None:
    ours = Contestant("Ringback", Way("ringback", 1, "echo"), 1)
    held.sound(ours, held_calls(40))
    with pytest.raises(BenchError, match="did not keep up with 2 calls: 41 of 800"):
        held.sound(ours, held_calls(41))
    codec = Contestant("aiortc", Way("plain", 1, "echo"), 1, exact=False, codec=True)
    held.sound(codec, held_calls(500))
    with pytest.raises(BenchError, match="too little time"):
        held.sound(codec, held_calls(0, generator=4.9))


def test_a_process_is_bound_to_a_core_and_weighed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pin(child.pid, {0})
        assert psutil.Process(child.pid).cpu_affinity() == [0]
        child.kill()
    assert memory(os.getpid()) > 5
    with pytest.raises(BenchError, match="ended"):
        memory(child.pid)


# --- recordings --------------------------------------------------------------------------


def record(path: Path, made: clip.Clip) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("vp8", rate=30, width=clip.WIDTH, height=clip.HEIGHT)
        for number, picture in enumerate(made.pictures):
            packet = av.Packet(picture)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base = Fraction(1, 30)
            packet.is_keyframe = number == 0
            container.mux(packet)


def mjr(kind: str, packets: list[bytes]) -> bytes:
    head = b'{"t":"%s","c":"vp8"}' % kind.encode()
    data = b"MJR00002" + len(head).to_bytes(2, "big") + head
    for packet in packets:
        data += b"MEET" + bytes(4) + len(packet).to_bytes(2, "big") + packet
    return data


def test_pictures_of_recordings_are_counted(made: clip.Clip, tmp_path: Path) -> None:
    record(tmp_path / "a.webm", made)
    assert recorded.pictures(tmp_path / "a.webm") == 30
    packets = [b"\x80\xe1rest", b"\x80\x61rest", b"\x80\xe1"]
    (tmp_path / "v.mjr").write_bytes(mjr("v", packets))
    (tmp_path / "a.mjr").write_bytes(mjr("a", packets))
    assert recorded.packets_of(tmp_path / "v.mjr") == packets
    assert recorded.pictures(tmp_path / "v.mjr") == 2
    assert recorded.pictures(tmp_path / "a.mjr") == 0


async def test_recordings_are_counted_and_removed(made: clip.Clip, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    record(tmp_path / "one" / "1.webm", made)
    (tmp_path / "one" / "recording.json").write_text("{}")
    assert await recorded.count(tmp_path, 30) == 30
    assert recorded.found(tmp_path) == set()
    assert (tmp_path / "one" / "recording.json").exists()


async def test_a_recording_that_cannot_be_played_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "PATIENCE", 0.1)
    monkeypatch.setattr(recorded, "PAUSE", 0.05)
    (tmp_path / "1.webm").write_bytes(b"no recording at all")
    with pytest.raises(BenchError, match="cannot be played"):
        await recorded.count(tmp_path, 30)


@pytest.mark.parametrize("data", [b"", b"MJR00002\x00\x00TEEM" + bytes(20)])
def test_what_is_no_recording_of_janus(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "1.mjr").write_bytes(data)
    with pytest.raises(ValueError, match=r"1\.mjr is"):
        recorded.packets_of(tmp_path / "1.mjr")


# --- servers -----------------------------------------------------------------------------


async def test_who_is_not_here_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert janus.installed() is None
    starts = {"Janus": contestants.gateway("echotest"), "floor": contestants.floor()}
    async with AsyncExitStack() as stack:
        started = await contestants.start_all(stack, tmp_path, starts)
        assert started.absent == ["Janus"]
        [floor] = started.running
        assert floor.way.kind == "bare"
        with pytest.raises(BenchError, match="has 0 child processes"):
            contestants.bots_of(floor.pid)


async def test_the_floor_keeps_what_it_gets(made: clip.Clip, tmp_path: Path) -> None:
    load = Load(made)
    async with AsyncExitStack() as stack:
        floor = await contestants.floor(records=True)(stack, tmp_path)
        assert floor is not None
        await ask(load, Open(floor.way, 2))
        async with asyncio.timeout(PATIENCE):
            while (await ask(load, Look())).sent.pictures < 20:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
        seen = await ask(load, Close(echo=False))
        assert await recorded.count(tmp_path, seen.sent.pictures) == seen.sent.pictures
    assert seen.back == Counts()


needs_janus = pytest.mark.skipif(janus.installed() is None, reason="Janus is not installed")


@needs_janus
async def test_janus_says_why_it_refuses(tmp_path: Path) -> None:
    place = janus.installed()
    assert place is not None
    child, port = await janus.start(tmp_path / "janus", place)
    async with child:
        with pytest.raises(BenchError, match="refused"):
            async with dial(Way("janus", port, "nothing"))("v=0"):
                pass
        with pytest.raises(BenchError, match="refused"):
            async with dial(Way("janus", port, "echotest"))("v=0"):
                pass


async def test_a_server_that_refuses_a_call(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        codec = await contestants.codecs("mp3")(stack, tmp_path)
        assert codec is not None
        with pytest.raises(BenchError, match="status 404"):
            async with dial(codec.way)("v=0"):
                pass


# --- all together ------------------------------------------------------------------------


@needs_address
@pytest.mark.parametrize(
    "series",
    [calls.ECHO, calls.RECORD, calls.VOICEMAIL],
    ids=["echo", "record", "voicemail"],
)
async def test_calls_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: calls.Series
) -> None:
    monkeypatch.setattr(limits, "SETTLE", 0.2)
    # aiortc's own recorder in webm takes longer than a test should.
    starts = {name: start for name, start in series.starts.items() if "webm" not in name}
    series = msgspec.structs.replace(series, starts=starts)
    told: list[str] = []
    found = await calls.measure(series, tmp_path, TINY, told.append)
    assert 0 < len(told) <= calls.steps(series, TINY)
    absent = [
        name for name in starts if any(name in note for note in found.notes if "left out" in note)
    ]
    here = [name for name in starts if name not in absent]
    lines = {line.what: line for line in found.lines}
    alone = lines[f"{series.what}, alone"]
    names = {name.partition(", which")[0]: values for name, values in alone.values.items()}
    assert sorted(names) == sorted(here)
    assert all(value > 0 for values in alone.values.values() for value in values)
    # Who records only is said to, and nobody is measured by it.
    said = [proof for proof in found.proofs if "none is to come back" in proof]
    assert len(said) == (2 if series.what == calls.VOICEMAIL.what and "Janus" in here else 0)
    assert all("records only" in proof for proof in said)
    for compared in found.comparisons:
        assert len(compared.ours) == len(compared.theirs) == TINY.turns
    assert len(found.proofs) == sum(1 if "aiortc" in name else 2 for name in here)
    if series.what == calls.ECHO.what:
        assert "Ringback" in here
