"""A real TURN server for tests: Debian's coturn, with one user."""

from __future__ import annotations

import asyncio
import shutil
import socket
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import ifaddr
import pytest
from aioice import stun

from ringback.server.protocol import IceServer
from tests.callers import PATIENCE

USER, SECRET = "ann", "secret"

needs_turn = pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs Debian's coturn")


def own_address() -> str:
    """An address of this machine that a relay may send to: not 127.0.0.1."""
    found = [ip.ip for a in ifaddr.get_adapters() for ip in a.ips if ip.is_IPv4]
    ours = next((str(ip) for ip in found if not str(ip).startswith("127.")), None)
    if ours is None:
        pytest.skip("a relay does not send to loopback addresses")
    return ours


def free_port(host: str) -> int:
    """A port that is free for UDP and TCP."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
    ):
        datagrams.bind((host, 0))
        port: int = datagrams.getsockname()[1]
        stream.bind((host, port))
        return port


@asynccontextmanager
async def turn_server(folder: Path, *options: str) -> AsyncIterator[str]:
    """Runs one; its `host:port`, at which it speaks UDP and TCP. `options` are coturn's own."""
    host = own_address()
    port = free_port(host)
    security = [] if any("cert" in o for o in options) else ["--no-tls", "--no-dtls"]
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", "--lt-cred-mech", f"--user={USER}:{SECRET}", "--realm=ringback",
        f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={port}",
        "--no-cli", "--log-file=stdout", "--simple-log", *security, *options,
        f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'users'}",
        stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        await _answers(host, port)
        yield f"{host}:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def ice_server(where: str, credential: str = SECRET, transport: str = "udp") -> IceServer:
    """How it is named to clients."""
    url = f"turn:{where}?transport={transport}"
    return IceServer(urls=[url], username=USER, credential=credential)


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
