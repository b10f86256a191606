"""What a page in a browser sends, sees and hears, as its probe (probe.js) reads it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from ringback.bots.values import Kind

from . import marks, page_sent
from .album import Album
from .browser import BrowserError, Window
from .chirps import RATE, WORDS, Ear
from .listening import level
from .observed import Clocks, HeardChirp, Sample, SeenPicture, SentChirp, SentPicture, Sound
from .ogg import Recorded
from .options import Options
from .scene import Scene
from .speech import Comparison, judge
from .talk import Book, Note

EVERY = 0.2
"""Seconds between two times that the probe is asked."""
GLANCES = 20
"""Round trips of which the shortest tells how the clocks stand to each other."""
RECENT = 600
"""So many pictures back is looked for one that was compared."""
EARLY = 1.0
"""Seconds before the call is judged from which on sounds count as sent."""
_CODECS = {"vp8": "VP8", "h264": "H264", "vp9": "VP9", "av1": "AV1"}


_Pcm = np.ndarray[Any, np.dtype[np.int16]]


def _at_rate(pcm: _Pcm, rate: float) -> _Pcm:
    """The samples at `RATE`. Straight lines between them do: marks are far below half the rate."""
    if rate == RATE:
        return pcm
    wanted = np.arange(round(len(pcm) * RATE / rate)) * (rate / RATE)
    made: _Pcm = np.interp(wanted, np.arange(len(pcm)), pcm).astype(np.int16)
    return made


class _Tape:
    """One track's sound: finds chirps in it, and when each began, by the page's clock. What it
    hears it gives to `speech`, too."""

    def __init__(self, speech: Comparison | None = None) -> None:
        self._speech = speech
        self._ear = Ear()
        self._samples = 0
        self._starts: list[tuple[int, float]] = []

    def hear(self, at: float, pcm: _Pcm) -> list[HeardChirp]:
        """The chirps that are found with these samples, the first of which arrived at `at`."""
        self._starts = [*self._starts[-400:], (self._samples, at)]
        self._samples += len(pcm)
        found = self._ear.hear(pcm)
        if self._speech is not None:
            self._speech.take(pcm, found)
        return [
            HeardChirp(self._time(heard.sample), heard.stream, heard.number, heard.level)
            for heard in found
        ]

    def _time(self, sample: float) -> float:
        start, at = next(
            (piece for piece in reversed(self._starts) if piece[0] <= sample), self._starts[0]
        )
        return at + (sample - start) / RATE


class PageTalk:
    """The media of a page. `book` as that of a `Talk`; times are the page's own, in seconds.
    `clocks`: what to add to ours to have the page's; `album`: some of the pictures it showed.
    `slow` is 0: its delays are a browser's."""

    slow = 0.0

    def __init__(
        self, window: Window, options: Options, stream: int, expected: int, pool: Executor,
        note: Note, on_news: Callable[[], None],
    ) -> None:  # fmt: skip
        self.book = Book()
        self.codecs: dict[Kind, str] = {}
        self.clocks = Clocks()
        self.pair = ""
        self.refused = 0
        self.speech: float | None = None
        self._window = window
        self._stream = stream
        self._expected = expected
        self._pool = pool
        self._note = note
        self._on_news = on_news
        self.album = Album(Scene(expected, *options.size))
        self._speech = Comparison(expected) if options.speech else None
        self._own, self._theirs = _Tape(), _Tape(self._speech)
        self._recorded = {True: Recorded(), False: Recorded()}
        self._captured: list[SentPicture] = []
        self._said: list[SentChirp] = []
        self._began = 0.0
        self._near = self._number = 0
        self._noted: set[str] = set()
        self._counters: list[Sample] = []
        self._asking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Compare the clocks."""
        best = Clocks(0.0, float("inf"))
        for _ in range(GLANCES):
            before = time.monotonic()
            there: float = await self._window.run("ringbackProbe.now()")
            after = time.monotonic()
            if (after - before) / 2 < best.error:
                best = Clocks(there / 1000 - (before + after) / 2, (after - before) / 2)
        self.clocks = best

    def begin(self, start: float) -> None:
        """What it sends counts from `start` (our clock) on; it is asked from now on."""
        self._began = start + self.clocks.offset
        self._asking = asyncio.create_task(self._ask(), name="probe")

    async def stop(self) -> None:
        """What it sends counts no more; a page goes on sending."""

    async def finish(self) -> None:
        """Take what is left. Raises what taking raised."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))
            asking, self._asking = self._asking, None
            if not asking.cancelled():
                asking.result()
            await self._take()
            await self.judge_speech()

    async def judge_speech(self) -> None:
        """Compare the speech that came by now to what was sent: `speech`."""
        self.speech = await judge(self._speech, self._pool)

    def samples(self) -> Sequence[Sample]:
        """The counters of what comes, as they were told last."""
        return self._counters

    async def _ask(self) -> None:
        while True:
            if not await self._take():
                return
            await asyncio.sleep(EVERY)

    async def _take(self) -> bool:
        """Take what was read; whether the page still answers."""
        try:
            taken: dict[str, Any] = await self._window.run("ringbackProbe.take()")
        except BrowserError as error:
            self._once("log", f"the page answers no more: {error}", None)
            return False
        self.refused += taken["lost"]
        for step in taken["steps"]:
            self._once(step["name"], "", step["at"] / 1000)
        for entry in taken["pictures"]:
            self._picture(entry)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._listen, taken["sounds"])
        self._liken(await loop.run_in_executor(self._pool, self.album.take, taken["stills"]))
        self._count(taken)
        self._on_news()
        return True

    def _once(self, name: str, detail: str, at: float | None) -> None:
        if name not in self._noted:
            self._noted.add(name)
            self._note(name, detail, at)

    def _picture(self, entry: dict[str, Any]) -> None:
        at, stream = entry["at"] / 1000, entry.get("stream")
        if entry["own"]:
            if stream == self._stream:
                taken = marks.unwrap(entry["sequence"], self._number)
                if taken > self._number or not self._captured:
                    self._number = taken
                    self._captured.append(SentPicture(taken, at))
            return
        number: int | None = None
        if stream is not None:
            number = marks.unwrap(entry["sequence"], self._near)
            self._near = number if stream == self._expected else self._near
            self._once("picture", f"{entry['width']}x{entry['height']}", at)
        self.book.seen.append(
            SeenPicture(
                at, entry["shown"] / 1000, stream, number, entry.get("stamp"), entry["width"],
                entry["height"], torn=entry["torn"],
            )
        )  # fmt: skip

    def _liken(self, found: dict[int, float]) -> None:
        """Note how like what was sent those pictures are."""
        seen = self.book.seen
        for place in range(len(seen) - 1, max(-1, len(seen) - RECENT), -1):
            number = seen[place].sequence
            if number is not None and seen[place].stream == self._expected:
                alike = found.pop(number & 0xFFFF, None)
                if alike is not None:
                    seen[place] = replace(seen[place], similarity=alike)

    def _listen(self, pieces: list[dict[str, Any]]) -> None:
        for piece in pieces:
            at, pcm = self._sound(piece)
            if not len(pcm):
                continue
            if piece["own"]:
                for chirp in self._own.hear(at, pcm):
                    if chirp.stream == self._stream % WORDS and chirp.number is not None:
                        self._say(chirp.at, chirp.number)
            else:
                self.book.sounds.append(Sound(at, len(pcm) / RATE, level(pcm)))
                heard = self._theirs.hear(at, pcm)
                self.book.heard.extend(heard)
                for chirp in heard:
                    if chirp.stream is not None:
                        self._once("sound", f"{chirp.level:.0f} dBFS", chirp.at)

    def _sound(self, piece: dict[str, Any]) -> tuple[float, _Pcm]:
        """A piece of sound, and when its first sample was there."""
        at = piece["at"] / 1000
        if "ogg" in piece:
            return self._recorded[piece["own"]].take(at, base64.b64decode(piece["ogg"]))
        pcm = _at_rate(np.frombuffer(base64.b64decode(piece["pcm"]), np.int16), piece["rate"])
        # It is handed over when its last sample is there.
        return at - len(pcm) / RATE, pcm

    def _say(self, at: float, word: int) -> None:
        before = self._said[-1].number if self._said else word
        self._said.append(SentChirp(before + (word - before) % WORDS, at, None))

    def _count(self, taken: dict[str, Any]) -> None:
        self.pair = taken["pair"] or self.pair
        self._counters = []
        for entry in taken["inbound"]:
            kind: Kind = "audio" if entry["kind"] == "audio" else "video"
            codec = str(entry.pop("codec"))
            if codec:
                self.codecs[kind] = _CODECS.get(codec.lower(), codec)
            if entry["packets"]:
                # Counters are told some time later, and no picture comes before its packets.
                came = [seen.arrived for seen in self.book.seen[:1]]
                self._once("packet", kind, min([taken["at"] / 1000, *came]))
            self._counters.append(Sample(at=taken["at"] / 1000, **{**entry, "kind": kind}))

    def settle(self, seen: Sequence[SeenPicture], heard: Sequence[HeardChirp]) -> None:
        """Decide what of its pictures and sounds it has sent, now that it is known what arrived
        (`seen` and `heard`, at the other side)."""
        arrived = {
            p.sequence: p for p in seen if p.stream == self._stream and p.sequence is not None
        }
        self.book.sent[:] = page_sent.pictures(self._captured, self._began, arrived)
        times = [
            (h.at + self.clocks.offset, h.number) for h in heard if h.stream == self._stream % WORDS
        ]
        self.book.sent_chirps[:] = page_sent.sounds(self._said, self._began - EARLY, times)
