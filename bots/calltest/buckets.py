"""A direction over time, for plots and their tables. Pure.

Times are seconds since the measured part began, by the sender's clock. However long a call was,
there are at most `MOST` buckets and `POINTS` points.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from . import freezes, hearing
from .counting import expected
from .flow import bitrate, of_kind
from .identity import identify
from .observed import Direction, Observed
from .span import Span, span
from .spread import median
from .timing import picture_times

MOST = 30
POINTS = 600
_WIDTHS = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600)

Point = tuple[float, float]


@dataclass(slots=True)
class Bucket:
    """What happened in one piece of time. `due`, `lost` and `damaged` are pictures."""

    begin: float
    due: int = 0
    lost: int = 0
    damaged: int = 0
    sounds_due: int = 0
    sounds_lost: int = 0
    latency: float | None = None
    sound_latency: float | None = None
    still: float | None = None
    video: float | None = None
    audio: float | None = None


@dataclass(slots=True)
class Course:
    """How one direction went. `pictures` and `sounds`: latencies in seconds; `stills`: intervals
    between new pictures; `frozen`: when each freeze began and how long it was; `gaps`: when sound
    went on after a gap, and how long that was; `rates`: bits a second by kind; each with its
    time."""

    seconds: float
    width: float
    buckets: list[Bucket]
    pictures: list[Point] = field(default_factory=list)
    sounds: list[Point] = field(default_factory=list)
    stills: list[Point] = field(default_factory=list)
    frozen: list[Point] = field(default_factory=list)
    gaps: list[Point] = field(default_factory=list)
    rates: dict[str, list[Point]] = field(default_factory=dict)


def course(direction: Direction, observed: Observed) -> Course:
    """How one direction went over time."""
    judged = span(direction, observed)
    seconds = max(observed.seconds, 0.001)
    width = next((w for w in _WIDTHS if seconds / w <= MOST), seconds / MOST)
    count = max(1, -(-round(1000 * seconds) // round(1000 * width)))
    made = Course(seconds, width, [Bucket(n * width) for n in range(min(count, MOST))])
    found, offset = identify(direction), direction.clocks.offset
    pictures = [(at - judged.begin, t) for at, t in picture_times(direction, found)]
    told = hearing.tell(direction)
    sounds = [(c.sent.at - judged.begin, c.took) for c in told.chirps]
    shown = sorted(s.shown - offset - judged.begin for s in direction.seen)
    fresh = sorted(s.shown - offset - judged.begin for s in found.first.values())
    # What comes while the call is being ended belongs to no course.
    stills = [(b, b - a) for a, b in zip(fresh, fresh[1:], strict=False) if b <= seconds]
    made.frozen = freezes.intervals(shown)
    made.gaps = [(at - offset - judged.begin, gap) for at, gap in hearing.gaps(direction.sounds)]
    worst = max((took for _, took in pictures), default=None)
    due = set(expected(direction, found, judged, worst))
    _count(made, direction, due, due - set(found.first), judged.begin)
    _count_sounds(made, direction, told, judged)
    for name, points in (("latency", pictures), ("sound_latency", sounds)):
        for bucket, values in _sorted(made, points):
            setattr(bucket, name, median(values))
    for bucket, values in _sorted(made, stills):
        bucket.still = max(values)
    made.pictures, made.sounds, made.stills = thin(pictures), thin(sounds), thin(stills)
    _rates(made, direction, judged.begin + offset)
    return made


def thin(points: list[Point]) -> list[Point]:
    """At most `POINTS` of them: of each run of neighbours the highest."""
    if len(points) <= POINTS:
        return points
    run = -(-len(points) // POINTS)
    return [
        max(points[n : n + run], key=lambda point: point[1]) for n in range(0, len(points), run)
    ]


def _at(made: Course, at: float) -> Bucket:
    return made.buckets[min(max(0, int(at / made.width)), len(made.buckets) - 1)]


def _sorted(made: Course, points: Iterable[Point]) -> Iterable[tuple[Bucket, list[float]]]:
    values = dict[float, list[float]]()
    for at, value in points:
        values.setdefault(_at(made, at).begin, []).append(value)
    return [(_at(made, begin), found) for begin, found in values.items()]


def _count(
    made: Course, direction: Direction, due: set[int], missing: set[int], begin: float
) -> None:
    for sent in direction.sent:
        if sent.sequence in due:
            bucket = _at(made, sent.at - begin)
            bucket.due += 1
            bucket.lost += sent.sequence in missing
    for seen in direction.seen:
        if seen.torn or seen.sequence is None:
            bucket = _at(made, seen.shown - direction.clocks.offset - begin)
            bucket.damaged += 1
            # It did arrive.
            bucket.lost = max(0, bucket.lost - 1)


def _count_sounds(made: Course, direction: Direction, told: hearing.Told, judged: Span) -> None:
    delivered = {chirp.sent.number for chirp in told.chirps}
    worst = max((chirp.took for chirp in told.chirps), default=None)
    for chirp in hearing.expected(direction, told, judged, worst):
        bucket = _at(made, chirp.at - judged.begin)
        bucket.sounds_due += 1
        bucket.sounds_lost += chirp.number not in delivered


def _rates(made: Course, direction: Direction, begin: float) -> None:
    for kind in direction.kinds:
        samples = of_kind(direction.samples, kind)
        points = []
        for before, after in zip(samples, samples[1:], strict=False):
            rate = bitrate(before, after)
            if rate is not None and after.at - begin <= made.seconds:
                points.append((after.at - begin, rate))
        made.rates[kind] = thin(points)
        for bucket, values in _sorted(made, points):
            setattr(bucket, kind, sum(values) / len(values))
