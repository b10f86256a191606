"""What a real TURN server says when it is asked for a relay, in words."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ringback.bots.media import turnprobe
from ringback.bots.media.turnprobe import Code, NoRelay, Server, probe
from ringback.bots.peer import ice_servers
from ringback.server.tls import self_signed
from tests.callers import Caller
from tests.turn import SECRET, USER, ice_server, needs_turn, own_address, turn_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("turn:turn.example.org", Server("turn.example.org", 3478, "udp")),
        ("turn:192.0.2.1:99?transport=tcp", Server("192.0.2.1", 99, "tcp")),
        ("turns:turn.example.org", Server("turn.example.org", 5349, "tls")),
        ("turns:turn.example.org:443?transport=tcp", Server("turn.example.org", 443, "tls")),
    ],
)
def test_addresses(url: str, server: Server) -> None:
    assert Server.read(url) == server


@pytest.mark.parametrize(
    "url", ["stun:192.0.2.1", "turn:", "turn", "x:y", "turns:192.0.2.1?transport=udp"]
)
def test_what_is_no_address_of_one(url: str) -> None:
    with pytest.raises(NoRelay) as refused:
        Server.read(url)
    assert refused.value.code == "unreadable"
    assert url in str(refused.value)


async def refusal(server: Server, credential: str = SECRET) -> tuple[Code, str]:
    with pytest.raises(NoRelay) as refused:
        await probe(server, USER, credential)
    return refused.value.code, str(refused.value)


def at(where: str, transport: turnprobe.Transport = "udp") -> Server:
    host, _, port = where.rpartition(":")
    return Server(host, int(port), transport)


@needs_turn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_relay_is_made_and_given_back(
    tmp_path: Path, transport: turnprobe.Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aioice.turn")
    async with turn_server(tmp_path) as where:
        peers = [(own_address(), 4000), ("2001:db8::1", 4000)]
        assert await probe(at(where, transport), USER, SECRET, peers) == []
    assert "TURN allocation deleted" in caplog.text


@needs_turn
async def test_a_server_that_is_full(tmp_path: Path) -> None:
    async with turn_server(tmp_path, "--user-quota=1") as where:
        client = Caller(servers=ice_servers([ice_server(where)]))
        await client.offer()
        code, words = await refusal(at(where))
        await client.close()
    assert code == "full"
    assert "486" in words


@needs_turn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_wrong_secret(tmp_path: Path, transport: turnprobe.Transport) -> None:
    async with turn_server(tmp_path) as where:
        code, words = await refusal(at(where, transport), "wrong")
    assert code == "wrong_secret"
    assert words.startswith(f"{where} says: 401")


@needs_turn
async def test_peers_to_which_it_does_not_relay(tmp_path: Path) -> None:
    ours = own_address()
    async with turn_server(tmp_path, f"--denied-peer-ip={ours}") as where:
        peers = [(ours, 4000), ("198.51.100.7", 4000)]
        assert await probe(at(where), USER, SECRET, peers) == [ours]


@needs_turn
async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = self_signed(tmp_path / "tls")
    async with turn_server(tmp_path, f"--cert={cert}", f"--pkey={key}") as where:
        code, words = await refusal(at(where, "tls"))
        assert code == "certificate"
        assert "certificate" in words
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert await probe(at(where, "tls"), USER, SECRET) == []


@needs_turn
async def test_tls_where_none_is_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnprobe, "PATIENCE", 1.0)
    async with turn_server(tmp_path) as where:
        code, _ = await refusal(at(where, "tls"))
    # One that hangs up, or says nothing.
    assert code in ("certificate", "refused", "silent")


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setattr(turnprobe, "PATIENCE", 0.5)
    code, words = await refusal(Server("127.0.0.1", unused_tcp_port, "tcp"))
    assert (code, "cannot be reached" in words) == ("refused", True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        code, words = await refusal(at(f"127.0.0.1:{deaf.getsockname()[1]}"))
    assert (code, "does not answer over UDP" in words) == ("silent", True)
    code, words = await refusal(Server("no-such-host.invalid", 3478, "udp"))
    assert (code, words) == ("not_found", "There is no host no-such-host.invalid.")
