"""A recording that goes on: from the tracks of its participants into files, until it ends.

Nothing is decoded. Frames are collected on the event loop and handed to the one writer thread
twice a second; a disk that does not keep up costs pictures (until the next keyframe, noted as a
gap), never a call. It ends when told, or by itself with a reason.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from . import sidecar, thumbnail
from .frames import Frame, Kind
from .incoming import Incoming
from .part import Item, Key, PartFile, Told, Took
from .sidecar import Participant, Reason, Sidecar
from .timeline import TimeLine
from .writer import Full, Writer

FLUSH, FLUSH_SETTLED = 0.5, 1.0
"""Seconds between two writes, where frames are held long and where not: what is lost with the
process is less than two seconds' worth."""
KEYFRAME_EVERY = 15.0
"""Seconds after which a keyframe is asked for, so that players can seek."""
NOTE_EVERY = 5.0
MOST_WAITING = 16 * 1024 * 1024
"""Bytes of one participant that may wait for the disk."""
MOST_TRACKS = 256
"""Tracks that one participant may have had, one after the other or beside each other."""
PATIENCE = 30.0
"""Seconds that a disk has to take the end of a recording."""
Why = Literal["paused", "full"]
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What it means that there is no room left."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """What ends a recording by itself: seconds, bytes of all its files, and bytes that are to
    stay free on the disk."""

    seconds: float = 7_200.0
    bytes: int = 2_000_000_000
    free: int = 1_000_000_000


class Part:
    """One participant, on the event loop: collects what their tracks bring."""

    def __init__(self, recording: Recording, file: PartFile) -> None:
        self.file = file
        self._recording = recording
        self._tracks: dict[Key, Incoming] = {}
        self._kinds: dict[str, Kind] = {}
        self._items: list[Item] = []
        self._bytes = 0
        self._asked = 0
        self._dropping: dict[Key, Why] = {}
        self._legs = 0

    def leg(self) -> Callable[[Incoming], None]:
        """For one more connection of this participant: what takes each of its tracks."""
        self._legs += 1
        self._let_go(list(self._tracks))
        return partial(self._attach, self._legs)

    def _let_go(self, keys: list[Key]) -> None:
        """Tracks of which nothing comes any more."""
        for key in keys:
            self._asked += self._tracks.pop(key).stats.keyframes_asked
            self._dropping.pop(key, None)

    def _place(self, track: Incoming) -> str:
        """Where a track goes on: as the one of its kind that has ended, if there is one."""
        taken = {self.file.places[key] for key in self._tracks}
        same = [name for name, kind in self._kinds.items() if kind == track.kind]
        free = [name for name in same if name not in taken]
        name = track.mid
        if free and name not in free:
            name = free[0]
        elif not free and name in self._kinds:
            name = f"{name}+{len(self._kinds)}"
        self._kinds[name] = track.kind
        return name

    def _attach(self, leg: int, track: Incoming) -> None:
        self._let_go([key for key, known in self._tracks.items() if known.ended])
        number = len(self.file.places)
        if number >= MOST_TRACKS:
            logger.warning("%s has had too many tracks: one is not kept.", self.file.about.name)
            return
        key = (leg, track.mid if (leg, track.mid) not in self.file.places else f"{number}th")
        self.file.places[key] = self._place(track)
        self._tracks[key] = track
        if track.codec is not None:
            self.file.expected.add(track.codec)

        def told(source: int, timestamp: int, ntp: float, arrived: float) -> None:
            self._items.append(Told(key, source, timestamp, ntp, arrived, track.rate))

        track.clock.on_report = told
        track.on_frame = partial(self._take, key)

    def _take(self, key: Key, frame: Frame) -> None:
        recording, size = self._recording, len(frame.data)
        if not recording.keeps:
            self._dropping[key] = "paused"
            return
        if recording.on_heard is not None:
            recording.heard()
        why = self._dropping.get(key)
        if self._bytes + size > MOST_WAITING:
            if why is None:
                self._dropping[key] = "full"
                self.ask_keyframes()
            return
        if why is not None and not frame.keyframe:
            return
        if why is not None:
            del self._dropping[key]
        self._bytes += size
        # After a pause nothing is missing that was to be kept.
        self._items.append(Took(key, frame, dropped=why == "full"))

    def put(self, frame: Frame) -> None:
        """Take a frame of which no track of this participant tells."""
        self._take((0, frame.kind), frame)

    def drain(self) -> list[Item]:
        """What came since the last time."""
        items, self._items, self._bytes = self._items, [], 0
        return items

    @property
    def waits(self) -> bool:
        """Whether pictures that come are left out until a keyframe."""
        waiting = self.file.waiting
        return any(key in waiting and not track.ended for key, track in self._tracks.items())

    def ask_keyframes(self) -> None:
        """Ask for pictures that can be begun with."""
        for track in self._tracks.values():
            if not track.ended:
                track.ask_keyframe()

    def count(self) -> None:
        """Note how often keyframes were asked for."""
        now = sum(track.stats.keyframes_asked for track in self._tracks.values())
        self.file.about.keyframe_requests = self._asked + now


class Recording:
    """Files of a recording in `folder`, which is made. `start` it, add each participant with
    `part`, `close` it. `on_heard` is called once, when the first media came; `on_end` when it
    ends by itself, with the reason: it is to be closed then like any other."""

    def __init__(
        self,
        folder: Path,
        about: Sidecar,
        writer: Writer,
        limits: RecordLimits,
        *,
        on_heard: Callable[[], None] | None = None,
        on_end: Callable[[Reason], None] | None = None,
    ) -> None:
        self.about = about
        self.on_heard = on_heard
        self.on_end = on_end
        self.reason: Reason | None = None
        self._folder = folder
        self._writer = writer
        self._limits = limits
        self._line = TimeLine(time.monotonic())
        self._parts: dict[str, Part] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._noted: list[tuple[str, int]] = []

    @property
    def keeps(self) -> bool:
        """Whether what comes now is kept."""
        return self.reason is None and not self._line.paused

    async def start(self, *, paused: bool = False) -> None:
        """Make the folder. Raises `OSError` when that cannot be, or too little room is left."""
        await self._writer.do(self._make_folder)
        if paused:
            self._line.pause(time.monotonic())
        self._task = asyncio.create_task(self._run(), name=f"recording {self.about.id}")

    def part(self, name: str) -> Part:
        """The part of a participant of this name."""
        if name not in self._parts:
            about = Participant(name)
            self.about.participants.append(about)
            number = len(self._parts) + 1
            file = PartFile(self._folder, number, about, self._line)
            self._parts[name] = Part(self, file)
        return self._parts[name]

    def heard(self) -> None:
        """Media has come."""
        if self.on_heard is not None:
            told, self.on_heard = self.on_heard, None
            told()

    def pause(self) -> None:
        """Keep nothing until `resume`."""
        self._line.pause(time.monotonic())

    def resume(self) -> None:
        """Keep what comes again, pictures from their next keyframe on."""
        if self._line.paused:
            self._line.resume(time.monotonic())
            for part in self._parts.values():
                part.ask_keyframes()

    async def close(self, reason: Reason = "stopped") -> None:
        """End it: write what waits, complete the files. May be called more than once."""
        self.reason = self.reason or reason
        self._stopping.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def _end(self, reason: Reason) -> None:
        if self.reason is None:
            self.reason = reason
            self._stopping.set()
            if self.on_end is not None:
                self.on_end(reason)

    async def _run(self) -> None:
        noted = refreshed = time.monotonic()
        try:
            while not self._stopping.is_set():
                settled = all(part.file.settled for part in self._parts.values())
                every = FLUSH_SETTLED if settled else FLUSH
                await self._wait(until_next(every, time.monotonic()))
                await self._flush()
                now = time.monotonic()
                due = now - refreshed >= KEYFRAME_EVERY
                refreshed = now if due else refreshed
                for part in self._parts.values():
                    if due or part.waits:
                        part.ask_keyframes()
                if now - noted >= NOTE_EVERY or self._noted != self._places():
                    noted, self._noted = now, self._places()
                    await self._writer.do(self._note)
        except Full:
            logger.warning("The recording %s ends: the disk does not keep up.", self.about.id)
            self._end("failed")
        except OSError as error:
            logger.warning("The recording %s ends: %s", self.about.id, error)
            self._end("disk_full" if error.errno in FULL else "failed")
        except Exception:
            logger.exception("The recording %s ends by a fault of ours.", self.about.id)
            self._end("failed")
        finally:
            await self._finish()

    def _places(self) -> list[tuple[str, int]]:
        """The files there are, and where they lie: whoever finishes them one day must know."""
        return [(part.file.about.file, part.file.about.offset_ms) for part in self._parts.values()]

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        """Hand over what came, and look at the limits."""
        now = time.monotonic()
        work = [(part.file, part.drain()) for part in self._parts.values()]
        free = await self._writer.do(partial(self._write, work, now))
        size = sum(part.file.bytes for part in self._parts.values())
        if free < self._limits.free:
            self._end("disk_full")
        elif size >= self._limits.bytes:
            self._end("too_large")
        elif self._line.length(now) >= self._limits.seconds:
            self._end("too_long")

    def _write(self, work: list[tuple[PartFile, list[Item]]], now: float) -> int:
        """On the writer's thread: write; the room that is left on the disk, in bytes."""
        for file, items in work:
            file.take(items, now)
        return shutil.disk_usage(self._folder).free

    def _make_folder(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(self._folder.parent).free < self._limits.free:
            raise OSError(errno.ENOSPC, "too little room is left on the disk")
        self._folder.mkdir(mode=0o700)
        self._note()

    def _note(self) -> None:
        self.about.pauses = self._line.pauses()
        for part in self._parts.values():
            part.count()
        sidecar.write(self._folder, self.about)

    async def _finish(self) -> None:
        last = [(part.file, part.drain()) for part in self._parts.values()]
        try:
            async with asyncio.timeout(PATIENCE):
                await self._writer.do(partial(self._complete, last, time.monotonic()))
        except (Full, TimeoutError, RuntimeError) as error:
            # It is finished at the next start, from what is in its folder.
            logger.error("The recording %s could not be finished: %r", self.about.id, error)

    def _complete(self, last: list[tuple[PartFile, list[Item]]], now: float) -> None:
        for file, items in last:
            try:
                file.take(items, now, last=True)
            except OSError as error:
                logger.warning("The last of %s could not be written: %s", file.path, error)
            except Exception:
                logger.exception("The last of %s is lost by a fault of ours.", file.path)
            try:
                file.finish()
            except OSError as error:
                logger.warning("%s stays without an index: %s", file.path, error)
            if file.path is not None:
                file.about.thumbnail = thumbnail.make(file.path)
        self.about.ended = round(time.time() * 1000)
        self.about.reason = self.reason or "failed"
        try:
            self._note()
        except OSError as error:
            logger.warning("What is known of %s could not be written: %s", self.about.id, error)


def until_next(every: float, now: float) -> float:
    """Seconds until the next write: recordings write at the same moments (multiples of `every`),
    so that the writer's thread and the event loop are woken once for all."""
    left = every - now % every
    # A timer may be early by a moment.
    return left if left > every / 10 else left + every
