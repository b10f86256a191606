"""Where a bot's packets may go."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media.network import (
    PRIVATE,
    Network,
    read_address,
    read_allowed,
    read_ports,
)

NEVER = [
    "127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1",
    "224.0.0.1", "255.255.255.255", "100.100.100.200", "fd00:ec2::254", "::", "::1", "fe80::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip
PRIVATES = [
    "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.5", "100.64.1.1", "fc00::1",
    "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
]  # fmt: skip
PUBLIC = ["192.0.2.7", "172.32.0.1", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.7"]


@pytest.mark.parametrize("text", NEVER)
def test_no_rule_opens_what_is_never_right(text: str) -> None:
    everything, _ = read_allowed(["private", "0.0.0.0/0", "::/0"])
    for network in (Network(), Network(allow=everything)):
        assert network.never(ip_address(text))
        assert network.refuses(ip_address(text))


@pytest.mark.parametrize("text", PRIVATES)
def test_private_ranges_are_refused_until_allowed(text: str) -> None:
    address = ip_address(text)
    assert Network().refuses(address)
    assert not Network().never(address)
    allow, names = read_allowed(["private"])
    assert not Network(allow=allow).refuses(address)
    assert not names


@pytest.mark.parametrize("text", PUBLIC)
def test_others_are_tried(text: str) -> None:
    assert not Network().refuses(ip_address(text))


def test_one_range_opens_nothing_beside_it() -> None:
    allow, names = read_allowed(["192.168.7.0/24", "local-names"])
    network = Network(allow=allow, names=names)
    assert network.names
    assert not network.refuses(ip_address("192.168.7.9"))
    assert network.refuses(ip_address("192.168.8.9"))
    assert network.refuses(ip_address("10.0.0.1"))


@given(st.ip_addresses())
def test_allowing_never_refuses_more(address: object) -> None:
    assert isinstance(address, type(ip_address("::")) | type(ip_address("0.0.0.0")))
    strict, open_ = Network(), Network(allow=PRIVATE)
    assert strict.refuses(address) >= open_.refuses(address) >= open_.never(address)


@pytest.mark.parametrize(
    ("text", "ports"), [("40000-40099", (40000, 40099)), ("5000", (5000, 5000))]
)
def test_ports(text: str, ports: tuple[int, int]) -> None:
    assert read_ports(text) == ports


@pytest.mark.parametrize("text", ["", "a-b", "5000-", "-5000", "80-90", "5001-5000", "1024-65536"])
def test_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match=r"ports|form"):
        read_ports(text)


@pytest.mark.parametrize("text", ["", "example.org", "127.0.0.1", "0.0.0.0", "::1", "224.0.0.1"])
def test_no_public_address(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        read_address(text)


def test_no_range() -> None:
    with pytest.raises(ValueError, match="range"):
        read_allowed(["192.168.0.1/16"])
