"""Many voices, one sound: placed on a time line by their times, and added up. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av import AudioFrame, AudioResampler
from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.filter.context import FilterContext

RATE = 48_000
CLOCK = Fraction(1, RATE)
FRAME = 1024
"""Samples of a frame of what comes out, as AAC takes them."""
TOLERANCE = RATE // 200
"""Samples (5 ms) by which a frame may be beside its place: a file tells times in whole ms."""
MOST = RATE


class Voice:
    """One participant's sound, without holes: `until` gives it piece by piece.

    `frames`: decoded sound and where it begins (seconds of the time line), in order.
    """

    def __init__(self, frames: Iterator[tuple[float, AudioFrame]]) -> None:
        self._frames = frames
        self._resamplers: dict[tuple[str, int, str], AudioResampler] = {}
        self._next = next(frames, None)
        self._at = 0

    def until(self, sample: int) -> Iterator[AudioFrame]:
        """The sound up to a sample of the time line, silence where there is none."""
        while self._at < sample:
            begin = sample if self._next is None else round(self._next[0] * RATE)
            if begin > self._at + TOLERANCE or self._next is None:
                yield from self._silence(min(sample, begin))
                continue
            if begin >= self._at - TOLERANCE:
                for frame in self._resampled(self._next[1]):
                    yield self._placed(frame)
            self._next = next(self._frames, None)

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        mono = frame.layout.nb_channels == 1
        form = frame.format.name, frame.sample_rate, frame.layout.name
        if form not in self._resamplers:
            layout = "mono" if mono else "stereo"
            self._resamplers[form] = AudioResampler(format="fltp", layout=layout, rate=RATE)
        frame.pts = None
        made = self._resamplers[form].resample(frame)
        # By itself it would make one channel into two that are each 3 dB softer.
        return [_doubled(one) for one in made] if mono else made

    def _silence(self, until: int) -> Iterator[AudioFrame]:
        while self._at < until:
            frame = AudioFrame("fltp", "stereo", min(MOST, until - self._at))
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = RATE
            yield self._placed(frame)

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.pts, frame.time_base = self._at, CLOCK
        self._at += frame.samples
        return frame


def _doubled(frame: AudioFrame) -> AudioFrame:
    both = AudioFrame("fltp", "stereo", frame.samples)
    for plane in both.planes:
        plane.update(bytes(frame.planes[0])[: plane.buffer_size].ljust(plane.buffer_size, b"\0"))
    both.sample_rate = RATE
    return both


class Mixer:
    """Adds voices up, and keeps what is too loud together from being cut off."""

    def __init__(self, voices: list[Voice]) -> None:
        self._voices = voices
        graph = Graph()
        self._inputs = [
            graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=CLOCK)
            for _ in voices
        ]
        self._sink = graph.add("abuffersink")
        chain = [
            graph.add("amix", f"inputs={len(voices)}:normalize=0:duration=longest"),
            graph.add("alimiter", "limit=0.95:level=disabled:latency=1"),
            graph.add("aformat", f"sample_fmts=fltp:sample_rates={RATE}:channel_layouts=stereo"),
            graph.add("asetnsamples", f"n={FRAME}:p=0"),
            self._sink,
        ]
        for number, entry in enumerate(self._inputs):
            entry.link_to(chain[0], 0, number)
        for before, after in zip(chain, chain[1:], strict=False):
            before.link_to(after)
        graph.configure()
        # Its contexts live no longer than it does.
        self._graph = graph

    def until(self, seconds: float) -> Iterator[AudioFrame]:
        """What is complete when all voices are there up to a moment of the time line."""
        for voice, entry in zip(self._voices, self._inputs, strict=True):
            for frame in voice.until(round(seconds * RATE)):
                entry.push(frame)
        yield from _drawn(self._sink)

    def end(self) -> Iterator[AudioFrame]:
        """The rest."""
        for entry in self._inputs:
            entry.push(None)
        yield from _drawn(self._sink)


def _drawn(sink: FilterContext) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = sink.pull()
        except (BlockingIOError, EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame
