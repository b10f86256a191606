"""A bad network in user space: a UDP relay between a caller and a bot that loses packets.

    async with Relay(up=Link(loss=0.05), down=Link(loss=0.05), seed=1) as relay:
        await caller.call(relay.through(bot.peer.answer))

The caller learns the relay's address in place of the bot's; the bot learns none and finds the
relay when it is asked for, like a peer behind a NAT. Everything that passes, STUN and DTLS too,
meets its link: `up` from the caller to the bot, `down` back.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import ifaddr
from aiortc import RTCIceCandidate, sdp

MAX_HELD = 4096
"""Packets that may be under way in one direction; more are lost."""
MAX_FLOWS = 16

Address = tuple[str, int]
Answer = Callable[[str], Awaitable[str]]


@dataclass(frozen=True)
class Link:
    """One direction. `loss`, `duplicate` and `reorder` are shares of the packets; those
    reordered come `late` seconds after their time. `delay` and at most `jitter` more: seconds
    for all, jitter without overtaking."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.015
    delay: float = 0.0
    jitter: float = 0.0

    def fates(self, dice: random.Random) -> Iterator[Fate]:
        """What becomes of one packet after the other."""
        while True:
            # The same throws for every packet: a change of one share moves no other fate.
            lost, doubled, moved, extra = (dice.random() for _ in range(4))
            yield Fate(
                copies=0 if lost < self.loss else 2 if doubled < self.duplicate else 1,
                moved=moved < self.reorder,
                after=self.delay + self.jitter * extra,
            )


@dataclass(frozen=True)
class Fate:
    """How many copies of a packet come, after how many seconds, and whether out of order."""

    copies: int
    moved: bool
    after: float


class Lane:
    """Carries one direction's packets over its link. `counts`: `lost`, `passed`, `doubled`,
    `moved`, `overflowed`; of media packets (RTP) `media` came and `media lost` were lost, by
    payload type in `lost_types`."""

    def __init__(self, link: Link, seed: int) -> None:
        self.link = link
        self.counts: Counter[str] = Counter()
        self.dead = False
        """Whether everything is lost."""
        self.lost_types: Counter[int] = Counter()
        self._fates = link.fates(random.Random(seed))
        self._last = 0.0
        self._held: set[asyncio.TimerHandle] = set()

    def carry(self, data: bytes, send: Callable[[bytes], None]) -> None:
        """Let `send` have the packet when, and as often as, it arrives."""
        fate = next(self._fates)
        media = len(data) > 12 and 127 < data[0] < 192 and not 192 <= data[1] <= 223
        self.counts["media"] += media
        if self.dead or fate.copies == 0:
            self.counts["lost"] += 1
            if media:
                self.counts["media lost"] += 1
                self.lost_types[data[1] & 127] += 1
            return
        self.counts["doubled"] += fate.copies - 1
        self.counts["moved"] += fate.moved
        now = asyncio.get_running_loop().time()
        # Timers of one moment run in any order.
        due = max(math.nextafter(self._last, math.inf), now + fate.after)
        if fate.moved:
            due += self.link.late
        else:
            self._last = due
        for _ in range(fate.copies):
            self._at(due, now, data, send)

    def _at(self, due: float, now: float, data: bytes, send: Callable[[bytes], None]) -> None:
        if due <= now:
            self._arrive(data, send)
        elif len(self._held) >= MAX_HELD:
            self.counts["overflowed"] += 1
        else:

            def arrive() -> None:
                self._held.discard(handle)
                self._arrive(data, send)

            handle = asyncio.get_running_loop().call_at(due, arrive)
            self._held.add(handle)

    def _arrive(self, data: bytes, send: Callable[[bytes], None]) -> None:
        self.counts["passed"] += 1
        send(data)

    def close(self) -> None:
        """Let nothing more arrive."""
        for handle in self._held:
            handle.cancel()
        self._held.clear()


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr)


class Relay:
    """Enter it, then give the caller's way of being answered to `through`."""

    def __init__(self, up: Link | None = None, down: Link | None = None, *, seed: int = 1) -> None:
        self.up = Lane(up or Link(), seed)
        self.down = Lane(down or Link(), seed + 1)
        self._bot: Address | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._flows: dict[Address, asyncio.Future[asyncio.DatagramTransport]] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._front = await _open(self._from_caller)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.up.close()
        self.down.close()
        if self._opening:
            await asyncio.wait(self._opening)
        for flow in self._flows.values():
            flow.result().close()
        assert self._front is not None
        self._front.close()

    def through(self, answer: Answer) -> Answer:
        """The same way of being answered, but that the media goes through this relay."""

        async def relayed(offer: str) -> str:
            return self.answered(await answer(offered(offer)))

        return relayed

    def answered(self, answer: str) -> str:
        """An answer in which the relay stands for whoever gave it."""
        found = _candidates(answer)
        assert found, f"the answer has no IPv4 address:\n{answer}"
        self._bot = found[0].ip, found[0].port
        assert self._front is not None
        host, port = self._front.get_extra_info("sockname")
        ours = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"
        lines: list[str] = []
        for line in answer.splitlines():
            if line.startswith("a=candidate:"):
                if lines[-1] != ours:
                    lines.append(ours)
            else:
                lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def _from_caller(self, data: bytes, address: Address) -> None:
        flow = self._flows.get(address)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                return
            flow = self._flows[address] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._open_flow(address, flow))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self.up.carry(data, lambda packet: self._to_bot(flow, packet))

    async def _open_flow(
        self, caller: Address, flow: asyncio.Future[asyncio.DatagramTransport]
    ) -> None:
        def back(data: bytes, _address: Address) -> None:
            assert self._front is not None
            front = self._front
            self.down.carry(data, lambda packet: front.sendto(packet, caller))

        flow.set_result(await _open(back))

    def _to_bot(self, flow: asyncio.Future[asyncio.DatagramTransport], packet: bytes) -> None:
        # What comes before the socket is open is lost, as on any network.
        if flow.done() and self._bot is not None:
            flow.result().sendto(packet, self._bot)


def offered(offer: str) -> str:
    """An offer that says nothing of where the caller is."""
    lines = [line for line in offer.splitlines() if not line.startswith("a=candidate:")]
    return "\r\n".join(lines) + "\r\n"


def _candidates(text: str) -> list[RTCIceCandidate]:
    media = sdp.SessionDescription.parse(text).media
    return [c for section in media for c in section.ice_candidates if "." in c.ip]


def _address() -> str:
    """An address of this machine that peers can reach, and aioice offers."""
    found = [ip.ip for a in ifaddr.get_adapters() for ip in a.ips if ip.is_IPv4]
    return next(str(ip) for ip in found if ip != "127.0.0.1")


async def _open(received: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Socket(received), local_addr=(_address(), 0)
    )
    return transport
