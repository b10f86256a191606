"""Marks in sound: a chirp to tell the time by, and a word that says whose it is. Pure; needs numpy.

48,000 samples of 16 bits a second, one channel. Mark number k begins at sample k x 24,000 and is
three parts of 60 ms: a chirp that rises from 600 to 3,400 Hz; two tones at once; and its inverse,
the same two tones mirrored about the middle of the band. Between marks there is noise at about
-65 dBFS, so that silence and a dead line differ.

The band has 64 tones. The lower half of a symbol's tones says the stream (modulo 32), the upper
half the number (modulo 32, 16 s): tone `stream` and tone `32 + number`, then their mirrors
`63 - stream` and `31 - number`. So each is told once low and once high: neither what favours a
part of the band, nor two marks that sound at once, can make a third one of them.

Locked to pictures: mark k is the moment k x `PERIOD` of the sender's clock from where picture 0
was taken. `beside` says which picture that is.

The twin that makes them in a browser is `static/js/chirps.js`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
PERIOD = 0.5
PART = 2880
"""Samples (60 ms) of the chirp and of each symbol."""
LENGTH = 3 * PART
LOW, HIGH = 600.0, 3400.0
WORDS = 32
"""How many streams, and how many numbers, a word can tell apart."""
LEVEL = 8192
"""The amplitude of the chirp, and of two tones together: a quarter of full scale."""

EDGE = 240
"""Samples (5 ms) in which each part swells and fades."""
_STEP = round(PERIOD * RATE)
_TONES = LOW + (HIGH - LOW) * (np.arange(2 * WORDS) + 0.5) / (2 * WORDS)
_BAND = LOW - 100, HIGH + 100

# A window is a part before the places where a mark may begin, these, and a mark's length. Chirps
# are looked for in the front of it: a part on from the places, and one to compare.
_HOP = 1920
_WINDOW = PART + _HOP + LENGTH + 60
_FRONT = 10_800
_DOWN = 6
_SLOW = PART // _DOWN
ALIKE = 0.45
"""How much of a piece of sound (0 to 1, in amplitude) must be the chirp to be one."""
CLEAR = 2.0
"""How much stronger (amplitude) a tone must be than any other of its half."""
PURE = 0.6
"""How much (of the power in the band) must be the two tones of a symbol."""


class Heard(NamedTuple):
    """A mark in sound. `sample`: where its chirp began, counted from the first sample that the
    ear was given. `stream` and `number`: what its word says, modulo `WORDS`, None where the word
    is not beyond doubt. `level`: of the chirp, in dB below full scale (of a square wave)."""

    sample: float
    stream: int | None
    number: int | None
    level: float


def beside(number: int, rate: float) -> int | None:
    """The picture that is taken when sound mark `number` begins, `rate` pictures a second; None
    when the mark begins between two."""
    picture = number * PERIOD * rate
    return round(picture) if abs(picture - round(picture)) < 1e-9 else None


class Chirps:
    """The marked sound of one stream. Raises `ValueError` for a stream that is not 12 bits."""

    def __init__(self, stream: int) -> None:
        if not 0 <= stream < 1 << 12:
            raise ValueError("A stream is a number of 12 bits.")
        self._stream = stream % WORDS

    def pcm(self, start: int, count: int) -> NDArray[np.int16]:
        """`count` samples from sample `start` of the stream on; any part, in any order."""
        if start < 0 or count < 0:
            raise ValueError("Sound has no samples before its first.")
        noise = _comfort()
        made = noise[(start + np.arange(count)) % len(noise)].copy()
        for number in range(max(0, (start - LENGTH) // _STEP), (start + count) // _STEP + 1):
            begin = number * _STEP - start
            first, last = max(0, begin), min(count, begin + LENGTH)
            if first < last:
                made[first:last] = _wave(self._stream, number % WORDS)[first - begin : last - begin]
        return made


class Ear:
    """Finds marks in sound that comes piece by piece. Keeps less than half a second of it."""

    def __init__(self) -> None:
        # As if a part of silence came before, so that a mark may begin with the first sample.
        self._kept = np.zeros(PART, np.float32)
        self._begin = -PART
        self._last = -math.inf

    def hear(self, samples: NDArray[np.int16]) -> list[Heard]:
        """Take more sound; the marks that are complete now, in order. A mark is told at most
        45 ms after its end."""
        self._kept = np.concatenate([self._kept, samples.astype(np.float32)])
        found: list[Heard] = []
        while len(self._kept) >= _WINDOW:
            found += self._look(self._kept[:_WINDOW])
            self._kept = self._kept[_HOP:]
            self._begin += _HOP
        return found

    def _look(self, window: NDArray[np.float32]) -> list[Heard]:
        """The marks that begin in the hop that comes a part after the window's first sample."""
        alike, level = _compare(window[:_FRONT])
        # A few more to both sides, as a peak may lie a little otherwise in the next window.
        first, last = _SLOW - 2, _SLOW + _HOP // _DOWN + 2
        peak = first + int(alike[first:last].argmax())
        around = alike[max(0, peak - _SLOW) : peak + _SLOW + 1]
        if alike[peak] < ALIKE or alike[peak] < around.max():
            return []
        place = (peak + _between(alike[peak - 1 : peak + 2])) * _DOWN
        if self._begin + place < self._last + PART:
            return []
        self._last = self._begin + place
        begin = round(place)
        stream, number = _word(window[begin + PART : begin + LENGTH])
        loud = 20 * math.log10(max(level[peak], 1e-3) / 32768)
        return [Heard(self._last, stream, number, loud)]


def _compare(window: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How like the chirp the sound is (0 to 1) from each sixth sample on, and how loud a chirp
    that is (RMS). A matched filter: the spectra are cut to the band, multiplied, and brought back
    at a sixth of the rate."""
    template, energy, loudness = _template()
    spectrum = _in_band(window)
    band = np.fft.ifft(spectrum)
    match = np.abs(np.fft.ifft(spectrum * template))[:-_SLOW]
    power = np.concatenate([[0.0], np.cumsum(np.abs(band) ** 2, dtype=np.float64)])
    there = power[_SLOW:] - power[:-_SLOW]
    # What is weaker than half a step of a sample is rounding.
    alike = match / np.sqrt(np.maximum(there[:-1], _SLOW) * energy)
    return alike, match * loudness / energy


def _in_band(window: NDArray[np.float32]) -> NDArray[np.complex128]:
    """The spectrum of a window up to a sixth of the rate, nothing of it outside of the band."""
    spectrum = np.fft.rfft(window)[: _FRONT // _DOWN]
    low, high = (round(edge * _FRONT / RATE) for edge in _BAND)
    spectrum[:low] = 0
    spectrum[high:] = 0
    return spectrum


def _between(three: NDArray[np.float64]) -> float:
    """Where between three values, the middle one the highest, the top of a parabola through
    them lies: from -0.5 to 0.5."""
    before, top, after = three.tolist()
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def _word(sound: NDArray[np.float32]) -> tuple[int, int] | tuple[None, None]:
    """Stream and number as both symbols say them, or nothing."""
    said, inverse = _symbol(sound[:PART]), _symbol(sound[PART:])
    if said is None or inverse is None:
        return None, None
    stream, number = said
    if inverse != (WORDS - 1 - number, WORDS - 1 - stream):
        return None, None
    return stream, number


def _symbol(sound: NDArray[np.float32]) -> tuple[int, int] | None:
    """The tone of the lower and of the upper half, if they are clear and pure."""
    shape, waves = _tones()
    shaped = sound * shape
    power = np.square(waves @ shaped).reshape(2, -1).sum(axis=0)
    spectrum = np.abs(np.fft.rfft(shaped)) ** 2
    low, high = (round(edge * PART / RATE) for edge in _BAND)
    # Parseval: energy in the band, and of a sine that gives this power.
    whole = 2 * float(spectrum[low:high].sum()) / PART
    tones, energy = [], 0.0
    for half in power.reshape(2, WORDS):
        best = int(half.argmax())
        others = np.delete(half, best).max()
        if half[best] < CLEAR**2 * others:
            return None
        tones.append(best)
        energy += 2 * float(half[best]) * float((shape**2).sum() / shape.sum() ** 2)
    return (tones[0], tones[1]) if energy > PURE * whole > 0 else None


@lru_cache(maxsize=1)
def _chirp() -> NDArray[np.float64]:
    seconds = np.arange(PART) / RATE
    rise = (HIGH - LOW) * RATE / PART
    return LEVEL * _swell() * np.sin(2 * np.pi * (LOW + rise * seconds / 2) * seconds)


@lru_cache(maxsize=1)
def _swell() -> NDArray[np.float64]:
    """From silence to full and back, by halves of a cosine."""
    near = np.minimum(np.arange(PART) + 0.5, PART - np.arange(PART) - 0.5)
    swell: NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * np.minimum(near / EDGE, 1))
    return swell


@lru_cache(maxsize=1024)
def _wave(stream: int, number: int) -> NDArray[np.int16]:
    """A whole mark."""
    turns = 2 * np.pi * np.arange(PART) / RATE
    parts = [_chirp()]
    for tones in ((stream, WORDS + number), (WORDS - 1 - number, 2 * WORDS - 1 - stream)):
        both = sum(np.sin(turns * _TONES[tone]) for tone in tones)
        parts.append(LEVEL / 2 * _swell() * both)
    return np.rint(np.concatenate(parts)).astype(np.int16)


@lru_cache(maxsize=1)
def _comfort() -> NDArray[np.int16]:
    """A second of noise, the same everywhere: a linear congruential generator's."""
    state, values = 1, []
    for _ in range(RATE):
        state = (state * 1664525 + 1013904223) % (1 << 32)
        values.append((state >> 16) % 65 - 32)
    return np.array(values, np.int16)


@lru_cache(maxsize=1)
def _template() -> tuple[NDArray[np.complex128], float, float]:
    """The chirp's spectrum, conjugated; its energy in a window; its RMS."""
    chirp = np.zeros(_FRONT, np.float32)
    chirp[:PART] = _chirp()
    spectrum = _in_band(chirp)
    energy = float((np.abs(np.fft.ifft(spectrum)) ** 2).sum())
    return spectrum.conj(), energy, float(np.sqrt((_chirp() ** 2).mean()))


@lru_cache(maxsize=1)
def _tones() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The shape that a symbol is looked at through; the cosines and then the sines of all tones
    (tones, samples)."""
    shape = np.hanning(PART + 2)[1:-1]
    turns = 2 * np.pi * np.outer(_TONES, np.arange(PART) / RATE)
    waves = np.concatenate([np.cos(turns), np.sin(turns)])
    return shape.astype(np.float32), waves.astype(np.float32)
