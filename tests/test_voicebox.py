"""When there is room in a voicemail, and what goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.voicebox import Room, VoiceMessage


def message(number: int, seconds: float = 60.0, heard: bool = False) -> VoiceMessage:
    return VoiceMessage(
        id=f"m{number}", kind="message", user="u", key="k", name="K", from_name="A", call="c",
        after="a", begun=number, left=number, seconds=seconds, heard=heard,
    )  # fmt: skip


def test_room_is_counted_in_messages_and_in_minutes() -> None:
    room = Room(messages=10, minutes=4)
    assert room.used([]) == 0
    assert room.used([message(1)]) == pytest.approx(0.25)
    assert room.used([message(n, seconds=1) for n in range(8)]) == pytest.approx(0.8)
    assert room.nearly_full([message(n, seconds=1) for n in range(8)])
    assert not room.full([message(n, seconds=1) for n in range(9)])
    assert room.full([message(n) for n in range(4)])


def test_heard_ones_go_first_and_the_oldest_of_them() -> None:
    room = Room(messages=3, minutes=100)
    messages = [message(1), message(2, heard=True), message(3, heard=True), message(4), message(5)]
    assert [m.id for m in room.surplus(messages)] == ["m2", "m3"]
    assert [m.id for m in room.surplus(messages[:3])] == []


@given(
    st.lists(st.tuples(st.integers(0, 99), st.floats(1, 180), st.booleans()), max_size=12),
    st.integers(1, 6),
    st.floats(0.5, 10),
)
def test_the_newest_stays_and_nothing_goes_without_need(
    drawn: list[tuple[int, float, bool]], most: int, minutes: float
) -> None:
    room = Room(most, minutes)
    messages = [message(n, seconds, heard) for n, (_, seconds, heard) in enumerate(drawn)]
    gone = room.surplus(messages)
    kept = [m for m in messages if m not in gone]
    if messages:
        assert messages[-1] in kept
    if len(kept) > 1:
        assert room.used(kept) <= 1
    if gone:
        assert room.used([*kept, gone[-1]]) > 1
