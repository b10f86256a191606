"""Pictures that a page showed, about one a second, compared to what was sent."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .marks import Mark
from .scene import Scene
from .similarity import similarity

# ITU-R BT.601, as browsers make red, green and blue of pictures of this size.
_RED, _GREEN, _BLUE, _BLACK = 65.481 / 255, 128.553 / 255, 24.966 / 255, 16


class Album:
    """What a page showed of a `scene`. `first` and `worst` are the first picture that was taken
    and the one least like what was sent, as PNG."""

    def __init__(self, scene: Scene) -> None:
        self.first: bytes | None = None
        self.worst: bytes | None = None
        self._scene = scene
        self._least = math.inf

    def take(self, stills: Iterable[dict[str, Any]]) -> dict[int, float]:
        """How like what was sent each of them is (0 to 1), by the number in its mark. `stills`
        are as the probe tells them: the fields of a mark, and `png` in base 64. Those of other
        streams and sizes are left out."""
        return dict(filter(None, map(self._compare, stills)))

    def _compare(self, still: dict[str, Any]) -> tuple[int, float] | None:
        scene, data = self._scene, base64.b64decode(still["png"])
        if still["stream"] != scene.stream:
            return None
        decoder = av.CodecContext.create("png", "r")
        (picture,) = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
        if (picture.width, picture.height) != (scene.width, scene.height):
            return None
        sent = scene.luma(Mark(scene.stream, still["sequence"], still["stamp"]))
        shown = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
        alike = similarity(sent, _luma(shown))
        self.first = self.first or data
        if alike < self._least:
            self._least, self.worst = alike, data
        return still["sequence"], alike


def _luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma plane of a picture, (height, width)."""
    made = rgb @ np.array([_RED, _GREEN, _BLUE], np.float32) + _BLACK
    return np.rint(made).astype(np.uint8)
