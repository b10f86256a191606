"""Sounds that are sent often: coded once, and heard right after what was sent before."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ringback.bots.out import Out
from ringback.bots.sounds import Cue, SoundOut
from ringback.bots.values import Sound
from tests.test_out import Wire, out, wire

__all__ = ["out", "wire"]
RATE = 48_000


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def sound(seconds: float) -> Sound:
    return Sound(array("h", [1000] * round(seconds * RATE)).tobytes(), RATE)


async def test_a_cue_is_coded_once_for_each_codec(
    out: Out, wire: Wire, pool: ThreadPoolExecutor
) -> None:
    cue = Cue(sound(0.1))
    assert not cue.known("opus")
    await SoundOut(out, pool).put_cue(cue)
    assert cue.known("opus")
    rate, packets = cue.coded("opus")
    assert (rate, len(packets)) == (RATE, 5)
    pool.shutdown()
    # Without a thread to code in: there is nothing to code.
    await SoundOut(out, pool).put_cue(cue)
    times = [at for _, at in wire.sent]
    assert [b - a for a, b in zip(times, times[1:], strict=False)][:4] == [960] * 4
    assert times == sorted(set(times))
    assert len(times) == 10
    assert not cue.known("PCMU")
    assert [packet.ticks for packet in cue.coded("PCMU")[1]] == [0, 160, 320, 480, 640]


async def test_a_cue_follows_what_was_sent_before(
    out: Out, wire: Wire, pool: ThreadPoolExecutor
) -> None:
    going = SoundOut(out, pool)
    piece = sound(0.03)
    await going.put(piece.data, piece.rate, 1)
    await going.put_cue(Cue(sound(0.04)))
    await going.put(piece.data, piece.rate, 1)
    await going.finish()
    times = [at for _, at in wire.sent]
    # What was too little for a packet was filled up and went first; each starts where it is due.
    assert len(times) == 6
    assert times == sorted(set(times))
    assert times[2] - times[0] == pytest.approx(0.03 * RATE, abs=960)


async def test_where_nobody_listens_its_time_passes(pool: ThreadPoolExecutor) -> None:
    going = SoundOut(Out("audio", lambda _: None), pool)
    began = time.monotonic()
    cue = Cue(sound(0.2))
    await going.put_cue(cue)
    await going.finish()
    assert time.monotonic() - began >= 0.2
    assert not cue.known("opus")
