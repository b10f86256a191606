"""The engine in trouble: a disk that is full, a process that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ringback.server.engine.base import EngineError
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.engine.storage import Storage
from ringback.server.protocol import ChatMessage, Ringing, decode_server
from tests.engine_contract import NOW, call, claim, draft, ended, numbers, session

ROOT = Path(__file__).parent.parent


class Disk:
    """The disk under an open engine, which can be filled and cleared."""

    def __init__(self, engine: EmbeddedEngine, storage: Storage) -> None:
        self.engine = engine
        self._storage = storage

    async def fill(self) -> None:
        """Let the database grow no more, and use up what is free in it."""

        def fill(connection: sqlite3.Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
            connection.execute("CREATE TABLE IF NOT EXISTS filler (pad BLOB)")

        with contextlib.suppress(EngineError):
            await self._storage.run(fill)

    async def clear(self) -> None:
        """Let it grow again."""
        await self._storage.run(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())

    async def protect(self, on: bool) -> None:
        """Make the database read-only."""
        await self._storage.run(lambda c: c.execute(f"PRAGMA query_only = {on}"))


@pytest.fixture
async def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Disk]:
    """An engine with twenty messages on a disk in our hands."""
    storages: list[Storage] = []
    opened = Storage.open

    async def remember(storage: Storage) -> None:
        await opened(storage)
        storages.append(storage)

    monkeypatch.setattr(Storage, "open", remember)
    engine = EmbeddedEngine(tmp_path / "a.db", clock=lambda: NOW)
    await engine.open()
    for i in range(20):
        await engine.publish(draft(f"c{i}"))
    yield Disk(engine, storages[0])
    await engine.close()


LONG = "x" * 60_000


async def test_a_full_disk_refuses_and_tells_nothing(disk: Disk) -> None:
    engine = disk.engine
    told: list[ChatMessage] = []

    def hear(payload: bytes) -> None:
        message = decode_server(payload)
        assert isinstance(message, ChatMessage)
        told.append(message)

    engine.subscribe("room:lobby", hear)
    await disk.fill()
    for _ in range(3):
        with pytest.raises(EngineError, match="full"):
            await engine.publish(draft("long", text=LONG))
        with pytest.raises(EngineError, match="full"):
            await engine.check()
    assert told == []
    assert (await engine.history("lobby", 0, 100)).seq == 20
    await disk.clear()
    await engine.check()
    message, new = await engine.publish(draft("long", text=LONG))
    assert (message.seq, new, told) == (21, True, [message])


async def test_short_messages_pass_where_long_ones_do_not(disk: Disk) -> None:
    """Those that fail leave no hole among those that were sent at the same time."""
    await disk.fill()
    texts = [LONG if i % 3 == 0 else "short" for i in range(15)]
    results = await asyncio.gather(
        *(disk.engine.publish(draft(f"n{i}", text=text)) for i, text in enumerate(texts)),
        return_exceptions=True,
    )
    for text, result in zip(texts, results, strict=True):
        assert isinstance(result, EngineError) == (text is LONG)
    await disk.clear()
    again = await disk.engine.publish(draft("n0", text=LONG))
    assert (again[0].seq, again[1]) == (31, True)
    history = await disk.engine.history("lobby", 0, 100)
    assert numbers(history) == list(range(1, 32))


async def test_nothing_changes_while_nothing_can_be_written(disk: Disk) -> None:
    engine = disk.engine
    held, known = claim("u1"), session("ann")
    await engine.claim(held, NOW)
    await engine.save_session(known)
    await engine.put_call(call("c"), None)
    await disk.protect(True)
    for asked in (
        engine.publish(draft("new")),
        engine.claim(replace(held, about="new"), NOW),
        engine.release("ann", "u1"),
        engine.save_session(replace(known, key_hash="k2")),
        engine.drop_session("ann", "k1"),
        engine.put_call(ended(call("c")), 0),
        engine.put_call(call("d"), None),
        engine.check(),
    ):
        with pytest.raises(EngineError, match="readonly"):
            await asked
    assert await engine.claims(NOW) == [held]
    assert await engine.sessions() == [known]
    assert await engine.live_calls() == [call("c")]
    await disk.protect(False)
    assert await engine.put_call(ended(call("c")), 0)
    assert await engine.put_call(call("d"), None)
    assert (await engine.publish(draft("new")))[0].seq == 21


async def test_a_text_that_cannot_be_stored_is_refused_alone(disk: Disk) -> None:
    texts = {"good": "hello", "bad": "lone \ud800", "also good": "hello"}
    results = await asyncio.gather(
        *(disk.engine.publish(draft(cid, text=text)) for cid, text in texts.items()),
        return_exceptions=True,
    )
    assert isinstance(results[1], EngineError)
    assert numbers(await disk.engine.history("lobby", 20, 100)) == [21, 22]


async def test_closing_on_a_full_disk_says_so_and_frees_all(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "a.db")
    await engine.open()
    await engine.save_session(session("ann"))
    parts = engine._parts
    disk = Disk(engine, parts.storage)
    await disk.fill()
    for i in range(200):
        await engine.push("ann", Ringing(call=str(i) + "x" * 1000))
    with pytest.raises(EngineError, match="full"):
        await engine.close()
    await engine.close()
    await engine.open()
    assert await engine.session("ann") is not None
    assert await engine.mail("ann", 200) is None
    await engine.close()


# --- killed

VICTIM = """
import asyncio, sys
from pathlib import Path
from ringback.server.engine.embedded import EmbeddedEngine
from ringback.server.protocol import Ringing
from tests.engine_contract import call, claim, draft, session
from msgspec.structs import replace

async def say(engine, turn, who):
    for i in range(1_000_000):
        message, new = await engine.publish(draft(f"{turn}-{who}-{i}"))
        assert new
        print(message.seq, message.cid, flush=True)

async def main(path, turn):
    engine = EmbeddedEngine(Path(path))
    await engine.open()
    await engine.save_session(replace(session("ann"), rooms={"lobby": False}))
    await engine.claim(claim("u-ann"), 0)
    await engine.put_call(call(turn), None)
    await engine.push("ann", Ringing(call=turn))
    print("ready", flush=True)
    await asyncio.gather(*(say(engine, turn, who) for who in range(4)))

asyncio.run(main(*sys.argv[1:]))
"""


async def killed(path: Path, turn: str, lines: int) -> list[tuple[int, str]]:
    """Let a process write, kill it in the middle; returns what it said was stored."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, str(path), turn, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
            said = [await process.stdout.readline() for _ in range(lines)]
    finally:
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
    # The very last line may be torn.
    said += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    return [(int(line.split()[0]), line.split()[1].decode()) for line in said]


async def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    acknowledged: dict[int, str] = {}
    for turn, lines in (("one", 40), ("two", 150), ("three", 77)):
        acknowledged |= dict(await killed(path, turn, lines))
    engine = EmbeddedEngine(path, hold=30.0, clock=lambda: NOW)
    await engine.open()
    history = await engine.history("lobby", 0, 10_000)
    stored = {message.seq: message.cid for message in history.messages}
    assert len(acknowledged) >= 40 + 150 + 77
    assert acknowledged.items() <= stored.items()
    assert list(stored) == list(range(history.seq - len(stored) + 1, history.seq + 1))
    assert [c.id for c in await engine.live_calls()] == ["one", "three", "two"]
    assert [c.until for c in await engine.claims(NOW)] == [NOW + 30]
    assert [s.expires for s in await engine.sessions()] == [NOW + 30]
    await engine.close()


async def test_a_mailbox_lost_in_a_crash_is_never_taken_for_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await killed(path, "one", 1)
    engine = EmbeddedEngine(path, clock=lambda: NOW)
    for _ in range(2):  # a clean restart does not make it whole
        await engine.open()
        told: list[bytes] = []
        stop = engine.subscribe("session:ann", told.append)
        assert [await engine.mail("ann", after) for after in (0, 1, 2)] == [None] * 3
        await engine.push("ann", Ringing(call="new"))
        number = getattr(decode_server(told[0]), "n", 0)
        assert number > 1_000_000  # not one that was given out before
        assert await engine.last("ann") == number
        assert [await engine.mail("ann", after) for after in (0, 1, 2)] == [None] * 3
        assert await engine.mail("ann", number - 1) == told
        assert await engine.mail("ann", number) == []
        stop()
        await engine.close()
    await engine.open()
    await engine.save_session(session("ann"))
    assert await engine.mail("ann", 0) is None
    assert await engine.drop_session("ann", "k1")
    await engine.save_session(session("ann"))
    await engine.push("ann", Ringing(call="new"))
    assert len(await engine.mail("ann", 0) or []) == 1
    await engine.close()


async def test_mail_read_once_is_not_read_again_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    engine = EmbeddedEngine(path)
    await engine.open()
    await engine.save_session(session("ann"))
    await engine.push("ann", Ringing(call="c"))
    await engine.close()
    # The killed process opened the file with the mailbox in it and pushed one message more.
    await killed(path, "one", 1)
    await engine.open()
    assert await engine.mail("ann", 1) is None
    await engine.close()
