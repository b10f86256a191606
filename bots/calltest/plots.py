"""Plots as numbers that a template draws: axes, lines, points, bars, bands. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .buckets import Bucket, Course, Point
from .units import Unit, show

WIDTH, HEIGHT = 400, 200
LEFT, RIGHT, TOP, BOTTOM = 72, 8, 10, 28
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Shape:
    """One series. `kind`: `line`, `dots`, `bars` or `bands`; `style`: its class in the sheet;
    `path`: of a line; `places`: x and y of dots, or x, y, width and height of the rest."""

    kind: str
    style: str
    name: str
    path: str = ""
    places: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: `title` and `words` say what it shows and what can be seen in it; `across` and `up`
    are ticks with their labels; `head` and `rows` are the same data as a table."""

    title: str
    words: str
    shapes: tuple[Shape, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    empty: str = ""


@dataclass(slots=True)
class _Axes:
    """Where a time and a value are drawn. The upper end is a whole tick."""

    seconds: float
    top: float
    unit: Unit
    ticks: list[float] = field(default_factory=list)

    @classmethod
    def over(cls, seconds: float, highest: float, unit: Unit, least: float) -> _Axes:
        step = nice(max(highest, least) / 4)
        count = max(1, math.ceil(max(highest, least) / step - 1e-9))
        return cls(seconds, step * count, unit, [step * n for n in range(count + 1)])

    def x(self, at: float) -> float:
        share = min(max(at / self.seconds, 0.0), 1.0)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = min(max(value / self.top, 0.0), 1.0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def up(self) -> tuple[tuple[float, str], ...]:
        return tuple((self.y(t), _label(t, self.unit)) for t in self.ticks)

    def across(self) -> tuple[tuple[float, str], ...]:
        step = nice(self.seconds / 5)
        count = int(self.seconds / step + 1e-9)
        return tuple((self.x(n * step), f"{n * step:g}") for n in range(count + 1))

    def line(self, points: Iterable[Point], style: str, name: str) -> Shape:
        path = " ".join(
            f"{'L' if n else 'M'}{self.x(at)} {self.y(v)}" for n, (at, v) in enumerate(points)
        )
        return Shape("line", style, name, path=path)

    def dots(self, points: Iterable[Point], style: str, name: str) -> Shape:
        places = tuple((self.x(at), self.y(v)) for at, v in points)
        return Shape("dots", style, name, places=places)

    def bands(self, spans: Iterable[Point], style: str, name: str) -> Shape:
        places = tuple(
            (self.x(at), TOP, round(max(2.0, self.x(at + length) - self.x(at)), 1),
             HEIGHT - TOP - BOTTOM)
            for at, length in spans
        )  # fmt: skip
        return Shape("bands", style, name, places=places)

    def bars(
        self, values: Sequence[tuple[float, float, float]], width: float, style: str, name: str
    ) -> Shape:
        """Of time, value, and what stands beneath."""
        wide = max(1.0, self.x(width) - self.x(0) - 1)
        places = tuple(
            (self.x(at), self.y(v + under), round(wide, 1), self._high(v, under))
            for at, v, under in values
            if v
        )  # fmt: skip
        return Shape("bars", style, name, places=places)

    def _high(self, value: float, under: float) -> float:
        return round(self.y(under) - self.y(value + under), 1)


def nice(value: float) -> float:
    """The next number that is 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))


def _label(value: float, unit: Unit) -> str:
    if unit == "count":
        return f"{value:g}"
    if value == 0:
        return "0"
    if unit == "time" and value < 10:
        return f"{1000 * value:g} ms" if value < 1 else f"{value:g} s"
    return show(value, unit)


def plots(course: Course, kinds: Sequence[str]) -> list[Plot]:
    """The plots of a direction: latency, freezes, loss, bitrate."""
    made = [_latency(course, kinds)]
    if "video" in kinds:
        made += [_freezes(course), _loss(course)]
    else:
        made.append(_lost_sounds(course))
    return [*made, _bitrate(course, kinds)]


def _latency(c: Course, kinds: Sequence[str]) -> Plot:
    points = c.pictures + c.sounds
    axes = _Axes.over(c.seconds, max((v for _, v in points), default=0), "time", 0.02)
    shapes = []
    if "video" in kinds:
        shapes.append(axes.dots(c.pictures, "video", "pictures"))
    if "audio" in kinds:
        shapes.append(axes.dots(c.sounds, "audio", "sounds"))
    worst = max(points, key=lambda p: p[1], default=None)
    words = "Nothing was timed." if worst is None else (
        f"{len(points)} marks; the slowest took {show(worst[1], 'time')}, "
        f"{show(worst[0], 'time')} into the call."
    )  # fmt: skip
    return _plot(
        "Latency", words, axes, shapes, c, ("pictures, median", "sounds, median"),
        lambda b: (show(b.latency, "time"), show(b.sound_latency, "time")), not points,
    )  # fmt: skip


def _freezes(c: Course) -> Plot:
    axes = _Axes.over(c.seconds, max((v for _, v in c.stills), default=0), "time", 0.1)
    shapes = [
        axes.bands(c.frozen, "bad", "freezes"),
        axes.line(c.stills, "video", "time between new pictures"),
    ]
    together = show(sum(length for _, length in c.frozen), "time")
    freezes = "1 freeze" if len(c.frozen) == 1 else f"{len(c.frozen)} freezes"
    words = f"{freezes}, {together} together." if c.frozen else "No freeze."
    return _plot(
        "Freezes", words, axes, shapes, c, ("longest without a new picture",),
        lambda b: (show(b.still, "time"),), not c.stills,
    )  # fmt: skip


def _loss(c: Course) -> Plot:
    axes = _Axes.over(c.seconds, max((b.due for b in c.buckets), default=0), "count", 4)
    arrived = [(b.begin, max(0, b.due - b.lost - b.damaged), b.lost + b.damaged) for b in c.buckets]
    shapes = [
        axes.bars([(b.begin, b.lost, 0) for b in c.buckets], c.width, "bad", "lost"),
        axes.bars([(b.begin, b.damaged, b.lost) for b in c.buckets], c.width, "warn", "damaged"),
        axes.bars(arrived, c.width, "video", "whole"),
    ]
    lost, damaged = sum(b.lost for b in c.buckets), sum(b.damaged for b in c.buckets)
    words = f"Of {sum(b.due for b in c.buckets)} pictures {lost} lost, {damaged} damaged."
    return _plot(
        "Loss", words, axes, shapes, c, ("due", "lost", "damaged"),
        lambda b: (str(b.due), str(b.lost), str(b.damaged)), not any(b.due for b in c.buckets),
    )  # fmt: skip


def _lost_sounds(c: Course) -> Plot:
    axes = _Axes.over(c.seconds, max((b.sounds_due for b in c.buckets), default=0), "count", 4)
    came = [(b.begin, b.sounds_due - b.sounds_lost, b.sounds_lost) for b in c.buckets]
    shapes = [
        axes.bars([(b.begin, b.sounds_lost, 0) for b in c.buckets], c.width, "bad", "lost"),
        axes.bars(came, c.width, "audio", "whole"),
    ]
    due, lost = sum(b.sounds_due for b in c.buckets), sum(b.sounds_lost for b in c.buckets)
    return _plot(
        "Loss", f"Of {due} marked sounds {lost} lost.", axes, shapes, c, ("due", "lost"),
        lambda b: (str(b.sounds_due), str(b.sounds_lost)), not due,
    )  # fmt: skip


def _bitrate(c: Course, kinds: Sequence[str]) -> Plot:
    points = [point for rates in c.rates.values() for point in rates]
    axes = _Axes.over(c.seconds, max((v for _, v in points), default=0), "rate", 10_000)
    names = {"video": "pictures", "audio": "sound"}
    shapes = [
        axes.line(c.rates.get(kind, []), kind, names[kind]) for kind in names if kind in kinds
    ]
    highest = show(max((v for _, v in points), default=None), "rate")
    words = f"At most {highest}." if points else "No packets were counted."
    return _plot(
        "Bitrate", words, axes, shapes, c, ("pictures", "sound"),
        lambda b: (show(b.video, "rate"), show(b.audio, "rate")), not points,
    )  # fmt: skip


def _plot(
    title: str,
    words: str,
    axes: _Axes,
    shapes: Iterable[Shape],
    c: Course,
    head: tuple[str, ...],
    row: Callable[[Bucket], tuple[str, ...]],
    empty: bool,
) -> Plot:
    rows = tuple((f"{b.begin:g} s", *row(b)) for b in c.buckets)
    return Plot(
        title,
        words,
        tuple(shapes),
        axes.across(),
        axes.up(),
        ("from", *head),
        rows,
        "Nothing was measured." if empty else "",
    )
