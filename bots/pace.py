"""How fast a client may speak. Pure."""

from __future__ import annotations

from ringback.server.protocol import Limits


class Pace:
    """Keeps a client below the rate at which the exchange refuses (nine tenths of it)."""

    def __init__(self, limits: Limits) -> None:
        self._every = 1 / (0.9 * limits.messages_per_second) if limits.on else 0.0
        self._most = 0.9 * limits.messages_burst * self._every
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait at `now` (any clock) before one more message is sent."""
        self._next = max(self._next, now - self._most) + self._every
        return max(0.0, self._next - now)
