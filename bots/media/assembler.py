"""Packets in order, with holes, made into pictures that can all be decoded. Pure.

The policy for pictures: what was lost is asked for until it is too late; then everything up
to the next keyframe is dropped, because it would show what was never sent. So whoever gets
the pictures can decode each of them, and sees by `gap` that there are fewer than were sent.
Sound needs no such care: each packet stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .payload import Codec, Picture, assemble, begins

MAX_PACKETS = 2048


class Whole(NamedTuple):
    """A picture that can be decoded after those before it, and its RTP timestamp."""

    codec: Codec
    picture: Picture
    timestamp: int
    gap: bool


class Assembler:
    """Takes the packets of one source in order. `lose` says where some are missing.

    `needs_keyframe`: nothing comes out before the next keyframe. `skipped` counts pictures
    dropped for want of one, `malformed` those that were no pictures.
    """

    def __init__(self) -> None:
        self.needs_keyframe = True
        self.skipped = 0
        self.malformed = 0
        self._codec: Codec | None = None
        self._timestamp = 0
        self._payloads: list[bytes] = []
        self._unsure = True
        self._gap = False

    def lose(self) -> None:
        """Packets are missing here for good."""
        self._payloads = []
        self._unsure = self.needs_keyframe = self._gap = True

    def restart(self) -> None:
        """What comes next is of another source: nothing is lost, but a keyframe is needed."""
        self._payloads = []
        self._unsure = self.needs_keyframe = True

    def put(self, codec: Codec, marker: bool, timestamp: int, payload: bytes) -> Sequence[Whole]:
        """The pictures that are complete with this packet: mostly none or one."""
        if (
            self._payloads
            and not marker
            and timestamp == self._timestamp
            and codec == self._codec
            and len(self._payloads) < MAX_PACKETS - 1
        ):
            # In the middle of a picture, as most are.
            self._payloads.append(payload)
            return ()
        done: Sequence[Whole] = ()
        if not self._payloads or timestamp != self._timestamp or codec != self._codec:
            if self._payloads:
                done = self._finish()
            if self._unsure and not begins(codec, payload):
                return done
            if codec != self._codec:
                self.needs_keyframe = True
            self._unsure = False
            self._codec, self._timestamp = codec, timestamp
        self._payloads.append(payload)
        if marker:
            return [*done, *self._finish()]
        if len(self._payloads) >= MAX_PACKETS:
            self._refuse()
        return done

    def _finish(self) -> Sequence[Whole]:
        assert self._codec is not None
        payloads, self._payloads = self._payloads, []
        try:
            picture = assemble(self._codec, payloads)
        except ValueError:
            self._refuse()
            return ()
        if self.needs_keyframe:
            # Without its size an H.264 keyframe came without the parameter sets before it.
            if not picture.keyframe or picture.size is None:
                self.skipped += 1
                return ()
            self.needs_keyframe = False
        gap, self._gap = self._gap, False
        return (Whole(self._codec, picture, self._timestamp, gap),)

    def _refuse(self) -> None:
        self.malformed += 1
        self.lose()
