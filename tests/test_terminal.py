"""What the terminal shows when the server is up."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest

from ringback.server import terminal, tls
from ringback.server.config import Config

PHONE = "devices on this network"
HERE = "this machine"


@pytest.fixture(autouse=True)
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [ipaddress.ip_address(text) for text in ("192.168.1.5", "fd00::5")]
    monkeypatch.setattr(tls, "addresses", lambda: found)


@pytest.mark.parametrize(
    ("host", "secure", "expected"),
    [
        ("127.0.0.1", False, [("http://localhost:8000/", HERE)]),
        ("::1", False, [("http://localhost:8000/", HERE)]),
        ("127.0.0.2", False, [("http://127.0.0.2:8000/", HERE)]),
        ("localhost", False, [("http://localhost:8000/", "")]),
        (
            "0.0.0.0",
            True,
            [("https://192.168.1.5:8000/", PHONE), ("https://localhost:8000/", HERE)],
        ),
        ("::", False, [("http://[fd00::5]:8000/", PHONE), ("http://localhost:8000/", HERE)]),
        ("192.168.1.9", True, [("https://192.168.1.9:8000/", PHONE)]),
        ("talk.example.org", True, [("https://talk.example.org:8000/", "")]),
    ],
)
def test_addresses(host: str, secure: bool, expected: list[tuple[str, str]]) -> None:
    config = Config(host=host, tls="self-signed" if secure else "off")
    assert terminal.addresses(config, 8000) == expected


def test_standard_ports_are_left_out() -> None:
    assert terminal.addresses(Config(), 80)[0][0] == "http://localhost/"
    pair = (Path("c"), Path("k"))
    assert terminal.addresses(Config(host="x.org", tls=pair), 443)[0][0] == "https://x.org/"
    assert terminal.addresses(Config(), 443)[0][0] == "http://localhost:443/"


def test_text_says_what_to_do_next() -> None:
    alone = terminal.text(Config(), 8000, None, picture=True)
    assert "http://localhost:8000/" in alone
    assert "--tls self-signed" in alone
    assert "\x1b" not in alone  # a phone could not come in, so there is no picture for it
    wide_open = terminal.text(Config(host="0.0.0.0"), 8000, None)
    assert "Other machines get no camera" in wide_open
    secure = terminal.text(Config(host="0.0.0.0", tls="self-signed"), 8000, "AB:CD")
    assert "AB:CD" in secure
    assert "--tls" not in secure
    given = terminal.text(Config(host="0.0.0.0", tls=(Path("c"), Path("k"))), 8000, "AB:CD")
    assert "AB:CD" not in given


def test_no_address_for_phones_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "addresses", lambda: [])
    config = Config(host="0.0.0.0")
    assert "http://localhost:8000/" in terminal.text(config, 8000, None, picture=True)


def test_picture_is_square_and_dark_on_light() -> None:
    lines = terminal.qr("https://192.168.1.5:8000/").splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" ") for line in lines]
    assert all(line.startswith("  \x1b[97;40m") and line.endswith("\x1b[0m") for line in lines)
    # Half-height blocks: twice as many modules as lines, to the odd last one.
    assert 2 * len(plain) - len(plain[0]) in (0, 1)
    assert set(plain[0]) == {"█"}  # the quiet zone is light
    text = terminal.text(Config(host="0.0.0.0", tls="self-signed"), 8000, "AB", picture=True)
    assert terminal.qr("https://192.168.1.5:8000/") in text


def test_bots() -> None:
    assert terminal.bots_text(["echo"], ["echo"]) == "Bots on the line: echo. Ctrl-C stops."
    both = terminal.bots_text(["recorder", "echo"], ["echo"])
    assert both == "Bots on the line: echo. Not yet: recorder. Ctrl-C stops."
    assert terminal.bots_text(["echo"], []).startswith("No bots are on the line yet")
