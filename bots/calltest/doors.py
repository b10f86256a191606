"""The sockets of a network that is made up: where it is entered, and where it is left."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from .detour import Address, beside
from .link import Send
from .packetlog import Way

BATCH = 32
"""Datagrams taken in one wake before others have their turn."""
BUFFER = 65536
SOCKET_BUFFER = 2 * 1024 * 1024

logger = logging.getLogger(__name__)

Carry = Callable[[Way, bytes, Send, int], None]
"""Carries a packet: its way, itself, how it is sent on, and the bytes of its headers."""


class Door:
    """Where a network stands for one address (`target`) of who answers: at `address`. Each
    caller that comes, if `admit` agrees, has a socket of its own towards there. Raises `OSError`
    where no socket can be had."""

    def __init__(self, target: Address, carry: Carry, admit: Callable[[], bool]) -> None:
        self._target = target
        self._carry = carry
        self._admit = admit
        self._headers = 48 if ":" in target[0] else 28
        self._flows: dict[Address, Datagrams | None] = {}
        self._front = Datagrams(self._come, here=beside(target))
        self.address: Address = self._front.name

    def _come(self, data: bytes, caller: Address) -> None:
        if caller not in self._flows:
            if not self._admit():
                return
            self._flows[caller] = self._open(caller)
        flow = self._flows[caller]
        if flow is not None:
            self._carry("up", data, flow.send, self._headers)

    def _open(self, caller: Address) -> Datagrams | None:
        def back(packet: bytes) -> None:
            self._front.send_to(packet, caller)

        def come(data: bytes, _from: Address) -> None:
            self._carry("down", data, back, self._headers)

        try:
            return Datagrams(come, there=self._target)
        except OSError as error:
            logger.info("%s port %d cannot be reached: %s", *self._target, error.strerror)
            return None

    def close(self) -> None:
        """Close all its sockets."""
        self._front.close()
        for flow in self._flows.values():
            if flow is not None:
                flow.close()


class Datagrams:
    """A UDP socket that gives what comes to `received`, with the address it came from: bound to
    an address of ours (`here`), or connected to one of others (`there`). Raises `OSError`."""

    def __init__(
        self,
        received: Callable[[bytes, Address], None],
        *,
        here: str | None = None,
        there: Address | None = None,
    ) -> None:
        known = here or (there[0] if there else "")
        family = socket.AF_INET6 if ":" in known else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._received = received
        try:
            self._socket.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
            if there is not None:
                self._socket.connect(there)
            else:
                self._socket.bind((here, 0))
        except OSError:
            self._socket.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)

    @property
    def name(self) -> Address:
        """Its own address and port."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes) -> None:
        """Send to where it is connected to."""
        self._try(self._socket.send, data)

    def send_to(self, data: bytes, there: Address) -> None:
        """Send to an address."""
        self._try(self._socket.sendto, data, there)

    def _try(self, send: Callable[..., int], *arguments: Any) -> None:
        try:
            send(*arguments)
        except OSError as error:
            # As on any network: nobody there (any more), or no room.
            logger.debug("A packet was not sent: %s", error.strerror)

    def _drain(self) -> None:
        for _ in range(BATCH):
            try:
                data, where = self._socket.recvfrom(BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # What an earlier packet of ours met with (ICMP); nothing was received.
                logger.debug("A packet did not arrive: %s", error.strerror)
                continue
            self._received(data, (where[0], where[1]))

    def close(self) -> None:
        """Close it."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
