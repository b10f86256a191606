"""What people write for shares, times, rates and sizes, read. Pure; `ValueError` in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z%/]*)", re.IGNORECASE)
_TIMES = {"": 1.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "m": 60.0, "min": 60.0}
_MANY = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_YES = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


def _number(what: str, value: Any, like: str) -> tuple[float, str]:
    match = None if isinstance(value, bool) else _NUMBER.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{what}: {value!r} cannot be read; write it like {like}.")
    return float(match[1]), match[2].lower()


def share(what: str, value: Any) -> float:
    """`2%` or `0.02`."""
    number, unit = _number(what, value, "2%")
    if unit not in ("", "%") or (not unit and number > 1):
        raise ValueError(f"{what}: {value!r} is no share; write it like 2% or 0.02.")
    found = number / 100 if unit else number
    if found > 1:
        raise ValueError(f"{what}: {value!r} is more than all of them.")
    return found


def seconds(what: str, value: Any) -> float:
    """`40ms`, `1.5s`, `2m`, or a number of seconds."""
    number, unit = _number(what, value, "40ms or 1.5s")
    if unit not in _TIMES:
        raise ValueError(f"{what}: {value!r} is no time; write it like 40ms or 1.5s.")
    return number * _TIMES[unit]


def rate(what: str, value: Any) -> float:
    """`500k`, `2.5M`, `1Gbit/s`, or a number of bits a second."""
    number, unit = _number(what, value, "500k or 2M")
    scale = re.sub(r"(bits?(/s)?|bps)$", "", unit)
    if scale not in _MANY:
        raise ValueError(f"{what}: {value!r} is no rate; write it like 500k or 2M (bits a second).")
    return number * _MANY[scale]


def _queue(what: str, value: Any) -> dict[str, Any]:
    """A time, or bytes: `64kB`."""
    _, unit = _number(what, value, "200ms or 64kB")
    if unit.endswith("b"):
        number, scale = _number(what, value, "64kB")
        if scale[:-1] not in _MANY:
            raise ValueError(f"{what}: {value!r} is no size; write it like 64kB.")
        return {"queue_bytes": round(number * _MANY[scale[:-1]])}
    return {"queue_time": seconds(what, value)}


def windows(what: str, value: Any) -> tuple[tuple[float, float], ...]:
    """`5s-8s`, or several: `5s-8s+20s-21s` (in a file, a list of these)."""
    texts = value if isinstance(value, list) else str(value).split("+")
    found = []
    for text in texts:
        start, dash, end = str(text).partition("-")
        if not dash:
            raise ValueError(f"{what}: {text!r} is no window; write it like 5s-8s.")
        found.append((seconds(what, start), seconds(what, end)))
    return tuple(found)


def _yes(what: str, value: Any) -> bool:
    found = value if isinstance(value, bool) else _YES.get(str(value).lower())
    if found is None:
        raise ValueError(f"{what}: {value!r} is neither yes nor no.")
    return found


def _packets(what: str, value: Any) -> float:
    number, unit = _number(what, value, "5")
    if unit:
        raise ValueError(f"{what}: {value!r} is no number of packets; write it like 5.")
    return number


def _one(field: str, read: Callable[[str, Any], Any]) -> Callable[[str, Any], dict[str, Any]]:
    return lambda what, value: {field: read(what, value)}


KEYS: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "loss": _one("loss", share),
    "burst": _one("burst", share),
    "burst-length": _one("burst_length", _packets),
    "burst-loss": _one("burst_loss", share),
    "delay": _one("delay", seconds),
    "jitter": _one("jitter", seconds),
    "overtake": _one("overtake", _yes),
    "reorder": _one("reorder", share),
    "late": _one("late", seconds),
    "duplicate": _one("duplicate", share),
    "rate": _one("rate", rate),
    "queue": _queue,
    "blackout": _one("blackout", windows),
}
"""What may be said of a link, and how it is read: into fields of `Link`."""


def link_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Link` that settings by these keys are."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        read = KEYS.get(key.replace("_", "-"))
        if read is None:
            raise ValueError(f"There is no {key!r}: a network has {', '.join(KEYS)}.")
        found |= read(key, value)
    return found
