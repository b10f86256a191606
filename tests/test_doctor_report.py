"""What is found of the ways of media, as people and programs read it."""

from __future__ import annotations

from io import StringIO
from typing import get_args

import pytest
from rich.console import Console

from ringback.bots.calltest import advice as module
from ringback.bots.calltest.advice import WAYS, Code, Way, advice
from ringback.bots.calltest.doctor import Finding
from ringback.bots.calltest.doctor_report import as_json, passed, table

DIRECT = Finding("direct", "", "works", 0.123, "host/prflx")
REFUSED = Finding(
    "udp", "turn.example.org:3478", "fails", code="wrong_secret",
    happened="turn.example.org:3478 says: 401 Unauthorized.", advice=advice("wrong_secret", "udp"),
)  # fmt: skip
ABSENT = Finding("tcp", "", "absent", code="absent", advice=advice("absent", "tcp"))


def shown(*found: Finding, width: int = 100) -> str:
    output = StringIO()
    Console(file=output, width=width).print(table(found))
    return output.getvalue()


def test_people_see_which_ways_work_and_what_to_do() -> None:
    text = shown(DIRECT, REFUSED, ABSENT)
    lines = text.splitlines()
    assert lines[1].split() == ["direct", "works", "after", "0.1", "s", "host", "to", "prflx"]
    assert "does not work" in lines[2]
    assert "turn.example.org:3478" in lines[2]
    assert "not offered" in lines[3]
    whole = " ".join(text.split())
    assert "What to do TURN over UDP: turn.example.org:3478 says: 401 Unauthorized." in whole
    assert "static-auth-secret" in whole
    assert "Might help TURN over TCP: For people whose firewall" in whole
    assert whole.endswith("1 of 2 ways work.")


def test_it_fits_a_narrow_terminal() -> None:
    text = shown(DIRECT, REFUSED, ABSENT, width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "does not work" in text


@pytest.mark.parametrize(
    ("found", "verdict", "ok"),
    [
        ([DIRECT, ABSENT], "It works.", True),
        ([DIRECT, Finding("udp", "x:1", "works")], "Every way that is offered works.", True),
        ([DIRECT, REFUSED], "1 of 2 ways work.", False),
        ([REFUSED], "No way works: no call can come about.", False),
    ],
)
def test_verdicts(found: list[Finding], verdict: str, ok: bool) -> None:
    assert shown(*found).splitlines()[-1].strip() == verdict
    assert passed(found) is ok


def test_programs_read_the_same() -> None:
    said = as_json("ws://x/ws", "echo", [DIRECT, REFUSED, ABSENT])
    assert (said["ok"], said["url"], said["to"]) == (False, "ws://x/ws", "echo")
    direct, udp, tcp = said["ways"]
    assert direct == {
        "way": "direct", "server": None, "state": "works", "connected_ms": 123,
        "pair": "host/prflx", "code": None, "happened": None, "advice": None,
    }  # fmt: skip
    assert (udp["server"], udp["state"], udp["code"]) == (REFUSED.server, "fails", "wrong_secret")
    assert (tcp["state"], tcp["code"]) == ("absent", "absent")


def test_there_is_advice_for_everything() -> None:
    codes = {code for group in get_args(Code) for code in get_args(group) or (group,)}
    assert codes == {*module._ADVICE, "no_way", "absent"}
    ways: tuple[Way, ...] = get_args(Way)
    assert set(WAYS) == set(ways)
    for way in ways:
        for code in sorted(codes - {"absent"}):
            assert advice(code, way).endswith(".")
    assert advice("no_way", "direct") != advice("no_way", "udp")
    for way in ("udp", "tcp"):
        assert "--ice-server turn:HOST:3478" in advice("absent", way)
