"""Units of figures: how a number is written, read and shown. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["count", "time", "share", "rate", "pictures", "level", "pixels", "index", "word"]
Value = int | float | str | None

# What may stand behind a number, and what it is worth in the unit that figures are kept in.
_WRITTEN: dict[Unit, dict[str, float]] = {
    "count": {"": 1},
    "time": {"s": 1, "ms": 0.001, "min": 60},
    "share": {"%": 0.01, "": 1},
    "rate": {"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6},
    "pictures": {"fps": 1},
    "level": {"dB": 1},
    "pixels": {"px": 1, "": 1},
    "index": {"": 1},
}
_KEPT: dict[Unit, str] = {
    "count": "a number",
    "time": "a time: write it in ms, s or min",
    "share": "a share: write it like 2%",
    "rate": "a bitrate: write it in bit/s, kbit/s or Mbit/s",
    "pictures": "pictures a second: write it in fps",
    "level": "a level: write it in dB",
    "pixels": "a number of pixels",
    "index": "a number from 0 to 1",
    "word": "a word",
}


@dataclass(frozen=True, slots=True)
class About:
    """What a figure is: its unit and one sentence for people."""

    unit: Unit
    words: str


def about(unit: Unit, words: str) -> dict[str, Any]:
    """The `metadata` of a dataclass field that is a figure."""
    return {"about": About(unit, words)}


def parse(text: str, unit: Unit) -> float | str:
    """A value as people write it, in the unit that figures are kept in: seconds, a fraction,
    bits a second. Raises `ValueError` in words."""
    if unit == "word":
        if not re.fullmatch(r"[\w./-]+", text):
            raise ValueError(f"{text!r} is not a word")
        return text.lower()
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z/%]*)", text)
    if found is None:
        raise ValueError(f"{text!r} is not {_KEPT[unit]}")
    number, written = found.groups()
    factors = {name.lower(): factor for name, factor in _WRITTEN[unit].items()}
    if written.lower() not in factors:
        raise ValueError(f"{text!r} does not fit: this is {_KEPT[unit]}")
    return float(number) * factors[written.lower()]


def show(value: Value, unit: Unit) -> str:
    """A figure for people, like `38 ms`, `1.2 %`, `240 kbit/s`; a dash where there is none."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    match unit:
        case "time":
            return _time(value)
        case "share":
            return f"{_digits(100 * value)} %"
        case "rate":
            return f"{value / 1e6:.1f} Mbit/s" if value >= 1e6 else f"{value / 1e3:.0f} kbit/s"
        case "pictures":
            return f"{value:.1f} fps"
        case "level":
            return f"{value:.0f} dB"
        case "pixels":
            return f"{value:g} px"
        case "index":
            return f"{value:.3f}"
    return f"{value:,.0f}"


def _time(seconds: float) -> str:
    if abs(seconds) >= 10:
        return f"{seconds:.1f} s"
    if abs(seconds) >= 0.9995:
        return f"{seconds:.2f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f} ms" if 0.05 <= abs(milliseconds) < 10 else f"{milliseconds:.0f} ms"


def _digits(percent: float) -> str:
    # A loss of one in ten thousand must not read as none at all.
    if percent == 0 or abs(percent) >= 10:
        return f"{percent:.0f}"
    return f"{percent:.{max(1, 1 - math.floor(math.log10(abs(percent))))}f}"
