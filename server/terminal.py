"""What the terminal shows when the server is up: where to go, and a picture for phones."""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Iterable

import segno

from ringback import __version__

from . import tls
from .config import Config

# White on black whatever the terminal's colours: scanners want dark on light.
_INK, _PLAIN = "\x1b[97;40m", "\x1b[0m"


def addresses(config: Config, port: int) -> list[tuple[str, str]]:
    """The addresses to open, best first, each with who can use it."""
    scheme = "https" if config.secure else "http"
    try:
        host = ipaddress.ip_address(config.host)
    except ValueError:
        return [(_url(scheme, config.host, port), "")]
    here = (_url(scheme, "localhost", port), "this machine")
    if host.is_loopback:
        plain = str(host) in ("127.0.0.1", "::1")
        return [here if plain else (_url(scheme, str(host), port), "this machine")]
    if not host.is_unspecified:
        return [(_url(scheme, str(host), port), "devices on this network")]
    reachable = [a for a in tls.addresses() if a.version == host.version]
    return [
        *((_url(scheme, str(a), port), "devices on this network") for a in reachable),
        here,
    ]


def _url(scheme: str, host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    standard = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}/" if port == standard else f"{scheme}://{host}:{port}/"


def text(config: Config, port: int, fingerprint: str | None, picture: bool = False) -> str:
    """The lines to print when the server listens; `picture` adds a QR code for phones."""
    found = addresses(config, port)
    wide = max(len(url) for url, _ in found)
    lines = [f"Ringback {__version__} is open at", ""]
    lines += [f"  {url:<{wide}}   {whose}".rstrip() for url, whose in found]
    lines.append("")
    if picture and not config.loopback:
        lines += [qr(found[0][0]), ""]
    if config.loopback:
        lines.append("Only this machine can reach it; for phones and others: add --tls self-signed")
    elif not config.secure:
        lines.append("Other machines get no camera without https: add --tls self-signed")
    elif config.tls == "self-signed":
        lines.append("Browsers will warn once about the certificate. Its SHA-256 fingerprint:")
        lines += [f"  {fingerprint}"]
    return "\n".join(lines)


def qr(url: str) -> str:
    """An address as a QR code of half-height blocks, right on any terminal's background."""
    drawn = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(drawn, border=2, compact=True)
    return "\n".join(f"  {_INK}{line}{_PLAIN}" for line in drawn.getvalue().splitlines())


def bots_text(names: Iterable[str], ready: Iterable[str]) -> str:
    """Which bots are on the line, in one line."""
    there = sorted(set(names) & set(ready))
    missing = sorted(set(names) - set(ready))
    if not there:
        return "No bots are on the line yet; messages above say why. Ctrl-C stops."
    late = f" Not yet: {', '.join(missing)}." if missing else ""
    return f"Bots on the line: {', '.join(there)}.{late} Ctrl-C stops."
