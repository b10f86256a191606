"""What one side of a call test sends, and what it makes of what comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ringback.bots.media.endpoint import Endpoint
from ringback.bots.media.frames import Frame
from ringback.bots.media.incoming import Incoming
from ringback.bots.media.outgoing import Outgoing
from ringback.bots.media.payload import Codec
from ringback.bots.values import Kind

from .camera import Camera
from .chirps import WORDS
from .listening import Listener
from .marked import MarkedPictures
from .observed import Clocks, HeardChirp, Sample, SeenPicture, SentChirp, SentPicture, Sound
from .options import SOUND, Options
from .scene import Scene
from .sounding import MarkedSounds, reel
from .speech import Comparison, judge
from .watching import Watcher


class Note(Protocol):
    """Takes down a step."""

    def __call__(self, name: str, detail: str = "", at: float | None = None) -> None:
        """Its name, details in words, and when (monotonic seconds; None is now)."""


@dataclass(slots=True)
class Book:
    """What one side has sent, and what it has seen and heard. It grows while the call goes on."""

    sent: list[SentPicture] = field(default_factory=list)
    sent_chirps: list[SentChirp] = field(default_factory=list)
    seen: list[SeenPicture] = field(default_factory=list)
    heard: list[HeardChirp] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)


class Talk:
    """The media of one side: marked pictures and sounds out, and whatever comes in, read.

    `stream` is in its own marks, but for its pictures where a `camera` makes those for several;
    `expected` is in those of who sends to it, but for its sounds where it has another `voice`.
    `use` it by an
    endpoint, `begin` to send, `stop` sending, `finish` reading; `book` is what it comes to.
    `stamped` false: the stamps of what comes say nothing. `speech` is how intelligible it was when
    it was judged last, where options ask for it. `on_frame` gets each coded frame, too;
    `on_news` is called when something was seen or heard.
    """

    def __init__(
        self, options: Options, stream: int, expected: int, pool: Executor, note: Note,
        on_news: Callable[[], None], *, stamped: bool = True, voice: int | None = None,
        camera: Camera | None = None,
    ) -> None:  # fmt: skip
        self.stream = stream
        self.clocks = Clocks()
        self.speech: float | None = None
        self.on_frame: Callable[[Frame], None] | None = None
        self._note = note
        self._on_news = on_news
        self._plane: Endpoint | None = None
        self._noted: set[str] = set()
        self._fault: Exception | None = None
        self._sending: list[asyncio.Task[None]] = []
        self.book = book = Book()
        camera = camera or Camera(Scene(stream, *options.size), options, pool)
        shown = camera.scene
        if expected != shown.stream:
            shown = Scene(expected, *options.size)
        self.pictures = MarkedPictures(camera, options.codec, book.sent)
        rate = None if options.sound_only else options.rate
        spoken = reel(stream % WORDS, spoken=options.speech)
        self.sounds = MarkedSounds(spoken, pool, rate, book.sent_chirps)
        self._pool = pool
        self._speech = Comparison(expected if voice is None else voice) if options.speech else None
        self.watcher = Watcher(pool, shown, book.seen, self._saw, stamped=stamped)
        self.listener = Listener(pool, book.heard, book.sounds, self._heard, self._speech)
        self._kinds = options.kinds
        self._wanted: dict[Kind, Codec] = {"audio": SOUND, "video": options.codec}

    @property
    def codecs(self) -> dict[Kind, str]:
        """In what the other side sends, by kind: what was agreed on, or came."""
        tracks = self._plane.incoming.values() if self._plane is not None else ()
        return {track.kind: track.codec for track in tracks if track.codec is not None}

    @property
    def refused(self) -> int:
        """How much came too fast to be looked at."""
        return self.watcher.refused + self.listener.refused

    @property
    def slow(self) -> float:
        """The longest that this machine took to code or to decode a picture, in seconds."""
        return max(self.pictures.slow, self.watcher.slow)

    def use(self, plane: Endpoint) -> None:
        """Send and receive by this end of the media from now on."""
        self._plane = plane
        plane.on_incoming = self._take
        plane.on_fault = self._failed
        for track in plane.incoming.values():
            self._take(track)

    def _take(self, track: Incoming) -> None:
        reader = self.listener.take if track.kind == "audio" else self.watcher.take
        track.on_frame = partial(self._frame, reader)

    def _frame(self, reader: Callable[[Frame], None], frame: Frame) -> None:
        if "packet" not in self._noted and self._plane is not None:
            self._once("packet", frame.kind, self._plane.counts.first)
        if self.on_frame is not None:
            self.on_frame(frame)
        reader(frame)

    def _once(self, name: str, detail: str, at: float | None = None) -> None:
        if name not in self._noted:
            self._noted.add(name)
            self._note(name, detail, at)

    def _saw(self, seen: list[SeenPicture]) -> None:
        first = next((picture for picture in seen if picture.stream is not None), None)
        if first is not None:
            self._once("picture", f"{first.width}x{first.height}", first.shown)
        self._on_news()

    def _heard(self, heard: list[HeardChirp]) -> None:
        first = next((chirp for chirp in heard if chirp.stream is not None), None)
        if first is not None:
            self._once("sound", f"{first.level:.0f} dBFS", first.at)
        self._on_news()

    def begin(self, start: float) -> None:
        """Send from `start` (monotonic seconds) on."""
        find = {kind: partial(self._out, kind) for kind in self._kinds}
        if "video" in self._kinds:
            # The first sound together with the first picture.
            picture, start = self.pictures.begin(start)
            pictures = self.pictures.run(find["video"])
            self._sending.append(asyncio.create_task(pictures, name="send video"))
        else:
            picture = 0
        sounds = self.sounds.run(find["audio"], start, picture)
        self._sending.append(asyncio.create_task(sounds, name="send audio"))

    def _out(self, kind: Kind) -> Outgoing | None:
        """The track of a kind, if the other side wants it now and takes our codec."""
        for track in self._plane.outgoing.values() if self._plane is not None else ():
            if track.kind == kind and track.active and self._wanted[kind] in track.codecs:
                return track
        return None

    def _failed(self, error: Exception) -> None:
        self._fault = self._fault or error

    async def stop(self) -> None:
        """Send no more. Raises what ended sending before."""
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending)
        for task in self._sending:
            if not task.cancelled():
                task.result()

    async def open(self) -> None:
        """Nothing: our own clock is the one that counts."""

    def settle(self, seen: Sequence[SeenPicture], heard: Sequence[HeardChirp]) -> None:
        """Nothing: what was sent is known without knowing what was `seen` and `heard` of it."""

    async def finish(self) -> None:
        """Wait until all that came was looked at. Raises what reading it raised."""
        await self.watcher.finish()
        await self.listener.finish()
        await self.judge_speech()
        if self._fault is not None:
            raise self._fault

    async def judge_speech(self) -> None:
        """Compare the speech that came by now to what was sent."""
        self.speech = await judge(self._speech, self._pool)

    def samples(self) -> Sequence[Sample]:
        """The counters of what comes, as they stand now."""
        plane, now = self._plane, time.monotonic()
        if plane is None:
            return ()
        trips = {t.kind: t.round_trip for t in plane.outgoing.values() if t.round_trip is not None}
        return [
            _sample(track, now, trips.get(track.kind))
            for track in plane.incoming.values()
            if track.kind in self._kinds
        ]


def _sample(track: Incoming, now: float, round_trip: float | None) -> Sample:
    stats, source = track.stats, track.source
    return Sample(
        at=now,
        kind=track.kind,
        packets=stats.packets,
        bytes=stats.octets,
        lost=stats.arrivals.lost,
        repaired=stats.arrivals.repaired,
        duplicates=stats.arrivals.duplicates,
        reordered=stats.arrivals.reordered,
        keyframes_asked=stats.keyframes_asked,
        jitter=source.jitter if source is not None else None,
        round_trip=round_trip,
    )
