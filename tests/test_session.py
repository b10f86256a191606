"""A session: what is held back while its client is brought up to date, and what follows."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from ringback.server import protocol as p
from ringback.server.engine.base import StoredSession
from ringback.server.protocol import CloseCode, Limits, encode
from ringback.server.session import HELD, Session, hash_key, last_number, new_key
from tests.playbook import Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def session(wire: Wire) -> Session:
    made = Session(StoredSession(id="s", key_hash="h", user="u"), Limits(), now=0.0)
    made.line = wire
    return made


def chat(seq: int, room: str = "lobby") -> bytes:
    message = p.ChatMessage(room=room, seq=seq, from_="Ann", text=f"{seq}", time=0, cid=f"{seq}")
    return encode(message)


def ended(n: int) -> bytes:
    return encode(p.Ended(n=n, call="k", reason=p.Reason.HANGUP, message=""))


def seqs(wire: Wire) -> list[int]:
    return [said["seq"] for said in wire.said]


def test_what_is_delivered_is_said_at_once(session: Session, wire: Wire) -> None:
    session.deliver(chat(1))
    session.tell(p.Ok(re="1"))
    assert [said["type"] for said in wire.said] == ["chat", "ok"]


def test_without_a_line_nothing_is_said(session: Session) -> None:
    session.line = None
    session.deliver(chat(1))
    session.tell(p.Ok(re="1"))
    session.hold()
    for number in range(HELD + 1):
        session.deliver(chat(number))
    session.go_on({})


def test_what_is_held_back_follows_in_order(session: Session, wire: Wire) -> None:
    session.hold()
    session.deliver(chat(1))
    session.deliver(chat(2))
    assert wire.said == []
    # Answers pass by.
    session.tell(p.Ok(re="1"))
    assert [said["type"] for said in wire.said] == ["ok"]
    wire.said.clear()
    session.go_on({})
    session.deliver(chat(3))
    assert seqs(wire) == [1, 2, 3]


def test_what_the_client_has_is_left_out(session: Session, wire: Wire) -> None:
    session.hold()
    for seq in (4, 5, 6):
        session.deliver(chat(seq))
        session.deliver(chat(seq, room="kitchen"))
    session.go_on({"lobby": 5})
    lobby = [said["seq"] for said in wire.said if said["room"] == "lobby"]
    kitchen = [said["seq"] for said in wire.said if said["room"] == "kitchen"]
    assert (lobby, kitchen) == ([6], [4, 5, 6])


def test_directed_messages_it_has_are_left_out(session: Session, wire: Wire) -> None:
    session.hold()
    for n in (7, 8, 9):
        session.deliver(ended(n))
    session.go_on({}, n=8)
    assert [said["n"] for said in wire.said] == [9]


def test_what_is_neither_chat_nor_directed_is_never_left_out(session: Session, wire: Wire) -> None:
    here = encode(p.Presence(room="lobby", name="Bob", here=True))
    session.hold()
    session.deliver(here)
    session.go_on({"lobby": 100}, n=100)
    assert [said["name"] for said in wire.said] == ["Bob"]


def test_holding_twice_is_holding_once(session: Session, wire: Wire) -> None:
    session.hold()
    session.deliver(chat(1))
    session.hold()
    session.deliver(chat(2))
    session.go_on({})
    assert seqs(wire) == [1, 2]
    session.go_on({})
    assert seqs(wire) == [1, 2]


def test_what_is_held_back_is_bounded(session: Session, wire: Wire) -> None:
    session.hold()
    for seq in range(1, HELD + 1):
        session.deliver(chat(seq))
    assert not wire.closed
    session.deliver(chat(HELD + 1))
    # Not a silent hole: it may come back and ask for what it missed.
    assert wire.closed == CloseCode.SLOW_READER
    session.deliver(chat(HELD + 2))
    session.go_on({})
    assert seqs(wire) == list(range(1, HELD + 1))


def test_dropping_subscriptions_hears_nothing_any_more(session: Session, wire: Wire) -> None:
    stopped: list[str] = []
    session.rooms["lobby"] = lambda: stopped.append("lobby")
    session.topics["people"] = lambda: stopped.append("people")
    session.hold()
    session.deliver(chat(1))
    session.drop_subscriptions()
    assert stopped == ["lobby", "people"]
    assert session.rooms == session.topics == {}
    session.go_on({})
    assert wire.said == []


def test_what_is_kept_is_replaced_not_changed(session: Session) -> None:
    before = session.stored
    after = session.update(name="Ann", name_key="ann", expires=5.0)
    assert session.stored is after
    assert (before.name, before.expires) == (None, None)
    assert (session.id, session.name, session.key) == ("s", "Ann", "ann")
    assert msgspec.json.decode(msgspec.json.encode(after), type=StoredSession) == after


def test_a_session_without_a_name(session: Session) -> None:
    assert (session.name, session.key) == ("", "")


def test_calls_and_talk_are_rationed_apart() -> None:
    stored = StoredSession(id="s", key_hash="h", user="u")
    session = Session(stored, Limits(calls_per_minute=2, chats_burst=1), now=0.0)
    assert [session.calls.take(0.0) for _ in range(3)] == [True, True, False]
    assert [session.chats.take(0.0) for _ in range(2)] == [True, False]
    assert session.calls.take(31.0)
    assert not session.calls.take(32.0)


def test_keys_are_secret_and_stored_as_hashes() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        # It must pass as an `Id` when it comes back.
        msgspec.json.decode(json.dumps(key), type=p.Id)
        assert len(key) >= 32
        assert hash_key(key) == hashlib.sha256(key.encode()).hexdigest()


def test_the_number_of_the_last_message() -> None:
    assert last_number([], otherwise=7) == 7
    assert last_number([ended(8), ended(9)], otherwise=7) == 9
