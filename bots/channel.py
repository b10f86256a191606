"""A data channel for bots: what comes as an iterator with a bound, what goes with an error."""

from __future__ import annotations

from .feed import Listener
from .media import channel as media

MAX_WAITING = 256


class ChannelFull(ConnectionError):
    """The other side does not take what is sent; try again later."""


class Channel:
    """Text and bytes to and from the other side. Iterate over it for what comes.

    `label` is what the other side called it; `missed` counts messages that came while
    `MAX_WAITING` were unread already: the oldest goes.
    """

    def __init__(self, channel: media.Channel) -> None:
        self.label = channel.label
        self._channel = channel
        self._inbox: Listener[str | bytes] = Listener(MAX_WAITING)
        channel.on_message = self._inbox.put
        channel.on_close = self._inbox.end

    @property
    def missed(self) -> int:
        """How many messages were dropped unread."""
        return self._inbox.missed

    @property
    def open(self) -> bool:
        """Whether something can be sent."""
        return self._channel.open

    def __aiter__(self) -> Listener[str | bytes]:
        return self._inbox

    def send(self, message: str | bytes) -> None:
        """Send text or bytes. Raises `ValueError` for more than 64 KiB, `ConnectionError` when
        the channel is closed, `ChannelFull` when 1 MiB waits to be taken already."""
        if self._channel.send(message):
            return
        if self.open:
            raise ChannelFull(f"Too much waits in the data channel {self.label}.")
        raise ConnectionError(f"The data channel {self.label} is closed.")

    def close(self) -> None:
        """Close it; what has come can still be read."""
        self._channel.close()
        self._inbox.end()
