"""Speech between marks: that it disturbs none, and that its score falls with what is done to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from ringback.bots.calltest import speech
from ringback.bots.calltest.chirps import LENGTH, RATE, WORDS, Chirps, Ear
from ringback.bots.calltest.figures import figures
from ringback.bots.calltest.observed import Direction
from ringback.bots.calltest.options import CannotCheck, Options
from ringback.bots.calltest.reasons import Code
from ringback.bots.calltest.side import Side
from ringback.bots.calltest.speech import GUARD, MOST, PIECE, STEP, Comparison, Pcm, Spoken, clip
from ringback.bots.media.decoding import SoundDecoder
from ringback.bots.media.encoding import SoundEncoder
from ringback.bots.media.frames import Frame
from tests.observations import direction, observed, verdict

STREAM = 300
PACKET = 960


@cache
def sent(seconds: float = 4.0) -> Pcm:
    return Spoken(STREAM).pcm(0, round(seconds * RATE))


def score(pcm: Pcm, stream: int = STREAM, piece: int = PACKET) -> float | None:
    """What is said of sound that comes piece by piece."""
    ear, comparison = Ear(), Comparison(stream)
    for start in range(0, len(pcm), piece):
        part = pcm[start : start + piece]
        comparison.take(part, ear.hear(part))
    return comparison.score()


def sure(found: float | None) -> float:
    assert found is not None
    return found


def through_opus(pcm: Pcm, lost: Sequence[int] = ()) -> Pcm:
    """Coded, with these packets lost, and decoded."""
    encoder, decoder = SoundEncoder("opus"), SoundDecoder(RATE, 1)
    coded = encoder.encode(pcm.tobytes(), RATE, 1)
    frames = [
        Frame("audio", "opus", packet.data, packet.ticks, RATE, True, None, 0.02 * number, 0,
              number - 1 in lost)
        for number, packet in enumerate(coded) if number not in lost
    ]  # fmt: skip
    return np.concatenate([np.frombuffer(data, np.int16) for _, data in decoder.decode(frames)])


# --- what is sent ---------------------------------------------------------------------------


def test_any_part_of_it_is_the_same() -> None:
    whole = sent()
    maker = Spoken(STREAM)
    for start, count in ((0, 1), (LENGTH + GUARD - 3, 7), (STEP - 11, 2 * STEP), (30_001, 960)):
        assert np.array_equal(maker.pcm(start, count), whole[start : start + count])


def test_the_pieces_together_are_the_clip_again_and_again() -> None:
    pcm = Spoken(STREAM).pcm(0, (WORDS + 2) * STEP)
    begins = [number * STEP + LENGTH + GUARD for number in range(WORDS + 2)]
    pieces = [pcm[begin : begin + PIECE] for begin in begins]
    assert np.array_equal(np.stack(pieces[:WORDS]), clip())
    assert np.array_equal(np.stack(pieces[WORDS:]), clip()[:2])
    assert clip().shape == (32, PIECE)
    assert np.abs(clip()).max() <= 16384
    loud = np.square(clip().astype(float)).mean(axis=1)
    assert (10 * np.log10(loud[:8] / 32768**2) > -45).all(), "a voice speaks from the beginning"


def test_marks_are_heard_as_without_it() -> None:
    quiet = Ear().hear(Chirps(STREAM).pcm(0, 16 * RATE))
    heard = Ear().hear(Spoken(STREAM).pcm(0, 16 * RATE))
    assert len(heard) == len(quiet) >= 31
    for one, other in zip(heard, quiet, strict=True):
        assert (one.stream, one.number) == (other.stream, other.number)
        assert one.sample == pytest.approx(other.sample, abs=RATE / 1000)


def test_marks_are_heard_through_a_codec_as_without_it() -> None:
    heard = Ear().hear(through_opus(Spoken(STREAM).pcm(0, 16 * RATE)))
    assert [h.number for h in heard] == [n % WORDS for n in range(len(heard))]
    assert len(heard) >= 31


# --- what is said of it ---------------------------------------------------------------------


def test_what_came_unchanged_is_intelligible() -> None:
    assert score(sent()) == pytest.approx(1.0, abs=0.001)
    assert score(sent(), piece=4321) == pytest.approx(1.0, abs=0.001)


def test_the_marks_say_where_it_is() -> None:
    late = np.concatenate([np.zeros(12_345, np.int16), sent()])
    assert score(late) == pytest.approx(1.0, abs=0.001)
    # As a jitter buffer does it: a piece of sound is left out, another drawn out.
    at = 4 * STEP + LENGTH + GUARD + 5000
    shorter = np.concatenate([sent()[:at], sent()[at + 960 :]])
    assert sure(score(shorter)) > 0.9
    longer = np.concatenate([sent()[:at], sent()[at - 960 : at], sent()[at:]])
    assert sure(score(longer)) > 0.9


def test_a_codec_leaves_it_intelligible() -> None:
    assert sure(score(through_opus(sent()))) > 0.9


def test_the_louder_the_noise_the_less_is_understood() -> None:
    dice = np.random.default_rng(1)
    noise = dice.standard_normal(len(sent()))
    found = [
        sure(score(np.clip(sent() + level * noise, -32768, 32767).astype(np.int16)))
        for level in (30, 1000, 8000)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.75


def test_the_more_is_lost_the_less_is_understood() -> None:
    dice = np.random.default_rng(2)
    chance = dice.random(len(sent()) // PACKET)
    # Not those with marks in them: without marks nothing is said.
    speaks = [n for n in range(len(chance)) if n % (STEP // PACKET) >= 10]
    found = []
    for loss in (0.0, 0.2, 0.6):
        lost = [number for number in speaks if chance[number] < loss]
        found.append(sure(score(through_opus(sent(), lost))))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.75


def test_quieter_speech_is_speech_still() -> None:
    assert sure(score((sent() // 8).astype(np.int16))) > 0.99


def test_speech_of_nothing_but_noise_and_of_others_is_not_understood() -> None:
    marked = Chirps(STREAM).pcm(0, len(sent()))
    assert sure(score(marked)) < 0.5
    muddled = sent().copy()
    for number in range(8):
        begin = number * STEP + LENGTH + GUARD
        muddled[begin : begin + PIECE] = clip()[(number + 7) % WORDS]
    assert sure(score(muddled)) < 0.6


def test_a_mark_that_is_lost_alone_takes_no_speech_with_it() -> None:
    pcm = sent().copy()
    for number in (3, 4, 7):
        pcm[number * STEP : number * STEP + LENGTH] = 0
    assert score(pcm) == pytest.approx(1.0, abs=0.001)


def test_what_is_lost_with_its_mark_and_out_of_time_counts_as_silence() -> None:
    at = 3 * STEP
    # Nobody knows where in this the speech of two marks was.
    torn = np.concatenate([sent()[:at], np.zeros(STEP // 3, np.int16), sent()[at + 2 * STEP :]])
    assert sure(score(torn)) < 0.95 < sure(score(sent()))


def test_too_little_says_nothing() -> None:
    assert Comparison(STREAM).score() is None
    assert score(sent()[: 3 * STEP]) is None
    assert score(sent(), stream=STREAM + 1) is None, "somebody else speaks"


def test_it_keeps_a_minute_and_no_more() -> None:
    comparison = Comparison(STREAM)
    second = np.zeros(RATE, np.int16)
    for _ in range(round(2 * MOST)):
        comparison.take(second, [])
    assert comparison._samples == MOST * RATE


async def test_the_score_is_worked_out_in_a_worker() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert await speech.judge(None, pool) is None
        assert await speech.judge(Comparison(STREAM), pool) is None
        full = Comparison(STREAM)
        full.take(sent(), Ear().hear(sent()))
        assert await speech.judge(full, pool) == pytest.approx(1.0, abs=0.001)


# --- where it is missing --------------------------------------------------------------------


async def test_without_pystoi_nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pystoi", None)
    side = Side("http://127.0.0.1:1", "ann", options=Options(speech=True))
    with pytest.raises(CannotCheck, match=r"pystoi: pip install 'ringback\[speech\]'") as raised:
        async with asyncio.timeout(30), side:
            pass
    assert raised.value.code == "extra_missing"


# --- the verdict ----------------------------------------------------------------------------


def spoken(found: float | None) -> Direction:
    made = direction()
    made.spoken, made.speech = True, found
    return made


def test_the_figure_is_what_was_found() -> None:
    way = spoken(0.93)
    assert figures(way, observed(way)).speech == 0.93
    assert verdict(observed(way)).state == "passed"


def test_garbled_speech_fails_a_call() -> None:
    (reason,) = verdict(observed(spoken(0.7))).reasons
    assert reason.code is Code.GARBLED_SPEECH
    assert reason.sentence == "Speech is hard to understand: its intelligibility is 0.700 of 1."
    shaped = observed(spoken(0.7))
    shaped.network = "lossy"
    assert verdict(shaped).state == "passed", "of a bad network less is asked"


def test_ones_own_threshold_takes_its_place() -> None:
    (reason,) = verdict(observed(spoken(0.93)), "speech < 0.95").reasons
    assert reason.code is Code.THRESHOLD
    assert verdict(observed(spoken(0.7)), "speech < 0.6").state == "passed"


def test_speech_that_nobody_could_judge_is_no_proof() -> None:
    (reason,) = verdict(observed(spoken(None))).reasons
    assert reason.code is Code.TOO_FEW
    assert verdict(observed()).state == "passed", "where nobody asked for it"
