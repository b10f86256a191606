"""One participant's file: frames in as they arrive, clusters out in the order of their making.

Lives on the writer's thread. Frames are held back for a moment, so that what belongs together
is written together; until the sender has said what its ticks mean they are held a little longer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import avc, matroska
from .align import Offset, TrackClock
from .frames import Frame
from .matroska import Block, MatroskaFile, Track
from .payload import Codec
from .sidecar import MOST_GAPS, ClockPoint, Gap, Participant, Pictures, Sound, gap_note
from .timeline import TimeLine

HOLD, HOLD_UNKNOWN = 0.4, 1.4
"""Seconds a frame waits after it came: where its sender's clock is known, and where not yet."""
CLUSTER_MS = 1_000
CLOCK_EVERY_MS = 10_000
MOST_CLOCK_POINTS = 2_000

Key = tuple[int, str]
"""A track of a leg: the leg's number, and the mid of the section."""


class Took(NamedTuple):
    """A frame came on a track; `dropped`: the one before it had to be let go here."""

    key: Key
    frame: Frame
    dropped: bool = False


class Told(NamedTuple):
    """A sender report came on a track."""

    key: Key
    source: int
    timestamp: int
    ntp: float
    arrived: float
    rate: int


Item = Took | Told


class PartFile:
    """The file of one participant: `take` what came, `finish` or `abandon` at the end.

    `places`: under which name a track goes on, where that is not its own: one that takes the place
    of one that has ended. `expected`: codecs that were negotiated; they decide about the kind of
    file. `settled`: it is known of every track what its sender's ticks mean, so frames are held
    but shortly. Every method may raise `OSError`; what was written before stays playable.
    """

    def __init__(self, folder: Path, number: int, about: Participant, line: TimeLine) -> None:
        self.about = about
        self.expected: set[Codec] = set()
        self.places: dict[Key, str] = {}
        self._folder = folder
        self._number = number
        self._line = line
        self._file: MatroskaFile | None = None
        self._origin: float | None = None
        self._leg = 0
        self._held: list[Took] = []
        self._offsets: dict[int, Offset] = {}
        self._clocks: dict[Key, TrackClock] = {}
        self._tracks: dict[tuple[str, Codec], Track] = {}
        self._last: dict[str, int] = {}
        self._floor = 0
        self.settled = True
        self._goes_on: dict[Key, bool] = {}
        self._clock_at = -CLOCK_EVERY_MS

    @property
    def bytes(self) -> int:
        """The size of the file so far."""
        return self._file.bytes if self._file is not None else 0

    @property
    def waiting(self) -> set[Key]:
        """Tracks whose pictures are left out until a keyframe, which should be asked for."""
        # Another thread may add to it meanwhile.
        return {key for key, goes_on in list(self._goes_on.items()) if not goes_on}

    @property
    def path(self) -> Path | None:
        """Where the file is, once there is one."""
        return self._file.path if self._file is not None else None

    def take(self, items: Sequence[Item], now: float, *, last: bool = False) -> None:
        """Take note of what came, and write what has waited long enough (all with `last`)."""
        for item in items:
            if isinstance(item, Took):
                self._held.append(item)
                clock = self._clocks.get(item.key) or self._clock(item.key)
                clock.came(item.frame)
            else:
                self._report(item)
                self._note_clock(item)
        ready = self._ready(now, last)
        if ready:
            self._write(self._placed(ready))
        self.settled = all(clock.known for clock in self._clocks.values())

    def finish(self) -> None:
        """Complete the file."""
        file = self._file
        if file is None:
            return
        try:
            file.finish()
        except OSError:
            # A full disk: let go of what was not written whole, so that the rest is clean.
            os.truncate(file.path, file.bytes)
            raise
        finally:
            self.about.bytes = file.path.stat().st_size
            self.about.duration_ms = file.end_ms

    def _clock(self, key: Key) -> TrackClock:
        if key not in self._clocks:
            offset = self._offsets.setdefault(key[0], Offset())
            self._clocks[key] = TrackClock(offset)
        return self._clocks[key]

    def _report(self, told: Told) -> None:
        """What is found late of the leg with which the file began moves the whole file; nothing
        in it is seen to jump."""
        moved = self._clock(told.key).report(
            told.source, told.timestamp, told.ntp, told.arrived, told.rate
        )
        if moved and self._origin is not None and told.key[0] == self._leg:
            self._origin = self._begin(self._origin + moved)

    def _begin(self, origin: float) -> float:
        self.about.offset_ms = round(origin * 1000)
        return origin

    def _ready(self, now: float, last: bool) -> list[Took]:
        """Held frames whose time has come, in the order in which they arrived."""
        count = len(self._held)
        if not last:
            until = {
                key: now - (HOLD if clock.known else HOLD_UNKNOWN)
                for key, clock in self._clocks.items()
            }
            late = (n for n, took in enumerate(self._held) if took.frame.arrived > until[took.key])
            count = next(late, count)
        ready, self._held = self._held[:count], self._held[count:]
        return ready

    def _placed(self, ready: Sequence[Took]) -> list[tuple[float, Took]]:
        """Frames that are to be kept, and where they lie."""
        clocks, position = self._clocks, self._line.position
        places = [position(clocks[took.key].place(took.frame)) for took in ready]
        found = []
        for place, took in zip(places, ready, strict=True):
            follows = self._follows(took, place is not None)
            if place is not None and follows:
                found.append((place, took))
        return found

    def _follows(self, took: Took, kept: bool) -> bool:
        """Whether a frame can be decoded after those kept before it: when a picture was left out,
        for it was made in a pause, those after it are of no use until a keyframe."""
        key, frame = took.key, took.frame
        if frame.kind != "video":
            return kept
        goes_on = kept and (frame.keyframe or self._goes_on.get(key, False))
        self._goes_on[key] = goes_on
        return goes_on

    def _write(self, placed: list[tuple[float, Took]]) -> None:
        if not placed:
            return
        if self._file is None or self._origin is None:
            first, took = min(placed, key=lambda found: found[0])
            self._leg = took.key[0]
            self._origin = self._begin(first)
            self._file = self._create([took.frame.codec for _, took in placed])
        blocks = [
            self._block(self._file, position - self._origin, took) for position, took in placed
        ]
        blocks.sort(key=lambda block: block.at)
        for cluster in _clusters(blocks, {t.number for t in self._tracks.values() if t.video}):
            self._file.write(cluster)
            self._floor = max(self._floor, cluster[0].at)
        self.about.bytes, self.about.duration_ms = self._file.bytes, self._file.end_ms

    def _create(self, seen: list[Codec]) -> MatroskaFile:
        name = f"{self._number}{matroska.suffix([*self.expected, *seen])}"
        file = MatroskaFile(self._folder / name)
        self.about.file = name
        return file

    def _block(self, file: MatroskaFile, seconds: float, took: Took) -> Block:
        frame, name = took.frame, self.places.get(took.key, took.key[1])
        track = self._tracks.get((name, frame.codec))
        if track is None:
            private = avc.private(frame.data) if frame.codec == "H264" else b""
            track = self._tracks[name, frame.codec] = file.add(frame.codec, frame.size, private)
        before = self._last.get(name)
        at = max(round(seconds * 1000), self._floor, 0 if before is None else before + 1)
        self._last[name] = at
        gap = self._count(took, at, before)
        data = avc.picture(frame.data) if frame.codec == "H264" else frame.data
        note = gap_note(gap) if gap is not None else b""
        return Block(track.number, at, frame.keyframe, data, note)

    def _count(self, took: Took, at: int, before: int | None) -> Gap | None:
        """Take note of a frame; what is missing before it."""
        frame, about = took.frame, self.about
        if frame.kind == "audio":
            about.audio = about.audio or Sound(frame.codec)
            about.audio.frames += 1
        else:
            about.video = about.video or Pictures(frame.codec)
            about.video.frames += 1
            width, height = frame.size or (0, 0)
            if width * height > about.video.width * about.video.height:
                about.video.width, about.video.height = width, height
        if before is None or not (frame.gap or took.dropped):
            return None
        gap = Gap(before, at - before, frame.kind, "dropped" if took.dropped else "lost")
        if len(about.gaps) < MOST_GAPS:
            about.gaps.append(gap)
        else:
            about.gaps_more += 1
        return gap

    def _note_clock(self, told: Told) -> None:
        position = self._line.position(told.arrived)
        if position is None or len(self.about.clock) >= MOST_CLOCK_POINTS:
            return
        at = round(position * 1000)
        if at - self._clock_at >= CLOCK_EVERY_MS:
            self._clock_at = at
            self.about.clock.append(ClockPoint(at, told.ntp))


def _clusters(blocks: Sequence[Block], videos: set[int]) -> list[list[Block]]:
    """Blocks in clusters of less than a second; a keyframe opens one, so that players find it."""
    found: list[list[Block]] = []
    for block in blocks:
        opens = block.keyframe and block.track in videos
        if not found or opens or block.at - found[-1][0].at >= CLUSTER_MS:
            found.append([])
        found[-1].append(block)
    return found
