"""Mailboxes: what they keep, and what they admit not to know."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.engine.mailbox import Mailbox


def filled(count: int, size: int = 4, room: int = 1000) -> Mailbox:
    mailbox = Mailbox(size, room=room)
    for i in range(1, count + 1):
        mailbox.add(b"%d" % i)
    return mailbox


def test_nothing_was_missed_in_an_empty_mailbox() -> None:
    assert Mailbox(4).after(0) == []
    assert Mailbox(4).after(1) is None
    assert Mailbox(4).after(-1) is None


def test_the_oldest_falls_out() -> None:
    mailbox = filled(6)
    assert mailbox.after(2) == [b"3", b"4", b"5", b"6"]
    assert mailbox.after(5) == [b"6"]
    assert mailbox.after(6) == []
    assert mailbox.after(1) is None
    assert mailbox.after(7) is None


def test_long_messages_fall_out_sooner() -> None:
    mailbox = Mailbox(4, room=10)
    for message in (b"aaaa", b"bbbb", b"cccc"):
        mailbox.add(message)
    assert list(mailbox) == [b"bbbb", b"cccc"]
    mailbox.add(b"d" * 50)
    assert mailbox.after(3) == [b"d" * 50]
    mailbox.add(b"e")
    assert mailbox.after(4) == [b"e"]
    assert mailbox.after(3) is None


def test_a_stored_mailbox_goes_on() -> None:
    old = filled(6)
    new = Mailbox(4, last=old.last, messages=old)
    new.add(b"7")
    assert new.after(3) == [b"4", b"5", b"6", b"7"]
    assert new.after(2) is None


def test_a_mailbox_that_begins_high_knows_nothing_before() -> None:
    mailbox = Mailbox(4, last=1000)
    mailbox.add(b"x")
    assert mailbox.last == 1001
    assert [mailbox.after(n) for n in (0, 999, 1002)] == [None] * 3
    assert mailbox.after(1000) == [b"x"]
    assert mailbox.after(1001) == []


@given(
    count=st.integers(0, 40), size=st.integers(1, 10), room=st.integers(1, 40), after=st.integers()
)
def test_an_answer_is_whole_or_none(count: int, size: int, room: int, after: int) -> None:
    mailbox = filled(count, size, room)
    kept = list(mailbox)
    assert len(kept) <= size
    assert sum(map(len, kept)) <= room or len(kept) == 1
    whole = [b"%d" % i for i in range(after + 1, count + 1)] if abs(after) <= count else None
    answer = mailbox.after(after)
    assert answer == whole if answer is not None else after < count - len(kept) or after > count
