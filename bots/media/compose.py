"""A recording as one film: its participants side by side, their sound together. Blocking.

The only place where recordings are decoded. Everything is laid on the time line that the
participants share, by the offsets in the sidecar.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple, cast

import av
from av import AudioFrame, AudioStream, VideoFrame, VideoStream
from av.container import OutputContainer
from av.error import FFmpegError

from .canvas import Canvas, Cell, Size, cell_size
from .mixing import RATE as SAMPLE_RATE
from .mixing import Mixer, Voice
from .sidecar import Participant, Sidecar

RATE = 60
"""Moments in a second at which the picture may change: it is never 10 ms off its time."""
_FASTER = {"preset": "veryfast", "crf": "23"}
BIT_RATE_SOUND = 128_000

Decoded = Generator[tuple[float, AudioFrame | VideoFrame], None, None]

logger = logging.getLogger(__name__)


class CannotCompose(ValueError):
    """A recording of which no film can be made; `str()` is a sentence that says why."""


class Told(NamedTuple):
    """A participant's file as it is found: its path, where it lies on the time line (seconds),
    whether it has sound, and the size of its pictures if it has any."""

    path: Path
    begin: float
    end: float
    sound: bool
    size: Size | None


def compose(
    folder: Path, about: Sidecar, output: Path, progress: Callable[[float, float], None]
) -> None:
    """Write the recording in `folder` into the MP4 file `output` (H.264 and AAC), from where the
    first participant's part begins.

    `progress` is told the seconds that are done, and how many there are. The file appears when
    it is whole. Raises `CannotCompose`.
    """
    found = _found(folder, about)
    if not any(told.sound or told.size for told in found):
        raise CannotCompose("Nothing was recorded, so there is nothing to be put together.")
    # Before anybody is there it would show nothing.
    start = min(told.begin for told in found)
    found = [told._replace(begin=told.begin - start, end=told.end - start) for told in found]
    draft = output.with_name(f".{output.name}.part")
    try:
        with av.open(
            str(draft), "w", format="mp4", container_options={"movflags": "+faststart"}
        ) as container:
            _Film(container, found).make(progress)
        os.replace(draft, output)
    except (FFmpegError, OSError) as error:
        words = getattr(error, "strerror", None) or error
        raise CannotCompose(f"{output} cannot be written: {words}.") from error
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _found(folder: Path, about: Sidecar) -> list[Told]:
    """What there is of each. One file that cannot be read does not cost the others."""
    found: list[Told] = []
    unreadable: list[CannotCompose] = []
    for person in about.participants:
        try:
            told = _look(folder, person)
        except CannotCompose as problem:
            unreadable.append(problem)
        else:
            found += [told] if told is not None else []
    if unreadable and not found:
        raise unreadable[0]
    for error in unreadable:
        logger.warning("Left out: %s", error)
    return found


def _look(folder: Path, person: Participant) -> Told | None:
    """What there is of a participant; None when there is nothing."""
    path = folder / Path(person.file).name
    if not person.file or not path.is_file():
        return None
    try:
        with av.open(str(path)) as container:
            sizes = [(s.width, s.height) for s in container.streams.video if s.width and s.height]
            sound = bool(container.streams.audio)
            length = (container.duration or 0) / 1_000_000
    except (FFmpegError, OSError) as error:
        words = getattr(error, "strerror", None) or error
        raise CannotCompose(f"{path} cannot be read: {words}.") from error
    begin = person.offset_ms / 1000
    size = max(sizes, key=lambda size: size[0] * size[1], default=None)
    if size and person.video is not None and person.video.width and person.video.height:
        size = person.video.width, person.video.height
    return Told(path, begin, begin + (person.duration_ms / 1000 or length), sound, size)


def decoded(path: Path, kind: Literal["audio", "video"], begin: float) -> Decoded:
    """All sound or all pictures of a file, and when: `begin` seconds later than the file says.

    What cannot be decoded is passed over; there is a hole in the recording just before.
    """
    damaged = 0
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        for stream in streams:
            # By slices: a decoder that works on several pictures at once gives them later.
            cast(VideoStream, stream).thread_type = "SLICE"
        packets = container.demux(*streams) if streams else iter(())
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                frames = packet.decode()
            except EOFError:
                break
            except FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame | VideoFrame) and frame.time is not None:
                    yield begin + frame.time, frame
    if damaged:
        logger.warning("%s: %d pieces could not be decoded.", path.name, damaged)


class _Film:
    """The film while it is made."""

    def __init__(self, container: OutputContainer, found: list[Told]) -> None:
        self._container = container
        self._length = max(told.end for told in found)
        self._sources: list[Decoded] = []
        self._canvas: Canvas | None = None
        self._mixer: Mixer | None = None
        self._pictures: VideoStream | None = None
        self._sound: AudioStream | None = None
        if sizes := [told.size for told in found if told.size is not None]:
            self._open_pictures(found, cell_size(sizes))
        if voices := [told for told in found if told.sound]:
            self._open_sound(voices)

    def _open_pictures(self, found: list[Told], size: Size) -> None:
        cells = []
        for told in found:
            frames = self._source(told, "video")
            # A picture that comes at the very end is seen too.
            end = told.end + 2 / RATE
            cells.append(Cell(cast(Iterator[tuple[float, VideoFrame]], frames), end, size))
        self._canvas = Canvas(cells, size)
        stream = self._container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = self._canvas.width, self._canvas.height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = _FASTER
        self._pictures = stream

    def _open_sound(self, voices: list[Told]) -> None:
        frames = [self._source(told, "audio") for told in voices]
        self._mixer = Mixer([Voice(cast(Iterator[tuple[float, AudioFrame]], f)) for f in frames])
        stream = self._container.add_stream("aac", rate=SAMPLE_RATE)
        stream.codec_context.layout = "stereo"
        stream.codec_context.bit_rate = BIT_RATE_SOUND
        self._sound = stream

    def _source(self, told: Told, kind: Literal["audio", "video"]) -> Decoded:
        source = decoded(told.path, kind, told.begin)
        self._sources.append(source)
        return source

    def make(self, progress: Callable[[float, float], None]) -> None:
        """Write all of it."""
        try:
            for number in range(round(self._length * RATE) + 1):
                # The picture nearest to the moment, not the last before it: half as far off.
                self._draw(number, (number + 0.5) / RATE)
                if self._mixer is not None:
                    self._play(self._mixer.until((number + 1) / RATE))
                if number % RATE == 0 and number / RATE < self._length:
                    progress(number / RATE, self._length)
            if self._mixer is not None:
                self._play(self._mixer.end())
            for stream in (self._pictures, self._sound):
                if stream is not None:
                    self._container.mux(stream.encode(None))
        finally:
            for source in self._sources:
                # A generator that is let go in its midst keeps its file open.
                source.close()
        progress(self._length, self._length)

    def _draw(self, number: int, moment: float) -> None:
        if self._canvas is None or self._pictures is None:
            return
        # A still picture is shown again now and then, so that players can seek.
        again = number % RATE == 0 and number / RATE < self._length
        if not self._canvas.advance(moment) and not again:
            return
        frame = self._canvas.draw()
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        self._container.mux(self._pictures.encode(frame))

    def _play(self, frames: Iterator[AudioFrame]) -> None:
        assert self._sound is not None
        for frame in frames:
            self._container.mux(self._sound.encode(frame))
