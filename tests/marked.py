"""Marked pictures and sounds, made and read: how tests tell whose what arrives is, and which.

They are those of a call test (`ringback.bots.calltest`). Picture n of a stream says in its stamp
that it was taken n / `RATE` seconds after the stream's begin, if nothing else is said; sound k
begins k / 2 seconds after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame

from ringback.bots.calltest import chirps, marks
from ringback.bots.calltest.chirps import PERIOD, Chirps, Ear
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.watching import plane

SIZE = WIDTH, HEIGHT = 160, 96
"""Of cells that are no multiples of a coder's blocks: aiortc's own, which takes out what looks like
noise, makes one in three pictures unreadable whose cells are (256 by 128)."""
RATE = 15
STREAM = 1
PACKET = 960
"""Samples of 20 ms."""
_SILENCE = np.zeros(chirps.RATE // 2, np.int16)
_PAUSE = 0.04


class Picture(NamedTuple):
    """A marked picture that was seen, at `time` (s), as large as it was."""

    time: float
    mark: Mark
    size: tuple[int, int]


class Sound(NamedTuple):
    """A marked sound that was heard, at `time` (s): `stream` and `number` modulo 32, how loud
    (dB below full scale)."""

    time: float
    stream: int
    number: int
    level: float


def voice(stream: int) -> int:
    """What the sounds of a stream say of whose they are."""
    return stream % chirps.WORDS


def picture(
    number: int, stream: int = STREAM, *, size: tuple[int, int] = SIZE, at: float | None = None
) -> VideoFrame:
    """A picture, taken at `at` (s). But for its marks it is grey: a coder that is starved of time
    or bits has these to spend them on."""
    width, height = size
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    marks.paint(planes[:height], marks.marked(stream, number, number / RATE if at is None else at))
    return VideoFrame.from_ndarray(planes, "yuv420p")


def sound(first: int, samples: int = PACKET, stream: int = STREAM) -> AudioFrame:
    """Part of a stream's sound, 48,000 samples a second, from its `first` sample on."""
    frame = AudioFrame("s16", "mono", samples)
    frame.planes[0].update(_chirps(stream).pcm(first, samples).tobytes())
    frame.pts, frame.sample_rate = first, chirps.RATE
    frame.time_base = Fraction(1, chirps.RATE)
    return frame


def read(frame: VideoFrame) -> Mark | None:
    """What a picture says; None for one that cannot be read."""
    return marks.read(plane(frame)).mark


def mark_of(frame: VideoFrame, stream: int | None = STREAM) -> Mark:
    """What a picture of a stream (None: of any) says. One that cannot be read is an error, and
    so is one of another stream."""
    found = read(frame)
    assert found is not None, "the marks of a picture cannot be read"
    assert stream in (None, found.stream), found
    return found


def number_of(frame: VideoFrame, stream: int = STREAM) -> int:
    """Which picture of a stream it is."""
    return mark_of(frame, stream).sequence


def growing(numbers: list[int]) -> bool:
    """Whether nothing came twice or after something later."""
    return all(a < b for a, b in zip(numbers, numbers[1:], strict=False))


class Listener:
    """Finds marks in decoded sound, whatever its rate and channels. Their times are those of
    the frames where these have any. `loudest`: the highest sample."""

    def __init__(self) -> None:
        self._resampler = AudioResampler("s16", "mono", chirps.RATE)
        self.loudest = 0
        self._ear = Ear()
        self._samples = 0
        self._starts: list[tuple[int, float]] = []

    def hear(self, frame: AudioFrame) -> list[Sound]:
        """Take a frame; the sounds that are complete now and whose words are clear."""
        found: list[Sound] = []
        time = self._time(self._samples) if frame.time is None else frame.time
        if self._starts and abs(time - self._time(self._samples)) > _PAUSE:
            found += self.finish()
        self._starts.append((self._samples, time))
        for plain in self._resampler.resample(frame):
            pcm = np.frombuffer(memoryview(plain.planes[0]), np.int16)[: plain.samples]
            self._samples += plain.samples
            self.loudest = max(self.loudest, int(np.abs(pcm.astype(int)).max(initial=0)))
            found += self._heard(pcm)
        return found

    def finish(self) -> list[Sound]:
        """What was not yet told; then it begins anew."""
        found = self._heard(_SILENCE)
        self._ear, self._samples, self._starts = Ear(), 0, []
        return found

    def _heard(self, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[Sound]:
        return [
            Sound(self._time(heard.sample), heard.stream, heard.number, heard.level)
            for heard in self._ear.hear(pcm)
            if heard.stream is not None and heard.number is not None
        ]

    def _time(self, sample: float) -> float:
        pieces = [(0, 0.0)] if not self._starts else self._starts
        start, time = next((p for p in reversed(pieces) if p[0] <= sample), pieces[0])
        return time + (sample - start) / chirps.RATE


def heard(frames: Iterable[AudioFrame]) -> list[Sound]:
    """The sounds in some frames."""
    listener = Listener()
    return [sound for frame in frames for sound in listener.hear(frame)] + listener.finish()


@dataclass
class Played:
    """What a player makes of a file: its pictures and sounds with their times; how long it sounds,
    and is said to be (s); its highest sample (of full scale); the codecs' names."""

    pictures: list[Picture] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    seconds: float = 0.0
    duration: float = 0.0
    loudest: float = 0.0
    codecs: set[str] = field(default_factory=set)

    @property
    def numbers(self) -> list[int]:
        """Which pictures it shows."""
        return [picture.mark.sequence for picture in self.pictures]

    @property
    def times(self) -> list[float]:
        """When its pictures are shown."""
        return [picture.time for picture in self.pictures]


def play(path: Path, stream: int = STREAM, *, blank: bool = False) -> Played:
    """Decode a whole file, in which everything is of one stream. `blank`: some pictures may say
    nothing, as those of a camera that is off, or damaged; they are left out."""
    played, listener = Played(), Listener()
    with av.open(str(path)) as container:
        played.duration = (container.duration or 0) / 1e6
        played.codecs = {stream.codec_context.codec.canonical_name for stream in container.streams}
        frames: Iterator[Any] = container.decode()
        for frame in frames:
            if isinstance(frame, VideoFrame):
                assert frame.time is not None
                if not blank or read(frame) is not None:
                    size = frame.width, frame.height
                    played.pictures.append(Picture(frame.time, mark_of(frame, stream), size))
            elif isinstance(frame, AudioFrame):
                played.seconds += frame.samples / frame.sample_rate
                played.sounds += listener.hear(frame)
    played.loudest = listener.loudest / 32768
    played.sounds += listener.finish()
    assert {sound.stream for sound in played.sounds} <= {voice(stream)}
    return played


def begins(sounds: Iterable[Sound]) -> list[float]:
    """When (s) the stream began by each of its sounds, within the 16 s in which they count."""
    return [time - number * PERIOD for time, _, number, _ in sounds]


@cache
def _chirps(stream: int) -> Chirps:
    return Chirps(stream)
