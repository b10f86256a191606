"""One kind of what a call sends: whose turn it is, and timestamps that only grow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .media.frames import Frame
from .media.outgoing import Outgoing
from .media.payload import Codec
from .media.thinning import Thinner
from .values import Kind

ASK_EVERY = 1.0
"""Seconds between two requests for a keyframe, where pictures were left out until one."""


class Out:
    """One kind of what a call sends: its track, and timestamps that only grow.

    `request` is called when the peer needs a keyframe.
    """

    def __init__(self, kind: Kind, find: Callable[[Kind], Outgoing | None]) -> None:
        self.kind = kind
        self.request: Callable[[], None] | None = None
        self._find = find
        self._epoch = time.monotonic()
        self._last = 0
        self._rate = 0
        self._offset: tuple[tuple[int, int], int] | None = None
        self._busy = False
        self._thinner = Thinner()
        self._asked = -math.inf

    @property
    def thinned(self) -> bool:
        """Whether pictures are left out, as the path carries too little."""
        return self._thinner.skipping

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the track for oneself. Raises `RuntimeError` when somebody has it."""
        if self._busy:
            raise RuntimeError(f"The call's {self.kind} is being sent already.")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def track(self) -> Outgoing | None:
        """The track of the connection in use, if the peer wants this kind now."""
        track = self._find(self.kind)
        if track is not None:
            track.on_keyframe_request = self._requested
        return track

    def _requested(self) -> None:
        if self.request is not None:
            self.request()

    def ticks(self, at: float, rate: int) -> int:
        """A moment (monotonic, seconds) as a timestamp."""
        return round((at - self._epoch) * rate)

    def send(self, codec: Codec, data: bytes, ticks: int, keyframe: bool) -> bool:
        """Send one frame; whether it is on its way.

        Raises `ValueError` when the peer does not take the codec.
        """
        track = self.track()
        if track is None:
            return False
        if track.codec != codec:
            track.select(codec)
        rate = track.clock_rate
        last = self._last * rate // self._rate if self._rate else -1
        # No two frames of one track share a timestamp, or they would be one.
        ticks = max(ticks, last + 1)
        self._last, self._rate = ticks, rate
        return track.send(data, ticks, keyframe=keyframe)

    def send_coded(self, codec: Codec, data: bytes, ticks: int, keyframe: bool) -> bool:
        """As `send`, of what was coded elsewhere: where losses show that the path carries less,
        pictures are left out up to the next keyframe."""
        track = self.track()
        if track is None:
            return False
        now = time.monotonic()
        if self.kind == "video" and not self._thinner.admits(
            len(data), keyframe, track.carried, now
        ):
            return False
        return self.send(codec, data, ticks, keyframe)

    def pass_on(self, frame: Frame) -> bool:
        """Send a frame that came from somewhere, at the pace at which it came."""
        source = frame.source, frame.clock_rate
        now = self.ticks(time.monotonic(), frame.clock_rate)
        if (
            self._offset is None
            or self._offset[0] != source
            or abs(frame.timestamp + self._offset[1] - now) > 10 * frame.clock_rate
        ):
            self._offset = source, now - frame.timestamp
        ticks = frame.timestamp + self._offset[1]
        sent = self.send_coded(frame.codec, frame.data, ticks, frame.keyframe)
        if self._thinner.wants and time.monotonic() - self._asked >= ASK_EVERY:
            # Who sends live makes no keyframes of its own accord.
            self._asked = time.monotonic()
            self._requested()
        return sent
