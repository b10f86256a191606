"""What a made-up network does to each packet, in a time of its own: exactly, each time."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.bots.calltest import link as module
from ringback.bots.calltest.link import Fate, Lane, Link

RTP = b"\x80\x60" + bytes(30)
STUN = bytes(32)


def nowhere(_packet: bytes) -> None:
    """Where packets go that nobody looks at."""


def fates(link: Link, packets: int = 5000, seed: int = 7, gap: float = 0.01) -> list[Fate]:
    """What becomes of packets that come one after the other; all that arrive leave in time."""
    lane = Lane(link, seed)
    found = []
    for number in range(packets):
        found.append(lane.put(RTP, nowhere, number * gap))
        lane.take(number * gap)
    return found


def words(link: Link, **more: Any) -> list[str]:
    return [fate.word for fate in fates(link, **more)]


# --- chance -----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("what", ["loss", "duplicate", "reorder"])
def test_shares_are_kept(what: str, share: float) -> None:
    changed: dict[str, Any] = {what: share}
    found = fates(Link(**changed), 20_000)
    shares = {
        "loss": sum(not fate.copies for fate in found) / len(found),
        "duplicate": sum(fate.copies == 2 for fate in found) / len(found),
        "reorder": sum(fate.moved for fate in found) / len(found),
    }
    assert shares.pop(what) == pytest.approx(share, abs=0.01)
    assert set(shares.values()) == {0.0}


BAD = Link(
    loss=0.1, burst=0.1, duplicate=0.1, reorder=0.1, delay=1, jitter=1, rate=1e6, overtake=True
)


def test_the_same_seed_is_the_same_network() -> None:
    once, again, other = (fates(BAD, 500, seed) for seed in (1, 1, 2))
    assert once == again != other


def test_the_fate_of_the_nth_packet_does_not_depend_on_when_it_comes() -> None:
    link = replace(BAD, rate=0.0)
    slowly, fast = (fates(link, 500, gap=gap) for gap in (1.0, 0.0))
    assert [f[0] for f in slowly] == [f[0] for f in fast]
    assert [f[2:] for f in slowly] == [f[2:] for f in fast]


@pytest.mark.parametrize(
    "other",
    [
        Link(loss=0.1, duplicate=0.5, reorder=0.5),
        Link(loss=0.1, delay=1, jitter=2),
        Link(loss=0.1, rate=1e9),
        Link(loss=0.1, burst=0.2, burst_loss=0.0),
    ],
)
def test_another_setting_moves_no_fate_of_this_one(other: Link) -> None:
    assert words(Link(loss=0.1), packets=500) == words(other, packets=500)


def test_more_loss_loses_what_less_did_and_more() -> None:
    less, more = ([f.word == "lost" for f in fates(Link(loss=x), 999)] for x in (0.05, 0.1))
    assert all(b for a, b in zip(less, more, strict=True) if a)
    assert sum(more) > sum(less)


@pytest.mark.parametrize(("share", "length"), [(0.02, 2.0), (0.05, 10.0), (0.3, 4.0)])
def test_bursts_are_as_often_and_as_long_as_said(share: float, length: float) -> None:
    found = words(Link(burst=share, burst_length=length), packets=100_000)
    runs = [len(list(run)) for word, run in groupby(found) if word == "burst"]
    assert sum(runs) / len(found) == pytest.approx(share, rel=0.1)
    assert sum(runs) / len(runs) == pytest.approx(length, rel=0.1)


def test_losses_for_themselves_are_short() -> None:
    runs = [len(list(run)) for word, run in groupby(words(Link(loss=0.05))) if word == "lost"]
    assert sum(runs) / len(runs) < 1.2


def test_a_burst_may_lose_only_some() -> None:
    found = words(Link(burst=0.2, burst_length=10, burst_loss=0.5), packets=50_000)
    assert found.count("burst") / len(found) == pytest.approx(0.1, rel=0.1)


# --- time -------------------------------------------------------------------------------------


def test_a_link_that_does_nothing_lets_everything_arrive_at_once() -> None:
    assert [fate.due for fate in fates(Link(), 100, gap=1.0)] == list(range(100))


def test_delay_is_exact() -> None:
    assert [fate.due - n for n, fate in enumerate(fates(Link(delay=0.25), 50, gap=1.0))] == [
        0.25
    ] * 50


def test_jitter_is_spread_evenly_and_bounded() -> None:
    found = [fate.due - n for n, fate in enumerate(fates(Link(jitter=0.03), gap=1.0))]
    assert min(found) >= 0
    assert max(found) <= 0.03
    assert sum(found) / len(found) == pytest.approx(0.015, rel=0.05)


def arrivals(link: Link, packets: int = 300, gap: float = 0.001) -> list[int]:
    """The numbers of packets in the order in which they arrive."""
    lane = Lane(link, 1)
    for number in range(packets):
        lane.put(number.to_bytes(2, "big"), nowhere, number * gap)
    return [int.from_bytes(data, "big") for _, data, _ in lane.take(math.inf)]


def test_jitter_overtakes_only_where_it_may() -> None:
    still = arrivals(Link(delay=0.001, jitter=0.01))
    assert still == list(range(300))
    moved = arrivals(Link(delay=0.001, jitter=0.01, overtake=True))
    assert moved != still
    assert sorted(moved) == still


def test_who_is_reordered_is_overtaken_and_nobody_else() -> None:
    lane = Lane(Link(reorder=0.1, late=0.0035), 1)
    late = {n for n in range(300) if lane.put(bytes([n // 256, n % 256]), nowhere, n / 1000).moved}
    order = [int.from_bytes(data, "big") for _, data, _ in lane.take(math.inf)]
    assert late
    assert [n for n in order if n not in late] == [n for n in range(300) if n not in late]
    for number in late & set(range(290)):
        # Three packets more come in 3.5 ms.
        behind = order[: order.index(number)]
        assert {number + 1, number + 2, number + 3} <= set(behind) | late


def test_packets_of_one_moment_keep_their_order() -> None:
    assert arrivals(Link(delay=1.0), gap=0.0) == list(range(300))


def test_copies_arrive_together() -> None:
    lane = Lane(Link(duplicate=1.0, delay=1.0), 1)
    lane.put(b"a", nowhere, 0.0)
    assert [(due, data) for due, data, _ in lane.take(1.0)] == [(1.0, b"a")] * 2


def test_nothing_arrives_before_its_time() -> None:
    lane = Lane(Link(delay=1.0), 1)
    assert lane.next() == math.inf
    lane.put(b"a", nowhere, 5.0)
    assert lane.next() == 6.0
    assert lane.take(5.999) == []
    assert len(lane.take(6.0)) == 1
    assert lane.next() == math.inf


# --- rate and queue ---------------------------------------------------------------------------


def test_a_rate_is_kept_exactly() -> None:
    # 972 bytes and 28 of headers are 8000 bits: at 80 kbit/s one each 100 ms.
    lane = Lane(Link(rate=80_000, queue_time=5.0), 1)
    due = [lane.put(bytes(972), nowhere, 0.0).due for _ in range(20)]
    assert due == pytest.approx([0.1 * (n + 1) for n in range(20)])


def test_headers_of_ipv6_count_too() -> None:
    lane = Lane(Link(rate=80_000), 1)
    assert lane.put(bytes(952), nowhere, 0.0, headers=48).due == pytest.approx(0.1)


def test_a_free_link_delays_by_its_rate_alone() -> None:
    lane = Lane(Link(rate=80_000, delay=1.0), 1)
    for at in (0.0, 10.0, 20.0):
        assert lane.put(bytes(972), nowhere, at).due == pytest.approx(at + 1.1)


def passed(lane: Lane, packets: int, at: float = 0.0) -> int:
    return sum(lane.put(bytes(972), nowhere, at).word == "passed" for _ in range(packets))


def test_a_queue_is_bounded_in_time() -> None:
    lane = Lane(Link(rate=80_000, queue_time=0.5), 1)
    # Half a second holds five packets; one more is being sent.
    assert passed(lane, 20) == 6
    assert lane.counts["queue"] == 14
    assert passed(lane, 20, at=0.3) == 3


def test_a_queue_is_bounded_in_bytes() -> None:
    lane = Lane(Link(rate=80_000, queue_bytes=3500), 1)
    assert passed(lane, 20) == 3
    assert passed(lane, 20, at=0.1) == 1
    # Smaller ones may fit where a large one did not.
    assert lane.put(bytes(100), nowhere, 0.1).word == "passed"


def test_both_bounds_hold() -> None:
    assert passed(Lane(Link(rate=80_000, queue_bytes=1500, queue_time=0.5), 1), 20) == 1
    assert passed(Lane(Link(rate=80_000, queue_bytes=9000, queue_time=0.1), 1), 20) == 2


def test_there_is_a_queue_where_nothing_is_said_of_it() -> None:
    assert passed(Lane(Link(rate=80_000), 1), 20) == pytest.approx(module.QUEUE / 0.1, abs=1)
    deep = Lane(Link(rate=80_000, queue_bytes=10**9), 1)
    assert passed(deep, 300) == pytest.approx(module.DEEP / 0.1, abs=1)


def test_what_is_lost_takes_no_room() -> None:
    lane = Lane(Link(rate=80_000, loss=1.0), 1)
    passed(lane, 50)
    lane.use(Link(rate=80_000))
    assert lane.put(bytes(972), nowhere, 0.0).due == pytest.approx(0.1)


@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.integers(1, 1400)), min_size=1, max_size=200),
    st.integers(10_000, 2_000_000),
    st.floats(0.01, 1.0),
)
def test_no_link_carries_more_than_its_rate(
    packets: list[tuple[float, int]], rate: int, queue: float
) -> None:
    lane, now, sent = Lane(Link(rate=rate, queue_time=queue), 1), 0.0, []
    for gap, size in packets:
        now += gap
        fate = lane.put(bytes(size), nowhere, now)
        if fate.copies:
            sent.append((fate.due, (size + 28) * 8))
            # Behind at most a full queue, then itself.
            assert fate.due <= now + queue + (size + 28) * 8 / rate + 1e-6
    for (before, _), (due, bits) in zip(sent, sent[1:], strict=False):
        assert due - before >= bits / rate - 1e-6


# --- windows and changes ----------------------------------------------------------------------


def test_a_blackout_counts_from_the_first_media() -> None:
    lane = Lane(Link(blackout=((1.0, 2.0), (5.0, 5.5))), 1)
    assert lane.put(STUN, nowhere, 101.5).word == "passed"
    lane.began = 100.0
    fates = {at: lane.put(RTP, nowhere, 100 + at).word for at in (0.9, 1.0, 1.9, 2.0, 5.2, 5.5)}
    assert [at for at, word in fates.items() if word == "blackout"] == [1.0, 1.9, 5.2]


def test_changes_come_in_their_time_whatever_their_order() -> None:
    lane = Lane(Link(), 1, [(2.0, Link(delay=2.0)), (1.0, Link(delay=1.0))])
    before = lane.put(RTP, nowhere, 50.0)
    lane.began = 100.0
    due = [lane.put(RTP, nowhere, 100 + at).due - 100 - at for at in (0.5, 1.0, 1.5, 2.0, 9.0)]
    assert before.due == 50.0
    assert due == [0.0, 1.0, 1.0, 2.0, 2.0]


def test_a_change_moves_nothing_that_chance_decides() -> None:
    plain, changed = Lane(Link(loss=0.2), 1), Lane(Link(loss=0.2), 1, [(1.0, Link(loss=0.2))])
    plain.began = changed.began = 0.0
    for number in range(300):
        at = number / 100
        assert plain.put(RTP, nowhere, at) == changed.put(RTP, nowhere, at)


def test_a_link_that_is_put_in_place_stays() -> None:
    lane = Lane(Link(), 1, [(1.0, Link())])
    lane.began = 0.0
    lane.use(Link(loss=1.0))
    assert {lane.put(RTP, nowhere, at).word for at in (0.0, 1.0, 2.0)} == {"lost"}


def test_a_shorter_delay_overtakes_nothing() -> None:
    lane = Lane(Link(delay=1.0), 1, [(0.5, Link())])
    lane.began = 0.0
    lane.put(b"first", nowhere, 0.4)
    lane.put(b"second", nowhere, 0.6)
    assert [data for _, data, _ in lane.take(2.0)] == [b"first", b"second"]


# --- counts and bounds ------------------------------------------------------------------------


def test_what_is_lost_and_doubled_is_counted() -> None:
    lane = Lane(Link(loss=0.2, duplicate=0.2, delay=1.0), 1)
    for _ in range(500):
        lane.put(RTP, nowhere, 0.0)
        lane.put(STUN, nowhere, 0.0)
    counts = lane.counts
    assert counts["media"] == 500
    assert 0 < counts["media lost"] < counts["lost"]
    assert lane.lost_types == {96: counts["media lost"]}
    assert counts["passed"] == 1000 - counts["lost"]
    assert len(lane.take(1.0)) == counts["passed"] + counts["doubled"]


def test_no_more_is_held_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 5)
    lane = Lane(Link(delay=10), 1)
    assert [lane.put(RTP, nowhere, 0.0).word for _ in range(7)].count("overflow") == 2
    lane.take(10.0)
    assert lane.put(RTP, nowhere, 10.0).word == "passed"
    lane.drop()
    assert lane.next() == math.inf


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"loss": 1.5}, "loss is a share"),
        ({"duplicate": -0.1}, "duplicate is a share"),
        ({"delay": 31}, "delay is a time"),
        ({"queue_time": 99}, "queue_time is a time"),
        ({"rate": 10}, "rate is between"),
        ({"queue_bytes": 100}, "at least one packet"),
        ({"burst": 1.0}, "cannot be 100%"),
        ({"burst": 0.9, "burst_length": 2}, "cannot be 90%"),
        ({"burst_length": 0.5}, "Bursts of 0.5"),
        ({"blackout": ((2.0, 1.0),)}, "ends after that"),
    ],
)
def test_what_cannot_be_is_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Link(**wrong)


def test_a_link_tells_what_it_does() -> None:
    assert Link().differs() == {}
    assert Link(loss=0.1, delay=0.2).differs() == {"loss": 0.1, "delay": 0.2}
