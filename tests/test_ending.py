"""How a process of bots ends, by real signals to this one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from ringback.bots.ending import Ending


@pytest.fixture
def handlers() -> Iterator[None]:
    """What this process does at signals is as before."""
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Drain:
    """Drains until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go, self.cancelled = asyncio.Event(), asyncio.Event(), False

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_the_first_signal_drains(handlers: None) -> None:
    ending, drain = Ending(), Drain()
    ending.watch(with_parent=False)
    over = asyncio.create_task(ending.over(drain))
    await asyncio.sleep(0)
    assert not drain.begun.is_set()
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        await drain.begun.wait()
        assert not over.done()
        drain.let_go.set()
        await over
    assert not drain.cancelled


async def test_the_second_signal_ends_at_once(handlers: None) -> None:
    ending, drain = Ending(), Drain()
    ending.watch(with_parent=False)
    over = asyncio.create_task(ending.over(drain))
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(10):
        await drain.begun.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await over
    assert drain.cancelled


async def test_what_fails_while_draining_is_told() -> None:
    ending = Ending()

    async def fail() -> None:
        raise LookupError("a bot is missing")

    ending.ask()
    async with asyncio.timeout(10):
        with pytest.raises(LookupError):
            await ending.over(fail)
