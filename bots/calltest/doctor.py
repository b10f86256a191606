"""Tries every way on which media can go to a bot and back: direct, and by each TURN server.

Over each way a call is made through the real exchange; it works when sound and pictures came
back. Where it does not, the server is asked itself, so that the reason and what to do about it
can be said.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from ringback.bots import testcard
from ringback.bots.client import Client, Lost
from ringback.bots.dial import Dialled
from ringback.bots.host import Host
from ringback.bots.measure import measure
from ringback.bots.media.network import PRIVATE, Network
from ringback.bots.media.turnprobe import NoRelay, Server, probe
from ringback.bots.values import Kind
from ringback.server.protocol import IceServer, ProtocolError, Reason

from . import detour
from .advice import Code, Way, advice

KINDS: tuple[Kind, ...] = ("audio", "video")
ENOUGH: dict[Kind, int] = {"audio": 10, "video": 3}
"""Frames that must have come back."""
TICK = 0.1
GOODBYE = 5.0
MAX_SERVERS = 16


class CannotExamine(Exception):
    """There is nothing to be examined; `str()` is one line that says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `url` is a socket's; `patience`: seconds that each call may take until
    enough came back."""

    url: str
    to: str = "echo"
    name: str | None = None
    token: str | None = None
    ca: Path | None = None
    patience: float = 12.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one way. `server`: host and port of its TURN server. `seconds`: until the
    connection stood, `pair`: the candidates in use, as `relay/host`. Where it does not work:
    `code`, what happened, and what to do."""

    way: Way
    server: str
    state: Literal["works", "fails", "absent"]
    seconds: float | None = None
    pair: str | None = None
    code: Code | None = None
    happened: str = ""
    advice: str = ""


@dataclass(slots=True)
class _Outcome:
    """What came of one call. `answer`: the bot's; `route`: the candidates in use and their
    addresses."""

    connected: float | None = None
    pair: str | None = None
    route: str = ""
    enough: bool = False
    answer: str = ""

    @property
    def direct(self) -> bool:
        """Whether no relay of the bot's is in use."""
        lent = detour.addresses(detour.only_relays(self.answer))
        return not any(f"{host}:{port} " in self.route for host, port in lent)


@dataclass(frozen=True, slots=True)
class _Ways:
    """Which addresses each side learns: a bot that learns none of ours (`hidden`) answers where
    it is asked, and tries no relay of its own; `theirs` says which of its own we learn."""

    hidden: bool
    theirs: Callable[[str], str]

    def offered(self, sdp: str) -> str:
        """As `Detour`."""
        return detour.without_candidates(sdp) if self.hidden else sdp

    def answered(self, sdp: str) -> str:
        """As `Detour`."""
        return self.theirs(sdp)

    def candidate(self, text: str) -> str | None:
        """As `Detour`: bots tell all in their answer."""
        return None


# First what is sure to be the way that is meant; then as ICE would have it, which opens NATs.
_DIRECT = (_Ways(True, detour.without_relays), _Ways(False, detour.without_relays))
_RELAYED = (_Ways(True, detour.without_relays), _Ways(False, str))


async def examine(plan: Plan, begins: Callable[[Way, str], None]) -> list[Finding]:
    """Try all ways; `begins` is told of each before it is. Raises `CannotExamine`."""
    name = plan.name or (None if plan.token else f"doctor-{secrets.token_hex(3)}")
    client = Client(plan.url, name=name, token=plan.token, ca=plan.ca)
    try:
        async with client:
            return await _Doctor(plan, client, begins).all()
    except (ProtocolError, Lost) as error:
        raise CannotExamine(str(error)) from error
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        raise CannotExamine(f"{plan.url} cannot be reached: {why}") from error


class _Doctor:
    def __init__(self, plan: Plan, client: Client, begins: Callable[[Way, str], None]) -> None:
        self._plan = plan
        self._client = client
        self._begins = begins
        self._offered = client.welcome.ice_servers if client.welcome is not None else []

    async def all(self) -> list[Finding]:
        """One way after the other."""
        self._begins("direct", "")
        found = [await self._direct()]
        turns = list(_turns(self._offered))[:MAX_SERVERS]
        for one in turns:
            found.append(await self._relayed(one))
        there = {finding.way for finding in found}
        missing: tuple[Way, ...] = ("udp", "tcp")
        return found + [
            Finding(way, "", "absent", code="absent", advice=advice("absent", way))
            for way in missing
            if way not in there
        ]

    async def _direct(self) -> Finding:
        stun = [IceServer(urls=[url]) for s in self._offered for url in s.urls if url[:4] == "stun"]
        outcome = _Outcome()
        for ways in _DIRECT:
            outcome = await self._call(stun, ways, relay_only=False)
            if outcome.enough and outcome.direct:
                return Finding("direct", "", "works", outcome.connected, outcome.pair)
            if outcome.connected is not None and outcome.direct:
                break
        else:
            outcome = _Outcome()
        return _failed("direct", "", outcome, *_why(outcome))

    async def _relayed(self, turn: IceServer) -> Finding:
        [url] = turn.urls
        user, secret = turn.username or "", turn.credential or ""
        try:
            server = Server.read(url)
        except NoRelay as error:
            return _failed("udp", url, _Outcome(), error.code, str(error))
        way, where = server.transport, server.where
        self._begins(way, where)
        outcome = _Outcome()
        try:
            await probe(server, user, secret)
            for ways in _RELAYED:
                outcome = await self._call([turn], ways, relay_only=True)
                if outcome.enough:
                    return Finding(way, where, "works", outcome.connected, outcome.pair)
                if outcome.connected is not None:
                    break
            if outcome.connected is None and (peers := detour.addresses(outcome.answer)):
                denied = await probe(server, user, secret, peers)
                if denied:
                    words = f"{where} does not relay to {', '.join(dict.fromkeys(denied))}."
                    return _failed(way, where, outcome, "denied_peer", words)
        except NoRelay as error:
            return _failed(way, where, outcome, error.code, str(error))
        return _failed(way, where, outcome, *_why(outcome))

    async def _call(self, servers: list[IceServer], ways: _Ways, *, relay_only: bool) -> _Outcome:
        """Call, and wait until enough came back, or the time is up. Raises `CannotExamine`."""
        call = Dialled(
            self._client, self._plan.to, KINDS, servers=servers, detour=ways,
            host=Host(Network(allow=PRIVATE, relay_only=relay_only)),
        )  # fmt: skip
        running = asyncio.create_task(call.run(), name="call")
        talking = asyncio.create_task(_talk(call), name="talk")
        outcome = _Outcome()
        try:
            await self._watch(call, running, outcome)
            if not running.done():
                async with asyncio.timeout(GOODBYE):
                    await call.hang_up()
                await asyncio.wait((running,), timeout=GOODBYE)
        finally:
            for task in (running, talking):
                task.cancel()
            await asyncio.wait((running, talking))
        if not running.cancelled():
            running.result()
        ended = call.ended
        if ended is not None and ended.reason not in (Reason.HANGUP, Reason.FAILED, Reason.LOST):
            raise CannotExamine(ended.message)
        return outcome

    async def _watch(self, call: Dialled, running: asyncio.Task[object], outcome: _Outcome) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._plan.patience
        while not running.done() and not outcome.enough and loop.time() < until:
            await asyncio.wait((running,), timeout=TICK)
            flows = measure(call).flows
            outcome.enough = bool(flows) and all(
                flow.received_frames >= ENOUGH[flow.kind] for flow in flows
            )
            outcome.connected = call.times.reached.get("connected")
            outcome.pair = call.pair
            outcome.route = (call.peer.leg.route if call.peer.leg is not None else None) or ""
            outcome.answer = call.descriptions[-1].sdp if len(call.descriptions) > 1 else ""


async def _talk(call: Dialled) -> None:
    await call.connected.wait()
    async with asyncio.TaskGroup() as both:
        both.create_task(call.sender.publish(testcard.tone()))
        both.create_task(call.sender.publish(testcard.card()))


def _turns(servers: list[IceServer]) -> Iterator[IceServer]:
    """Every address of a TURN server for itself, once."""
    told: set[str] = set()
    for server in servers:
        for url in server.urls:
            if url.startswith("turn") and url not in told:
                told.add(url)
                yield IceServer(urls=[url], username=server.username, credential=server.credential)


def _why(outcome: _Outcome) -> tuple[Code, str]:
    if outcome.connected is not None:
        return "no_media", "The connection stands, and too little comes back on it."
    return "no_way", "No packet found its way there and back."


def _failed(way: Way, server: str, outcome: _Outcome, code: Code, happened: str) -> Finding:
    return Finding(
        way, server, "fails", outcome.connected, outcome.pair, code, happened, advice(code, way)
    )
