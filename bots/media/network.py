"""Where a bot's packets may go, by which ports they leave, and how much one call may take. Pure.

Whoever calls a bot tells it where to send its packets. Without a rule a stranger could make
our host knock at doors that only our host can reach: a router's page, a cloud's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Range = IPv4Network | IPv6Network

BANDWIDTH = 4_000_000
"""Bits a second that one call may take in one direction unless the operator says otherwise."""

PRIVATE: tuple[Range, ...] = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Ranges inside somebody's network (RFC 1918, RFC 6598, RFC 4193)."""

_NEVER: tuple[Range, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "255.255.255.255/32",
        # What clouds tell their machines about themselves.
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "::/128",
        "::1/128",
        "fe80::/10",
        "ff00::/8",
    )
)
_LOCAL_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local", re.IGNORECASE)
_TRANSLATED = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Network:
    """The rules of one process of bots.

    `ports`: the first and the last UDP port for media, None lets the system choose. `public`:
    addresses at which this host is reached from outside, one to one (NAT). `allow`: private
    ranges to which packets may be sent before anything has come from there. `names`: whether
    `.local` names are looked up. `bandwidth`: bits a second of one call in one direction.
    `relay_only`: nothing leaves but by a TURN server.
    """

    ports: tuple[int, int] | None = None
    public: tuple[Address, ...] = ()
    allow: tuple[Range, ...] = ()
    names: bool = False
    bandwidth: int = BANDWIDTH
    relay_only: bool = False

    def never(self, address: Address) -> bool:
        """Whether nothing may be sent there and nothing that comes from there is believed."""
        inner = _inner(address)
        return any(inner in net for net in _NEVER if net.version == inner.version)

    def refuses(self, address: Address) -> bool:
        """Whether a candidate with this address may not be tried.

        A peer in a private range can still call: its own checks show us where it is, and
        whoever can send them from there is there.
        """
        if self.never(address):
            return True
        inner = _inner(address)
        private = any(inner in net for net in PRIVATE if net.version == inner.version)
        allowed = any(inner in net for net in self.allow if net.version == inner.version)
        return private and not allowed


def is_local_name(host: str) -> bool:
    """Whether this is a name that a browser made up to hide an address behind."""
    return _LOCAL_NAME.fullmatch(host) is not None


def _inner(address: Address) -> Address:
    """The IPv4 address inside one that stands for it (RFC 4291 2.5.5.2, RFC 6052, RFC 3056)."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def read_ports(text: str) -> tuple[int, int]:
    """`LOW-HIGH`, both included. Raises `ValueError` with a sentence."""
    low, dash, high = text.partition("-")
    try:
        ports = int(low), int(high if dash else low)
    except ValueError:
        raise ValueError(f"{text!r} is not of the form LOW-HIGH.") from None
    if not 1024 <= ports[0] <= ports[1] <= 65_535:
        raise ValueError("ports lie between 1024 and 65535, the lower one first.")
    return ports


def read_address(text: str) -> Address:
    """An address by which others reach this host. Raises `ValueError` with a sentence."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address.") from None
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise ValueError(f"{text} is no address that others can reach.")
    return address


def read_allowed(texts: list[str]) -> tuple[tuple[Range, ...], bool]:
    """Ranges (CIDR, or `private` for all of them) and whether `.local` names are allowed.

    Raises `ValueError` with a sentence.
    """
    ranges: list[Range] = []
    for text in texts:
        if text == "private":
            ranges += PRIVATE
        elif text != "local-names":
            try:
                ranges.append(ip_network(text))
            except ValueError:
                raise ValueError(f"{text!r} is no range such as 192.168.0.0/16.") from None
    return tuple(ranges), "local-names" in texts


def read_network(
    ports: str | None, public: Sequence[str], allowed: Sequence[str], bandwidth: int = BANDWIDTH
) -> Network:
    """The rules as flags give them. Raises `ValueError` with a sentence."""
    allow, names = read_allowed(list(allowed))
    return Network(
        ports=read_ports(ports) if ports else None,
        public=tuple(read_address(text) for text in public),
        allow=allow,
        names=names,
        bandwidth=bandwidth,
    )
