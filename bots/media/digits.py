"""Keys pressed on a telephone, as RTP packets of their own (telephone-event, RFC 4733). Pure."""

from __future__ import annotations

from collections.abc import Callable

KEYS = "0123456789*#ABCD"


class Digits:
    """Takes the payloads of telephone events; `on_digit` gets each key once, as it is pressed.

    A key is many packets: one event has one RTP timestamp, and its last packet comes thrice.
    """

    def __init__(self) -> None:
        self.on_digit: Callable[[str], None] | None = None
        self._last: int | None = None

    def put(self, timestamp: int, payload: bytes) -> None:
        """One packet. Raises `ValueError` when it is cut off."""
        if len(payload) < 4:
            raise ValueError("the telephone event is cut off")
        if timestamp == self._last or payload[0] >= len(KEYS):
            return
        self._last = timestamp
        if self.on_digit is not None:
            self.on_digit(KEYS[payload[0]])
