"""Sockets that rest: a timer looks at them, and what comes is never lost by that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from aioice.ice import Connection

from ringback.bots.media import parts, rest, udp
from ringback.bots.media.network import Network
from ringback.bots.media.rest import BATCH, BRIEF, LONG, ROOM, Rest
from ringback.bots.media.udp import Hub, SharedSocket
from tests.callers import PATIENCE, needs_address

LITTLE = (socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
Join = Callable[[Hub, bool], asyncio.Future[tuple[Connection, ...]]]


class Fake:
    """A socket for which so much waits at each look."""

    def __init__(self, *waiting: int, then: Callable[[], None] | None = None) -> None:
        self.looks = 0
        self.listens = asyncio.Event()
        self.emptied = asyncio.Event()
        self._waiting = list(waiting)
        self._then = then

    def drain(self) -> int:
        self.looks += 1
        if self._then is not None:
            self._then()
        count = self._waiting.pop(0) if self._waiting else 0
        if not self._waiting:
            self.emptied.set()
        return count

    def listen(self) -> None:
        self.listens.set()


async def until_listening(*sockets: Fake) -> None:
    async with asyncio.timeout(PATIENCE):
        for one in sockets:
            await one.listens.wait()


async def test_a_socket_is_looked_at_until_nothing_comes() -> None:
    resting, busy, quiet = Rest(), Fake(3, 1, 2), Fake()
    resting.add(busy)
    resting.add(quiet)
    await until_listening(busy, quiet)
    assert (busy.looks, quiet.looks) == (4, 1)
    assert not resting.sockets


async def test_a_socket_that_is_full_is_looked_at_again_at_once() -> None:
    resting, full = Rest(), Fake(*[BATCH] * 50)
    resting.add(full)
    # After the first look a rest would take longer than the test does.
    full._then = lambda: setattr(resting, "every", 10 * PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await full.emptied.wait()
    assert full.looks == 50
    resting.remove(full)


async def test_a_socket_may_go_while_it_or_another_is_looked_at() -> None:
    resting = Rest()
    second = Fake(1, 1, 1)

    def end_both() -> None:
        resting.remove(first)
        resting.remove(second)

    first = Fake(1, 1, 1, then=end_both)
    third = Fake(1)
    for one in (first, second, third):
        resting.add(one)
    await until_listening(third)
    assert (first.looks, second.looks, third.looks) == (1, 0, 2)
    assert not first.listens.is_set()


async def test_all_rest_briefly_once_one_has_little_room() -> None:
    resting = Rest()
    resting.expect(ROOM)
    assert resting.every == LONG
    resting.expect(ROOM - 1)
    resting.expect(ROOM)
    assert resting.every == BRIEF


@needs_address
async def test_the_room_that_the_system_grants_decides(
    joined: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_enlarge", lambda opened: opened.setsockopt(*LITTLE))
    hub = Hub()
    await joined(hub, False)
    assert hub.rest.every == LONG, "nobody rests at this socket"
    await joined(hub, True)
    assert hub.rest.every == BRIEF


async def test_the_timer_goes_with_the_last_socket() -> None:
    resting, one = Rest(), Fake(1)
    resting.add(one)
    assert resting.remove(one)
    assert not resting.remove(one)
    assert resting._timer is None


@pytest.fixture
async def joined() -> AsyncIterator[Join]:
    """Connects somebody with sockets of their own to somebody at a hub who is patient or not."""
    made: list[Connection] = []

    async def make(hub: Hub, patient: bool) -> tuple[Connection, ...]:
        caller = Connection(ice_controlling=True, use_ipv6=False)
        ours = Connection(ice_controlling=False, use_ipv6=False)
        made.extend((caller, ours))
        hub.attach(ours, patient=patient)
        for end in (caller, ours):
            await end.gather_candidates()
        for end, far in ((caller, ours), (ours, caller)):
            end.remote_username, end.remote_password = far.local_username, far.local_password
            for candidate in far.local_candidates:
                await end.add_remote_candidate(candidate)
            await end.add_remote_candidate(None)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(caller.connect(), ours.connect())
        return caller, ours

    yield lambda hub, patient: asyncio.ensure_future(make(hub, patient))
    for end in made:
        await end.close()


def sockets_of(hub: Hub) -> list[SharedSocket]:
    [found] = hub._sockets.values()
    return found


class Watched(Rest):
    """Says when a socket begins to rest, and when none rests any more."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.ended = asyncio.Event(), asyncio.Event()

    def add(self, socket: rest.Resting) -> None:
        super().add(socket)
        self.began.set()

    def remove(self, socket: rest.Resting) -> bool:
        known = super().remove(socket)
        if known and not self.sockets:
            self.ended.set()
        return known


def watch(hub: Hub) -> Watched:
    hub.rest = watched = Watched()
    return watched


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()


@needs_address
async def test_media_for_the_patient_waits_and_arrives_and_the_socket_listens_again(
    joined: Join,
) -> None:
    hub = Hub()
    watched = watch(hub)
    caller, ours = await joined(hub, True)
    assert not watched.began.is_set(), "a check or a handshake is answered at once"
    for number in range(3 * BATCH):
        await caller.send(b"\x80" + bytes([number]))
    for number in range(3 * BATCH):
        assert await ours.recv() == b"\x80" + bytes([number])
    await happened(watched.began)
    await happened(watched.ended)
    await caller.send(b"\x80again")
    assert await ours.recv() == b"\x80again"


@needs_address
async def test_the_impatient_have_sockets_of_their_own(joined: Join) -> None:
    hub = Hub()
    await joined(hub, True)
    caller, ours = await joined(hub, False)
    await joined(hub, True)
    assert [(s.calls, s.patient) for s in sockets_of(hub)] == [(2, True), (1, False)]
    await caller.send(b"\x80now")
    assert await ours.recv() == b"\x80now"
    assert not hub.rest.sockets


@needs_address
async def test_with_one_port_for_all_nobody_waits_as_long_as_one_cannot(joined: Join) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        free = taken.getsockname()[1]
    hub = Hub(Network(ports=(free, free)))
    patient = await joined(hub, True)
    [shared] = sockets_of(hub)
    hub.rest.add(shared)
    impatient = await joined(hub, False)
    assert sockets_of(hub) == [shared]
    assert not shared.patient
    assert not hub.rest.sockets
    for number, (caller, ours) in enumerate((patient, impatient)):
        await caller.send(b"\x80" + bytes([number]))
        assert await ours.recv() == b"\x80" + bytes([number])
    assert not hub.rest.sockets
    await impatient[1].close()
    assert shared.patient


@needs_address
async def test_a_call_that_ends_while_its_socket_rests_leaves_nothing(joined: Join) -> None:
    hub = Hub()
    watched = watch(hub)
    watched.every = 10 * PATIENCE
    caller, ours = await joined(hub, True)
    await caller.send(b"\x80last")
    await happened(watched.began)
    assert parts.waiting(ours) <= 1
    await ours.close()
    assert hub.open == 0
    assert not hub.rest.sockets
    assert hub.rest._timer is None
