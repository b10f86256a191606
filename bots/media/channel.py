"""A data channel of a call: text and bytes, in both directions, bounded in what waits."""

from __future__ import annotations

from collections.abc import Callable

from aiortc import RTCDataChannel

MAX_UNSENT = 1024 * 1024
MAX_MESSAGE = 64 * 1024


class Channel:
    """A data channel. `on_message` gets each message, `on_open` and `on_close` are told once.

    A message that comes while `on_message` is not set is lost. `fault` gets what these raise.
    """

    def __init__(self, channel: RTCDataChannel, fault: Callable[[Exception], None]) -> None:
        self.on_open: Callable[[], None] | None = None
        self.on_message: Callable[[str | bytes], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self._channel = channel
        self._fault = fault
        channel.on("open", self._open)
        channel.on("message", self._message)
        channel.on("close", self._close)

    @property
    def label(self) -> str:
        """What the side that opened it calls it."""
        return self._channel.label

    @property
    def open(self) -> bool:
        """Whether messages can be sent."""
        return self._channel.readyState == "open"

    def send(self, message: str | bytes) -> bool:
        """Send a message; whether it is on its way.

        False when the channel is not open, or the peer takes so little that `MAX_UNSENT` bytes
        wait already. Raises `ValueError` for one longer than `MAX_MESSAGE` bytes.
        """
        size = len(message.encode() if isinstance(message, str) else message)
        if size > MAX_MESSAGE:
            raise ValueError(f"a message of {size} bytes is longer than {MAX_MESSAGE}")
        if not self.open or self._channel.bufferedAmount + size > MAX_UNSENT:
            return False
        self._channel.send(message)
        return True

    def close(self) -> None:
        """Close the channel for both sides."""
        self._channel.close()

    def _open(self) -> None:
        self._tell(self.on_open)

    def _message(self, message: str | bytes) -> None:
        if (told := self.on_message) is not None:
            self._tell(lambda: told(message))

    def _close(self) -> None:
        self._tell(self.on_close)

    def _tell(self, callback: Callable[[], None] | None) -> None:
        try:
            if callback is not None:
                callback()
        except Exception as error:
            # In aiortc's task an exception would end the whole connection.
            self._fault(error)
