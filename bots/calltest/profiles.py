"""Networks by name, and how one's own are written.

`wifi`, `wifi,loss=2%`, `delay=40ms,up.rate=500k`, `4g; 10s: blackout=10s-11s; 20s: loss=5%` and
`office.toml` are networks. Each name below says where its numbers are from; those without a
source are ours, chosen so that something happens in a short call.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import amounts
from .link import Link

MAX_FILE = 64 * 1024
MAX_CHANGES = 100


@dataclass(frozen=True, slots=True)
class Change:
    """What the links are from `at` seconds after the first media on."""

    at: float
    up: Link
    down: Link


@dataclass(frozen=True, slots=True)
class Profile:
    """A network: `up` from who calls to who answers, `down` back, and how they change."""

    name: str = "none"
    up: Link = Link()
    down: Link = Link()
    changes: tuple[Change, ...] = ()

    @classmethod
    def both(cls, link: Link, name: str = "own") -> Profile:
        """The same in both directions."""
        return cls(name, link, link)


_4G = Link(delay=0.05, jitter=0.03, queue_time=1.0)
_TRAIN = Link(
    delay=0.05, jitter=0.03, queue_time=1.0, rate=1e6, burst=0.05, burst_length=10.0,
    blackout=((3.0, 3.5), (12.0, 13.5), (30.0, 34.0)),
)  # fmt: skip
_SATELLITE = Link(delay=0.279, jitter=0.03, burst=0.01, burst_length=10.0)

PROFILES: dict[str, Profile] = {
    # Rates and delay: Wi-Fi in the network throttling of Firefox's developer tools (30 and 15
    # Mbit/s, 2 ms there and back). Loss: the least of RFC 8868 (1 %), in bursts, as Gilbert and
    # Elliott describe and home networks show. Jitter: the most of RFC 8867.
    "wifi": Profile(
        "wifi",
        up=Link(delay=0.001, jitter=0.03, burst=0.01, burst_length=2.0, rate=15e6),
        down=Link(delay=0.001, jitter=0.03, burst=0.01, burst_length=2.0, rate=30e6),
    ),
    # Rates: 4G/LTE in the same table (4 and 3 Mbit/s). Delay and jitter: RFC 8867
    # (50 ms one way, at most 30 ms). Queue: RFC 8868 ("buffer-bloated", 1 s).
    # No loss: the radio link repeats by itself, which is what the jitter stands for.
    "4g": Profile("4g", up=replace(_4G, rate=3e6), down=replace(_4G, rate=4e6)),
    # 4G whose capacity goes as in RFC 8867 (1, 2.5, 0.6, 1 Mbit/s), in a tenth of
    # the time; 5 % loss (RFC 8868) in bursts; cells and tunnels that are left are ours.
    "train": Profile(
        "train", _TRAIN, _TRAIN,
        tuple(
            Change(at, replace(_TRAIN, rate=rate), replace(_TRAIN, rate=rate))
            for at, rate in ((4.0, 2.5e6), (6.0, 6e5), (8.0, 1e6))
        ),
    ),
    # A geostationary hop: 239.6 to 279.0 ms one way (RFC 2488, section 2); jitter and loss as
    # above; the rates are those of a usual subscription.
    "satellite": Profile(
        "satellite", up=replace(_SATELLITE, rate=10e6), down=replace(_SATELLITE, rate=100e6)
    ),
    # Loss for itself, the second worst of RFC 8868 (10 %), delay of RFC 8867.
    "lossy": Profile.both(Link(delay=0.05, loss=0.1), "lossy"),
}  # fmt: skip


def profile(text: str) -> Profile:
    """A network by its name, by what it does, or from a TOML or JSON file.

    Raises `ValueError` that says, in words, what is wrong and what there is.
    """
    text = text.strip()
    if text.lower().endswith((".toml", ".json")):
        return _from_file(Path(text))
    first, *later = text.split(";")
    found = _with(Profile(), _settings(first), first)
    for part in later:
        when, colon, what = part.partition(":")
        if not colon:
            raise ValueError(f"{part.strip()!r}: a change is written like 10s: loss=20%.")
        found = _changed(found, amounts.seconds("a change", when.strip()), _settings(what), what)
    # A network that is one of those with names is that one.
    return found if found.changes or "=" in text else replace(found, name=text.lower() or "none")


def _settings(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        key, equals, value = entry.partition("=")
        key, value = (key.strip(), value.strip()) if equals else ("base", entry)
        if key in settings:
            raise ValueError(f"{key} is said twice.")
        settings[key] = value
    return settings


def _from_file(path: Path) -> Profile:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"{path} is too long for a network.")
        content = path.read_text(encoding="utf-8")
        data = json.loads(content) if path.suffix.lower() == ".json" else tomllib.loads(content)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}.") from error
    try:
        return _from_tables(data, path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _from_tables(data: Any, name: str) -> Profile:
    if not isinstance(data, dict):
        raise ValueError("A network is a table of what it does.")
    changes, called = data.pop("changes", []), data.pop("name", name)
    if not isinstance(called, str) or not isinstance(changes, list):
        raise ValueError("`name` is a text, `changes` a list of tables.")
    found = _with(Profile(), _flat(data), called)
    for change in changes:
        if not isinstance(change, dict) or "at" not in change:
            raise ValueError("Each change is a table, and says `at` which second it comes.")
        at = amounts.seconds("a change", change.pop("at"))
        found = _changed(found, at, _flat(change), called)
    return replace(found, name=called)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """`{"up": {"rate": x}}` as `{"up.rate": x}`."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    return flat


def _with(base: Profile, settings: Mapping[str, Any], name: str) -> Profile:
    """A network that is `base`, but for these settings."""
    settings = dict(settings)
    named = settings.pop("base", None)
    if named not in (None, "none"):
        if named not in PROFILES:
            known = ", ".join(sorted(PROFILES))
            raise ValueError(
                f"There is no network called {named!r}: there is {known}, what you write yourself "
                "(like loss=2%,delay=40ms), or a file that ends in .toml or .json."
            )
        base = PROFILES[named]
    up = replace(base.up, **amounts.link_fields(_of(settings, "up")))
    down = replace(base.down, **amounts.link_fields(_of(settings, "down")))
    changes = tuple(
        Change(
            change.at,
            replace(change.up, **amounts.link_fields(_of(settings, "up"))),
            replace(change.down, **amounts.link_fields(_of(settings, "down"))),
        )
        for change in base.changes
    )
    return Profile(name.strip() or "none", up, down, changes)


def _of(settings: Mapping[str, Any], way: str) -> dict[str, Any]:
    """What is said of one direction: for it alone counts more than for both."""
    own = {key[len(way) + 1 :]: value for key, value in settings.items() if _way(key) == way}
    return {key: value for key, value in settings.items() if not _way(key)} | own


def _way(key: str) -> str:
    way = key.partition(".")[0]
    return way if way in ("up", "down") else ""


def _changed(found: Profile, at: float, settings: Mapping[str, Any], name: str) -> Profile:
    """One more change, to be said in order."""
    if len(found.changes) >= MAX_CHANGES:
        raise ValueError(f"A network changes at most {MAX_CHANGES} times.")
    if "base" in settings and PROFILES.get(settings["base"], found).changes:
        raise ValueError(f"{settings['base']} changes by itself, so nothing can change to it.")
    last = found.changes[-1] if found.changes else None
    if last is not None and at <= last.at:
        raise ValueError("Changes are told in the order of their times.")
    before = Profile(up=last.up, down=last.down) if last else Profile(up=found.up, down=found.down)
    after = _with(before, settings, name)
    return replace(found, changes=(*found.changes, Change(at, after.up, after.down)))
