"""What `.local` names stand for: browsers hide the addresses of their machines behind them.

Only names in the form that browsers make up are looked up (mDNS, RFC 6762): nobody is to have
us knock at `router.local`. What an answer says is judged like any address.
"""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address

from aioice import mdns

from .network import Network, is_local_name

MAX_LOOKUPS = 16
"""At once, in one process; each opens a socket for as long as it lasts."""
PATIENCE = 2.0

logger = logging.getLogger(__name__)


class LocalNames:
    """Looks names up, for all calls of a process; `network` says whether at all."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._running = 0

    async def find(self, name: str) -> str | None:
        """The address of whoever goes by this name in our own network.

        None when nobody answers within `PATIENCE` seconds, when the answer is one of those
        that are never right, and when too many are being looked up.
        """
        if not self._network.names or not is_local_name(name) or self._running >= MAX_LOOKUPS:
            return None
        self._running += 1
        try:
            found = await _ask(name)
        except OSError as error:
            logger.info("%s cannot be looked up: %s", name, error.strerror)
            return None
        finally:
            self._running -= 1
        if found is None or self._network.never(ip_address(found)):
            return None
        return found


async def _ask(name: str) -> str | None:
    protocol = await mdns.create_mdns_protocol()
    try:
        return await protocol.resolve(name, timeout=PATIENCE)
    finally:
        # A cancelled call must not wait for the socket to be gone.
        await asyncio.shield(protocol.close())
