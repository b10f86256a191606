"""What the page says of a recording, in words and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.server.protocol import RecordingEnd
from ringback.server.recording import Person, Recording
from ringback.server.recorditems import Item, item
from ringback.server.shelf import Part, Sidecar, Track

PEOPLE = (Person("u-ann", "Ann", "ann", "s-ann"), Person("u-bob", "Bob", "bob", "s-bob"))


def ended(**changes: Any) -> Recording:
    """A recording of Ann and Bob that Ann stopped."""
    values: dict[str, Any] = {
        "id": "r", "call": "k", "people": PEOPLE, "asker": "ann", "asked": 1000, "state": "off",
        "started": 2000, "ended": 62_000, "reason": RecordingEnd.STOPPED, "by": "ann",
    }  # fmt: skip
    return Recording(**(values | changes))


def shown(**changes: Any) -> Item:
    """An item of nothing in particular."""
    values: dict[str, Any] = {
        "id": "r", "peers": [], "started": 0, "duration_ms": 0.0, "bytes": 0, "state": "finished",
        "words": "", "pieces": [],
    }  # fmt: skip
    return Item(**(values | changes))


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0:00"), (999, "0:00"), (8_600, "0:08"), (61_000, "1:01"), (3_723_000, "1:02:03")],
)
def test_durations(ms: float, words: str) -> None:
    assert shown(duration_ms=ms).long == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 kB"), (15_400, "15 kB"), (1_000_000, "1.0 MB"), (4_260_000, "4.3 MB")],
)
def test_sizes(size: int, words: str) -> None:
    assert shown(bytes=size).size == words


def test_when_it_was() -> None:
    assert shown(started=1_700_000_000_000).date == "2023-11-14T22:13:20+00:00"


def test_it_is_told_to_each_in_their_words() -> None:
    part = Part("Ann", "1.webm", 0, 5000, 10, None, Track("opus"))
    sidecar = Sidecar("r", 62_000, [part])
    ann, bob = (item(ended(), sidecar, user) for user in ("u-ann", "u-bob"))
    assert (ann.peers, ann.words) == (["Bob"], "You stopped the recording.")
    assert (bob.peers, bob.words) == (["Ann"], "Ann stopped the recording.")
    assert [(piece.own, piece.picture) for piece in ann.pieces + bob.pieces] == [
        (True, False),
        (False, False),
    ]


def test_without_files_the_clock_says_how_long_it_was() -> None:
    gone = item(ended(), None, "u-ann")
    assert (gone.state, gone.duration_ms, gone.bytes) == ("unreadable", 60_000, 0)
    running = item(ended(state="on", ended=None, reason=None), None, "u-ann")
    assert (running.state, running.duration_ms) == ("running", 0)


def test_parts_lie_on_one_time_line() -> None:
    parts = [
        Part("Ann", "1.webm", 0, 4000, 10, "1.jpg", Track("opus"), Track("VP8", 640, 360)),
        Part("Bob", "2.webm", 1500, 5000, 20, None, Track("opus")),
        Part("Cat", "", 0, None, 0),
    ]
    found = item(ended(), Sidecar("r", None, parts), "u-ann")
    assert (found.state, found.duration_ms, found.bytes) == ("unfinished", 6500, 30)
    assert [piece.url for piece in found.pieces] == ["/recordings/r/1.webm", "/recordings/r/2.webm"]
    assert [piece.thumbnail for piece in found.pieces] == ["/recordings/r/1.jpg", None]
