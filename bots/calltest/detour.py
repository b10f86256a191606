"""Descriptions in which a relay stands for who wrote them (RFC 8839, section 5.1)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from ipaddress import ip_address

import ifaddr

Address = tuple[str, int]
Door = Callable[[Address], Address | None]
"""Gives the address that stands for another one, None where none can."""

_CANDIDATE = re.compile(
    r"((?:a=)?candidate:\S+) 1 udp (\d+) (\S+) (\d+) typ \S+(.*)", re.IGNORECASE
)
_GENERATION = re.compile(r" (?:generation|ufrag|network-id|network-cost) \S+")
_TURN = re.compile(r"turn:(\[[0-9a-f:.]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(\w+))?", re.IGNORECASE)
_TURN_PORT = 3478


def without_candidates(sdp: str) -> str:
    """A description that says nothing of where its writer is."""
    return _joined([line for line in sdp.splitlines() if not _is_address(line)])


def without_relays(sdp: str) -> str:
    """A description without the candidates that a TURN server lent."""
    lines = sdp.splitlines()
    return _joined([line for line in lines if not (_is_address(line) and " typ relay" in line)])


def only_relays(sdp: str) -> str:
    """A description with no other candidates than those."""
    lines = sdp.splitlines()
    return _joined([line for line in lines if not _is_address(line) or " typ relay" in line])


def addresses(sdp: str) -> list[Address]:
    """Where who wrote a description can be reached over UDP, each address once."""
    found: dict[Address, None] = {}
    through(sdp, lambda target: found.setdefault(target))
    return list(found)


def through(sdp: str, door: Door) -> str:
    """A description in which every candidate is the door to it; those without one are left
    out. Of several that are the same then, each section keeps one."""
    lines: list[str] = []
    told: set[str] = set()
    for line in sdp.splitlines():
        if line.startswith("m="):
            told.clear()
        if line.startswith("a=candidate:"):
            ours = candidate(line, door)
            if ours is not None and ours not in told:
                told.add(ours)
                lines.append(ours)
        else:
            lines.append(line)
    return _joined(lines)


def candidate(text: str, door: Door) -> str | None:
    """A candidate (with or without `a=`) as the door to it; None where there is none: a name,
    TCP, another component, an address of one link only."""
    match = _CANDIDATE.fullmatch(text.strip())
    if match is None:
        return None
    head, priority, host, port, rest = match.groups()
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_link_local or address.is_unspecified or not 0 < int(port) < 65536:
        return None
    found = door((host, int(port)))
    if found is None:
        return None
    extra = "".join(_GENERATION.findall(rest))
    return f"{head} 1 udp {priority} {found[0]} {found[1]} typ host{extra}"


def turn_over_udp(url: str) -> Address | None:
    """Where a TURN server is, if it is one that is spoken to over UDP (RFC 7065)."""
    match = _TURN.fullmatch(url)
    if match is None or (match[3] or "udp").lower() != "udp":
        return None
    return match[1].strip("[]"), int(match[2] or _TURN_PORT)


def turn_url(address: Address) -> str:
    """How a TURN server at an address is written."""
    host, port = address
    return f"turn:{f'[{host}]' if ':' in host else host}:{port}?transport=udp"


def beside(target: Address) -> str:
    """The address of this machine from which `target` is reached, for peers on this machine:
    never 127.0.0.1 where there is another one, which WebRTC does not offer. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect(target)
        ours = str(asking.getsockname()[0])
    if not ip_address(ours).is_loopback:
        return ours
    mine = [ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    others = [str(ip.ip) for ip in mine if ip.is_IPv4 and str(ip.ip) != "127.0.0.1"]
    return others[0] if others and ":" not in ours else ours


def _is_address(line: str) -> bool:
    return line.startswith(("a=candidate:", "a=remote-candidates:"))


def _joined(lines: list[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
