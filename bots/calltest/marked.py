"""Marked pictures on their way out: painted and coded in a worker thread, at a steady pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

from av import VideoFrame

from ringback.bots.media.encoding import VIDEO_CLOCK, Coded, PictureEncoder
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.payload import Codec

from .marks import Mark
from .observed import SentPicture
from .scene import Scene

Find = Callable[[], Outgoing | None]


class MarkedPictures:
    """Sends a `scene` at `rate` pictures a second.

    Each picture is stamped with `time.monotonic()` (in ms) when it is painted. What went out is
    added to `sent`. Like a camera, one that comes late leaves pictures out, so that those that
    follow are in time; their numbers are left out, too. Who asks for a keyframe gets the next
    picture as one. `slow`: the longest until a picture was painted and coded, in seconds.
    """

    def __init__(
        self, scene: Scene, rate: float, codec: Codec, bit_rate: int, pool: Executor,
        sent: list[SentPicture],
    ) -> None:  # fmt: skip
        self.sent = sent
        self.keyframes_asked = 0
        self.slow = 0.0
        self._scene = scene
        self._rate = rate
        self._codec = codec
        self._encoder = PictureEncoder(codec, bit_rate)
        self._pool = pool
        self._keyframe = True

    async def run(self, find: Find, start: float) -> None:
        """Send by the track that `find` gives, the first picture at `start` (monotonic seconds),
        until cancelled."""
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            await asyncio.sleep(start + number / self._rate - time.monotonic())
            track = find()
            if track is not None:
                self._listen(track)
                keyframe, self._keyframe = self._keyframe, False
                asked = time.monotonic()
                made = await loop.run_in_executor(self._pool, self._make, number, keyframe)
                self.slow = max(self.slow, time.monotonic() - asked)
                self._send(track, number, keyframe, *made)
            late = int((time.monotonic() - start) * self._rate)
            number = max(number + 1, late)

    def _listen(self, track: Outgoing) -> None:
        if track.codec != self._codec:
            track.select(self._codec)
        track.on_keyframe_request = self._asked

    def _asked(self) -> None:
        self._keyframe = True
        self.keyframes_asked += 1

    def _make(self, number: int, keyframe: bool) -> tuple[float, Coded | None]:
        at = time.monotonic()
        mark = Mark(self._scene.stream, number & 0xFFFF, int(at * 1000) & 0xFFFF)
        frame = VideoFrame.from_ndarray(self._scene.picture(mark), "yuv420p")
        return at, self._encoder.encode(frame, round(number / self._rate * VIDEO_CLOCK), keyframe)

    def _send(
        self, track: Outgoing, number: int, keyframe: bool, at: float, coded: Coded | None
    ) -> None:
        if coded is not None and track.send(coded.data, coded.ticks, keyframe=coded.keyframe):
            coding = time.monotonic() - at
            self.sent.append(SentPicture(number, at, len(coded.data), coded.keyframe, coding))
        else:
            # What the encoder builds on was not sent.
            self._keyframe = self._keyframe or keyframe or coded is not None
