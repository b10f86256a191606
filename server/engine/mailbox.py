"""A session's mailbox: the last directed messages, numbered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice


class Mailbox:
    """The newest encoded messages of a session; number `last` was given out last.

    At most `size` messages and `room` bytes are kept, but always the newest one.
    """

    def __init__(
        self,
        size: int,
        *,
        room: int = 1024 * 1024,
        last: int = 0,
        messages: Iterable[bytes] = (),
    ) -> None:
        self._size = size
        self._room = room
        self._bytes = 0
        self._messages: deque[bytes] = deque()
        self.last = last
        for message in messages:
            self._append(message)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)

    def add(self, message: bytes) -> None:
        """Put in the message encoded with number `last + 1`."""
        self.last += 1
        self._append(message)

    def after(self, number: int) -> list[bytes] | None:
        """Messages above `number`; None if one of them is gone or it was never given out."""
        missed = self.last - number
        if number < 0 or missed < 0 or missed > len(self._messages):
            return None
        return list(islice(self._messages, len(self._messages) - missed, None))

    def _append(self, message: bytes) -> None:
        self._messages.append(message)
        self._bytes += len(message)
        while len(self._messages) > self._size or (
            self._bytes > self._room and len(self._messages) > 1
        ):
            self._bytes -= len(self._messages.popleft())
