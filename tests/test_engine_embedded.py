"""The engine of one server: the contract, and what it keeps over restarts and troubles."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec.structs import replace

from ringback.server.calls import State
from ringback.server.engine.base import Engine, EngineError, Presence
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.engine.history import Histories
from ringback.server.engine.local import Topics
from ringback.server.engine.storage import Storage
from ringback.server.engine.writer import Writer
from ringback.server.protocol import Candidate, Ringing, RoomInfo, decode_server
from tests.engine_contract import (
    NOW,
    EngineContract,
    call,
    claim,
    draft,
    ended,
    numbers,
    session,
)


class TestMemory(EngineContract):
    """Without a file."""

    async def make(self) -> Engine:
        return EmbeddedEngine(None)


class TestFile(EngineContract):
    """With a file."""

    folder: ClassVar[Path]
    made = 0

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.folder = tmp_path_factory.mktemp("engines")

    async def make(self) -> Engine:
        TestFile.made += 1
        return EmbeddedEngine(self.folder / f"{TestFile.made}.db")


class Box:
    """An engine that can be closed and opened again, `later` seconds after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.engine = self.new()

    def new(self, keep: int = 10_000, rooms: int = 1024, records: int = 100_000) -> EmbeddedEngine:
        return EmbeddedEngine(
            self.path, 30.0, lambda: self.now, keep=keep, rooms=rooms, records=records
        )

    async def restart(self, later: float = 0.0) -> EmbeddedEngine:
        await self.engine.close()
        self.now += later
        self.engine = self.new()
        await self.engine.open()
        return self.engine

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement on the file from outside, with the engine closed."""
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """An open engine over a file."""
    box = Box(tmp_path / "data" / "ringback.db")
    await box.engine.open()
    yield box
    await box.engine.close()


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    """A database in memory."""
    storage = Storage(None)
    await storage.open()
    yield storage
    await storage.close()


# --- what survives a restart


async def test_messages_survive(box: Box) -> None:
    said = [(await box.engine.publish(draft(f"c{i}")))[0] for i in range(120)]
    before = await box.engine.history("lobby", 0, 1000)
    engine = await box.restart()
    assert await engine.history("lobby", 0, 1000) == before
    assert before.messages == said
    # Both one that is in memory again and one that is only in the file.
    assert await engine.publish(draft("c119")) == (said[119], False)
    assert await engine.publish(draft("c0")) == (said[0], False)
    message, new = await engine.publish(draft("new"))
    assert (message.seq, new) == (121, True)


async def test_an_empty_room_keeps_its_epoch_while_somebody_is_in_it(box: Box) -> None:
    await box.engine.save_session(replace(session("ann"), rooms={"lobby": False}))
    epochs = {room: (await box.engine.history(room, 0, 1)).epoch for room in ("lobby", "attic")}
    engine = await box.restart()
    assert (await engine.history("lobby", 0, 1)).epoch == epochs["lobby"]
    assert (await engine.history("attic", 0, 1)).epoch != epochs["attic"]


async def test_sessions_wait_one_hold_time(box: Box) -> None:
    attached = replace(session("ann"), rooms={"lobby": True})
    await box.engine.save_session(attached)
    await box.engine.save_session(replace(session("bob"), expires=NOW + 1))
    await box.engine.save_session(session("cat"))
    await box.engine.drop_session("cat", "k1")
    engine = await box.restart(later=3600)
    assert await engine.session("ann") == replace(attached, expires=box.now + 30)
    assert await engine.session("bob") == replace(session("bob"), expires=box.now + 30)
    assert await engine.session("cat") is None
    assert [s.id for s in await engine.sessions("ann")] == ["ann"]
    assert not await engine.drop_session("ann", "other")
    assert await engine.drop_session("ann", "k1")


async def test_people_are_in_their_rooms_again(box: Box) -> None:
    await box.engine.save_session(replace(session("ann"), rooms={"lobby": False, "attic": True}))
    await box.engine.save_session(replace(session("echo"), rooms={"lobby": False}, bot=True))
    engine = await box.restart()
    assert await engine.members("lobby") == [
        Presence("lobby", "ann", "ann"),
        Presence("lobby", "echo", "echo", bot=True),
    ]
    assert await engine.rooms() == [RoomInfo(room="lobby", people=2)]
    assert not await engine.join(Presence("lobby", "ann", "ann"))


async def test_names_wait_one_hold_time(box: Box) -> None:
    held = replace(claim("u1"), about="Says it back", bot=True, call_waiting=False)
    await box.engine.claim(held, NOW)
    await box.engine.claim(claim("u2", "bob"), NOW)
    await box.engine.release("bob", "u2")
    engine = await box.restart(later=3600)
    assert await engine.claims(box.now) == [replace(held, until=box.now + 30)]
    assert (await engine.claim(claim("u9"), box.now + 29)).user == "u1"
    assert (await engine.claim(claim("u9"), box.now + 30)).user == "u9"


async def test_mail_survives_and_its_numbers_go_on(box: Box) -> None:
    await box.engine.save_session(session("ann"))
    for i in range(300):
        await box.engine.push("ann", Ringing(call=str(i)))
    before = await box.engine.mail("ann", 250)
    engine = await box.restart()
    assert before is not None
    assert await engine.mail("ann", 250) == before
    assert await engine.mail("ann", 300) == []
    assert await engine.mail("ann", 43) is None
    assert await engine.mail("ann", 301) is None
    await engine.push("ann", Ringing(call="next"))
    assert await engine.mail("ann", 299) == [
        *before[-1:],
        b'{"type":"ringing","n":301,"call":"next"}',
    ]


async def test_live_calls_survive_as_they_were(box: Box) -> None:
    ringing = replace(call("c"), state=State.RINGING, version=1, rung=1001)
    trickled = replace(ringing, version=2, candidates=(Candidate("a"), None))
    await box.engine.put_call(call("c"), None)
    await box.engine.put_call(ringing, 0)
    await box.engine.put_call(trickled, 1)
    await box.engine.put_call(call("over"), None)
    await box.engine.put_call(ended(call("over")), 0)
    engine = await box.restart(later=3600)
    assert await engine.live_calls() == await engine.live_calls("bob") == [trickled]
    assert await engine.records("u-bob", "bob", None, 10) == [ended(call("over"))]
    assert not await engine.put_call(call("over"), None)
    assert await engine.put_call(ended(trickled), 2)
    engine = await box.restart()
    assert await engine.call("c") == ended(trickled)


async def test_a_call_that_ended_after_its_candidates_is_over(box: Box) -> None:
    trickled = replace(call("c"), version=1, candidates=(None,))
    await box.engine.put_call(call("c"), None)
    await box.engine.put_call(trickled, 0)
    await box.engine.put_call(ended(trickled), 1)
    engine = await box.restart()
    assert await engine.live_calls() == []
    assert (await engine.call("c")) == ended(trickled)


async def test_without_a_file_nothing_survives() -> None:
    engine = EmbeddedEngine(None)
    await engine.open()
    await engine.publish(draft("a"))
    await engine.save_session(session("ann"))
    await engine.close()
    await engine.open()
    assert (await engine.history("lobby", 0, 10)).seq == 0
    assert await engine.sessions() == []
    await engine.close()


# --- opening and closing


async def test_closing_leaves_one_file_and_no_thread(box: Box) -> None:
    threads = threading.active_count()
    await box.engine.publish(draft("a"))
    assert box.path.with_name("ringback.db-wal").exists()
    await box.engine.close()
    await box.engine.close()
    assert threading.active_count() == threads - 1
    assert {p.name for p in box.path.parent.iterdir()} == {"ringback.db", "ringback.db-lock"}


async def test_closing_merges_the_log_while_somebody_reads(box: Box) -> None:
    await box.engine.publish(draft("a"))
    with contextlib.closing(sqlite3.connect(box.path)) as reader:
        assert reader.execute("SELECT text FROM messages").fetchall() == [("hello",)]
        await box.engine.close()
        assert box.path.with_name("ringback.db-wal").stat().st_size == 0


async def test_a_closed_engine_stores_nothing(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "a.db")
    with pytest.raises(EngineError, match="not open"):
        await engine.publish(draft("a"))
    await engine.close()
    await engine.open()
    await engine.open()
    await engine.close()
    for asked in (engine.publish(draft("a")), engine.check(), engine.history("lobby", 0, 1)):
        with pytest.raises(EngineError, match="not open"):
            await asked


async def test_what_was_under_way_is_stored_before_closing(box: Box) -> None:
    sends = [asyncio.create_task(box.engine.publish(draft(f"c{i}"))) for i in range(50)]
    await asyncio.sleep(0)
    engine = await box.restart()
    assert all(new for _, new in await asyncio.gather(*sends))
    assert (await engine.history("lobby", 0, 1)).seq == 50


async def test_the_files_are_private(box: Box) -> None:
    await box.engine.publish(draft("a"))
    modes = {p.name: p.stat().st_mode & 0o077 for p in box.path.parent.iterdir()}
    assert set(modes.values()) == {0}
    assert "ringback.db" in modes


async def test_two_servers_do_not_share_a_file(box: Box) -> None:
    threads = threading.active_count()
    with pytest.raises(EngineError, match="another Ringback"):
        await box.new().open()
    assert threading.active_count() == threads
    await box.engine.publish(draft("a"))
    await box.engine.close()
    engine = box.new()
    await engine.open()
    await engine.close()


async def test_a_locked_file_is_a_clear_error(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.engine.close()
    monkeypatch.setattr("ringback.server.engine.storage.BUSY_TIMEOUT", 0.05)
    other = sqlite3.connect(box.path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(EngineError, match=r"ringback\.db.*locked"):
        await box.new().open()
    other.close()
    engine = await box.restart()
    assert (await engine.publish(draft("a")))[1]


@pytest.mark.parametrize("damage", ["text", "torn", "folder", "rows"])
async def test_a_damaged_file_is_a_clear_error(box: Box, damage: str) -> None:
    for i in range(50):
        await box.engine.publish(draft(f"c{i}", text="x" * 500))
    await box.engine.save_session(session("ann"))
    await box.engine.close()
    if damage == "text":
        box.path.write_text("this is not a database, whatever its name says\n" * 200)
    elif damage == "torn":
        content = box.path.read_bytes()
        box.path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    elif damage == "folder":
        box.path.unlink()
        box.path.mkdir()
    else:
        box.sql("UPDATE sessions SET data = x'7b22'")
    threads = threading.active_count()
    with pytest.raises(EngineError, match=r"ringback\.db"):
        await box.new().open()
    assert threading.active_count() == threads


# --- bounds


async def test_old_messages_make_room_for_new_ones(box: Box) -> None:
    await box.engine.close()
    engine = box.new(keep=10)
    await engine.open()
    await engine.join(Presence("lobby", "ann", "ann"))
    for i in range(35):
        await engine.publish(draft(f"c{i}"))
    await engine.publish(draft("only", room="attic"))
    history = await engine.history("lobby", 0, 1000)
    assert (numbers(history), history.seq) == (list(range(26, 36)), 35)
    message, new = await engine.publish(draft("c0"))
    assert (message.seq, new) == (36, True)
    assert await engine.publish(draft("c34")) == (history.messages[-1], False)
    await engine.close()
    assert box.sql("SELECT COUNT(*), MIN(seq) FROM messages WHERE room = 1") == [(10, 27)]
    assert box.sql("SELECT COUNT(*) FROM messages WHERE room = 2") == [(1,)]


async def test_old_records_make_room_for_new_ones_but_live_calls_stay(box: Box) -> None:
    await box.engine.close()
    engine = box.new(records=5)
    await engine.open()
    await engine.put_call(call("live", placed=0), None)
    for number in range(1, 13):
        await engine.put_call(ended(call(f"c{number}", placed=number)), None)
    kept = await engine.records("u-ann", "ann", None, 100)
    assert [one.id for one in kept] == [f"c{number}" for number in range(12, 7, -1)]
    assert await engine.call("c1") is None
    assert [one.id for one in await engine.live_calls()] == ["live"]
    await engine.close()
    assert box.sql("SELECT COUNT(*) FROM calls") == [(6,)]


async def test_rooms_fall_out_of_memory_not_out_of_history(box: Box) -> None:
    await box.engine.close()
    engine = box.new(rooms=2)
    await engine.open()
    for i in range(12):
        await engine.history(f"room {i % 4}", 0, 10)
        await engine.publish(draft(f"c{i}", room=f"room {i % 4}"))
    for i in range(4):
        history = await engine.history(f"room {i}", 0, 100)
        assert [m.cid for m in history.messages] == [f"c{i}", f"c{i + 4}", f"c{i + 8}"]
    await engine.close()


async def test_lapsed_names_do_not_pile_up(box: Box) -> None:
    for i in range(1024):
        await box.engine.claim(claim("u", f"name{i}", until=NOW + 1), NOW)
    await box.engine.claim(claim("u", "stays"), NOW + 2)
    await box.engine.close()
    assert box.sql("SELECT key FROM claims") == [("stays",)]


async def test_every_listener_gets_the_same_bytes(box: Box) -> None:
    heard: list[bytes] = []
    for _ in range(3):
        box.engine.subscribe("room:lobby", heard.append)
    message, _ = await box.engine.publish(draft("a"))
    assert heard[0] is heard[1] is heard[2]
    assert decode_server(heard[0]) == message


async def test_long_messages_keep_fewer_rooms_in_memory(storage: Storage) -> None:
    writer = Writer(storage)
    writer.start()
    histories = Histories(writer, Topics(), keep=100, window=10, rooms=100, size=50)
    for i in range(60):
        room = f"room {i % 3}"
        await histories.read(room, 0, 5)
        await histories.publish(draft(f"c{i}", room=room, text="x" * (i % 3 + 1)))
        assert histories.size <= 50
    assert histories.size > 0
    await histories.publish(draft("long", room="room 1", text="x" * 60))
    await histories.publish(draft("long", room="room 2", text="x" * 60))
    for i in range(3):
        history = await histories.read(f"room {i}", 0, 100)
        assert numbers(history) == list(range(1, history.seq + 1))
    assert histories.size <= 123  # one room is always there, however long
    await writer.close()


async def test_a_silent_node_is_forgotten(box: Box) -> None:
    await box.engine.heartbeat("one")
    box.now += 20
    assert list(await box.engine.heartbeat("two")) == ["one", "two"]
    box.now += 20
    assert list(await box.engine.heartbeat("two")) == ["two"]


async def test_rooms_in_which_nothing_is_said_do_not_pile_up(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.server.engine.embedded.ENTERED", 10)
    await box.engine.close()
    engine = box.engine = box.new(rooms=2)
    await engine.open()
    await engine.join(Presence("inhabited", "s1", "Ann", bot=False))
    epoch = (await engine.history("inhabited", 0, 1)).epoch
    await engine.publish(draft("c", room="said"))
    for number in range(100):
        await engine.join(Presence(f"passed {number}", "s2", "Bob", bot=False))
        await engine.leave(f"passed {number}", "s2")
    assert (await engine.history("inhabited", 0, 1)).epoch == epoch
    assert (await engine.history("said", 0, 1)).seq == 1
    await engine.close()
    rooms = [room for (room,) in box.sql("SELECT room FROM rooms")]
    assert {"inhabited", "said"} <= set(rooms)
    assert len(rooms) <= 2 + 10 + 2
