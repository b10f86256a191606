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

from bench import chat, compare, crowd, plain, processes, report
from bench.frames import TEXT, FrameReader, client_frame
from bench.processes import BenchError, Child, CpuClock
from ringback.server.engine.base import Draft
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.outbox import Framer
from ringback.server.protocol import Limits
from tests.conftest import Serve

TINY = compare.Plan(rounds=1, chat=0.05, sockets=(20,))

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
    found = compare.Results(
        comparisons=[compared, comparison([1.26], [1], aim=1.3)],
        lines=[compare.Line("weight", "kg", {"Ringback": [1, 2, 9], "Janus": [4]}, aim=3)],
        proofs=[report.proof(compared)],
        notes=["nobody else was here"],
    )
    text = report.markdown(found, compare.Plan())
    assert "| a thing | 1/18.2 (1/20 - 1/16.7) | at most 1/15 | 1.1 µs (1 - 1.2) |" in text
    assert "| a thing | 1.26 (1.26 - 1.26) | at most 1.3 |" in text
    assert "| what | Ringback | Janus | aim |" in text
    assert "| weight, kg | 2 | 4 | at most 3 |" in text
    assert "a thing: 10; another way: 11." in text
    assert "- nobody else was here." in text
    assert all(line in text for line in report.machine())


def test_only_a_missed_aim_stands_out() -> None:
    found = compare.Results(
        comparisons=[comparison([1], [1], aim=1.3), comparison([2], [1], aim=1.3)],
        lines=[
            compare.Line("kept", "", {"Ringback": [50], "Janus": [9]}, aim=50, at_least=True),
            compare.Line("missed", "", {"Ringback": [49]}, aim=50, at_least=True),
            compare.Line("no aim", "", {"Ringback": [49]}),
            compare.Line("nobody of ours", "", {"Janus": [49]}, aim=1),
            compare.Line("too much", "", {"Ringback": [2]}, aim=1),
        ],
    )
    ratios, values = report.tables(found)
    assert [bool(row.style) for row in ratios.rows] == [False, True]
    assert [bool(row.style) for row in values.rows] == [False, True, False, False, True]


def test_parts_are_put_together() -> None:
    found = compare.Results(notes=["one"])
    found.add(compare.Results(notes=["two"], proofs=["three"]))
    assert (found.notes, found.proofs) == (["one", "two"], ["three"])
