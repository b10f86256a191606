"""What a bot receives: coded frames as they come, sound and pictures for who asks for them.

Nothing is decoded until somebody reads `pcm` or `video`, and then in a worker thread. A reader
that does not keep up loses, so that nothing grows and nothing is late:

- `frames`: at most `MAX_FRAMES` wait. Then the oldest sound goes; of pictures all that wait go,
  and those that follow until the next keyframe, which is asked for.
- `pcm`: as `frames`; what is missing for less than a second is heard as silence.
- `video`: everything is decoded, but only the newest picture is handed out.

What went is counted in `dropped` of the track.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar
from weakref import WeakSet

from .media.decoding import PictureDecoder, SoundDecoder, pixels
from .media.frames import Frame
from .media.payload import Codec
from .values import Kind, Picture, PictureFormat, Sound

MAX_FRAMES = 256

Made = TypeVar("Made")


class Frames(AsyncIterator[Frame]):
    """Coded frames from now on, pictures from the next keyframe on. One no longer read is
    forgotten; what it drops is counted in the `dropped` of its kind."""

    def __init__(
        self, dropped: Mapping[Kind, Counter[str]], ask_keyframe: Callable[[], None]
    ) -> None:
        self._dropped = dropped
        self._ask_keyframe = ask_keyframe
        self._waiting: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._needs_keyframe = True
        self._gap: set[Kind] = set()
        self._ended = False

    def put(self, frame: Frame) -> None:
        """Take one more frame."""
        if len(self._waiting) >= MAX_FRAMES:
            self._make_room()
        if frame.kind == "video" and self._needs_keyframe:
            if not frame.keyframe:
                self._dropped["video"]["before a keyframe"] += 1
                return
            self._needs_keyframe = False
        if frame.kind in self._gap:
            self._gap.discard(frame.kind)
            frame = frame._replace(gap=True)
        self._waiting.append(frame)
        self._wake.set()

    def _make_room(self) -> None:
        pictures = sum(f.kind == "video" for f in self._waiting)
        if pictures:
            self._waiting = deque(f for f in self._waiting if f.kind != "video")
            self._dropped["video"]["too late"] += pictures
            self._gap.add("video")
            self._needs_keyframe = True
            self._ask_keyframe()
        else:
            self._waiting.popleft()
            self._dropped["audio"]["too late"] += 1
            self._gap.add("audio")

    def end(self) -> None:
        """Nothing more comes; what waits is still given."""
        self._ended = True
        self._wake.set()

    def taken(self) -> list[Frame]:
        """All that waits."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def __aiter__(self) -> Frames:
        return self

    async def __anext__(self) -> Frame:
        """The next frame, in the order they came."""
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()


class Decoded(AsyncIterator[Made], Generic[Made]):
    """What becomes of frames in a worker thread. Reading may be given up and taken up again."""

    def __init__(
        self, frames: Frames, pool: Executor, work: Callable[[Sequence[Frame]], Sequence[Made]]
    ) -> None:
        self._frames = frames
        self._pool = pool
        self._work = work
        self._made: deque[Made] = deque()
        self._busy: asyncio.Future[Sequence[Made]] | None = None

    def __aiter__(self) -> Decoded[Made]:
        return self

    async def __anext__(self) -> Made:
        """The next piece of sound, or the newest picture."""
        while not self._made:
            if self._busy is None:
                batch = [await anext(self._frames), *self._frames.taken()]
                loop = asyncio.get_running_loop()
                self._busy = loop.run_in_executor(self._pool, self._work, batch)
            # Whoever gives up waiting must not leave two threads at one decoder.
            made = await asyncio.shield(self._busy)
            self._busy = None
            self._made.extend(made)
        return self._made.popleft()


class Track:
    """Sound or picture of the other side, whatever device or connection it comes by.

    Iterate over it (or over `frames()`) for coded frames; over `pcm()` or `video()` for what is
    in them. Each reader starts at the moment it is made and has its own place. `kind` is
    `audio` or `video`; `codec` is None before anything came; `muted` while the other side says
    that it sends nothing; `dropped` counts what readers lost, by reason.
    """

    def __init__(self, kind: Kind, pool: Executor, ask_keyframe: Callable[[], None]) -> None:
        self.kind = kind
        self.codec: Codec | None = None
        self.muted = False
        self.dropped: Counter[str] = Counter()
        self._pool = pool
        self._ask_keyframe = ask_keyframe
        self._readers: WeakSet[Frames] = WeakSet()
        self._first: float | None = None
        self._ended = False

    def __aiter__(self) -> Frames:
        return self.frames()

    def frames(self) -> Frames:
        """Coded frames from now on, undecoded; pictures from the next keyframe on, which is
        asked for."""
        return self.join(Frames({self.kind: self.dropped}, self.ask_keyframe))

    def pcm(self, rate: int = 48_000, channels: int = 1) -> AsyncIterator[Sound]:
        """The sound from now on, in pieces of some 20 ms at `rate` samples a second (1,000 to
        192,000) with one channel or two. Raises `TypeError` for pictures, `ValueError`."""
        if self.kind != "audio":
            raise TypeError("Pictures have no sound: read `video`.")
        decoder = SoundDecoder(rate, channels)

        def work(frames: Sequence[Frame]) -> list[Sound]:
            made = [
                Sound(data, rate, channels, self.time_of(frame))
                for frame, data in decoder.decode(frames)
                if data
            ]
            self._count("damaged", decoder.damaged)
            decoder.damaged = 0
            return made

        return Decoded(self.frames(), self._pool, work)

    def video(
        self, width: int | None = None, format: PictureFormat = "rgb24"
    ) -> AsyncIterator[Picture]:
        """The pictures from now on, each time the newest, `width` pixels wide (as sent where
        None) with their proportions kept. Raises `TypeError` for sound."""
        if self.kind != "video":
            raise TypeError("Sound has no pictures: read `pcm`.")
        if width is not None and not 1 <= width <= 16_384:
            raise ValueError("A picture is between 1 and 16,384 pixels wide.")
        decoder = PictureDecoder()

        def work(frames: Sequence[Frame]) -> list[Picture]:
            decoded = decoder.decode(frames)
            self._count("damaged", decoder.damaged)
            decoder.damaged = 0
            if not decoded:
                return []
            self._count("not the newest", len(decoded) - 1)
            frame, picture = decoded[-1]
            data, wide, high = pixels(picture, width, format)
            return [Picture(data, wide, high, format, self.time_of(frame))]

        return Decoded(self.frames(), self._pool, work)

    def ask_keyframe(self) -> None:
        """Ask the other side for a keyframe, until it comes. For sound nothing happens."""
        if self.kind == "video":
            self._ask_keyframe()

    def time_of(self, frame: Frame) -> float:
        """Seconds from the track's first frame to this one, by the sender's clock."""
        return frame.timestamp / frame.clock_rate - (self._first or 0.0)

    def join(self, reader: Frames) -> Frames:
        """Let a reader have what follows."""
        if self._ended:
            reader.end()
        else:
            self._readers.add(reader)
            self.ask_keyframe()
        return reader

    def take(self, frame: Frame) -> None:
        """Hand a frame of the connection to all readers."""
        if self._first is None:
            self._first = frame.timestamp / frame.clock_rate
        self.codec = frame.codec
        for reader in self._readers:
            reader.put(frame)

    def end(self) -> None:
        """The call is over."""
        self._ended = True
        for reader in self._readers:
            reader.end()

    def _count(self, why: str, number: int) -> None:
        if number:
            self.dropped[why] += number


def both(audio: Track, video: Track) -> Frames:
    """Coded frames of both tracks from now on, in one iterator."""
    dropped: dict[Kind, Counter[str]] = {"audio": audio.dropped, "video": video.dropped}
    return video.join(audio.join(Frames(dropped, video.ask_keyframe)))
