"""Descriptions in which a relay stands for who wrote them."""

from __future__ import annotations

import pytest

from ringback.bots.calltest import detour
from ringback.bots.calltest.detour import Address

ANSWER = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 96
a=candidate:a 1 udp 7 fd00::1 5000 typ host
a=candidate:b 1 udp 5 192.0.2.9 5002 typ host generation 0 ufrag xy network-cost 999
a=candidate:b 1 udp 5 192.0.2.9 5002 typ host generation 0 ufrag xy network-cost 999
a=candidate:c 1 UDP 3 198.51.100.1 5002 typ srflx raddr 192.0.2.9 rport 5002
a=candidate:d 1 tcp 3 192.0.2.9 9 typ host tcptype active
a=candidate:e 2 udp 3 192.0.2.9 5003 typ host
a=candidate:f 1 udp 3 0c0ffee0-1234-1234-1234-123412341234.local 5003 typ host
a=candidate:g 1 udp 3 fe80::1 5003 typ host
a=candidate:h 1 udp 3 0.0.0.0 5003 typ host
a=candidate:i 1 udp 3 192.0.2.9 70000 typ host
a=end-of-candidates
a=mid:0
m=video 9 UDP/TLS/RTP/SAVPF 97
a=candidate:a 1 udp 7 fd00::1 5000 typ host
a=mid:1
"""


class Doors:
    """Gives each address one of ours; `full` gives none."""

    def __init__(self, full: bool = False) -> None:
        self.asked: list[Address] = []
        self.full = full

    def __call__(self, target: Address) -> Address | None:
        if target not in self.asked:
            self.asked.append(target)
        if self.full:
            return None
        host = "fd00::9" if ":" in target[0] else "203.0.113.1"
        return host, 1000 + self.asked.index(target)


def candidates(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("a=candidate")]


def test_every_candidate_becomes_a_door_to_it() -> None:
    doors = Doors()
    found = detour.through(ANSWER, doors)
    assert doors.asked == [("fd00::1", 5000), ("192.0.2.9", 5002), ("198.51.100.1", 5002)]
    v6 = "a=candidate:a 1 udp 7 fd00::9 1000 typ host"
    assert candidates(found) == [
        v6,
        "a=candidate:b 1 udp 5 203.0.113.1 1001 typ host generation 0 ufrag xy network-cost 999",
        "a=candidate:c 1 udp 3 203.0.113.1 1002 typ host",
        v6,
    ]


def test_the_rest_stays_as_it_is() -> None:
    kept = [line for line in ANSWER.splitlines() if not line.startswith("a=candidate")]
    for text in (detour.through(ANSWER, Doors()), detour.without_candidates(ANSWER)):
        assert [x for x in text.split("\r\n") if x and not x.startswith("a=candidate")] == kept
        assert text.endswith("\r\n")


def test_an_offer_tells_nothing_of_where_its_writer_is() -> None:
    assert not candidates(detour.without_candidates(ANSWER))
    assert "remote-candidates" not in detour.without_candidates("a=remote-candidates:1 x 1\r\n")


RELAYED = """v=0
a=candidate:a 1 udp 7 192.0.2.9 5000 typ host
a=candidate:b 1 udp 5 192.0.2.8 5002 typ relay raddr 192.0.2.9 rport 5000
a=candidate:b 1 udp 5 192.0.2.8 5002 typ relay raddr 192.0.2.9 rport 5000
a=mid:0
"""


def test_with_and_without_relays() -> None:
    assert detour.addresses(RELAYED) == [("192.0.2.9", 5000), ("192.0.2.8", 5002)]
    assert detour.addresses(detour.without_relays(RELAYED)) == [("192.0.2.9", 5000)]
    assert detour.addresses(detour.only_relays(RELAYED)) == [("192.0.2.8", 5002)]
    assert "a=mid:0" in detour.without_relays(RELAYED)
    assert "a=mid:0" in detour.only_relays(RELAYED)


def test_where_there_is_no_door_there_is_no_candidate() -> None:
    assert not candidates(detour.through(ANSWER, Doors(full=True)))


def test_candidates_that_come_later() -> None:
    doors = Doors()
    text = "candidate:b 1 udp 5 192.0.2.9 5002 typ host"
    assert detour.candidate(text, doors) == "candidate:b 1 udp 5 203.0.113.1 1000 typ host"
    for nothing in ("", "candidate:b", text.replace("udp", "tcp"), text.replace("5002", "0")):
        assert detour.candidate(nothing, doors) is None


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("turn:turn.example.org", ("turn.example.org", 3478)),
        ("turn:192.0.2.1:99", ("192.0.2.1", 99)),
        ("turn:[fd00::1]:99?transport=udp", ("fd00::1", 99)),
        ("turn:[fd00::1]", ("fd00::1", 3478)),
        ("turn:192.0.2.1:99?transport=tcp", None),
        ("turns:192.0.2.1", None),
        ("stun:192.0.2.1", None),
        ("turn:", None),
    ],
)
def test_turn_over_udp(url: str, where: Address | None) -> None:
    assert detour.turn_over_udp(url) == where
    if where is not None:
        assert detour.turn_over_udp(detour.turn_url(where)) == where


def test_the_address_beside_one_of_ours_is_one_of_ours() -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((detour.beside(("127.0.0.1", 9)), 0))
