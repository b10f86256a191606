"""The UDP sockets that the calls of a process share: for each local address as few as do.

One wake of the event loop then serves every call of a socket that has something waiting. Who a
datagram is for is told by STUN: a check names the call (its user name begins with our ICE
fragment), a response carries the number of our request. Where a check has proven that an
address is a call's peer, everything else from there is that call's too.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import socket
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from struct import Struct
from typing import Any

from aioice.ice import Connection, StunProtocol

from . import parts, stun
from .localnames import LocalNames
from .network import Network
from .rest import BATCH, Rest

BUFFER = 2048
SOCKET_BUFFER = 2 * 1024 * 1024
CALLS = 8
"""Calls on one socket while there are ports: the system seldom grants the buffer that is asked
for, and what it grants by default holds less than 200 packets."""
MAX_ASKED = 8192
"""Requests of ours whose responses are awaited; beyond it the oldest are forgotten."""
MAX_HOPEFUL = 1024
"""Addresses that named a call and have yet to prove that they are its peer."""

logger = logging.getLogger(__name__)

_STAMPS = 35 if sys.platform == "linux" else None
"""SO_TIMESTAMPNS, and the name of what it brings."""
_FORCED = (33, 32) if sys.platform == "linux" else (socket.SO_RCVBUF, socket.SO_SNDBUF)
"""SO_RCVBUFFORCE and SO_SNDBUFFORCE."""
_read_stamp = Struct("@ll").unpack_from
_STAMP = socket.CMSG_SPACE(16)

Where = tuple[Any, ...]
Take = Callable[[bytes, float], None]
"""Gets a datagram, and when it arrived (monotonic, seconds)."""


class Hub:
    """Opens sockets when the first call needs them and closes them when the last one ends.

    `network` says by which ports and to whom, `names` looks up what peers call themselves.
    `dropped` counts what was for nobody.
    """

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or Network()
        self.names = LocalNames(self.network)
        self.dropped: Counter[str] = Counter()
        self.rest = Rest()
        self._sockets: dict[str, list[SharedSocket]] = {}

    @property
    def open(self) -> int:
        """How many sockets there are just now."""
        return sum(map(len, self._sockets.values()))

    def attach(self, connection: Connection, *, patient: bool = False) -> None:
        """Let an ICE connection gather its host candidates here. Call it before it gathers.

        What comes for a `patient` one may wait for as long as sockets rest.
        """
        public = [str(address) for address in self.network.public]
        gather = functools.partial(self._protocols, connection, patient)
        parts.gather_from(connection, gather, public)

    def _protocols(
        self, connection: Connection, patient: bool, addresses: Iterable[str]
    ) -> list[StunProtocol]:
        """What a connection speaks through, one for each address that can be used."""
        made: list[StunProtocol] = []
        for address in addresses:
            try:
                shared = self._with_room(address, patient)
            except OSError as error:
                logger.warning("No socket for media at %s: %s", address, error.strerror)
                continue
            made.append(shared.share(connection, patient))
        return made

    def _with_room(self, address: str, patient: bool) -> SharedSocket:
        """A socket for one more call, with others of its kind while there are ports. Raises
        `OSError` when there is none."""
        there = self._sockets.get(address, [])
        for shared in there:
            if shared.calls < CALLS and shared.patient is patient:
                return shared
        try:
            opened = _open(address, self.network.ports)
        except OSError:
            if not there:
                raise
            return min(there, key=lambda shared: shared.calls)
        if patient:
            self.rest.expect(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
            if _STAMPS is not None:
                # Otherwise all that comes while a socket rests would seem to come at once.
                opened.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        shared = SharedSocket(self, address, opened)
        self._sockets[address] = [*there, shared]
        return shared

    def forget(self, shared: SharedSocket) -> None:
        """A socket has been closed."""
        left = [other for other in self._sockets.pop(shared.address, []) if other is not shared]
        if left:
            self._sockets[shared.address] = left


def _open(address: str, ports: tuple[int, int] | None) -> socket.socket:
    """A socket at a free port. Raises `OSError` when there is none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # In any order: several processes may share the range.
    tries = [0] if ports is None else random.sample(range(ports[0], ports[1] + 1), _few(ports))
    last = OSError(0, "there is no port")
    for port in tries:
        made = socket.socket(family, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            _enlarge(made)
            made.bind((address, port))
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last


def _enlarge(opened: socket.socket) -> None:
    """Let a socket hold as much as we want, or as much as the system grants to everybody."""
    for option, forced in zip((socket.SO_RCVBUF, socket.SO_SNDBUF), _FORCED, strict=True):
        opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        # Beyond that only for who may administer the network, root for example.
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)


def _few(ports: tuple[int, int]) -> int:
    return min(256, ports[1] - ports[0] + 1)


def _moment(stamp: bytes, behind: float, now: float) -> float:
    """When the system says a datagram came, by the clock that `behind` is behind the system's.
    A moment that cannot be (somebody has set the clock meanwhile) is `now`."""
    seconds, nanoseconds = _read_stamp(stamp)
    at: float = seconds - behind + nanoseconds * 1e-9
    return at if -1 < at - now < 1 else now


class SharedSocket:
    """One socket and the calls that use it."""

    def __init__(self, hub: Hub, address: str, opened: socket.socket) -> None:
        self.address = address
        self.name = opened.getsockname()
        self._routes: dict[Where, Take] = {}
        self._owners: dict[Where, Share] = {}
        self.socket = opened
        self.dropped = hub.dropped
        self._hub = hub
        self._hopeful: OrderedDict[Where, Share] = OrderedDict()
        self._calls: dict[bytes, Share] = {}
        self._asked: OrderedDict[bytes, Share] = OrderedDict()
        self._never = functools.lru_cache(1024)(self._is_never)
        # A host with nothing but loopback has its calls there; nobody else reaches that socket.
        self._loopback = ip_address(address).is_loopback
        self._loop = asyncio.get_running_loop()
        self._hurried = 0
        self._media = False
        self.listen()

    @property
    def calls(self) -> int:
        """How many calls use it."""
        return len(self._calls)

    @property
    def patient(self) -> bool:
        """Whether what comes for any of its calls may wait."""
        return not self._hurried

    def share(self, connection: Connection, patient: bool = False) -> StunProtocol:
        """Let one more connection use the socket."""
        protocol = StunProtocol(connection)
        share = Share(self, protocol, patient)
        self._hurried += not patient
        if not patient and self._hub.rest.remove(self):
            self.listen()
        self._calls[connection.local_username.encode()] = share
        protocol.connection_made(share)
        return protocol

    def leave(self, share: Share) -> None:
        """A connection has closed."""
        key = share.connection.local_username.encode()
        if self._calls.get(key) is not share:
            return
        del self._calls[key]
        self._hurried -= not share.patient
        for where in [where for where, owner in self._owners.items() if owner is share]:
            del self._owners[where], self._routes[where]
        for where in [where for where, named in self._hopeful.items() if named is share]:
            del self._hopeful[where]
        for transaction in share.asked:
            self._asked.pop(transaction, None)
        if not self._calls:
            self._hub.rest.remove(self)
            self._loop.remove_reader(self.socket.fileno())
            self.socket.close()
            self._hub.forget(self)

    def asked(self, transaction: bytes, share: Share) -> None:
        """A call has sent a STUN request: its response is for that call."""
        self._asked[transaction] = share
        share.asked.add(transaction)
        if len(self._asked) > MAX_ASKED:
            oldest, other = self._asked.popitem(last=False)
            other.asked.discard(oldest)

    def listen(self) -> None:
        """Be woken by the next datagram."""
        self._loop.add_reader(self.socket.fileno(), self._wake)

    def _wake(self) -> None:
        self.drain()
        # Whoever is still being connected is served at once.
        if self._media and self.patient and self._calls:
            self._loop.remove_reader(self.socket.fileno())
            self._hub.rest.add(self)

    def drain(self) -> int:
        """Take at most `BATCH` of what waits; how many there were."""
        receive, routes = self.socket.recvmsg, self._routes
        count, data, now = 0, b"", time.monotonic()
        behind = time.time() - now
        while count < BATCH:
            try:
                data, told, _, where = receive(BUFFER, _STAMP)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # What an earlier packet of ours met with (ICMP); nothing was received.
                self.dropped["unreachable"] += 1
                count += 1
                continue
            count += 1
            at = _moment(told[0][2], behind, now) if told else now
            try:
                if data and data[0] < 4:
                    self._stun(data, where)
                elif (take := routes.get(where) or self._proven_since(where)) is not None:
                    take(data, at)
                else:
                    self.dropped["stranger"] += 1
            except Exception:
                logger.exception("A datagram could not be handled.")
        self._media = data[:1] > b"\x7f"
        return count

    def _stun(self, data: bytes, where: Where) -> None:
        if self._never(where[0]):
            self.dropped["forbidden"] += 1
            return
        match stun.read(data):
            case stun.Request(fragment=fragment):
                share = self._calls.get(fragment)
            case stun.Response(transaction=transaction):
                share = self._asked.pop(transaction, None)
                if share is not None:
                    share.asked.discard(transaction)
            case _:
                share = None
        if share is None:
            self.dropped["stranger"] += 1
            return
        share.protocol.datagram_received(data, where)
        # A peer that begins anew from the same port belongs to the call that it proved last.
        if self._owners.get(where) is not share:
            self._hopeful[where] = share
            self._proven_since(where)
            if len(self._hopeful) > MAX_HOPEFUL:
                self._hopeful.popitem(last=False)

    def _proven_since(self, where: Where) -> Take | None:
        """Whose an address is that was only named so far.

        aioice looks at the response to a check of ours a moment after it came; what the peer
        sends next may be there sooner than its next check.
        """
        share = self._hopeful.get(where)
        if share is None or not share.proven(where):
            return None
        del self._hopeful[where]
        self._owners[where] = share
        take = self._routes[where] = share.take or share.taker(where)
        return take

    def _is_never(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return not (self._loopback and address.is_loopback) and self._hub.network.never(address)


class Share(asyncio.DatagramTransport):
    """One call's part of a shared socket: to aioice, a socket of its own.

    `take` may be set to what gets all that comes from where the peer has proven to be, and is
    no STUN.
    """

    def __init__(self, shared: SharedSocket, protocol: StunProtocol, patient: bool) -> None:
        super().__init__()
        self.protocol = protocol
        self.patient = patient
        self.connection = protocol.receiver
        self.asked: set[bytes] = set()
        self.take: Take | None = None
        self._shared = shared
        self._sendto = shared.socket.sendto
        self._closed = False

    def proven(self, where: Where) -> bool:
        """Whether a check has shown that the peer is there."""
        return parts.proven(self.connection, self.protocol, (where[0], where[1]))

    def taker(self, where: Where) -> Take:
        """What gets the data of the peer at an address where no guard stands."""
        return lambda data, _: self.protocol.datagram_received(data, where)

    def send(self, data: Any, where: Where) -> None:
        """Send one datagram now. What cannot go now is dropped: late media is no use."""
        try:
            self._sendto(data, where)
        except (BlockingIOError, InterruptedError):
            self._shared.dropped["blocked"] += 1
        except OSError:
            self._shared.dropped["unreachable"] += 1

    def sendto(self, data: Any, addr: Any = None) -> None:
        """As `asyncio.DatagramTransport.sendto`; the address is needed."""
        if self._closed or addr is None:
            return
        if stun.is_request(data):
            self._shared.asked(bytes(data[8:20]), self)
        self.send(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`sockname`: the local address and port."""
        return self._shared.name if name == "sockname" else default

    def is_closing(self) -> bool:
        """Whether the call has left the socket."""
        return self._closed

    def close(self) -> None:
        """Leave the socket; it goes with its last call."""
        if self._closed:
            return
        self._closed = True
        self._shared.leave(self)
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """As `close`: nothing waits to be sent."""
        self.close()
