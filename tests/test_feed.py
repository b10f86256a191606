"""Events for whoever listens: in order, bounded, and nobody holds up anybody."""

from __future__ import annotations

import asyncio
import gc

import pytest

from ringback.bots.feed import Feed


async def test_everybody_hears_what_follows() -> None:
    feed: Feed[int] = Feed()
    early = feed.listen()
    feed.put(1)
    late = feed.listen()
    feed.put(2)
    assert [await anext(early), await anext(early)] == [1, 2]
    assert await anext(late) == 2


async def test_one_that_waits_is_woken_by_an_event_and_by_the_end() -> None:
    feed: Feed[int] = Feed()
    listener = feed.listen()
    waiting = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    feed.put(7)
    assert await waiting == 7
    feed.put(8)
    feed.end()
    assert [item async for item in listener] == [8], "what waits is still given"
    assert [item async for item in feed.listen()] == []


async def test_who_falls_behind_loses_the_oldest() -> None:
    feed: Feed[int] = Feed(most=2)
    listener = feed.listen()
    for number in range(5):
        feed.put(number)
    feed.end()
    assert [item async for item in listener] == [3, 4]
    assert listener.missed == 3


async def test_who_is_gone_is_forgotten() -> None:
    feed: Feed[int] = Feed()
    listener = feed.listen()
    del listener
    gc.collect()
    assert len(feed._listeners) == 0
    feed.put(1)


async def test_an_end_without_a_listener(recwarn: pytest.WarningsRecorder) -> None:
    Feed[int]().end()
    assert not recwarn.list
