"""Where the configuration comes from: flags first, then the environment, then defaults.

One table, `SETTINGS`, makes the flags, the variables, the help and the README's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import Struct
from msgspec.structs import replace

from .config import LOG_LEVELS, Config, ConfigError, RecordingLimits, Tls, VoicemailLimits
from .protocol import IceServer, Limits

PREFIX = "RINGBACK_"
EVERYWHERE = "0.0.0.0"

# Read by others: the bots' process, and shells that keep notes of their own.
NOT_OURS = frozenset({"RINGBACK_BOT_TOKENS", "RINGBACK_BOT_TOKEN", "RINGBACK_SERVER"})


class Setting(Struct, frozen=True):
    """One value of `Config`, and how people give it.

    `read` makes the value of what was written: one text, or for `many` every text given.
    It raises `ValueError` with a sentence.
    """

    name: str
    flag: str
    form: str
    help: str
    read: Callable[[Any], object]
    many: bool = False
    also: str = ""

    @property
    def switch(self) -> bool:
        """Whether it is a pair of flags without a value."""
        return "/" in self.flag

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()


class SettingError(ValueError):
    """A flag or variable holds what it cannot; `str()` is one line that names it."""


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"is a whole number; {text!r} is none.") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"is a number; {text!r} is none.") from None


def _switch(text: str) -> bool:
    known = {"on": True, "true": True, "yes": True, "1": True}
    known |= {"off": False, "false": False, "no": False, "0": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError(f"is on or off; {text!r} is neither.") from None


def _tls(text: str) -> Tls:
    if text == "off":
        return "off"
    if text == "self-signed":
        return "self-signed"
    cert, comma, key = text.partition(",")
    if not (comma and cert.strip() and key.strip()):
        raise ValueError(f"is off, self-signed, or CERT,KEY; {text!r} is none of these.")
    return _path(cert.strip()), _path(key.strip())


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _limits(texts: Iterable[str]) -> Limits:
    entries = _entries(texts, ",")
    changes = _numbers(Limits, [entry for entry in entries if entry not in ("on", "off")])
    switches = [entry == "on" for entry in entries if entry in ("on", "off")]
    return replace(Limits(), **changes, **({"on": switches[-1]} if switches else {}))


def _recordings(texts: Iterable[str]) -> RecordingLimits:
    return replace(RecordingLimits(), **_numbers(RecordingLimits, _entries(texts, ",")))


def _voicemail(texts: Iterable[str]) -> VoicemailLimits:
    entries = _entries(texts, ",")
    changes = _numbers(VoicemailLimits, [entry for entry in entries if entry not in ("on", "off")])
    switches = [entry == "on" for entry in entries if entry in ("on", "off")]
    return replace(VoicemailLimits(), **changes, **({"on": switches[-1]} if switches else {}))


def _numbers(kind: type[Struct], entries: Iterable[str]) -> dict[str, float]:
    """Entries of the form NAME=N as values for a struct of numbers."""
    types = get_type_hints(kind)
    names = sorted(name for name in types if types[name] is not bool)
    values: dict[str, float] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or name not in names:
            raise ValueError(f"{entry!r} is none of {', '.join(names)}=N.")
        read = _whole if types[name] is int else _number
        try:
            values[name] = read(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return values


def _ice_servers(texts: Iterable[str]) -> tuple[IceServer, ...]:
    servers = []
    for entry in _entries(texts, None):
        url, *rest = entry.split(",", 2)
        if len(rest) == 1:
            raise ValueError(f"{url} is written with both or neither: URL,USER,CREDENTIAL.")
        servers.append(IceServer([url], *rest))
    return tuple(servers)


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    try:
        return int(low), int(high if dash else low)
    except ValueError:
        raise ValueError(f"is LOW-HIGH, for example 40000-40099; {text!r} is not.") from None


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for text in texts for word in _entries([text.replace(",", " ")], None))


def _origins(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(entry.rstrip("/") for entry in _entries(texts, None))


def _entries(texts: Iterable[str], separator: str | None) -> list[str]:
    """Every non-empty entry of texts that hold one or several (None: split at spaces)."""
    entries = [entry.strip() for text in texts for entry in text.split(separator)]
    return [entry for entry in entries if entry]


SETTINGS: tuple[Setting, ...] = (
    Setting("host", "--host", "ADDRESS", "Listen here. With TLS: every address.", str),
    Setting("port", "--port", "N", "The port; 0 takes a free one.", _whole),
    Setting("data", "--data", "DIR", "Keep history, secret and certificate here.", _path),
    Setting("tls", "--tls", "off|self-signed|CERT,KEY", "Https, which phones need.", _tls),
    Setting("bots", "--bots/--no-bots", "", "Start the built-in bots.", _switch),
    Setting("bot_calls", "--bot-calls", "N", "Calls at once to each built-in bot.", _whole),
    Setting(
        "bot_load", "--bot-load", "X", "No new calls to them while they are busier; 1 is most.",
        _number,
    ),
    Setting(
        "bot_drain", "--bot-drain", "SECONDS", "How long calls to them go on at a stop.", _number
    ),
    Setting("ring", "--ring", "SECONDS", "How long a telephone rings.", _number),
    Setting("connect", "--connect", "SECONDS", "How long a call may connect.", _number),
    Setting("reconnect", "--reconnect", "SECONDS", "How long a call may be broken.", _number),
    Setting("hold", "--hold", "SECONDS", "How long a dropped name is kept.", _number),
    Setting("ping", "--ping", "SECONDS", "How often idle clients are asked.", _number),
    Setting("drain", "--drain", "SECONDS", "How long clients wait to return.", _number),
    Setting(
        "limits", "--limit", "NAME=N|off", "What one client may ask; several are allowed.",
        _limits, True, "--limits",
    ),
    Setting(
        "recordings", "--record-limit", "NAME=N", "What recordings may take; several are allowed.",
        _recordings, True, "--record-limits",
    ),
    Setting(
        "voicemail", "--voicemail", "NAME=N|off", "Room for messages; several are allowed.",
        _voicemail, True,
    ),
    Setting(
        "ice_servers", "--ice-server", "URL[,USER,CREDENTIAL]",
        "A STUN or TURN server; several are allowed.", _ice_servers, True,
    ),
    Setting("media_ports", "--media-ports", "LOW-HIGH", "UDP ports for the bots' media.", _ports),
    Setting(
        "public_addresses", "--public-address", "ADDRESS",
        "Where bots are reached from outside; several are allowed.", _words, True,
    ),
    Setting(
        "allow_peers", "--allow-peers", "RANGE|private|local-names",
        "Whom bots may send to first; several are allowed.", _words, True,
    ),
    Setting(
        "call_bandwidth", "--call-bandwidth", "KBITS", "What a call to a bot may take.", _whole
    ),
    Setting(
        "origins", "--origin", "ORIGIN", "Another site that may use this server.", _origins, True
    ),
    Setting("log_level", "--log-level", "|".join(LOG_LEVELS), "What is logged.", str),
)  # fmt: skip


def read(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    """The configuration out of flags (by name; None or empty: not given) and environment.

    Raises `SettingError` that names the flag or variable at fault.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        given = flags.get(setting.name)
        sources[setting.name] = setting.flag.partition("/")[0]
        if given is None or given == ():
            text = environ.get(setting.variable, "").strip()
            if not text:
                continue
            given = (text,) if setting.many else text
            sources[setting.name] = setting.variable
        try:
            # A switch on the command line is a truth value already.
            values[setting.name] = given if isinstance(given, bool) else setting.read(given)
        except ValueError as error:
            raise SettingError(f"{sources[setting.name]} {error}") from None
    if values.get("tls", "off") != "off":
        # TLS is there for other devices; they cannot come in through loopback.
        values.setdefault("host", EVERYWHERE)
    try:
        return Config(**values)
    except ConfigError as error:
        raise SettingError(f"{sources[error.name]} {error.problem}") from None


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and are not: most likely mistyped."""
    known = {setting.variable for setting in SETTINGS} | NOT_OURS
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
