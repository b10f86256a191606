"""Pictures and sound as files: what a camera and a microphone are made to play, and stills."""

from __future__ import annotations

import wave
from io import BytesIO
from pathlib import Path

import av
from av import VideoFrame

from .chirps import PERIOD, RATE, WORDS, Chirps
from .marks import Mark
from .options import Options
from .scene import Scene
from .speech import Spoken

AGAIN = WORDS * PERIOD
"""Seconds after which the sound of a stream begins again as it was."""


def sound(options: Options, stream: int) -> Chirps:
    """The sound of a stream, as it is asked for."""
    return Spoken(stream) if options.speech else Chirps(stream)


def film(path: Path, scene: Scene, rate: float, seconds: float) -> None:
    """Write marked pictures, numbered from 0, as a Y4M file. Their stamps say nothing."""
    head = f"YUV4MPEG2 W{scene.width} H{scene.height} F{round(rate * 1000)}:1000 Ip A1:1 C420\n"
    with path.open("wb") as file:
        file.write(head.encode())
        for number in range(round(rate * seconds)):
            file.write(b"FRAME\n")
            file.write(scene.picture(Mark(scene.stream, number & 0xFFFF, 0)).tobytes())


def tape(chirps: Chirps, seconds: float) -> bytes:
    """Marked sounds, numbered from 0, as a WAV file."""
    made = BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(chirps.pcm(0, round(RATE * seconds)).tobytes())
    return made.getvalue()


def png(picture: VideoFrame) -> bytes:
    """A picture as a PNG file."""
    context = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = picture.width, picture.height, "rgb24"
    frame = picture.reformat(format="rgb24")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))
