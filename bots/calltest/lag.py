"""How late the event loop is: who measures times must not be the one who is late."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

EVERY = 0.02


class Lag:
    """While entered, looks every 20 ms how much later than asked for it is woken.

    `worst`: the longest delay so far, in seconds. A loop that stood still is noticed when it
    goes on.
    """

    def __init__(self) -> None:
        self.worst = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._look()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self) -> None:
        """Count from now on."""
        self._look()
        self.worst = 0.0

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + EVERY
        self._timer = loop.call_at(self._due, self._woken)

    def _look(self) -> None:
        self.worst = max(self.worst, asyncio.get_running_loop().time() - self._due)

    def _woken(self) -> None:
        self._look()
        self._wait()
