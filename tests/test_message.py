"""A message as it is recorded: how much there is of it, and what becomes of earlier takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ringback.bots.media.frames import Frame
from ringback.bots.media.record import RecordLimits
from ringback.bots.media.writer import Writer
from ringback.bots.message import Message
from tests.coded import coded_sounds
from tests.marked import play

LIMITS = RecordLimits(free=0)


@pytest.fixture
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


def message(folder: Path, writer: Writer, limits: RecordLimits = LIMITS) -> Message:
    return Message(folder / "id", "call", "ann", writer, limits)


async def sound(seconds: float, end: asyncio.Event | None = None) -> AsyncIterator[Frame]:
    """Sound that comes all at once; with `end` its stream stays open until then."""
    arrived = asyncio.get_running_loop().time()
    for n, data in enumerate(coded_sounds(seconds)):
        at = arrived + n / 50
        yield Frame("audio", "opus", data, 7 + n * 960, 48_000, True, None, at, 0, False)
    if end is not None:
        await end.wait()


async def test_seconds_are_those_of_the_sound_that_came(tmp_path: Path, writer: Writer) -> None:
    made = message(tmp_path, writer)
    counted: list[float] = []
    await made.take(sound(2.0), lambda: counted.append(made.seconds))
    assert counted[:3] == [0, 0, pytest.approx(0.02)]
    assert counted[-1] == made.seconds == pytest.approx(1.98)
    await made.end()
    assert made.seconds == counted[-1]
    assert made.said
    assert play(made.path).seconds == pytest.approx(2)


async def test_a_take_that_our_end_ends_breaks_off(tmp_path: Path, writer: Writer) -> None:
    made = message(tmp_path, writer)
    await made.take(sound(2.0), lambda: None)
    await made.end("stopping")
    assert made.broken
    assert made.said
    # What was complete before stays so.
    whole = message(tmp_path / "other", writer)
    await whole.take(sound(2.0), lambda: None)
    await whole.end()
    await whole.end("stopping")
    assert not whole.broken


@pytest.mark.parametrize(("seconds", "said"), [(1.0, False), (1.04, True)])
async def test_less_than_a_second_is_nothing(
    tmp_path: Path, writer: Writer, seconds: float, said: bool
) -> None:
    made = message(tmp_path, writer)
    await made.take(sound(seconds), lambda: None)
    await made.end()
    assert made.said is said
    assert not made.broken


async def test_each_take_replaces_the_one_before(tmp_path: Path, writer: Writer) -> None:
    made = message(tmp_path, writer)
    await made.take(sound(3.0), lambda: None)
    await made.take(sound(1.5), lambda: None)
    await made.end()
    assert made.seconds == pytest.approx(1.48)
    assert play(made.path).seconds == pytest.approx(1.5)
    await made.discard()
    assert made.seconds == 0
    assert os.listdir(tmp_path) == []


async def test_a_disk_that_takes_no_more_ends_it_with_what_it_took(
    tmp_path: Path, writer: Writer
) -> None:
    made = message(tmp_path, writer, RecordLimits(free=0, bytes=2_000))
    async with asyncio.timeout(30):
        await made.take(sound(2.0, asyncio.Event()), lambda: None)
    assert made.broken
    await made.end()
    assert 0 <= made.seconds <= 1.98


async def test_where_no_folder_can_be_it_is_raised(tmp_path: Path, writer: Writer) -> None:
    made = message(tmp_path / "file" / "below", writer)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        await made.take(sound(1.0), lambda: None)
    await made.end()
    assert not made.said


async def test_a_take_that_is_given_up_at_once_leaves_nothing(
    tmp_path: Path, writer: Writer
) -> None:
    made = message(tmp_path, writer)
    for steps in range(8):
        taking = asyncio.create_task(made.take(sound(1.0), lambda: None))
        for _ in range(steps):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await made.discard()
    assert os.listdir(tmp_path) == []
    await made.take(sound(1.5), lambda: None)
    assert made.said
    await made.end()
