"""A small picture of what a recording shows: one decoded keyframe, as JPEG."""

from __future__ import annotations

import logging
from pathlib import Path

import av

WIDTH = 320
logger = logging.getLogger(__name__)


def make(path: Path) -> str | None:
    """Write it beside a recorded file; its name, None when the file has no picture. Blocks."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return None
            frame = next(container.decode(container.streams.video[0]), None)
        if frame is None:
            return None
        return _write(frame, path.with_suffix(".jpg"))
    except (av.FFmpegError, OSError, ValueError) as error:
        # The recording is none the worse for it.
        logger.warning("%s has no small picture: %s", path.name, error)
        return None


def _write(frame: av.VideoFrame, path: Path) -> str:
    height = max(2, round(frame.height * WIDTH / frame.width / 2) * 2)
    small = frame.reformat(width=WIDTH, height=height, format="yuvj420p")
    codec = av.CodecContext.create("mjpeg", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = small.width, small.height, "yuvj420p"
    codec.time_base = small.time_base or codec.time_base
    small.pts = 0
    data = b"".join(bytes(packet) for packet in [*codec.encode(small), *codec.encode(None)])
    path.write_bytes(data)
    return path.name
