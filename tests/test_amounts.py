"""Shares, times, rates and sizes as people write them, and what is said where they cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.bots.calltest import amounts
from ringback.bots.calltest.link import Link


@pytest.mark.parametrize(
    ("key", "value", "fields"),
    [
        ("loss", "2%", {"loss": 0.02}),
        ("loss", "0.5 %", {"loss": 0.005}),
        ("loss", "0.02", {"loss": 0.02}),
        ("loss", ".5", {"loss": 0.5}),
        ("loss", 0.1, {"loss": 0.1}),
        ("loss", "100%", {"loss": 1.0}),
        ("burst-length", "5", {"burst_length": 5.0}),
        ("burst_length", 3, {"burst_length": 3.0}),
        ("burst-loss", "50%", {"burst_loss": 0.5}),
        ("delay", "40ms", {"delay": 0.04}),
        ("delay", "1.5s", {"delay": 1.5}),
        ("delay", "0.3", {"delay": 0.3}),
        ("late", "2m", {"late": 120.0}),
        ("jitter", "500us", {"jitter": 0.0005}),
        ("overtake", "yes", {"overtake": True}),
        ("overtake", "Off", {"overtake": False}),
        ("overtake", True, {"overtake": True}),
        ("rate", "500k", {"rate": 500e3}),
        ("rate", "2.5M", {"rate": 2.5e6}),
        ("rate", "1Gbit/s", {"rate": 1e9}),
        ("rate", "64 kbps", {"rate": 64e3}),
        ("rate", 128000, {"rate": 128e3}),
        ("queue", "200ms", {"queue_time": 0.2}),
        ("queue", "64kB", {"queue_bytes": 64000}),
        ("queue", "3000B", {"queue_bytes": 3000}),
        ("blackout", "5s-8s", {"blackout": ((5.0, 8.0),)}),
        ("blackout", "500ms-1s+2s-3s", {"blackout": ((0.5, 1.0), (2.0, 3.0))}),
        ("blackout", ["5s-8s", "9-10"], {"blackout": ((5.0, 8.0), (9.0, 10.0))}),
    ],
)
def test_what_can_be_read(key: str, value: Any, fields: dict[str, Any]) -> None:
    found = amounts.link_fields({key: value})
    assert found == pytest.approx(fields) if key != "blackout" else found == fields


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("loss", "2", "'2' is no share; write it like 2% or 0.02"),
        ("loss", "2ms", "is no share"),
        ("loss", "120%", "more than all"),
        ("loss", "much", "loss: 'much' cannot be read"),
        ("loss", "-1%", "cannot be read"),
        ("loss", True, "cannot be read"),
        ("delay", "40k", "'40k' is no time; write it like 40ms or 1.5s"),
        ("delay", "", "cannot be read"),
        ("rate", "5q", "is no rate; write it like 500k or 2M"),
        ("rate", "5%", "is no rate"),
        ("queue", "5xb", "is no size; write it like 64kB"),
        ("queue", "5k", "is no time"),
        ("burst-length", "5s", "is no number of packets"),
        ("overtake", "perhaps", "neither yes nor no"),
        ("blackout", "5s", "'5s' is no window; write it like 5s-8s"),
        ("los", "2%", "There is no 'los': a network has loss, burst, burst-length"),
    ],
)
def test_what_cannot_be_read_is_told_in_words(key: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        amounts.link_fields({key: value})


def test_every_field_of_a_link_can_be_written() -> None:
    some = {
        "overtake": "yes", "queue": "1s", "blackout": "1s-2s", "rate": "1M", "burst-length": "3",
    }  # fmt: skip
    written = amounts.link_fields({key: some.get(key, "0.5") for key in amounts.KEYS})
    written |= amounts.link_fields({"queue": "64kB"})
    assert set(written) == set(Link.__dataclass_fields__)
