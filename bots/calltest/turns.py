"""The TURN server of a call that only a relay may carry: which one it is, and whether it serves.

ICE passes over a server that refuses, and such a call fails after 15 s without a reason. So the
server is asked before the call is placed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.bots.media.turnprobe import NoRelay, Server, probe
from ringback.server.protocol import IceServer

from .advice import advice
from .options import CannotCheck, NoCall


def the_one(servers: Sequence[IceServer], *, udp: bool = False) -> IceServer:
    """The TURN server that our peers use, of those that an exchange names: the first that they
    can speak to; with `udp` over UDP. Raises `CannotCheck` where there is none."""
    for server in servers:
        for url in server.urls:
            if _transport(url) in (("udp",) if udp else ("udp", "tcp", "tls")):
                return IceServer([url], server.username, server.credential)
    if udp and any(_transport(url) for server in servers for url in server.urls):
        raise CannotCheck(
            "no_relay",
            "A network profile stands between a peer and its TURN server over UDP, and the "
            "exchange names none: --ice-server turn:HOST:3478,USER,SECRET.",
        )
    raise CannotCheck(
        "no_relay",
        "The exchange names no TURN server, so nothing can go by a relay alone: "
        "--ice-server turn:HOST:3478,USER,SECRET.",
    )


async def ask(server: IceServer) -> None:
    """Have a relay made, and give it back. Raises `NoCall` where there is none to be had, with
    what to do about it."""
    asked = Server.read(server.urls[0])
    try:
        await probe(asked, server.username or "", server.credential or "")
    except NoRelay as error:
        words = f"{error} {advice(error.code, asked.transport)}"
        raise NoCall("no relay", words) from error


def _transport(url: str) -> str | None:
    """By what a TURN server is spoken to; None for what is none."""
    if not url.startswith("turn"):
        return None
    try:
        return Server.read(url).transport
    except NoRelay:
        return None
