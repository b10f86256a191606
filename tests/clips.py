"""Small files with marked pictures and sounds, made by PyAV as others would make them."""

from __future__ import annotations

import fractions
import math
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.marked import PACKET, RATE, SIZE, STREAM, picture, sound


def clip(
    path: Path,
    *,
    video: str | None = "libvpx",
    audio: str | None = "libopus",
    seconds: float = 2.0,
    first: int = 0,
    stream: int = STREAM,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a file: pictures of a stream from the `first` on, 15 a second, and its sound. The
    coders are named as FFmpeg names them."""
    with av.open(str(path), "w") as container:
        pictures = sounds = None
        if video is not None:
            pictures = cast(VideoStream, container.add_stream(video, rate=RATE))
            (pictures.width, pictures.height), pictures.pix_fmt = SIZE, "yuv420p"
            pictures.codec_context.options = options or {}
            pictures.codec_context.gop_size = 1000
        if audio is not None:
            sounds = cast(AudioStream, container.add_stream(audio, rate=48_000))
            sounds.codec_context.layout = "mono"
        for second in range(math.ceil(seconds)):
            for number in range(second * RATE, min((second + 1) * RATE, round(seconds * RATE))):
                if pictures is not None:
                    frame = picture(first + number, stream)
                    frame.pts, frame.time_base = number, fractions.Fraction(1, RATE)
                    container.mux(pictures.encode(frame))
            for block in range(second * 50, min((second + 1) * 50, round(seconds * 50))):
                if sounds is not None:
                    container.mux(sounds.encode(sound(block * PACKET, stream=stream)))
        for made in (pictures, sounds):
            if made is not None:
                container.mux(made.encode(None))
    return path
