"""Whether there is a relay at all, where a call may go by nothing else.

ICE passes over a TURN server that refuses, and the call would end a quarter of a minute later for
want of a way, without a word of why.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringback.bots.media.turnprobe import NoRelay, Server, probe
from ringback.server.protocol import IceServer


async def why_no_relay(servers: Iterable[IceServer]) -> str | None:
    """What the TURN servers say where not one of them gives a relay; None where one does."""
    said = []
    for server in servers:
        for url in server.urls:
            if not url.startswith("turn"):
                continue
            try:
                await probe(Server.read(url), server.username or "", server.credential or "")
            except NoRelay as error:
                said.append(str(error))
            else:
                return None
    return f"No relay: {' '.join(said) or 'the exchange names no TURN server.'}"
