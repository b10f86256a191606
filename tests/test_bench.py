"""The benchmark counts right: tiny runs, and nothing here depends on how fast they are."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from hypothesis import given
from hypothesis import strategies as st

from bench import chat, clip, compare, crowd, echo, plain, processes, report
from bench.caller import Called, Counts
from bench.frames import TEXT, FrameReader, client_frame
from bench.processes import BenchError, Child, CpuClock
from ringback.server.engine.base import Draft
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.outbox import Framer
from ringback.server.protocol import Limits
from tests.conftest import Serve

TINY = compare.Plan(rounds=1, chat=0.05, call=0.3, sockets=(20,), calls=(1,))

Start = Callable[[web.Application], Awaitable[int]]


# --- frames ------------------------------------------------------------------------------


@given(payloads=st.lists(st.binary(max_size=70_000)), data=st.data())
def test_frames_are_read_however_they_are_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(Framer().frame(payload) for payload in payloads)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    reader = FrameReader()
    read = [
        frame
        for start, end in zip(edges, edges[1:], strict=False)
        for frame in reader.feed(stream[start:end])
    ]
    assert read == [(TEXT, payload) for payload in payloads]


@pytest.mark.parametrize("frame", [b"\x01\x00", b"\xc1\x00", client_frame(b"x")])
def test_what_no_server_sends_is_no_frame(frame: bytes) -> None:
    with pytest.raises(ValueError, match="unexpected"):
        list(FrameReader().feed(frame))


# --- processes ---------------------------------------------------------------------------


def test_the_clock_is_the_process_own() -> None:
    clock = CpuClock(os.getpid())
    before = time.process_time()
    now = clock.seconds()
    assert before <= now <= time.process_time()


def test_without_that_clock_psutil_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_clock_id", lambda pid: None)
    while time.process_time() < 0.1:
        pass
    # In hundredths of a second.
    assert CpuClock(os.getpid()).seconds() == pytest.approx(time.process_time(), abs=0.05)


async def test_a_process_that_ended_has_no_clock_and_no_lines(tmp_path: Path) -> None:
    async with await Child.start(tmp_path, "bench.nothing") as child:
        clock = CpuClock(child.pid)
        with pytest.raises(BenchError, match="No module named"):
            await child.line()
        with pytest.raises(BenchError, match="ended"):
            clock.seconds()


# --- the crowd ---------------------------------------------------------------------------


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Serves an application on a free port."""
    runners: list[web.AppRunner] = []

    async def serve_app(app: web.Application) -> int:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    yield serve_app
    for runner in runners:
        await runner.cleanup()


Spoil = Callable[[int, bytes], list[bytes]]


def room(spoil: Spoil) -> web.Application:
    """A room that sends its second listener what `spoil` makes of each message after the
    first (given its number)."""
    listeners: list[web.WebSocketResponse] = []
    said = 0

    async def listen(request: web.Request) -> web.WebSocketResponse:
        nonlocal said
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        listeners.append(ws)
        async for _ in ws:
            said += 1
            payload = b'{"type":"chat","cid":"1","seq":%d}' % said
            for number, listener in enumerate(listeners):
                spoiled = spoil(said, payload) if number == 1 and said > 1 else [payload]
                for item in spoiled:
                    await listener.send_frame(item, WSMsgType.TEXT)
        return ws

    app = web.Application()
    app.router.add_get("/ws", listen)
    return app


async def talk(port: int, *, greets: bool, messages: int = 5, sockets: int = 3) -> crowd.Talked:
    """What a crowd hears of itself; the process timed is this one."""
    people = crowd.Crowd()
    try:
        await people.open(crowd.Open(port, "garden", sockets, greets))
        return await people.talk(crowd.Talk(0, os.getpid(), messages, 1000.0))
    finally:
        people.close()


async def test_a_crowd_counts_what_it_hears_of_plain_aiohttp(start: Start) -> None:
    talked = await talk(await start(plain.create_app()), greets=False)
    assert (talked.deliveries, talked.expected) == (15, 15)
    # One was said to see the room open.
    assert talked.last == 6
    assert talked.server > 0


async def test_a_crowd_counts_what_it_hears_of_ringback(serve: Serve) -> None:
    server = await serve(limits=Limits(on=False))
    talked = await talk(server.port, greets=True)
    assert (talked.deliveries, talked.expected, talked.last) == (15, 15, 6)


async def test_both_servers_send_messages_of_one_size(start: Start, serve: Serve) -> None:
    server = await serve(limits=Limits(on=False))
    ours = await talk(server.port, greets=True)
    theirs = await talk(await start(plain.create_app()), greets=False)
    assert ours.octets == theirs.octets


async def test_rooms_of_plain_aiohttp_do_not_mix(start: Start) -> None:
    port = await start(plain.create_app())
    other = crowd.Crowd()
    await other.open(crowd.Open(port, "attic", 2, greets=False))
    assert (await talk(port, greets=False)).deliveries == 15
    assert [socket.chats for socket in other.sockets] == [1, 1]
    other.close()


async def test_pings_are_answered(start: Start) -> None:
    answered = asyncio.Event()

    async def listen(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        await ws.ping(b"here?")
        async for frame in ws:
            if frame.type is WSMsgType.PONG and frame.data == b"here?":
                answered.set()
                await ws.send_str('{"type":"chat"}')
        return ws

    app = web.Application()
    app.router.add_get("/ws", listen)
    people = crowd.Crowd()
    await people.open(crowd.Open(await start(app), "garden", 1, greets=False))
    assert answered.is_set()
    people.close()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(lambda said, payload: [], "missing", id="lost"),
        pytest.param(lambda said, payload: [payload] * 2, "each socket heard", id="doubled"),
        pytest.param(
            lambda said, payload: [payload.replace(b"1", b"2", 1)], "the same", id="changed"
        ),
        pytest.param(lambda said, payload: [b'{"type":"error"}'], "refused", id="refused"),
    ],
)
async def test_a_delivery_that_is_not_right_fails_the_run(
    start: Start, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, complaint: str
) -> None:
    monkeypatch.setattr(crowd, "OPENING", 0.5)
    port = await start(room(spoil))
    with pytest.raises(BenchError, match=complaint):
        await talk(port, greets=False)


async def test_what_is_no_websocket_is_told_apart(start: Start) -> None:
    port = await start(web.Application())
    with pytest.raises(BenchError, match="404"):
        await talk(port, greets=False)


async def test_what_is_not_stored_fails_the_run(tmp_path: Path) -> None:
    database = tmp_path / "history"
    engine = EmbeddedEngine(database)
    await engine.open()
    await engine.publish(Draft(room="garden", user="u", name="n", text="t", cid="1", time=1))
    await engine.close()
    await chat.check_stored(database, {"garden": 1})
    with pytest.raises(BenchError, match="Of 2 messages in garden, 1"):
        await chat.check_stored(database, {"garden": 2})


# --- calls -------------------------------------------------------------------------------


async def test_a_clip_goes_round_without_a_break() -> None:
    made = clip.make(1)
    assert (len(made.pictures), len(made.sounds)) == (30, 50)
    assert 0.5 < made.bits / clip.BITS < 1.5
    track = clip.ClipTrack("audio", made.sounds[:2], ticks=1, rate=1000)
    packets = [await track.recv() for _ in range(5)]
    assert [packet.pts for packet in packets] == [0, 1, 2, 3, 4]
    assert bytes(packets[4]) == made.sounds[0]
    assert track.sent == 5


def test_a_clip_is_kept(tmp_path: Path) -> None:
    made = clip.Clip([b"picture"], [b"sound"])
    clip.save(made, tmp_path / "clip")
    assert clip.load(tmp_path / "clip") == made


@pytest.mark.parametrize(
    "back", [Counts(300, 150, 250), Counts(800, 20, 250), Counts(800, 150, 100)]
)
def test_an_echo_that_loses_fails_the_run(back: Counts) -> None:
    sent = Counts(800, 150, 250)
    echo.check(Called(0.1, 0.1, 5.0, sent, sent), calls=1)
    with pytest.raises(BenchError, match="did not keep up"):
        echo.check(Called(0.1, 0.1, 5.0, sent, back), calls=1)


# --- all together ------------------------------------------------------------------------


async def test_chat_is_compared(tmp_path: Path) -> None:
    told: list[str] = []
    [compared] = await chat.measure(tmp_path, TINY, told.append)
    assert len(told) == TINY.talks + len(TINY.sockets)
    assert len(compared.ours) == len(compared.theirs) == TINY.rounds
    assert all(value > 0 for value in compared.ours + compared.theirs)
    deliveries = TINY.rounds * round(chat.DELIVERIES / 20 * TINY.chat) * 20
    assert f"{deliveries:,} of {deliveries:,} delivered" in compared.proof
    assert f"{deliveries:,} of {deliveries:,} delivered" in compared.other_proof


async def test_calls_are_compared(tmp_path: Path) -> None:
    told: list[str] = []
    [compared] = await echo.measure(tmp_path, TINY, told.append)
    assert len(told) == TINY.places + 1
    assert len(compared.ours) == len(compared.theirs) == TINY.rounds
    assert all(value > 0 for value in compared.ours + compared.theirs)
    assert "came back" in compared.proof
    assert "came back" in compared.other_proof


# --- what is made of it ------------------------------------------------------------------


def comparison(ours: list[float], theirs: list[float], aim: float) -> compare.Comparison:
    return compare.Comparison("a thing", "another way", "µs", aim, ours, theirs, "10", "11")


def test_ratios_are_taken_round_by_round() -> None:
    compared = comparison([1, 20, 3], [1, 10, 1], aim=2)
    assert compared.ratios == [1, 2, 3]
    assert compared.ratio == 2
    assert compared.kept
    compared.add(True, 9)
    compared.add(False, 1)
    assert compared.ratio == 2.5
    assert not compared.kept


def test_both_go_first_in_turn() -> None:
    assert compare.turns(3) == [(True, False), (False, True), (True, False)]


def test_a_report_says_ratios_first() -> None:
    compared = comparison([1, 1.2, 1.1], [20, 20, 20], aim=1 / 15)
    assert report.row(compared)[:3] == ("a thing", "1/18.2 (1/20 - 1/16.7)", "at most 1/15")
    text = report.markdown([compared, comparison([1.26], [1], aim=1.3)], rounds=3)
    assert "| a thing | 1/18.2 (1/20 - 1/16.7) | at most 1/15 | 1.1 µs (1 - 1.2) |" in text
    assert "| a thing | 1.26 (1.26 - 1.26) | at most 1.3 |" in text
    assert "a thing: 10; another way: 11." in text
    assert all(line in text for line in report.machine())


def test_only_a_missed_aim_stands_out() -> None:
    drawn = report.table([comparison([1], [1], aim=1.3), comparison([2], [1], aim=1.3)])
    assert [bool(row.style) for row in drawn.rows] == [False, True]
