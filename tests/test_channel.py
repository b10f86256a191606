"""A data channel: bounded, and deaf to what its owner's callbacks raise."""

from __future__ import annotations

from typing import Any

import pytest
from pyee.asyncio import AsyncIOEventEmitter

from ringback.bots.media.channel import MAX_MESSAGE, MAX_UNSENT, Channel


class Fake(AsyncIOEventEmitter):
    """An aiortc channel, as far as ours looks at it."""

    label = "control"
    readyState = "open"
    bufferedAmount = 0

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str | bytes] = []

    def send(self, message: str | bytes) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.readyState = "closed"
        self.emit("close")


class Made:
    """A channel, what is under it, and its faults."""

    def __init__(self) -> None:
        self.fake = Fake()
        self.faults: list[Exception] = []
        under: Any = self.fake
        self.channel = Channel(under, self.faults.append)


@pytest.fixture
async def made() -> Made:
    return Made()


async def test_messages_go_and_come(made: Made) -> None:
    heard: list[str | bytes] = []
    made.channel.on_message = heard.append
    assert made.channel.send("hello")
    assert made.channel.send(b"\x00")
    made.fake.emit("message", "back")
    assert made.fake.sent == ["hello", b"\x00"]
    assert heard == ["back"]
    assert made.channel.label == "control"


async def test_what_nobody_takes_is_refused(made: Made) -> None:
    made.fake.bufferedAmount = MAX_UNSENT - 4
    assert not made.channel.send("hello")
    assert made.channel.send("hell")
    made.fake.readyState = "connecting"
    assert not made.channel.send("h")
    assert made.fake.sent == ["hell"]


async def test_a_message_has_a_greatest_length_in_bytes(made: Made) -> None:
    assert made.channel.send("x" * MAX_MESSAGE)
    with pytest.raises(ValueError, match="longer"):
        made.channel.send("ä" * (MAX_MESSAGE // 2 + 1))


async def test_opening_and_closing_are_told(made: Made) -> None:
    told: list[str] = []
    made.channel.on_open = lambda: told.append("open")
    made.channel.on_close = lambda: told.append("close")
    made.fake.emit("open")
    made.channel.close()
    assert told == ["open", "close"]
    assert not made.channel.open


async def test_nobody_listens(made: Made) -> None:
    for event in ("open", "close"):
        made.fake.emit(event)
    made.fake.emit("message", "unheard")
    assert made.faults == []


@pytest.mark.parametrize("event", ["open", "message", "close"])
async def test_a_callback_that_fails_ends_nothing(made: Made, event: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("mine")

    made.channel.on_open = made.channel.on_message = made.channel.on_close = fail
    made.fake.emit(event, *(["text"] if event == "message" else []))
    assert [str(fault) for fault in made.faults] == ["mine"]
