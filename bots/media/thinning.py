"""Pictures that were coded already, on a path that carries less: which of them still go.

Pure: time comes in as an argument. Nothing can be coded smaller here, so pictures are left out,
from one up to the next keyframe, as what depends on one that is missing is of no use.
"""

from __future__ import annotations

import math

DEPTH = 1.0
"""Seconds of what the path carries that may be sent ahead of it: a keyframe and what follows."""


class Thinner:
    """Whether each next picture goes. `skipping`: those that come wait for a keyframe."""

    def __init__(self) -> None:
        self.skipping = False
        self._ahead = 0.0
        self._bits = math.inf
        self._at = 0.0

    @property
    def wants(self) -> bool:
        """Whether there is room for a keyframe, which is waited for."""
        return self.skipping and self._room

    @property
    def _room(self) -> bool:
        return self._ahead <= self._bits * DEPTH / 2

    def admits(self, octets: int, keyframe: bool, bits: float, now: float) -> bool:
        """Whether a picture of so many octets goes, where so many `bits` a second are carried
        (infinite: nothing speaks of a limit)."""
        passed, self._at, self._bits = now - self._at, now, bits
        self._ahead = 0.0 if math.isinf(bits) else max(0.0, self._ahead - bits * passed)
        if keyframe:
            # However large: it is the least that can be seen.
            self.skipping = not self._room
        elif self._ahead > bits * DEPTH:
            self.skipping = True
        if not self.skipping:
            self._ahead += 8 * octets
        return not self.skipping
