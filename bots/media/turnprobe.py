"""Asks a TURN server for a relay, as ICE does, and says in words what is wrong (RFC 8656).

ICE passes over a server that refuses or is silent, and a call then fails for want of a way. Here
the server's answer counts.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal

from aioice import stun, turn
from aiortc.rtcicetransport import parse_stun_turn_uri

PATIENCE = 5.0
"""Seconds for each thing that is asked of a server."""
FIRST_CHANNEL = 0x4000
MAX_PEERS = 8

Transport = Literal["udp", "tcp", "tls"]
Code = Literal[
    "unreadable", "not_found", "refused", "silent", "certificate", "wrong_secret", "forbidden",
    "full", "failed",
]  # fmt: skip

_CODES: dict[int, Code] = {
    401: "wrong_secret", 403: "forbidden", 441: "wrong_secret", 486: "full", 508: "full",
}  # fmt: skip


class NoRelay(Exception):
    """A TURN server gave no relay. `code` is one of `Code`; `str()` says what happened."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Server:
    """A TURN server as an address of it says (RFC 7065). Raises `NoRelay` where it cannot."""

    host: str
    port: int
    transport: Transport

    @classmethod
    def read(cls, url: str) -> Server:
        """What an address stands for."""
        try:
            parsed = parse_stun_turn_uri(url)
            transport = parsed["transport"]
            if parsed["scheme"] == "turns":
                transport = "tls" if transport == "tcp" else "dtls"
        except (ValueError, KeyError) as error:
            raise NoRelay("unreadable", f"{url} is no address of a TURN server.") from error
        if transport not in ("udp", "tcp", "tls"):
            raise NoRelay(
                "unreadable", f"{url} is spoken to by {transport}, which is unknown here."
            )
        return cls(parsed["host"].strip("[]"), parsed["port"], transport)

    @property
    def where(self) -> str:
        """Host and port, for people to read."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


async def probe(
    server: Server, username: str, credential: str, peers: Sequence[tuple[str, int]] = ()
) -> list[str]:
    """Have a relay made, and one channel to each of the first `MAX_PEERS` peers; then give it
    back. The addresses to which the server does not relay. Raises `NoRelay`."""
    protocol = await _connected(server, username, credential)
    try:
        await _asked(protocol.connect(), server)
        return [
            host
            for number, (host, port) in enumerate(peers[:MAX_PEERS])
            if not await _relays_to(protocol, FIRST_CHANNEL + number, (host, port))
        ]
    finally:
        try:
            async with asyncio.timeout(PATIENCE):
                await protocol.delete()
        except TimeoutError:
            # It frees the relay by itself when it expires.
            protocol.transport.close()


async def _connected(server: Server, username: str, credential: str) -> turn.TurnClientProtocol:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            kind = socket.SOCK_DGRAM if server.transport == "udp" else socket.SOCK_STREAM
            found = await loop.getaddrinfo(server.host, server.port, type=kind)
            address = (str(found[0][4][0]), server.port)
            settings = (
                address, username, credential,
                turn.DEFAULT_ALLOCATION_LIFETIME, turn.DEFAULT_CHANNEL_REFRESH_TIME,
            )  # fmt: skip
            if server.transport == "udp":
                _, datagrams = await loop.create_datagram_endpoint(
                    lambda: turn.TurnClientUdpProtocol(*settings), remote_addr=address
                )
                return datagrams
            tls = server.transport == "tls"
            _, stream = await loop.create_connection(
                lambda: turn.TurnClientTcpProtocol(*settings), *address,
                ssl=tls or None, server_hostname=server.host if tls else None,
            )  # fmt: skip
            return stream
    except socket.gaierror as error:
        raise NoRelay("not_found", f"There is no host {server.host}.") from error
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or "no TLS is spoken there"
        raise NoRelay("certificate", f"TLS with {server.where} fails: {why}.") from error
    except TimeoutError as error:
        raise NoRelay("silent", _silent(server)) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise NoRelay("refused", f"{server.where} cannot be reached: {why}.") from error


async def _asked(asking: Awaitable[object], server: Server) -> None:
    """See a request through, which ICE would give up in silence."""
    try:
        async with asyncio.timeout(PATIENCE):
            await asking
    except stun.TransactionFailed as error:
        code, reason = error.response.attributes.get("ERROR-CODE", (0, ""))
        raise NoRelay(
            _CODES.get(code, "failed"), f"{server.where} says: {code} {reason}".rstrip() + "."
        ) from error
    except (stun.TransactionError, TimeoutError) as error:
        raise NoRelay("silent", _silent(server)) from error
    except ConnectionError as error:
        raise NoRelay("failed", f"{server.where}: {error}.") from error


def _silent(server: Server) -> str:
    return f"{server.where} does not answer over {server.transport.upper()}."


async def _relays_to(
    protocol: turn.TurnClientProtocol, channel: int, peer: tuple[str, int]
) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await protocol.channel_bind(channel, peer)
    except stun.TransactionFailed as error:
        # Another family than the relay's (443) is no refusal: ICE tries those that fit.
        return error.response.error_code == 443
    except (stun.TransactionError, TimeoutError):
        return False
    return True
