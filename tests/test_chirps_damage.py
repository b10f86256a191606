"""Marks in sound after real codecs, loss, noise and other sounds: timed well, or not believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import pytest
from av import AudioCodecContext, AudioFrame
from numpy.typing import NDArray

from ringback.bots.calltest.chirps import LENGTH, RATE, Chirps, Ear, Heard

Pcm = NDArray[np.int16]
Wave = NDArray[np.float64]
Dice = np.random.Generator
PACKET = 960
STEP = 24_000
LOOKAHEAD = 312
"""Samples by which libopus delays what it codes."""


def heard(sound: Pcm) -> list[Heard]:
    ear = Ear()
    return [one for at in range(0, len(sound), PACKET) for one in ear.hear(sound[at : at + PACKET])]


def clipped(wave: NDArray[np.floating[Any]]) -> Pcm:
    pcm: Pcm = np.clip(np.rint(wave), -32768, 32767).astype(np.int16)
    return pcm


def through_opus(sound: Pcm, bit_rate: int, lost: frozenset[int] = frozenset()) -> Pcm:
    """What a receiver hears: libopus there and back; a lost packet is silence."""
    encoder, decoder = (av.CodecContext.create("libopus", mode) for mode in ("w", "r"))
    assert isinstance(encoder, AudioCodecContext)
    assert isinstance(decoder, AudioCodecContext)
    for context in (encoder, decoder):
        context.sample_rate, context.layout = RATE, "mono"
    encoder.format, encoder.bit_rate = av.AudioFormat("s16"), bit_rate
    pieces = []
    for number in range(len(sound) // PACKET):
        frame = AudioFrame("s16", "mono", PACKET)
        frame.planes[0].update(sound[number * PACKET : (number + 1) * PACKET].tobytes())
        frame.sample_rate, frame.pts = RATE, number * PACKET
        for packet in encoder.encode(frame):
            if number in lost:
                pieces.append(np.zeros(PACKET, np.int16))
                continue
            for made in decoder.decode(av.Packet(bytes(packet))):
                pieces += [np.frombuffer(bytes(made.planes[0]), np.int16)[: made.samples]]
    return np.concatenate(pieces)


def truly(found: list[Heard], stream: int, delay: float = 0.0) -> list[Heard]:
    """Those with an identity, after a look that each is the one of its place."""
    named = [one for one in found if one.stream is not None]
    for one in named:
        number = round((one.sample - delay) / STEP)
        assert (one.stream, one.number) == (stream % 32, number % 32), one
    return named


@pytest.mark.parametrize("bit_rate", [16_000, 24_000, 32_000, 64_000])
def test_opus_leaves_every_mark_in_its_place(bit_rate: int) -> None:
    stream = 0x6B5
    found = truly(heard(through_opus(Chirps(stream).pcm(0, 10 * RATE), bit_rate)), stream)
    assert len(found) == 20
    for number, one in enumerate(found):
        assert abs(one.sample - number * STEP - LOOKAHEAD) < RATE / 10_000
        assert -18 < one.level < -14


def test_words_survive_opus() -> None:
    for stream in range(1, 32, 5):
        chirps = Chirps(stream)
        # Words of all numbers, each stream's at other moments.
        sound = through_opus(chirps.pcm(stream * 3 * STEP, 8 * RATE), 24_000)
        found = heard(sound)
        words = [(one.stream, one.number) for one in found]
        assert words == [(stream, (3 * stream + n) % 32) for n in range(16)]


@pytest.mark.parametrize("bit_rate", [24_000, 32_000])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_lost_packets_make_no_other_marks(bit_rate: int, share: float) -> None:
    stream, seconds = 0x011, 30
    dice = np.random.default_rng(int(share * 100))
    lost = frozenset(np.flatnonzero(dice.random(seconds * 50) < share).tolist())
    found = heard(through_opus(Chirps(stream).pcm(0, seconds * RATE), bit_rate, lost))
    named = truly(found, stream, LOOKAHEAD)
    assert len({one.number for one in named}) > 5
    # A word needs its packets; the rest must be there.
    whole = [
        number for number in range(2 * seconds)
        if not lost & set(range(number * 25, number * 25 + LENGTH // PACKET + 2))
    ]  # fmt: skip
    places = {round((one.sample - LOOKAHEAD) / STEP) for one in named}
    assert set(whole) <= places
    for one in named:
        number = round((one.sample - LOOKAHEAD) / STEP)
        assert abs(one.sample - number * STEP - LOOKAHEAD) < RATE / 1000


# --- noise and other sounds ------------------------------------------------------------------


def white(dice: Dice, count: int) -> Wave:
    return dice.standard_normal(count) * 10 ** dice.uniform(1, 4)


def music(dice: Dice, count: int) -> Wave:
    """Chords with overtones, each for a quarter of a second or so."""
    wave = np.zeros(count)
    at = 0
    while at < count:
        long = int(dice.integers(4000, 20_000))
        seconds = np.arange(min(long, count - at)) / RATE
        for pitch in 110 * 2 ** (dice.integers(0, 36, 4) / 12):
            for tone in range(1, 9):
                wave[at : at + long] += np.sin(2 * np.pi * pitch * tone * seconds) / tone
        wave[at : at + long] *= np.exp(-4 * seconds) * dice.uniform(200, 3000)
        at += long
    return wave


def voice(dice: Dice, count: int) -> Wave:
    """Syllables: a pitch that glides, overtones shaped by formants that glide, and hisses."""
    wave = np.zeros(count)
    at = 0
    while at < count:
        long = min(int(dice.integers(3000, 15_000)), count - at)
        turn = np.linspace(0, 1, long)
        if dice.random() < 0.25:
            wave[at : at + long] = 800 * dice.standard_normal(long)
        else:
            pitch = dice.uniform(80, 300) * (1 + dice.uniform(-0.4, 0.4) * turn)
            phase = 2 * np.pi * np.cumsum(pitch) / RATE
            formants = [dice.uniform(300, 3500) * (1 + dice.uniform(-0.5, 1) * turn)
                        for _ in range(3)]  # fmt: skip
            for tone in range(1, 40):
                gain = sum(1 / (1 + ((tone * pitch - formant) / 120) ** 2) for formant in formants)
                wave[at : at + long] += gain * np.sin(tone * phase)
            wave[at : at + long] *= 3000 * np.sin(np.pi * turn)
        at += long + int(dice.integers(0, 4000))
    return wave


def sweeps(dice: Dice, count: int) -> Wave:
    """Chirps that are not ours: up, down, faster, slower, elsewhere, and keys of a telephone."""
    wave = np.zeros(count)
    at = 0
    while at + 12_000 < count:
        long = int(dice.integers(1000, 9000))
        seconds = np.arange(long) / RATE
        begin, end = dice.uniform(100, 5000, 2)
        rise = (end - begin) / seconds[-1]
        wave[at : at + long] = 6000 * np.sin(2 * np.pi * (begin + rise * seconds / 2) * seconds)
        at += long
        keys = dice.uniform(600, 3400, 2)
        for pitch in keys:
            wave[at : at + 2880] += 4000 * np.sin(2 * np.pi * pitch * np.arange(2880) / RATE)
        at += 2880
    return wave


Sound = Callable[[Dice, int], Wave]
SOUNDS: tuple[Sound, ...] = (white, music, voice, sweeps)


@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: str(sound.__name__))
def test_other_sounds_are_no_marks(sound: Sound) -> None:
    dice = np.random.default_rng(2)
    for _ in range(6):
        assert [
            one for one in heard(clipped(sound(dice, 10 * RATE))) if one.stream is not None
        ] == []


@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: str(sound.__name__))
def test_marks_among_other_sounds_are_theirs_or_nobodys(sound: Sound) -> None:
    dice = np.random.default_rng(5)
    named = 0
    for _ in range(6):
        stream = int(dice.integers(0, 4096))
        wave = Chirps(stream).pcm(0, 10 * RATE) + dice.uniform(0, 4) * sound(dice, 10 * RATE)
        found = heard(clipped(wave))
        named += len(truly(found, stream))
    assert named > 10


@pytest.mark.parametrize("decibels", [-50, -40, -20, 0, 6, 12, 30])
def test_softer_and_louder_up_to_clipping(decibels: int) -> None:
    gain = 10 ** (decibels / 20)
    found = truly(heard(clipped(Chirps(7).pcm(0, 5 * RATE) * gain)), 7)
    assert len(found) == 10
    if decibels <= 0:
        assert all(abs(one.level + 15.5 - decibels) < 0.5 for one in found)


def test_two_streams_at_once_are_never_a_third() -> None:
    dice = np.random.default_rng(11)
    either = 0
    for _ in range(50):
        first, second = (int(dice.integers(0, 4096)) for _ in range(2))
        one, two = Chirps(first), Chirps(second)
        start, count = STEP * int(dice.integers(0, 32)), 2 * RATE
        late = int(dice.integers(-600, 600)) + STEP * int(dice.integers(0, 3))
        tilted = two.pcm(start + 2 * STEP + late, count) * 10 ** dice.uniform(-1, 1)
        for mark in heard(clipped(one.pcm(start, count) + tilted)):
            if mark.stream is None:
                continue
            at = mark.sample + start
            mine = (first % 32, round(at / STEP) % 32)
            theirs = (second % 32, round((at + 2 * STEP + late) / STEP) % 32)
            assert (mark.stream, mark.number) in (mine, theirs)
            either += 1
    assert either > 40


def test_concealment_may_stretch_and_cut() -> None:
    """Pieces of up to 20 ms said twice, left out or faded, anywhere, as a jitter buffer does."""
    dice = np.random.default_rng(13)
    named = 0
    for _ in range(20):
        stream = int(dice.integers(0, 4096))
        sound = Chirps(stream).pcm(0, 4 * RATE).astype(np.float64)
        shift = 0
        for at in sorted(dice.integers(0, 4 * RATE, 12).tolist()):
            long = int(dice.integers(100, PACKET))
            place = at + shift
            match int(dice.integers(0, 3)):
                case 0:
                    sound = np.insert(sound, place, sound[place : place + long])
                    shift += long
                case 1:
                    sound = np.delete(sound, slice(place, place + long))
                    shift -= long
                case _:
                    sound[place : place + long] *= np.linspace(
                        1, 0, len(sound[place : place + long])
                    )
        for mark in heard(clipped(sound)):
            if mark.stream is None:
                continue
            assert mark.stream == stream % 32
            # Nothing is moved by more than all the pieces together.
            assert mark.number in {
                number % 32
                for number in range(10)
                if abs(mark.sample - number * STEP) < 12 * PACKET
            }
            named += 1
    assert named > 40


@pytest.mark.parametrize("faster", [0.97, 0.99, 0.998, 1.002, 1.01, 1.03])
def test_another_clock_stretches_all(faster: float) -> None:
    """A sound card that is fast or slow, up to what no card is."""
    sound = Chirps(21).pcm(0, 10 * RATE)
    places = np.arange(0, len(sound) - 1, faster)
    found = heard(clipped(np.interp(places, np.arange(len(sound)), sound)))
    named = [one for one in found if one.stream is not None]
    for one in named:
        assert (one.stream, one.number) == (21, round(one.sample * faster / STEP) % 32)
    if abs(faster - 1) < 0.005:
        assert len(named) >= 19


def test_the_ear_keeps_little() -> None:
    ear = Ear()
    sound = Chirps(3).pcm(0, RATE)
    for _ in range(30):
        ear.hear(sound)
        assert len(ear._kept) < RATE // 2


def test_a_mark_is_told_soon_after_its_end() -> None:
    ear, told = Ear(), list[float]()
    sound = Chirps(3).pcm(0, 5 * RATE)
    for end in range(PACKET, len(sound) + 1, PACKET):
        told += [
            (end - LENGTH - mark.sample) / RATE for mark in ear.hear(sound[end - PACKET : end])
        ]
    assert len(told) == 10
    assert max(told) <= 0.045 + 0.02
    assert math.isclose(min(told), max(told), abs_tol=0.05)
