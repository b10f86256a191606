"""The configuration: frozen, and checked however it was made.

`settings.py` makes one from the command line and the environment; tests and other
programs make one directly. Times are in seconds.
"""

from __future__ import annotations

import ipaddress
import math
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from .protocol import IceServer, Limits

LONGEST = 86_400.0
LOG_LEVELS = ("debug", "info", "warning", "error")

# What `protocol` lets through at most: a limit above it would promise too much.
WIRE_LIMITS = {"text": 65_536, "sdp": 65_536, "candidate": 4_096}

Tls = Literal["off", "self-signed"] | tuple[Path, Path]


class ConfigError(ValueError):
    """A value that cannot be. `name` is the field of `Config`, `problem` a sentence about it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class RecordingLimits(Struct, frozen=True):
    """What recordings may take. Megabytes are 10^6 bytes."""

    minutes: float = 120.0
    """The longest one."""
    megabytes: float = 2_000.0
    """The largest one, all its files together."""
    free_megabytes: float = 1_000.0
    """What is left free on the disk: below it no recording begins and running ones end."""
    each: int = 100
    """How many one person may keep."""
    each_megabytes: float = 10_000.0
    """What those of one person may take together before they may record more."""
    days: float = 90.0
    """How long they are kept; 0 for ever."""


class VoicemailLimits(Struct, frozen=True):
    """Whether there is voicemail, and what each person may have there."""

    messages: int = 30
    """How many messages; then the oldest go, once their owner was warned."""
    minutes: float = 60.0
    """How long all of them together."""
    days: float = 90.0
    """How long they are kept; 0 for ever."""
    on: bool = True


class Config(Struct, frozen=True, kw_only=True):
    """How one Ringback runs. Raises `ConfigError` when a value cannot be."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8000
    """The port to listen on; 0 takes a free one."""
    data: Path = field(default_factory=lambda: Path("data"))
    """The folder that holds history, call records, the secret and the certificate."""
    tls: Tls = "off"
    """`off`, `self-signed`, or the files of a certificate and its key (PEM)."""
    bots: bool = True
    """Whether the built-in bots are started."""
    bot_calls: int = 100
    """How many calls each built-in bot takes at once."""
    bot_load: float = 0.9
    """How busy the bots' process may be for new calls: 1 is as busy as can be."""
    bot_drain: float = 5.0
    """How long calls to the built-in bots may go on when the server stops."""
    ring: float = 45.0
    """How long a telephone rings before the call ends as not answered."""
    connect: float = 15.0
    """How long an answered call may take to connect."""
    reconnect: float = 30.0
    """How long a broken call may take to come back."""
    hold: float = 30.0
    """How long a session and its name are kept for somebody whose connection dropped."""
    ping: float = 20.0
    """How often an idle connection is asked whether it is alive."""
    drain: float = 2.0
    """How long clients are told to wait before they come back, when the server stops."""
    limits: Limits = Limits()
    """What one client may ask of the server."""
    recordings: RecordingLimits = RecordingLimits()
    """What recordings may take."""
    voicemail: VoicemailLimits = VoicemailLimits()
    """Messages for people who do not answer."""
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers named to browsers and bots."""
    media_ports: tuple[int, int] | None = None
    """The first and the last UDP port of the bots' media; None lets the system choose."""
    public_addresses: tuple[str, ...] = ()
    """Addresses at which the bots are reached from outside (NAT, one to one)."""
    allow_peers: tuple[str, ...] = ()
    """Ranges (CIDR, or `private`) to which bots send before they were sent something from
    there; `local-names`: they look up the `.local` names of callers."""
    call_bandwidth: int = 4_000
    """Kilobits a second that a call to a bot may take in one direction."""
    origins: tuple[str, ...] = ()
    """Origins (RFC 6454) whose pages may use this server besides its own."""
    log_level: str = "info"
    """The least severe messages that are logged."""

    def __post_init__(self) -> None:
        _check_listening(self)
        for name in ("ring", "connect", "reconnect", "hold", "ping"):
            _check_time(name, getattr(self, name), above=True)
        _check_time("drain", self.drain, above=False)
        _check_bots(self)
        _check_limits(self.limits)
        _check_recordings(self.recordings)
        _check_voicemail(self.voicemail)
        if not self.limits.on and not self.loopback:
            raise ConfigError(
                "limits", "can be off only when the host is this machine alone (127.0.0.1)."
            )
        for server in self.ice_servers:
            _check_ice(server)
        _check_media(self)
        for origin in self.origins:
            _check_origin(origin)
        if self.log_level not in LOG_LEVELS:
            raise ConfigError("log_level", f"is one of {', '.join(LOG_LEVELS)}.")

    @property
    def loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def secure(self) -> bool:
        """Whether the server itself speaks TLS."""
        return self.tls != "off"


def is_loopback(host: str) -> bool:
    """Whether an address or host name means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_listening(config: Config) -> None:
    if not config.host or any(c.isspace() or c in "/?#@" for c in config.host):
        raise ConfigError("host", "is an address or a host name, for example 127.0.0.1.")
    if not 0 <= config.port <= 65_535:
        raise ConfigError("port", f"lies between 0 and 65535; {config.port} does not.")
    if isinstance(config.tls, str) and config.tls not in ("off", "self-signed"):
        raise ConfigError("tls", "is off, self-signed, or CERT,KEY.")


def _check_time(name: str, value: float, *, above: bool) -> None:
    # Written so that NaN, which compares with nothing, is refused too.
    low_enough = math.isfinite(value) and value <= LONGEST
    if not (low_enough and (value > 0 if above else value >= 0)):
        least = "more than 0" if above else "0 or more"
        raise ConfigError(name, f"is {least} and at most {LONGEST:.0f} seconds.")


def _check_bots(config: Config) -> None:
    _check_time("bot_drain", config.bot_drain, above=False)
    if not 1 <= config.bot_calls <= 100_000:
        raise ConfigError("bot_calls", "lies between 1 and 100000.")
    if not 0 < config.bot_load <= 1_000:
        raise ConfigError("bot_load", "is more than 0 and at most 1000; 1 is a process at its end.")


def _check_limits(limits: Limits) -> None:
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if name != "on" and not (math.isfinite(value) and 0 < value <= 2**31):
            raise ConfigError("limits", f"{name} is more than 0 and at most {2**31}.")
        if name in WIRE_LIMITS and value > WIRE_LIMITS[name]:
            raise ConfigError("limits", f"{name} is at most {WIRE_LIMITS[name]}.")
    for name in ("text", "sdp", "candidate"):
        if getattr(limits, name) > limits.message:
            raise ConfigError("limits", f"{name} is at most as large as message.")


def _check_recordings(limits: RecordingLimits) -> None:
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        least = value >= 0 if name in ("days", "free_megabytes") else value > 0
        if not (math.isfinite(value) and least and value <= 2**31):
            word = "0 or more" if name in ("days", "free_megabytes") else "more than 0"
            raise ConfigError("recordings", f"{name} is {word} and at most {2**31}.")


def _check_voicemail(limits: VoicemailLimits) -> None:
    for name in ("messages", "minutes", "days"):
        value = getattr(limits, name)
        least = value >= 0 if name == "days" else value > 0
        if not (math.isfinite(value) and least and value <= 2**31):
            word = "0 or more" if name == "days" else "more than 0"
            raise ConfigError("voicemail", f"{name} is {word} and at most {2**31}.")


def _check_ice(server: IceServer) -> None:
    for url in server.urls:
        scheme, _, rest = url.partition(":")
        if scheme not in ("stun", "stuns", "turn", "turns") or not rest.strip("/"):
            raise ConfigError("ice_servers", f"{url} is no stun: or turn: address.")
        if scheme.startswith("turn") and not (server.username and server.credential):
            raise ConfigError("ice_servers", f"{url} needs a user name and a credential.")


def _check_media(config: Config) -> None:
    if config.media_ports is not None:
        low, high = config.media_ports
        if not 1024 <= low <= high <= 65_535:
            raise ConfigError("media_ports", "lie between 1024 and 65535, the lower one first.")
    for text in config.public_addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ConfigError("public_addresses", f"{text} is no IP address.") from None
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            raise ConfigError("public_addresses", f"{text} is none that others can reach.")
    for text in config.allow_peers:
        if text not in ("private", "local-names"):
            try:
                ipaddress.ip_network(text)
            except ValueError:
                problem = f"{text} is no range such as 192.168.0.0/16."
                raise ConfigError("allow_peers", problem) from None
    if not 64 <= config.call_bandwidth <= 1_000_000:
        raise ConfigError("call_bandwidth", "lies between 64 and 1000000 (kbit/s).")


def _check_origin(origin: str) -> None:
    problem = ConfigError("origins", f"{origin} is not of the form https://example.org.")
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise problem
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # An origin is compared as text, so it must be written as browsers write it.
    if origin != f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""):
        raise problem


def replace(config: Config, **changes: object) -> Config:
    """A copy with some values changed, checked again."""
    return msgspec.structs.replace(config, **changes)
