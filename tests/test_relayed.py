"""Calls to bots that only a relay connects: through a real TURN server."""

from __future__ import annotations

import asyncio
import shutil
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import ifaddr
import pytest
from aioice import stun
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from ringback.bots.media.parts import Certificate
from ringback.bots.media.udp import Share
from ringback.bots.peer import Peer, ice_servers
from ringback.server.protocol import IceServer
from tests.callers import PATIENCE, TONE, Caller, needs_address

pytestmark = [
    needs_address,
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs Debian's coturn"),
]


def own_address() -> str:
    """An address of this machine that a relay may send to: not 127.0.0.1."""
    found = [ip.ip for a in ifaddr.get_adapters() for ip in a.ips if ip.is_IPv4]
    return next(str(ip) for ip in found if not str(ip).startswith("127."))


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((host, 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[IceServer]:
    """A TURN server with one user."""
    try:
        host = own_address()
    except StopIteration:
        pytest.skip("a relay does not send to loopback addresses")
    port = free_port(host)
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", "--lt-cred-mech", "--user=ann:secret", "--realm=ringback",
        f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={port}",
        "--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--simple-log",
        f"--pidfile={tmp_path / 'pid'}", f"--userdb={tmp_path / 'users'}",
        stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    try:
        await _answers(host, port)
        yield IceServer(urls=[f"turn:{host}:{port}"], username="ann", credential="secret")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(host: str, port: int) -> None:
    """Ask it who we are, again and again as STUN does, until it says so."""
    loop = asyncio.get_running_loop()
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((host, port))
        async with asyncio.timeout(PATIENCE):
            while True:
                # Until it listens the system refuses what we send.
                with suppress(TimeoutError, ConnectionRefusedError):
                    await loop.sock_sendall(asking, request)
                    async with asyncio.timeout(0.2):
                        await loop.sock_recv(asking, 2048)
                        return


def relayed_only(sdp: str) -> str:
    lines = [x for x in sdp.splitlines() if "a=candidate" not in x or "typ relay" in x]
    return "\r\n".join(lines) + "\r\n"


async def test_a_bot_that_only_a_relay_reaches(
    relay: IceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Share, "send", lambda share, data, where: None)
    peer = Peer([relay], Certificate.generateCertificate(), lambda change: None)
    caller = Caller(audio="opus")

    async def answer(sdp: str) -> str:
        answered = await peer.answer(sdp)
        assert "typ host" in answered
        return relayed_only(answered)

    await caller.call(answer)
    assert await caller.heard() == pytest.approx(TONE, rel=0.05)
    numbers = await caller.numbers(5)
    assert numbers == sorted(numbers)
    assert peer.report("c").pair == "relay/host"
    await peer.close()
    await caller.close()


async def test_a_caller_that_only_a_relay_reaches(relay: IceServer) -> None:
    peer = Peer([], Certificate.generateCertificate(), lambda change: None)
    caller = Caller(video=None, servers=ice_servers([relay]), policy=RTCIceTransportPolicy.RELAY)

    offer = await caller.offer()
    assert "typ relay" in offer
    assert "typ host" not in offer
    await caller.call(peer.answer)
    assert await caller.heard() == pytest.approx(TONE, rel=0.05)
    assert peer.report("c").pair == "host/relay"
    await peer.close()
    await caller.close()
