"""Marked pictures on their way out: those of a camera, by one track."""

from __future__ import annotations

import time
from collections.abc import Callable

from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.payload import Codec

from .camera import Camera, Shot
from .observed import SentPicture

Find = Callable[[], Outgoing | None]


class MarkedPictures:
    """Sends the pictures of a `camera`, which others may send, too. What went out is added to
    `sent`; who asks for a keyframe gets the next picture as one, which `keyframes_asked` counts.
    """

    def __init__(self, camera: Camera, codec: Codec, sent: list[SentPicture]) -> None:
        self.sent = sent
        self.keyframes_asked = 0
        self.wants_keyframe = True
        self._camera = camera
        self._codec = codec
        self._find: Find | None = None
        # Whether what the next picture builds on is there.
        self._follows = False

    @property
    def slow(self) -> float:
        """The longest until a picture was drawn and coded, in seconds."""
        return self._camera.slow

    def begin(self, at: float) -> tuple[int, float]:
        """As of its camera."""
        return self._camera.begin(at)

    async def run(self, find: Find) -> None:
        """Send by the track that `find` gives, until cancelled."""
        self._find = find
        await self._camera.show(self)

    @property
    def _track(self) -> Outgoing | None:
        return self._find() if self._find is not None else None

    @property
    def on(self) -> bool:
        """Whether there is a track to send by."""
        track = self._track
        if track is None:
            return False
        if track.codec != self._codec:
            track.select(self._codec)
        track.on_keyframe_request = self._asked
        return True

    def _asked(self) -> None:
        self.wants_keyframe = True
        self.keyframes_asked += 1

    def take(self, shot: Shot) -> None:
        """Send this one, if it can be decoded."""
        coded = shot.coded
        if coded is None or not (self._follows or coded.keyframe):
            return
        track = self._track if self.on else None
        if track is not None and track.send(coded.data, coded.ticks, keyframe=coded.keyframe):
            coding = time.monotonic() - shot.at
            picture = SentPicture(shot.number, shot.at, len(coded.data), coded.keyframe, coding)
            self.sent.append(picture)
            self._follows = True
            self.wants_keyframe = self.wants_keyframe and not coded.keyframe
        else:
            # What the encoder builds on was not sent.
            self._follows, self.wants_keyframe = False, True
