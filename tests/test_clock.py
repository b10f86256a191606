"""The machine's clock and background work: what fails is logged, what is closed has ended."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from ringback.server.clock import SystemClock, Tasks
from tests.clients import eventually


async def test_the_time_is_the_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


async def test_acts_happen_in_the_order_they_fall_due() -> None:
    clock, done, all_done = SystemClock(), list[str](), asyncio.Event()

    def act(name: str) -> None:
        async def happen() -> None:
            done.append(name)
            if len(done) == 3:
                all_done.set()

        clock.call_later({"now": -5.0, "soon": 0.01, "later": 0.03}[name], happen)

    for name in ("later", "soon", "now"):
        act(name)
    assert done == []
    await all_done.wait()
    assert done == ["now", "soon", "later"]
    await clock.close()


async def test_what_is_cancelled_does_not_happen() -> None:
    clock, done, last = SystemClock(), list[str](), asyncio.Event()

    async def wrong() -> None:
        done.append("wrong")

    async def right() -> None:
        last.set()

    timer = clock.call_later(0.0, wrong)
    clock.call_later(0.01, right)
    timer.cancel()
    timer.cancel()
    await last.wait()
    assert done == []
    await clock.close()


async def test_cancelling_what_has_begun_is_harmless() -> None:
    clock, begun, go_on, done = SystemClock(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def act() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    timer = clock.call_later(0.0, act)
    await begun.wait()
    timer.cancel()
    go_on.set()
    await done.wait()
    await clock.close()


async def test_an_act_that_fails_is_logged_and_the_next_one_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, done = SystemClock(), asyncio.Event()

    async def fails() -> None:
        raise ValueError("of all things")

    async def works() -> None:
        done.set()

    clock.call_later(0.0, fails)
    clock.call_later(0.01, works)
    await done.wait()
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    await clock.close()


async def test_closing_ends_what_is_planned_and_what_has_begun(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, begun, ended = SystemClock(), asyncio.Event(), list[str]()

    async def long() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            # Even one that needs a moment to end has ended afterwards.
            await asyncio.sleep(0)
            ended.append("long")

    async def planned() -> None:
        ended.append("planned")

    clock.call_later(0.0, long)
    await begun.wait()
    clock.call_later(0.0, planned)
    await clock.close()
    assert ended == ["long"]
    await asyncio.sleep(0)
    assert ended == ["long"]
    assert not caplog.records
    await clock.close()


# --- tasks


async def test_tasks_are_kept_until_done() -> None:
    tasks, go_on = Tasks(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()

    task = tasks.spawn(work())
    assert len(tasks) == 1
    go_on.set()
    await task
    await eventually(lambda: len(tasks) == 0)


async def test_a_task_that_fails_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = Tasks()

    async def fails() -> None:
        raise ValueError("of all things")

    tasks.spawn(fails())
    await eventually(lambda: len(tasks) == 0)
    assert "of all things" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_task_that_is_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    async def work() -> None:
        await asyncio.Event().wait()

    task = tasks.spawn(work())
    await tasks.close()
    assert task.cancelled()
    assert len(tasks) == 0
    assert not caplog.records


async def test_closing_may_be_asked_by_nobody() -> None:
    await Tasks().close()


async def test_a_failure_while_closing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tasks, begun = Tasks(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("of all things")

    tasks.spawn(work())
    await begun.wait()
    await tasks.close()
    assert "of all things" in caplog.text


async def test_what_is_spawned_while_closing_ends_too() -> None:
    tasks, begun, spawned = Tasks(), asyncio.Event(), list[asyncio.Task[None]]()

    async def second() -> None:
        await asyncio.Event().wait()

    async def first() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            spawned.append(tasks.spawn(second()))
            await asyncio.sleep(0)

    tasks.spawn(first())
    await begun.wait()
    await tasks.close()
    assert spawned[0].cancelled()
