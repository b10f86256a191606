"""Events for whoever listens, each listener at its own pace and none able to hold up another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar
from weakref import WeakSet

Item = TypeVar("Item")

MAX_WAITING = 256


class Listener(AsyncIterator[Item], Generic[Item]):
    """An iterator over what comes from now on. One that is no longer read is forgotten.

    `missed` counts what was dropped because more than `most` waited: the oldest goes first.
    """

    def __init__(self, most: int) -> None:
        self.missed = 0
        self._most = most
        self._waiting: deque[Item] = deque()
        self._wake = asyncio.Event()
        self._ended = False

    def put(self, item: Item) -> None:
        """Give it one more."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.missed += 1
        self._waiting.append(item)
        self._wake.set()

    def end(self) -> None:
        """Nothing more comes; what waits is still given."""
        self._ended = True
        self._wake.set()

    def __aiter__(self) -> Listener[Item]:
        return self

    async def __anext__(self) -> Item:
        """The next, in order."""
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()


class Feed(Generic[Item]):
    """Where events come in; `listen` gives an iterator over what follows."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._listeners: WeakSet[Listener[Item]] = WeakSet()
        self._ended = False

    def put(self, item: Item) -> None:
        """Tell everybody who listens."""
        for listener in self._listeners:
            listener.put(item)

    def listen(self) -> Listener[Item]:
        """Listen from now on."""
        listener: Listener[Item] = Listener(self._most)
        if self._ended:
            listener.end()
        else:
            self._listeners.add(listener)
        return listener

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        for listener in self._listeners:
            listener.end()
