"""Small files with numbered pictures and a tone, made by PyAV as others would make them."""

from __future__ import annotations

import array
import fractions
import math
from pathlib import Path
from typing import cast

import av
from av import AudioFrame
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.callers import HEIGHT, WIDTH, picture

RATE = 15
SAMPLES = 960


def clip(
    path: Path,
    *,
    video: str | None = "libvpx",
    audio: str | None = "libopus",
    seconds: float = 2.0,
    pitch: float = 440.0,
    first: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a file: pictures numbered from `first`, 15 a second, and a tone. The coders are
    named as FFmpeg names them."""
    with av.open(str(path), "w") as container:
        pictures = tone = None
        if video is not None:
            pictures = cast(VideoStream, container.add_stream(video, rate=RATE))
            pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            pictures.codec_context.options = options or {}
            pictures.codec_context.gop_size = 1000
        if audio is not None:
            tone = cast(AudioStream, container.add_stream(audio, rate=48_000))
            tone.codec_context.layout = "mono"
        for second in range(math.ceil(seconds)):
            for number in range(second * RATE, min((second + 1) * RATE, round(seconds * RATE))):
                if pictures is not None:
                    frame = picture(first + number).reformat(format="yuv420p")
                    frame.pts, frame.time_base = number, fractions.Fraction(1, RATE)
                    container.mux(pictures.encode(frame))
            for block in range(second * 50, min((second + 1) * 50, round(seconds * 50))):
                if tone is not None:
                    container.mux(tone.encode(_wave(block, pitch)))
        for stream in (pictures, tone):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def _wave(block: int, pitch: float) -> AudioFrame:
    step = 2 * math.pi * pitch / 48_000
    wave = (round(12000 * math.sin(step * (block * SAMPLES + n))) for n in range(SAMPLES))
    frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
    frame.planes[0].update(array.array("h", wave).tobytes())
    frame.sample_rate, frame.pts = 48_000, block * SAMPLES
    frame.time_base = fractions.Fraction(1, 48_000)
    return frame
