"""The client: against an exchange that says what a test wants, and against the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ringback.bots import client as client_module
from ringback.bots.client import Client, Lost
from ringback.bots.pace import Pace
from ringback.server import protocol as p
from ringback.server.protocol import CloseCode, ErrorCode, ProtocolError
from tests.running import Server

PATIENCE = 10.0
NOTHING = "no such event came"


class Line:
    """One socket of a scripted exchange; the test is the exchange."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self.ws = ws
        self.done = asyncio.Event()

    async def heard(self) -> p.ClientMessage:
        """The next thing the client says."""
        async with asyncio.timeout(PATIENCE):
            return p.decode(await self.ws.receive_str())

    async def hello(self) -> p.Hello:
        """The client's hello."""
        hello = await self.heard()
        assert isinstance(hello, p.Hello)
        return hello

    async def say(self, *events: p.Event) -> None:
        """Say something to the client."""
        for event in events:
            await self.ws.send_str(p.encode(event).decode())

    async def welcome(self, **changes: Any) -> p.Hello:
        """Hear hello and say welcome."""
        hello = await self.hello()
        await self.say(welcome(**changes))
        return hello

    async def close(self, code: int = 1012) -> None:
        """Drop the socket."""
        await self.ws.close(code=code)
        self.done.set()


class Exchange:
    """A scripted exchange: `await exchange.line()` for each socket that is opened."""

    def __init__(self) -> None:
        self.url = ""
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self._all: list[Line] = []

    async def line(self) -> Line:
        """The next socket that a client opens."""
        async with asyncio.timeout(PATIENCE):
            return await self._lines.get()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        line = Line(ws)
        self._all.append(line)
        self._lines.put_nowait(line)
        await line.done.wait()
        return ws

    def end(self) -> None:
        for line in self._all:
            line.done.set()


def welcome(**changes: Any) -> p.Welcome:
    values: dict[str, Any] = {
        "session": "s1",
        "key": "k1",
        "name": "ann",
        "resumed": False,
        "calls": [],
        "ice_servers": [],
        "limits": p.Limits(),
        "ping": 20,
        "time": 0,
        "v": p.VERSION,
    }
    return p.Welcome(**(values | changes))


def ringing(n: int) -> p.Ringing:
    return p.Ringing(n=n, call=f"c{n}")


def chat(seq: int) -> p.ChatMessage:
    return p.ChatMessage(room="r", seq=seq, from_="bob", text="x", time=0, cid=f"m{seq}")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    scripted = Exchange()
    app = web.Application()
    app.router.add_get("/ws", scripted.handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scripted.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/ws"
    yield scripted
    scripted.end()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once."""
    monkeypatch.setattr(client_module, "PAUSE_FIRST", 0.01)
    monkeypatch.setattr(client_module, "PAUSE_MOST", 0.05)
    monkeypatch.setattr(client_module, "GOODBYE", 0.05)


Begin = Callable[..., Awaitable[tuple[Client, Line]]]


@pytest.fixture
async def begin(exchange: Exchange) -> AsyncIterator[Begin]:
    """Makes a client that has been welcomed, and the exchange's end of its socket."""
    clients: list[Client] = []

    async def start(**options: Any) -> tuple[Client, Line]:
        client = Client(exchange.url, **options)
        clients.append(client)
        opening = asyncio.create_task(client.open())
        line = await exchange.line()
        await line.welcome()
        await opening
        return client, line

    yield start
    exchange.end()
    for client in clients:
        await client.close()


async def event(client: Client) -> p.ServerMessage:
    async with asyncio.timeout(PATIENCE):
        return await anext(client)


# --- hello --------------------------------------------------------------------------------


async def test_hello_says_who_one_is(exchange: Exchange) -> None:
    client = Client(exchange.url, token="t", name="echo", about="Repeats.")
    opening = asyncio.create_task(client.open())
    line = await exchange.line()
    assert await line.hello() == p.Hello(v=1, token="t", name="echo", about="Repeats.")
    await line.say(welcome(name="echo"))
    await opening
    assert client.name == "echo"
    assert client.online
    exchange.end()
    await client.close()
    assert not client.online


@pytest.mark.parametrize("code", [ErrorCode.BAD_TOKEN, ErrorCode.NAME_TAKEN])
async def test_a_refusal_at_the_first_hello_is_raised(exchange: Exchange, code: ErrorCode) -> None:
    client = Client(exchange.url)
    opening = asyncio.create_task(client.open())
    line = await exchange.line()
    await line.hello()
    await line.say(p.Error(code=code, message="No."))
    with pytest.raises(ProtocolError, match=r"No\.") as caught:
        await opening
    assert caught.value.code is code


async def test_an_exchange_that_is_not_there_is_raised(unused_tcp_port: int) -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        await Client(f"ws://127.0.0.1:{unused_tcp_port}/ws").open()


async def test_a_socket_that_closes_before_the_welcome_is_raised(exchange: Exchange) -> None:
    opening = asyncio.create_task(Client(exchange.url).open())
    line = await exchange.line()
    await line.hello()
    await line.close(CloseCode.TOO_MANY)
    with pytest.raises(Lost, match="4429"):
        await opening


async def test_an_exchange_that_never_answers_is_given_up(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "HELLO", 0.05)
    opening = asyncio.create_task(Client(exchange.url).open())
    line = await exchange.line()
    await line.hello()
    line.done.set()
    with pytest.raises((TimeoutError, Lost)):
        await opening


# --- requests -----------------------------------------------------------------------------


async def test_replies_find_their_requests_in_any_order(begin: Begin) -> None:
    client, line = await begin()
    first = asyncio.create_task(client.request(p.Join(room="r")))
    one = await line.heard()
    second = asyncio.create_task(client.request(p.Contacts()))
    two = await line.heard()
    assert one.id != two.id
    await line.say(p.ContactList(people=[], re=two.id))
    assert await second == p.ContactList(people=[], re=two.id)
    assert not first.done()
    await line.say(p.Ok(re=str(one.id)))
    assert await first == p.Ok(re=str(one.id))


async def test_a_refused_request_raises_with_its_code(begin: Begin) -> None:
    client, line = await begin()
    asked = asyncio.create_task(client.request(p.Join(room="")))
    await line.say(
        p.Error(code=ErrorCode.BAD_ROOM, message="Not a room.", re=(await line.heard()).id)
    )
    with pytest.raises(ProtocolError, match="Not a room") as caught:
        await asked
    assert caught.value.code is ErrorCode.BAD_ROOM


async def test_a_request_without_reply_times_out(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REPLY", 0.05)
    client, _ = await begin()
    with pytest.raises(TimeoutError):
        await client.request(p.Contacts())
    assert client._replies == {}


async def test_a_request_whose_socket_drops_is_lost(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    asked = asyncio.create_task(client.request(p.Contacts()))
    await line.heard()
    await line.close()
    with pytest.raises(Lost):
        await asked


async def test_a_request_made_while_offline_waits_for_the_socket(
    begin: Begin, exchange: Exchange
) -> None:
    client, line = await begin()
    await line.close()
    again = await exchange.line()
    asked = asyncio.create_task(client.request(p.Contacts()))
    await again.welcome(resumed=True, key="k2")
    re = (await again.heard()).id
    await again.say(p.ContactList(people=[], re=re))
    assert isinstance(await asked, p.ContactList)


async def test_what_is_told_goes_out_without_an_id(begin: Begin) -> None:
    client, line = await begin()
    client.tell(p.Typing(room="r", on=True))
    assert await line.heard() == p.Typing(room="r", on=True)


async def test_too_much_unsent_is_refused(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    await line.close()
    for _ in range(client_module.MAX_UNSENT):
        client.tell(p.Typing(room="r", on=True))
    with pytest.raises(Lost, match="Too many"):
        client.tell(p.Typing(room="r", on=True))


async def test_nothing_can_be_said_after_the_end(begin: Begin, exchange: Exchange) -> None:
    client, _ = await begin()
    exchange.end()
    await client.close()
    with pytest.raises(Lost, match="over"):
        client.tell(p.Typing(room="r", on=True))
    with pytest.raises(Lost, match="over"):
        await client.request(p.Contacts())


# --- events, once and in order ------------------------------------------------------------


async def test_a_directed_message_comes_once(begin: Begin) -> None:
    client, line = await begin()
    await line.say(ringing(1), ringing(2), ringing(1), ringing(2), ringing(3))
    assert [await event(client) for _ in range(3)] == [ringing(1), ringing(2), ringing(3)]


async def test_what_was_missed_comes_after_a_resume_and_only_once(
    begin: Begin, exchange: Exchange
) -> None:
    client, line = await begin(name="ann")
    await line.say(ringing(1), ringing(2))
    assert [await event(client), await event(client)] == [ringing(1), ringing(2)]
    await line.close()
    again = await exchange.line()
    hello = await again.welcome(resumed=True, key="k2")
    assert hello.resume == p.Resume(session="s1", key="k1", n=2)
    assert hello.name == "ann"
    await again.say(ringing(2), ringing(3))
    assert await event(client) == welcome(resumed=True, key="k2")
    assert await event(client) == ringing(3)
    await again.close()
    third = await exchange.line()
    assert (await third.welcome(resumed=True)).resume == p.Resume(session="s1", key="k2", n=3)


async def test_rooms_are_resumed_where_they_were_left(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    joined = p.Joined(room="r", members=[], history=[chat(4)], seq=4, epoch="e")
    await line.say(joined, chat(5), chat(5), chat(6))
    assert [await event(client) for _ in range(3)] == [joined, chat(5), chat(6)]
    await line.close()
    again = await exchange.line()
    hello = await again.hello()
    assert hello.resume is not None
    assert hello.resume.rooms == {"r": p.RoomMark(epoch="e", seq=6)}


async def test_a_room_that_was_left_is_not_resumed(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    await line.say(p.Joined(room="r", members=[], history=[], seq=0, epoch="e"))
    await event(client)
    asked = asyncio.create_task(client.request(p.Leave(room="r")))
    await line.say(p.Ok(re=str((await line.heard()).id)))
    await asked
    await line.close()
    hello = await (await exchange.line()).hello()
    assert hello.resume is not None
    assert hello.resume.rooms == {}


@pytest.mark.parametrize(
    "surprise",
    [
        [ringing(1), ringing(3)],
        [p.Joined(room="r", members=[], history=[], seq=1, epoch="e"), chat(3)],
        [p.Resync()],
    ],
    ids=["missing directed message", "missing chat", "resync"],
)
async def test_a_hole_begins_a_new_session(
    begin: Begin, exchange: Exchange, surprise: list[p.Event]
) -> None:
    client, line = await begin()
    await line.say(*surprise)
    again = await exchange.line()
    hello = await again.welcome(session="s2")
    assert hello.resume is None
    for _ in surprise[:-1]:
        await event(client)
    assert await event(client) == welcome(session="s2")
    await again.say(ringing(1))
    assert await event(client) == ringing(1)


async def test_a_session_that_cannot_be_resumed_starts_counting_anew(
    begin: Begin, exchange: Exchange
) -> None:
    client, line = await begin()
    await line.say(ringing(1), ringing(2))
    await line.close()
    again = await exchange.line()
    await again.welcome(resumed=False, session="s2", key="x")
    await again.say(ringing(1))
    events = [await event(client) for _ in range(4)]
    assert events == [ringing(1), ringing(2), welcome(session="s2", key="x"), ringing(1)]


async def test_what_cannot_be_read_is_passed_over(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    client, line = await begin()
    await line.ws.send_str('{"type": "weather", "sun": true}')
    await line.ws.send_str("not JSON")
    await line.ws.send_bytes(b"\x00")
    await line.say(ringing(1))
    assert await event(client) == ringing(1)
    assert caplog.text.count("cannot be read") == 2


async def test_a_slow_reader_pauses_the_socket_and_loses_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_EVENTS", 2)
    client, line = await begin()
    await line.say(*(ringing(n) for n in range(1, 11)))
    assert [await event(client) for _ in range(10)] == [ringing(n) for n in range(1, 11)]


# --- coming back --------------------------------------------------------------------------


async def test_a_drain_is_waited_for(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    clock = asyncio.get_running_loop().time
    await line.say(p.Drain(after_ms=200))
    assert await event(client) == p.Drain(after_ms=200)
    before = clock()
    await line.close(CloseCode.GOING_AWAY)
    await exchange.line()
    assert clock() - before >= 0.2


async def test_a_name_still_held_by_the_old_session_is_waited_for(
    begin: Begin, exchange: Exchange
) -> None:
    client, line = await begin()
    await line.close()
    for _ in range(2):
        refusing = await exchange.line()
        await refusing.hello()
        await refusing.say(p.Error(code=ErrorCode.NAME_TAKEN, message="Taken."))
        refusing.done.set()
    await (await exchange.line()).welcome(session="s9")
    assert await event(client) == welcome(session="s9")


async def test_a_token_refused_on_return_ends_the_session(begin: Begin, exchange: Exchange) -> None:
    client, line = await begin()
    await line.say(ringing(1))
    await line.close()
    refusing = await exchange.line()
    await refusing.hello()
    await refusing.say(p.Error(code=ErrorCode.BAD_TOKEN, message="Expired."))
    refusing.done.set()
    assert await event(client) == ringing(1)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="Expired"):
            await event(client)


@pytest.mark.parametrize("code", [CloseCode.REPLACED, CloseCode.REFUSED])
async def test_a_session_taken_over_elsewhere_ends(begin: Begin, code: int) -> None:
    client, line = await begin()
    await line.close(code)
    with pytest.raises(Lost, match=str(code)):
        await event(client)


async def test_the_iterator_ends_when_the_client_is_closed(
    begin: Begin, exchange: Exchange
) -> None:
    client, line = await begin()
    await line.say(ringing(1))
    seen = []

    async def read() -> None:
        async for one in client:
            seen.append(one)
            exchange.end()
            await asyncio.shield(asyncio.create_task(client.close()))

    async with asyncio.timeout(PATIENCE):
        await read()
    assert seen == [ringing(1)]


async def test_a_client_can_be_closed_at_any_moment_of_its_sockets_end(
    begin: Begin, exchange: Exchange
) -> None:
    for turns in range(12):
        client, line = await begin()
        ending = asyncio.create_task(line.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await client.close()
            await ending
        assert not client.online


# --- pace ---------------------------------------------------------------------------------


def test_a_client_stays_below_the_rate_that_is_refused() -> None:
    limits = p.Limits(messages_per_second=10, messages_burst=20)
    pace, now, sent = Pace(limits), 100.0, 0
    while now < 110:
        now += pace.wait(now)
        sent += 1
    assert 95 <= sent <= 0.9 * (20 + 10 * 10) + 1


def test_after_a_pause_a_burst_goes_out_at_once() -> None:
    pace = Pace(p.Limits(messages_per_second=10, messages_burst=20))
    assert max(pace.wait(50) for _ in range(18)) < 0.001
    assert pace.wait(50) > 0.1
    assert pace.wait(500) == 0


def test_where_there_are_no_limits_there_is_no_pace() -> None:
    pace = Pace(p.Limits(on=False))
    assert [pace.wait(1) for _ in range(1000)] == [0] * 1000


# --- the real exchange --------------------------------------------------------------------


async def test_two_clients_chat_through_the_real_exchange(server: Server) -> None:
    url = server.ws + "/ws"
    async with Client(url, name="ann") as ann, Client(url, name="bob") as bob:
        for client in (ann, bob):
            joined = await client.request(p.Join(room="garden"))
            assert isinstance(joined, p.Joined)
        await ann.request(p.Chat(room="garden", text="hello", cid="1"))
        while not isinstance(said := await event(bob), p.ChatMessage):
            pass
        assert (said.from_, said.text) == ("ann", "hello")


async def test_nothing_is_missed_over_a_dropped_socket(server: Server) -> None:
    url = server.ws + "/ws"
    async with Client(url, name="ann") as ann, Client(url, name="bob") as bob:
        for client in (ann, bob):
            await client.request(p.Join(room="garden"))
        assert bob._ws is not None
        await bob._ws.close()
        for number in range(5):
            await ann.request(p.Chat(room="garden", text=str(number), cid=str(number)))
        texts: list[str] = []
        while texts != ["0", "1", "2", "3", "4"]:
            match await event(bob):
                case p.ChatMessage(text=text):
                    texts.append(text)
                case p.Joined(history=history, resumed=True):
                    texts += [message.text for message in history]
