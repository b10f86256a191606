"""The thread that writes: in order, bounded, and never in anybody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ringback.bots.media import writer as module
from ringback.bots.media.writer import Full, Writer


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer(most=4)
    yield made
    made.close()


async def stall(writer: Writer) -> tuple[asyncio.Task[bool], threading.Event]:
    """Keep the thread until the event is set."""
    stalled, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        stalled.set()
        return go_on.wait(30)

    task = asyncio.create_task(writer.do(wait))
    await asyncio.to_thread(stalled.wait, 30)
    return task, go_on


async def test_what_comes_of_work_is_given_back(writer: Writer) -> None:
    assert await writer.do(lambda: 7) == 7
    assert await writer.do(threading.current_thread) is not threading.current_thread()


async def test_work_is_done_in_order(writer: Writer) -> None:
    done: list[int] = []
    await asyncio.gather(*(writer.do(lambda n=n: done.append(n)) for n in range(4)))  # type: ignore[misc]
    assert done == [0, 1, 2, 3]


async def test_what_work_raises_is_raised_and_the_next_is_done(writer: Writer) -> None:
    def fail() -> None:
        raise OSError(28, "no room")

    with pytest.raises(OSError, match="no room"):
        await writer.do(fail)
    assert await writer.do(lambda: 1) == 1


async def test_a_disk_that_stalls_is_known_at_once(writer: Writer) -> None:
    first, go_on = await stall(writer)
    waiting = [asyncio.create_task(writer.do(lambda: 1)) for _ in range(4)]
    await asyncio.sleep(0)
    assert writer.waiting == 4
    with pytest.raises(Full):
        await writer.do(lambda: 1)
    go_on.set()
    assert await asyncio.gather(*waiting) == [1] * 4
    await first


async def test_who_gives_up_waiting_stops_nothing(writer: Writer) -> None:
    go_on, done = threading.Event(), threading.Event()
    task = asyncio.create_task(writer.do(lambda: done.set() if go_on.wait(30) else None))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go_on.set()
    assert await writer.do(done.is_set)


async def test_at_the_end_what_waits_is_done() -> None:
    writer, done = Writer(), []
    task = asyncio.create_task(writer.do(lambda: done.append(1)))
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.close)
    await task
    assert done == [1]
    writer.close()
    with pytest.raises(RuntimeError):
        await writer.do(lambda: 1)


@pytest.mark.parametrize(("together", "told"), [(60.0, [4]), (-1.0, [1, 1, 1, 1])])
async def test_loops_are_woken_once_for_works_that_waited_together(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, together: float, told: list[int]
) -> None:
    monkeypatch.setattr(module, "TOGETHER", together)
    tell, wakes = module._tell, list[int]()

    def counted(works: list[Any]) -> None:
        wakes.append(len(works))
        tell(works)

    monkeypatch.setattr(module, "_tell", counted)
    first, go_on = await stall(writer)
    others = [asyncio.create_task(writer.do(lambda n=n: n)) for n in range(3)]  # type: ignore[misc]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*others) == [0, 1, 2]
    await first
    assert wakes == told


async def test_each_loop_hears_of_its_own_works(writer: Writer) -> None:
    first, go_on = await stall(writer)

    async def elsewhere() -> int:
        work = asyncio.create_task(writer.do(lambda: 2))
        await asyncio.sleep(0)
        go_on.set()
        return await work

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == 2
    await first
