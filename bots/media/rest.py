"""Sockets whose calls are in no hurry: looked at together and now and then, while media comes.

What is only kept may wait for a moment. A processor that is woken for a packet finds its caches
cold, and that costs more than all that is done with the packet.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

BRIEF, LONG = 0.02, 0.05
"""Seconds between two looks. In a brief rest no more comes for eight calls than a socket has
room for where the system grants what it does by default; in a long one, for `ROOM`."""
ROOM = 1024 * 1024
"""Bytes (SO_RCVBUF, of which a packet takes some 2,300) that hold what eight calls send at their
limit in a long rest, keyframes of all of them among it."""
BATCH = 32
"""Datagrams taken from one socket before others have their turn."""


class Resting(Protocol):
    """A socket that can be looked at."""

    def drain(self) -> int:
        """Take at most `BATCH` of what waits; how many there were."""

    def listen(self) -> None:
        """Be woken by the next datagram."""


class Rest:
    """The sockets of a process that rest. One timer wakes for all of them, `every` so many
    seconds."""

    def __init__(self) -> None:
        self.every = LONG
        self.sockets: dict[Resting, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, room: int) -> None:
        """A socket may rest one day that holds so many bytes."""
        if room < ROOM:
            self.every = BRIEF

    def add(self, socket: Resting) -> None:
        """Look at a socket from now on, until nothing comes any more; then it listens."""
        self.sockets[socket] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.every, self._look)

    def remove(self, socket: Resting) -> bool:
        """Look at it no more; whether it was looked at."""
        known = socket in self.sockets
        self.sockets.pop(socket, None)
        if not self.sockets and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return known

    def _look(self) -> None:
        self._timer = None
        full = False
        for socket in list(self.sockets):
            # It may have closed with a call that ended just now.
            count = socket.drain() if socket in self.sockets else 0
            full = full or count == BATCH
            if not count and self.remove(socket):
                socket.listen()
        if self.sockets and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(0.0 if full else self.every, self._look)
