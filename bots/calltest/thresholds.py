"""What a figure must not be: `latency.p95 > 150ms` fails a call when it is true. Pure."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .figures import NAMES, Figures, value
from .reasons import Code
from .units import parse, show

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([a-z0-9_.]+)\s*(>=|<=|==|!=|>|<)\s*(\S(?:.*\S)?)\s*")
# Figures of pictures are held only against directions that promised pictures.
_PICTURES = {"frames", "freezes", "latency", "skew", "similarity", "video", "looped"}
_SOUNDS = {"sound", "audio", "speech", "skew"}
# Two names for one thing: a threshold on either takes the place of the default on the other.
_SAME = {
    "frames.lost": "frames.loss",
    "frames.damaged": "frames.damage",
    "frames.erased": "frames.damage",
    "frames.torn": "frames.damage",
    "sound.lost": "sound.loss",
    "sound.silence": "sound.silent",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison with a figure that fails a call when it is true. `code`: the reason it is."""

    name: str
    comparison: str
    limit: float | str
    text: str
    code: Code = Code.THRESHOLD

    @property
    def subject(self) -> str:
        """What it is about; of two thresholds about the same, people's replaces the default."""
        if self.name.startswith("skew."):
            # Early and late are two things.
            return f"{self.name} {self.comparison[0]}"
        return _SAME.get(self.name, self.name)

    def applies(self, figures: Figures) -> bool:
        """Whether the direction promised what this is about."""
        area = self.name.partition(".")[0]
        needs = {"video"} if area in _PICTURES else set[str]()
        needs |= {"audio"} if area in _SOUNDS else set()
        return needs <= set(figures.kinds)

    def fails(self, figures: Figures) -> bool | None:
        """Whether it is true of a direction; None if the figure was not measured."""
        found = value(figures, self.name)
        if found is None:
            return None
        compare: Callable[..., bool] = _COMPARISONS[self.comparison]
        return compare(found, self.limit)

    def found(self, figures: Figures) -> str:
        """The figure of a direction, for people."""
        return show(value(figures, self.name), NAMES[self.name].unit)


def threshold(text: str, code: Code = Code.THRESHOLD) -> Threshold:
    """Read `NAME COMPARISON VALUE`: a name of `figures.NAMES`, one of `> < >= <= == !=`, and a
    value with its unit (ms, s, min, %, bit/s, kbit/s, Mbit/s, fps, dB). Raises `ValueError` in
    words that name what there is."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a threshold: write NAME, one of {' '.join(_COMPARISONS)}, and a "
            "value, like 'latency.p95 > 150ms'"
        )
    name, comparison, written = found.groups()
    if name not in NAMES:
        raise ValueError(_unknown(name))
    if NAMES[name].unit == "word" and comparison not in ("==", "!="):
        raise ValueError(f"{name} is a word: compare it with == or !=")
    try:
        limit = parse(written, NAMES[name].unit)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return Threshold(name, comparison, limit, " ".join(text.split()), code)


def _unknown(name: str) -> str:
    inside = sorted(known for known in NAMES if known.startswith(f"{name}."))
    if inside:
        return f"{name} has several figures; name one: {', '.join(inside)}"
    near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.5)
    area = name.partition(".")[0]
    same = sorted(known for known in NAMES if known.startswith(f"{area}."))
    areas = sorted({known.partition(".")[0] for known in NAMES})
    if same:
        return f"there is no figure {name}; {area} has: {', '.join(same)}"
    meant = f"; did you mean {' or '.join(near)}" if near else ""
    return f"there is no figure {name}{meant}; there are: {', '.join(areas)}"


DEFAULTS = tuple(
    threshold(text, code)
    for text, code in (
        ("frames.wrong > 0", Code.WRONG_STREAM),
        ("sound.wrong > 0", Code.WRONG_STREAM),
        ("frames.stale > 0", Code.STALE),
        ("sound.stale > 0", Code.STALE),
        ("freezes.still > 1s", Code.FROZEN),
        ("frames.loss > 0%", Code.LOST),
        ("frames.damage > 2%", Code.DAMAGED),
        ("frames.repeated > 0", Code.REPEATED),
        ("frames.reordered > 0", Code.REORDERED),
        ("frames.scale < 75%", Code.HALF_SIZE),
        ("sound.silent > 50%", Code.SILENT),
        ("sound.loss > 20%", Code.LOST_SOUND),
        ("skew.median < -125ms", Code.LATE_SOUND),
        ("skew.median > 90ms", Code.EARLY_SOUND),
        ("speech < 0.75", Code.GARBLED_SPEECH),
    )
)
"""What fails a call when nobody says otherwise. The way is expected to repair what it loses, so
one picture lost is one too many."""

SHAPED = tuple(
    threshold(text, code)
    for text, code in (
        ("freezes.still > 5s", Code.FROZEN),
        ("frames.loss > 25%", Code.LOST),
        ("frames.damage > 10%", Code.DAMAGED),
        ("sound.loss > 50%", Code.LOST_SOUND),
        ("skew.median < -185ms", Code.LATE_SOUND),
        ("speech < 0.5", Code.GARBLED_SPEECH),
    )
)
"""What takes the place of defaults when the way was made worse on purpose (a network profile)."""


def effective(asked: Iterable[Threshold], shaped: bool) -> list[Threshold]:
    """The thresholds in force: people's own, and those defaults that they do not speak of."""
    own = list(asked)
    worse = list(SHAPED) if shaped else []
    taken = {t.subject for t in own}
    kept = [t for t in worse if t.subject not in taken]
    taken |= {t.subject for t in worse}
    return own + kept + [t for t in DEFAULTS if t.subject not in taken]
