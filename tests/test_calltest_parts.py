"""What call tests stand on: worker threads, the loop's lateness, scenes, similarity, options."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ringback.bots.calltest import marks, strand
from ringback.bots.calltest.lag import EVERY, Lag
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.options import Options
from ringback.bots.calltest.scene import Scene
from ringback.bots.calltest.similarity import similarity
from ringback.bots.calltest.strand import Strand


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor(2)
    yield made
    made.shutdown()


# --- strand ---------------------------------------------------------------------------------


async def test_work_is_done_in_order_and_elsewhere(pool: ThreadPoolExecutor) -> None:
    here, threads, made = threading.get_ident(), set[int](), list[int]()

    def work(batch: list[int]) -> list[int]:
        threads.add(threading.get_ident())
        return [2 * number for number in batch]

    line = Strand(pool, work, made.extend)
    for number in range(100):
        line.put(number)
        if number % 30 == 0:
            await asyncio.sleep(0)
    await line.finish()
    assert made == [2 * number for number in range(100)]
    assert here not in threads
    assert line.refused == 0


async def test_what_cannot_be_kept_up_with_is_counted(pool: ThreadPoolExecutor) -> None:
    go, made = threading.Event(), list[int]()

    def work(batch: list[int]) -> list[int]:
        assert go.wait(30)
        return batch

    line = Strand(pool, work, made.extend)
    line.put(0)
    await asyncio.sleep(0)
    for number in range(strand.MOST + 5):
        line.put(number)
    go.set()
    await line.finish()
    assert line.refused == 5
    assert len(made) == strand.MOST + 1


async def test_what_the_work_raises_is_raised_at_the_end(pool: ThreadPoolExecutor) -> None:
    def work(batch: list[int]) -> list[int]:
        raise ZeroDivisionError

    line = Strand(pool, work, lambda made: None)
    line.put(1)
    with pytest.raises(ZeroDivisionError):
        await line.finish()


async def test_after_a_fault_nothing_more_is_worked_on(pool: ThreadPoolExecutor) -> None:
    seen: list[int] = []

    def work(batch: list[int]) -> list[int]:
        seen.extend(batch)
        raise ZeroDivisionError

    line = Strand(pool, work, lambda made: None)
    for number in (1, 2):
        line.put(number)
        with pytest.raises(ZeroDivisionError):
            await line.finish()
    assert seen == [1]


async def test_a_pause_makes_one_batch_of_many_and_the_end_waits_for_none(
    pool: ThreadPoolExecutor,
) -> None:
    batches: list[list[int]] = []
    came = asyncio.Event()

    def work(batch: list[int]) -> list[list[int]]:
        return [batch]

    def done(made: list[list[int]]) -> None:
        batches.extend(made)
        came.set()

    line = Strand(pool, work, done, pause=3600)
    line.put(0)
    await came.wait()
    for number in range(1, 10):
        line.put(number)
    await line.finish()
    assert batches == [[0], list(range(1, 10))]
    line.put(10)
    await line.finish()
    assert batches[2:] == [[10]]


# --- lag ------------------------------------------------------------------------------------


async def test_a_loop_that_stood_still_is_noticed() -> None:
    async with Lag() as lag:
        await asyncio.sleep(3 * EVERY)
        time.sleep(0.3)  # noqa: ASYNC251
        await asyncio.sleep(3 * EVERY)
        assert lag.worst >= 0.25
        lag.begin()
        assert lag.worst == 0.0


async def test_a_loop_that_stands_still_to_the_end_is_noticed_too() -> None:
    async with Lag() as lag:
        time.sleep(0.3)  # noqa: ASYNC251
    assert lag.worst >= 0.25


# --- scenes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (64, 48), (176, 144), (322, 242)])
def test_a_picture_says_which_one_it_is(size: tuple[int, int]) -> None:
    scene = Scene(77, *size)
    for number in (0, 1, 500, 65_535):
        mark = Mark(77, number, (number * 66) & 0xFFFF)
        made = scene.picture(mark)
        assert made.shape == (size[1] * 3 // 2, size[0])
        assert marks.read(made[: size[1]]).mark == mark
        assert np.array_equal(made[: size[1]], scene.luma(mark))


def test_what_falls_has_the_colours_of_its_stream() -> None:
    scene = Scene(9, 320, 242)
    made = scene.square()
    assert made.shape == (24, 16)
    assert np.array_equal(np.unique(made[:16]), [220])
    ground = scene.ground()[242:].reshape(2, -1)
    assert np.array_equal(made[16:].reshape(2, -1)[:, 0], ground[:, 0])
    assert (ground == ground[:, :1]).all()


def test_a_picture_is_the_same_wherever_it_is_made() -> None:
    mark = Mark(9, 1234, 5678)
    assert np.array_equal(Scene(9, 320, 240).picture(mark), Scene(9, 320, 240).picture(mark))


def test_pictures_move_and_streams_differ() -> None:
    scene = Scene(9, 320, 240)
    one = scene.luma(Mark(9, 10, 0))
    middle = slice(40, 200)
    assert similarity(one[middle], scene.luma(Mark(9, 11, 0))[middle]) < 0.999
    assert similarity(one[middle], scene.luma(Mark(9, 40, 0))[middle]) < 0.8
    assert similarity(one[middle], Scene(10, 320, 240).luma(Mark(10, 10, 0))[middle]) < 0.8


@pytest.mark.parametrize("size", [(62, 48), (64, 46), (321, 240), (320, 241)])
def test_what_is_no_size_of_a_picture(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="64 by 48"):
        Scene(1, *size)


# --- similarity -----------------------------------------------------------------------------


def test_the_same_is_the_same() -> None:
    one = Scene(3, 320, 240).luma(Mark(3, 0, 0))
    assert similarity(one, one.copy()) == pytest.approx(1.0, abs=1e-5)


def test_similarity_falls_with_noise_and_blur() -> None:
    one = Scene(3, 320, 240).luma(Mark(3, 0, 0))
    dice = np.random.default_rng(1)

    def noisy(most: int) -> float:
        shift = dice.integers(-most, most + 1, one.shape)
        return similarity(one, np.clip(one + shift, 0, 255).astype(np.uint8))

    found = [noisy(most) for most in (2, 8, 32)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[2] < 0.5
    assert similarity(one, np.full_like(one, 128)) < 0.7


def test_similarity_is_that_of_the_paper() -> None:
    """Against the formula, computed window by window as Wang and others wrote it down."""
    dice = np.random.default_rng(2)
    one = dice.integers(0, 256, (14, 13), dtype=np.uint8)
    other = np.clip(one.astype(int) + dice.integers(-40, 41, one.shape), 0, 255).astype(np.uint8)
    at = np.arange(-5, 6)
    bell = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 1.5**2))
    bell /= bell.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for y in range(0, one.shape[0] - 10, 2):
        for x in range(0, one.shape[1] - 10, 2):
            a = one[y : y + 11, x : x + 11].astype(float)
            b = other[y : y + 11, x : x + 11].astype(float)
            ma, mb = (bell * a).sum(), (bell * b).sum()
            va, vb = (bell * (a - ma) ** 2).sum(), (bell * (b - mb) ** 2).sum()
            cov = (bell * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + c1) * (2 * cov + c2)
            values.append(top / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert similarity(one, other) == pytest.approx(np.mean(values), abs=2e-3)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        similarity(np.zeros((20, 20), np.uint8), np.zeros((20, 22), np.uint8))
    with pytest.raises(ValueError, match="at least 11"):
        similarity(np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8))


# --- options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (320, 241)}, "both numbers even"),
        ({"size": (32, 24)}, "64 by 48"),
        ({"rate": 0.5}, "pictures are sent a second"),
        ({"bit_rate": 1}, "bits a second"),
        ({"codec": "AV1"}, "VP8 or H264"),
        ({"patience": 0}, "120 seconds"),
    ],
)
def test_options_that_are_none(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**options)  # type: ignore[arg-type]


def test_what_is_offered() -> None:
    assert Options().kinds == ("audio", "video")
    assert Options(sound_only=True).kinds == ("audio",)
