"""What every engine must do, as tests.

    class TestMine(EngineContract):
        async def make(self) -> Engine:
            return MyEngine(...)   # new and empty, not opened

Rules 1 to 4 of `server/engine/base.py` are meant; what only one engine does is tested with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.server.calls import Call, Party, State
from ringback.server.engine.base import Claim, Draft, Engine, History, Presence, StoredSession
from ringback.server.protocol import (
    Candidate,
    ChatMessage,
    Description,
    Ended,
    Media,
    Reason,
    RelayedMedia,
    Ringing,
    RoomInfo,
    decode_server,
)
from tests.engine_recordings import RecordingsContract
from tests.engine_voicemails import VoicemailsContract

NOW = 1_700_000_000.0
WAIT = 5.0


def draft(cid: str, room: str = "lobby", user: str = "u-ann", text: str = "hello") -> Draft:
    """A message to say."""
    return Draft(room=room, user=user, name=user[2:], text=text, cid=cid, time=1_700_000_000_000)


def claim(user: str, key: str = "ann", until: float | None = None) -> Claim:
    """A name held by `user`."""
    return Claim(key=key, name=key.title(), user=user, until=until)


def session(name: str, key_hash: str = "k1", user: str = "u") -> StoredSession:
    """A session of somebody called `name`."""
    return StoredSession(id=name, key_hash=key_hash, user=user, name=name, name_key=name)


def call(name: str, placed: int = 1000, caller: str = "ann", callee: str = "bob") -> Call:
    """A new call, of people whose user is `u-` and their name."""
    return Call(
        id=name,
        caller=Party(f"u-{caller}", caller.title(), caller, session=f"s-{caller}"),
        callee=Party(f"u-{callee}", callee.title(), callee),
        media=Media(),
        placed=placed,
        offer=Description("offer", "v=0"),
        deadline=placed + 45_000,
    )


def ended(before: Call) -> Call:
    """The call's next version, over."""
    return replace(
        before,
        state=State.ENDED,
        version=before.version + 1,
        ended=before.placed + 5,
        reason=Reason.HANGUP,
        offer=None,
        deadline=None,
    )


def numbers(history: History) -> list[int]:
    """The `seq` of each message."""
    return [message.seq for message in history.messages]


class RoomsContract:
    """Messages of rooms and who is in them."""

    async def test_messages_are_numbered_and_told(self, engine: Engine) -> None:
        first: list[bytes] = []
        second: list[bytes] = []
        engine.subscribe("room:lobby", first.append)
        engine.subscribe("room:lobby", second.append)
        said = [
            await engine.publish(draft(cid, text=f"{cid} \N{TELEPHONE RECEIVER}")) for cid in "abc"
        ]
        assert [(m.seq, m.cid, m.from_, new) for m, new in said] == [
            (1, "a", "ann", True),
            (2, "b", "ann", True),
            (3, "c", "ann", True),
        ]
        assert [decode_server(payload) for payload in first] == [m for m, _ in said]
        assert first == second

    async def test_each_room_counts_for_itself(self, engine: Engine) -> None:
        elsewhere: list[bytes] = []
        engine.subscribe("room:attic", elsewhere.append)
        await engine.publish(draft("a"))
        message, new = await engine.publish(draft("a", room="attic"))
        assert (message.seq, new, len(elsewhere)) == (1, True, 1)

    async def test_the_same_cid_is_the_same_message(self, engine: Engine) -> None:
        told: list[bytes] = []
        engine.subscribe("room:lobby", told.append)
        first, _ = await engine.publish(draft("a", text="first"))
        assert await engine.publish(draft("a", text="second")) == (first, False)
        assert len(told) == 1
        other, new = await engine.publish(draft("a", user="u-bob"))
        assert (other.seq, new) == (2, True)

    async def test_a_message_sent_twice_at_once_is_stored_once(self, engine: Engine) -> None:
        told: list[bytes] = []
        engine.subscribe("room:lobby", told.append)
        said = await asyncio.gather(*(engine.publish(draft("a")) for _ in range(20)))
        assert sorted(new for _, new in said) == [False] * 19 + [True]
        assert {message for message, _ in said} == {said[0][0]}
        assert len(told) == 1
        assert numbers(await engine.history("lobby", 0, 10)) == [1]

    async def test_messages_at_once_are_told_in_order(self, engine: Engine) -> None:
        told: list[ChatMessage] = []
        engine.subscribe("room:lobby", partial(_hear, told))
        said = await asyncio.gather(*(engine.publish(draft(f"c{i}")) for i in range(300)))
        assert [m.seq for m in told] == list(range(1, 301))
        assert sorted((m for m, _ in said), key=lambda m: m.seq) == told

    async def test_giving_up_a_send_leaves_all_or_nothing(self, engine: Engine) -> None:
        told: list[ChatMessage] = []
        engine.subscribe("room:lobby", partial(_hear, told))
        sends = [asyncio.create_task(engine.publish(draft(f"c{i}"))) for i in range(10)]
        await asyncio.sleep(0)
        for send in sends[::2]:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
        last, _ = await engine.publish(draft("last"))
        history = await engine.history("lobby", 0, 100)
        assert history.messages == told
        assert numbers(history) == list(range(1, last.seq + 1))
        assert {f"c{i}" for i in range(1, 10, 2)} <= {m.cid for m in told}

    async def test_history_is_the_newest_above_a_number(self, engine: Engine) -> None:
        for i in range(250):
            await engine.publish(draft(f"c{i}"))
        asked = {
            (0, 100): list(range(151, 251)),
            (0, 200): list(range(51, 251)),
            (0, 1000): list(range(1, 251)),
            (240, 100): list(range(241, 251)),
            (20, 1000): list(range(21, 251)),
            (250, 100): [],
            (999, 100): [],
            (0, 0): [],
        }
        for (after, limit), expected in asked.items():
            history = await engine.history("lobby", after, limit)
            assert (numbers(history), history.seq) == (expected, 250)

    async def test_a_room_keeps_its_epoch(self, engine: Engine) -> None:
        await engine.join(Presence("lobby", "s1", "Ann"))
        before = await engine.history("lobby", 0, 10)
        await engine.publish(draft("a"))
        after = await engine.history("lobby", 0, 10)
        assert (before.seq, after.seq) == (0, 1)
        assert before.epoch == after.epoch != (await engine.history("attic", 0, 10)).epoch
        assert 1 <= len(before.epoch) <= 64

    async def test_names_come_and_go_with_their_last_session(self, engine: Engine) -> None:
        assert await engine.join(Presence("lobby", "s1", "Ann"))
        assert not await engine.join(Presence("lobby", "s2", "Ann"))
        assert await engine.join(Presence("lobby", "s3", "echo", bot=True))
        assert not await engine.join(Presence("lobby", "s1", "Ann"))
        assert not await engine.leave("lobby", "s1")
        members = await engine.members("lobby")
        assert [(m.name, m.bot) for m in members] == [("Ann", False), ("echo", True)]
        assert await engine.leave("lobby", "s2")
        assert [m.name for m in await engine.members("lobby")] == ["echo"]

    async def test_leaving_a_room_one_is_not_in_tells_nothing(self, engine: Engine) -> None:
        await engine.join(Presence("lobby", "s1", "Ann"))
        assert not await engine.leave("lobby", "s9")
        assert not await engine.leave("attic", "s1")
        assert await engine.leave("lobby", "s1")
        assert not await engine.leave("lobby", "s1")
        assert await engine.members("lobby") == []

    async def test_rooms_are_listed_fullest_first(self, engine: Engine) -> None:
        for room, names in {"one": ["a"], "three": ["a", "b", "c"], "two": ["a", "b"]}.items():
            for name in names:
                await engine.join(Presence(room, f"{room}-{name}", name))
        await engine.join(Presence("one", "second tab", "a"))
        assert await engine.rooms() == [
            RoomInfo(room="three", people=3),
            RoomInfo(room="two", people=2),
            RoomInfo(room="one", people=1),
        ]

    async def test_one_wish_keeps_a_room_unlisted(self, engine: Engine) -> None:
        await engine.join(Presence("lobby", "s1", "Ann"))
        await engine.join(Presence("lobby", "s2", "Bob", unlisted=True))
        assert await engine.rooms() == []
        await engine.join(Presence("lobby", "s2", "Bob"))
        assert await engine.rooms() == [RoomInfo(room="lobby", people=2)]
        await engine.join(Presence("lobby", "s2", "Bob", unlisted=True))
        await engine.leave("lobby", "s2")
        assert await engine.rooms() == [RoomInfo(room="lobby", people=1)]

    async def test_a_hundred_rooms_are_listed(self, engine: Engine) -> None:
        for i in range(110):
            await engine.join(Presence(f"room {i:03}", f"s{i}", "Ann"))
        assert [r.room for r in await engine.rooms()] == [f"room {i:03}" for i in range(100)]


class PeopleContract:
    """Names, sessions and mailboxes."""

    async def test_a_name_belongs_to_who_came_first(self, engine: Engine) -> None:
        mine = claim("u1")
        assert await engine.claim(mine, NOW) == mine
        assert await engine.claim(claim("u2"), NOW) == mine
        assert await engine.claim_of("ann", NOW) == mine
        assert await engine.claims(NOW) == [mine]

    async def test_a_name_can_be_renewed_by_its_owner_alone(self, engine: Engine) -> None:
        await engine.claim(claim("u1"), NOW)
        renewed = replace(claim("u1"), about="Says it back", bot=True, call_waiting=False)
        assert await engine.claim(renewed, NOW) == renewed
        assert await engine.claim_of("ann", NOW) == renewed
        assert not await engine.release("ann", "u2")
        assert await engine.claim_of("ann", NOW) == renewed
        assert await engine.release("ann", "u1")
        assert not await engine.release("ann", "u1")
        assert await engine.claim_of("ann", NOW) is None
        assert await engine.claims(NOW) == []

    async def test_a_name_lapses(self, engine: Engine) -> None:
        await engine.claim(claim("u1", until=NOW + 30), NOW)
        assert (await engine.claim(claim("u2"), NOW + 29.9)).user == "u1"
        assert await engine.claim_of("ann", NOW + 30) is None
        assert await engine.claims(NOW + 30) == []
        assert (await engine.claim(claim("u2"), NOW + 30)).user == "u2"
        assert not await engine.release("ann", "u1")

    async def test_one_of_many_at_once_gets_a_name(self, engine: Engine) -> None:
        holders = await asyncio.gather(*(engine.claim(claim(f"u{i}"), NOW) for i in range(20)))
        assert len({holder.user for holder in holders}) == 1
        assert await engine.claim_of("ann", NOW) == holders[0]

    async def test_sessions_are_kept_as_they_were_saved(self, engine: Engine) -> None:
        saved = replace(session("ann"), rooms={"lobby": False, "attic": True}, expires=NOW)
        await engine.save_session(session("ann"))
        await engine.save_session(saved)
        await engine.save_session(session("bob"))
        assert await engine.session("ann") == saved
        assert await engine.session("eve") is None
        assert {s.id for s in await engine.sessions()} == {"ann", "bob"}

    async def test_what_was_saved_is_a_copy(self, engine: Engine) -> None:
        rooms = {"lobby": False}
        await engine.save_session(replace(session("ann"), rooms=rooms))
        rooms["attic"] = True
        assert await engine.session("ann") == replace(session("ann"), rooms={"lobby": False})

    async def test_sessions_are_found_by_name(self, engine: Engine) -> None:
        tab = replace(session("tab"), name_key="ann")
        for one in (session("ann"), session("bob"), tab):
            await engine.save_session(one)
        assert {s.id for s in await engine.sessions("ann")} == {"ann", "tab"}
        await engine.save_session(replace(tab, name_key="bob"))
        await engine.drop_session("ann", "k1")
        assert await engine.sessions("ann") == []
        assert {s.id for s in await engine.sessions("bob")} == {"bob", "tab"}

    async def test_a_session_is_dropped_with_its_key_only(self, engine: Engine) -> None:
        await engine.save_session(session("ann", "old"))
        await engine.save_session(session("ann", "new"))
        await engine.push("ann", Ringing(call="c"))
        assert not await engine.drop_session("ann", "old")
        assert len(await engine.mail("ann", 0) or []) == 1
        assert await engine.drop_session("ann", "new")
        assert not await engine.drop_session("ann", "new")
        assert await engine.session("ann") is None
        assert await engine.mail("ann", 0) is None

    async def test_mail_is_numbered_kept_and_told(self, engine: Engine) -> None:
        told: list[bytes] = []
        await engine.save_session(session("ann"))
        engine.subscribe("session:ann", told.append)
        await engine.push("ann", Ringing(call="c"))
        await engine.push("ann", Ended(call="c", reason=Reason.LOST, message="Lost."))
        await engine.save_session(session("ann", "k2"))
        assert [decode_server(payload) for payload in told] == [
            Ringing(call="c", n=1),
            Ended(call="c", reason=Reason.LOST, message="Lost.", n=2),
        ]
        assert await engine.mail("ann", 0) == told
        assert await engine.mail("ann", 1) == told[1:]
        assert await engine.mail("ann", 2) == []
        assert await engine.mail("ann", 3) is None

    async def test_too_much_mail_is_not_a_silent_hole(self, engine: Engine) -> None:
        await engine.save_session(session("ann"))
        for i in range(300):
            await engine.push("ann", RelayedMedia(call=str(i), media=Media()))
        assert await engine.mail("ann", 43) is None
        mail = await engine.mail("ann", 44)
        assert mail is not None
        assert [msgspec.json.decode(payload)["n"] for payload in mail] == list(range(45, 301))

    async def test_mail_for_nobody_is_not_kept(self, engine: Engine) -> None:
        await engine.push("ann", Ringing(call="c"))
        assert await engine.mail("ann", 0) is None
        await engine.save_session(session("ann"))
        assert await engine.mail("ann", 0) == []


class CallsContract:
    """Calls and their records."""

    async def test_a_call_is_replaced_version_by_version(self, engine: Engine) -> None:
        first = call("c")
        assert await engine.put_call(first, None)
        assert not await engine.put_call(first, None)
        ringing = replace(first, state=State.RINGING, version=1, rung=1001)
        assert not await engine.put_call(ringing, 1)
        assert await engine.put_call(ringing, 0)
        assert not await engine.put_call(ringing, 0)
        assert await engine.call("c") == ringing
        assert await engine.live_calls() == [ringing]

    async def test_one_of_many_changes_at_once_is_made(self, engine: Engine) -> None:
        await engine.put_call(call("c"), None)
        changes = [
            replace(call("c"), state=State.RINGING, version=1, rung=i) for i in range(10)
        ] + [replace(call("c"), version=1, candidates=(Candidate(str(i)),)) for i in range(10)]
        done = await asyncio.gather(*(engine.put_call(change, 0) for change in changes))
        assert done.count(True) == 1
        assert await engine.call("c") == changes[done.index(True)]

    async def test_one_of_many_new_calls_with_an_id_is_made(self, engine: Engine) -> None:
        new = [call("c", placed=i) for i in range(10)]
        done = await asyncio.gather(*(engine.put_call(one, None) for one in new))
        assert done.count(True) == 1
        assert await engine.live_calls() == [new[done.index(True)]]

    async def test_early_candidates_are_kept(self, engine: Engine) -> None:
        await engine.put_call(call("c"), None)
        one = replace(call("c"), version=1, candidates=(Candidate("a"),))
        two = replace(call("c"), version=2, candidates=(Candidate("a"), None))
        assert await engine.put_call(one, 0)
        assert not await engine.put_call(one, 0)
        assert await engine.put_call(two, 1)
        assert await engine.call("c") == two

    async def test_live_calls_are_found_by_name(self, engine: Engine) -> None:
        for one in (call("1"), call("2", callee="cat"), call("3", caller="cat", callee="dan")):
            await engine.put_call(one, None)
        assert {c.id for c in await engine.live_calls()} == {"1", "2", "3"}
        assert {c.id for c in await engine.live_calls("ann")} == {"1", "2"}
        assert {c.id for c in await engine.live_calls("cat")} == {"2", "3"}
        await engine.put_call(ended(call("2", callee="cat")), 0)
        assert [c.id for c in await engine.live_calls("cat")] == ["3"]
        assert await engine.live_calls("eve") == []

    async def test_an_ended_call_never_changes(self, engine: Engine) -> None:
        over = ended(call("c"))
        await engine.put_call(call("c"), None)
        assert await engine.put_call(over, 0)
        assert not await engine.put_call(replace(over, version=2), 1)
        assert not await engine.put_call(call("c"), None)
        assert await engine.call("c") == over
        assert await engine.live_calls() == []
        assert await engine.call("never") is None
        assert not await engine.put_call(call("never"), 0)

    async def test_a_call_can_be_over_at_once(self, engine: Engine) -> None:
        over = ended(call("c"))
        assert await engine.put_call(over, None)
        assert await engine.live_calls() == []
        assert await engine.records("u-ann", "ann", None, 10) == [over]

    async def test_records_are_ones_own_newest_first(self, engine: Engine) -> None:
        own = [call(f"c{i}", placed=i, caller="ann" if i % 2 else "bob",
                    callee="bob" if i % 2 else "ann") for i in range(6)]  # fmt: skip
        others = [call("x", placed=9, caller="cat", callee="bob"), call("y", placed=9)]
        namesake = replace(others[1], caller=replace(others[1].caller, user="u-other"))
        for one in (*own, others[0], namesake):
            await engine.put_call(one, None)
            await engine.put_call(ended(one), 0)
        await engine.put_call(call("live", placed=10), None)
        newest = [ended(one) for one in reversed(own)]
        assert await engine.records("u-ann", "ann", None, 10) == newest
        assert await engine.records("u-ann", "ann", None, 2) == newest[:2]
        assert await engine.records("u-ann", "ann", 4, 10) == newest[2:]
        assert await engine.records("u-ann", "cat", None, 10) == []

    async def test_legs_are_no_records(self, engine: Engine) -> None:
        leg = ended(replace(call("leg", callee="recorder"), leg=True))
        await engine.put_call(leg, None)
        assert await engine.call("leg") == leg
        assert await engine.records("u-ann", "ann", None, 10) == []

    async def test_two_windows_of_one_user_keep_records_apart(self, engine: Engine) -> None:
        one = call("c")
        one = replace(one, callee=replace(one.callee, user="u-ann"))
        await engine.put_call(ended(one), None)
        assert await engine.records("u-ann", "ann", None, 10) == [ended(one)]
        assert await engine.records("u-ann", "bob", None, 10) == [ended(one)]


class TellingContract:
    """Holding and telling."""

    async def test_held_keys_are_exclusive(self, engine: Engine) -> None:
        inside: list[str] = []
        most = 0

        async def work(*keys: str) -> None:
            nonlocal most
            async with engine.hold(*keys):
                inside.extend(keys)
                most = max(most, inside.count("b"))
                await asyncio.sleep(0)
                for key in keys:
                    inside.remove(key)

        pairs = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("b", "b"), ("b",)]
        async with asyncio.timeout(WAIT):
            await asyncio.gather(*(work(*set(keys)) for keys in pairs * 5))
        assert most == 1

    async def test_a_key_may_be_named_twice(self, engine: Engine) -> None:
        async with asyncio.timeout(WAIT), engine.hold("a", "b", "a"):
            pass

    async def test_different_keys_do_not_wait(self, engine: Engine) -> None:
        async with asyncio.timeout(WAIT), engine.hold("a"), engine.hold("b"):
            pass

    async def test_a_key_is_free_after_a_failure_or_a_cancellation(self, engine: Engine) -> None:
        async def wait() -> None:
            async with engine.hold("a", "b"):
                pass

        with suppress(ValueError):
            async with engine.hold("b"):
                waiting = asyncio.create_task(wait())
                await asyncio.sleep(0.01)
                waiting.cancel()
                raise ValueError
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(WAIT), engine.hold("a", "b"):
            pass

    async def test_telling_reaches_its_topic(self, engine: Engine) -> None:
        here: list[bytes] = []
        there: list[bytes] = []
        stop = engine.subscribe("here", here.append)
        engine.subscribe("there", there.append)
        await engine.tell("here", b"1")
        stop()
        stop()
        await engine.tell("here", b"2")
        await engine.tell("nowhere", b"3")
        assert (here, there) == ([b"1"], [])

    async def test_the_same_listener_may_listen_twice(self, engine: Engine) -> None:
        heard: list[bytes] = []
        stop = engine.subscribe("here", heard.append)
        engine.subscribe("here", heard.append)
        await engine.tell("here", b"1")
        stop()
        await engine.tell("here", b"2")
        assert heard == [b"1", b"1", b"2"]

    async def test_a_failing_listener_is_logged_and_alone(
        self, engine: Engine, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(payload: bytes) -> None:
            raise ValueError("broken listener")

        heard: list[bytes] = []
        engine.subscribe("room:lobby", fail)
        engine.subscribe("room:lobby", heard.append)
        _, new = await engine.publish(draft("a"))
        assert new
        assert len(heard) == 1
        assert "broken listener" in caplog.text
        assert "Traceback" in caplog.text

    async def test_listeners_may_leave_and_come_while_it_is_told(self, engine: Engine) -> None:
        heard: list[str] = []

        def first(payload: bytes) -> None:
            heard.append("first")
            stop_first()
            stop_second()
            engine.subscribe("here", lambda payload: heard.append("third"))

        stop_first = engine.subscribe("here", first)
        stop_second = engine.subscribe("here", lambda payload: heard.append("second"))
        await engine.tell("here", b"1")
        assert heard == ["first"]
        await engine.tell("here", b"2")
        assert heard == ["first", "third"]

    async def test_nodes_know_of_each_other(self, engine: Engine) -> None:
        assert list(await engine.heartbeat("one")) == ["one"]
        assert sorted(await engine.heartbeat("two")) == ["one", "two"]

    async def test_a_healthy_engine_says_nothing(self, engine: Engine) -> None:
        await engine.check()
        await engine.check()


SAYS = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 12))


class EngineContract(
    RoomsContract,
    PeopleContract,
    CallsContract,
    RecordingsContract,
    VoicemailsContract,
    TellingContract,
):
    """All of it. A subclass says how an engine is made."""

    async def make(self) -> Engine:
        """A new, empty engine, not opened."""
        raise NotImplementedError

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        """An open engine."""
        engine = await self.make()
        await engine.open()
        yield engine
        await engine.close()

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(bursts=st.lists(st.lists(SAYS, max_size=8), max_size=8))
    async def test_any_sends_in_any_company(self, bursts: list[list[tuple[str, str, int]]]) -> None:
        """Whatever is sent at once: each message once, in one order, the same for everybody."""
        engine = await self.make()
        await engine.open()
        told: dict[str, list[ChatMessage]] = {"a": [], "b": []}
        for room, heard in told.items():
            engine.subscribe(f"room:{room}", partial(_hear, heard))
        by_cid: dict[tuple[str, str, int], ChatMessage] = {}
        try:
            for burst in bursts:
                sends = [
                    engine.publish(draft(f"c{n}", room, f"u-{user}")) for room, user, n in burst
                ]
                for said, (message, new) in zip(burst, await asyncio.gather(*sends), strict=True):
                    assert new == (said not in by_cid)
                    assert by_cid.setdefault(said, message) == message
                for room, heard in told.items():
                    history = await engine.history(room, 0, 1000)
                    assert history.messages == heard
                    assert numbers(history) == list(range(1, history.seq + 1))
            assert sum(map(len, told.values())) == len(by_cid)
        finally:
            await engine.close()


def _hear(heard: list[ChatMessage], payload: bytes) -> None:
    heard.append(_chat(payload))


def _chat(payload: bytes) -> ChatMessage:
    message = decode_server(payload)
    assert isinstance(message, ChatMessage)
    return message
