"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.limiter import FEW, Bucket, Buckets, one_place


def test_a_burst_and_then_the_rate() -> None:
    bucket = Bucket(rate=2, burst=3, now=100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert not bucket.take(100.5)
    # Two a second.
    assert [bucket.take(100.5 + step / 4) for step in range(1, 7)] == [False, True] * 3


def test_rest_gives_no_more_than_a_burst() -> None:
    bucket = Bucket(rate=1000, burst=2, now=0.0)
    assert [bucket.take(1e9) for _ in range(3)] == [True, True, False]


def test_being_refused_costs_nothing() -> None:
    bucket = Bucket(rate=1, burst=1, now=0.0)
    assert bucket.take(0.0)
    assert not any(bucket.take(step / 100) for step in range(1, 99))
    assert bucket.take(1.01)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(rate=10, burst=1, now=100.0)
    assert bucket.take(100.0)
    assert not bucket.take(0.0)
    # It counts from there, so nobody waits for the old time to come again.
    assert bucket.take(0.1)


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 50),
    steps=st.lists(st.floats(0, 1), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, steps: list[float]) -> None:
    bucket, now, taken = Bucket(rate, burst, 0.0), 0.0, 0
    for step in steps:
        now += step
        taken += bucket.take(now)
    assert taken <= burst + rate * now + 1e-6
    assert taken >= min(len(steps), burst)


@pytest.mark.parametrize("rate", [0.5, 5])
def test_one_who_keeps_to_the_rate_is_never_refused(rate: float) -> None:
    bucket = Bucket(rate, burst=1, now=0.0)
    assert all(bucket.take(number / rate + 1e-6 * number) for number in range(1000))


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = Buckets(rate=1, burst=2)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 1.0) for _ in range(2)] == [True, False]


def test_buckets_that_have_filled_again_are_forgotten() -> None:
    buckets = Buckets(rate=1, burst=1)
    for step in range(20 * FEW):
        # A hundred new keys a second: about a hundred are not full at any time.
        assert buckets.take(f"key {step}", step / 100)
        assert len(buckets) <= FEW


def test_buckets_that_are_not_full_are_kept() -> None:
    buckets = Buckets(rate=0.001, burst=1)
    for step in range(3 * FEW):
        buckets.take(f"key {step}", 0.0)
    assert not any(buckets.take(f"key {step}", 1.0) for step in range(3 * FEW))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
        ("", ""),
        ("/run/ringback.sock", "/run/ringback.sock"),
    ],
)
def test_what_counts_as_one_address(address: str, place: str) -> None:
    assert one_place(address) == place
