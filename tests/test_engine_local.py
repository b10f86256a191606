"""Locks and topics leave nothing behind; the rest is in the engines' contract."""

from __future__ import annotations

import asyncio

import pytest

from ringback.server.engine.base import Presence
from ringback.server.engine.local import Attendance, Locks, Topics


async def test_locks_exist_only_while_needed() -> None:
    locks = Locks()

    async def work(*keys: str) -> None:
        async with locks.hold(*keys):
            assert len(locks) >= len(set(keys))
            await asyncio.sleep(0)

    await asyncio.gather(*(work(str(i % 7), str(i % 5)) for i in range(50)))
    assert len(locks) == 0


async def test_a_cancelled_wait_leaves_no_lock() -> None:
    locks = Locks()

    async def wait() -> None:
        async with locks.hold("a", "b", "c"):
            pass

    async with locks.hold("b"):
        waiting = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        assert len(locks) == 2  # "a" is held by the first who waits
        waiting[0].cancel()
        waiting[1].cancel()
        await asyncio.gather(*waiting[:2], return_exceptions=True)
    async with asyncio.timeout(5):
        await waiting[2]
    assert [task.cancelled() for task in waiting] == [True, True, False]
    assert len(locks) == 0


async def test_keys_are_taken_in_their_order_however_they_are_named() -> None:
    locks = Locks()
    keys = [f"key {i}" for i in range(10)]

    async def wait() -> None:
        async with locks.hold(*reversed(keys)):
            pass

    async with locks.hold(keys[0]):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert len(locks) == 1
    async with asyncio.timeout(5):
        await waiting


async def test_a_cancelled_holder_lets_go() -> None:
    locks = Locks()
    holds = asyncio.Event()

    async def keep() -> None:
        async with locks.hold("a"):
            holds.set()
            await asyncio.Event().wait()

    keeper = asyncio.create_task(keep())
    await holds.wait()
    keeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeper
    async with asyncio.timeout(5), locks.hold("a"):
        assert len(locks) == 1
    assert len(locks) == 0


def test_a_topic_ends_with_its_last_listener() -> None:
    topics = Topics()
    stops = [topics.subscribe("here", lambda payload: None) for _ in range(3)]
    assert len(topics) == 1
    for stop in stops:
        stop()
        stop()
    assert len(topics) == 0
    heard: list[bytes] = []
    topics.subscribe("here", heard.append)
    stops[0]()  # an old subscription does not end a new one
    topics.tell("here", b"1")
    assert heard == [b"1"]


def test_a_room_ends_with_its_last_session() -> None:
    attendance = Attendance()
    for i in range(10):
        attendance.join(Presence(f"room {i % 2}", f"s{i}", "Ann"))
    for i in range(10):
        attendance.leave(f"room {i % 2}", f"s{i}")
    assert len(attendance) == 0
    assert attendance.listed(10) == []


def test_a_session_that_comes_back_renamed_is_one_person() -> None:
    attendance = Attendance()
    attendance.join(Presence("lobby", "s1", "Ann"))
    assert attendance.join(Presence("lobby", "s1", "Anna"))
    assert [p.name for p in attendance.members("lobby")] == ["Anna"]
    assert attendance.leave("lobby", "s1")
    assert len(attendance) == 0


def test_a_name_keeps_its_place_while_one_session_stays() -> None:
    attendance = Attendance()
    for session, name in (("s1", "Ann"), ("s2", "Bob"), ("s3", "Ann")):
        attendance.join(Presence("lobby", session, name))
    attendance.leave("lobby", "s1")
    assert [(p.name, p.session) for p in attendance.members("lobby")] == [
        ("Ann", "s3"),
        ("Bob", "s2"),
    ]
