"""Packets put into order: scripts of what arrives when, in virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.media import reorder
from ringback.bots.media.reorder import MOST, Hole, Reorder

PATIENCE = 1.0
LOST, RESTART = Hole.LOST, Hole.RESTART


class Script:
    """A reorder buffer that is given its own sequence numbers as packets."""

    def __init__(self, first: int = 100) -> None:
        self.now = 0.0
        self.buffer: Reorder[int] = Reorder(first & 0xFFFF, PATIENCE)
        self.out: list[int | Hole] = []

    def put(self, *sequences: int) -> list[int | Hole]:
        out = [x for s in sequences for x in self.buffer.put(s & 0xFFFF, s, self.now)]
        self.out += out
        return out

    def wait(self, seconds: float) -> list[int | Hole]:
        self.now += seconds
        out = self.buffer.poll(self.now)
        self.out += out
        return out

    def nacks(self, after: float = 0.0) -> list[int]:
        self.now += after
        return self.buffer.nacks(self.now)


def test_in_order_nothing_waits() -> None:
    script = Script()
    assert script.put(100, 101, 102) == [100, 101, 102]
    assert not script.buffer.pending
    assert script.nacks() == []


def test_a_packet_that_comes_early_waits_for_the_one_before() -> None:
    script = Script()
    pending = []
    assert script.put(100, 102, 103) == [100]
    pending.append(script.buffer.pending)
    assert script.put(101) == [101, 102, 103]
    pending.append(script.buffer.pending)
    assert pending == [True, False]
    assert script.buffer.counts.reordered == 1
    assert script.buffer.counts.repaired == 0


def test_what_is_missing_is_asked_for_at_once_and_again_until_it_comes() -> None:
    script = Script()
    script.put(100, 103)
    assert script.nacks() == [101, 102]
    assert script.nacks(0.01) == []
    assert script.nacks(0.06) == [101, 102]
    script.put(102)
    assert script.nacks(0.07) == [101]
    assert script.put(101) == [101, 102, 103]
    assert script.nacks(1.0) == []
    assert script.buffer.counts.repaired == 2


def test_asking_again_keeps_to_the_round_trip_time() -> None:
    script = Script()
    script.put(100)
    for number in range(102, 400, 2):
        script.put(number)
        script.nacks()
        script.now += 0.2
        script.put(number - 1)
    script.put(500)
    script.nacks()
    assert script.nacks(0.2) == []
    assert script.nacks(0.06) != []


def test_a_fast_path_is_not_asked_too_often_either() -> None:
    script = Script()
    script.put(100)
    for number in range(102, 200, 2):
        script.put(number)
        script.nacks()
        script.put(number - 1)
    script.put(300)
    script.nacks()
    assert script.nacks(reorder.RETRY_LEAST - 0.001) == []
    assert script.nacks(0.002) != []


def test_a_request_holds_only_so_many_numbers() -> None:
    script = Script()
    script.put(100, 400)
    asked = script.nacks()
    assert asked == list(range(101, 101 + reorder.MAX_NACK))
    assert script.nacks()[0] == 101 + reorder.MAX_NACK


def test_what_does_not_come_in_time_is_given_up() -> None:
    script = Script()
    script.put(100, 102)
    assert script.wait(0.5) == []
    script.put(104)
    assert script.wait(0.49) == []
    assert script.wait(0.01) == [LOST, 102]
    assert script.wait(0.5) == [LOST, 104]
    assert script.buffer.counts.lost == 2
    assert not script.buffer.pending
    assert script.put(101, 101) == []
    assert script.buffer.counts.late == 1
    assert script.buffer.counts.duplicates == 1
    assert script.put(105) == [105]


def test_neighbours_are_one_hole() -> None:
    script = Script()
    script.put(100, 110)
    assert script.wait(1.0) == [LOST, 110]
    assert script.buffer.counts.lost == 9


def test_duplicates_come_out_once() -> None:
    script = Script()
    assert script.put(100, 100, 101, 103, 103, 100, 102, 102) == [100, 101, 102, 103]
    assert script.buffer.counts.duplicates == 4


def test_sequence_numbers_wrap() -> None:
    script = Script(65534)
    script.put(65534, 65535, 65537)
    assert script.nacks() == [0]
    assert script.put(65536) == [65536, 65537]
    assert script.buffer.top == 0x10000 + 65537


def test_packets_before_the_first_are_no_trouble() -> None:
    script = Script(5)
    assert script.put(5, 4, 3, 6) == [5, 6]


def test_one_stray_number_is_not_believed_and_two_are() -> None:
    script = Script()
    script.put(100)
    assert script.put(20000, 101) == [101]
    assert script.put(30000, 30001, 30002) == [LOST, 30001, 30002]
    assert script.buffer.counts.lost == 30001 - 102


def test_a_source_that_counts_anew_is_told() -> None:
    script = Script(20000)
    script.put(20000, 20002)
    assert script.put(5) == []
    assert script.put(6, 7) == [LOST, 20002, RESTART, 6, 7]
    assert not script.buffer.pending


def test_a_full_buffer_gives_up_the_oldest_hole() -> None:
    script = Script()
    script.put(100)
    out = script.put(*range(102, 102 + MOST + 20))
    assert out == [LOST, *range(102, 102 + MOST + 20)]
    assert script.buffer.counts.lost == 1


def test_a_full_buffer_keeps_what_can_still_come() -> None:
    script = Script()
    script.put(100, 102)
    script.put(*range(104, 102 + MOST))
    out = script.put(102 + MOST)
    assert out[:2] == [LOST, 102]
    assert script.buffer.pending
    assert script.put(103)[0] == 103


def test_what_is_wanted() -> None:
    script = Script()
    script.put(100, 102)
    assert [script.buffer.wants(n) for n in (100, 101, 102, 103)] == [False, True, False, False]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 65535), st.integers(90, 130)),
            st.floats(0, 0.5),
            st.booleans(),
        ),
        max_size=150,
    )
)
def test_whatever_comes_order_is_kept_and_memory_bounded(
    events: list[tuple[int, float, bool]],
) -> None:
    script = Script()
    for sequence, pause, ask in events:
        script.put(sequence)
        script.wait(pause)
        if ask:
            assert len(script.nacks()) <= reorder.MAX_NACK
        assert len(script.buffer._waiting) <= MOST
        assert len(script.buffer._missing) <= MOST
        assert len(script.buffer._lost) <= reorder.MAX_LOST
        assert bool(script.buffer._waiting) == bool(script.buffer._missing)
    last: int | None = None
    for item in script.out:
        if isinstance(item, Hole):
            last = None
            continue
        if last is not None:
            assert item == (last + 1) & 0xFFFF
        last = item


@given(st.permutations(range(60)), st.integers(0, 65535))
def test_any_order_comes_out_right(order: list[int], first: int) -> None:
    script = Script(first)
    script.put(first)
    script.put(*(first + 1 + n for n in order))
    assert script.out == list(range(first, first + 61))
