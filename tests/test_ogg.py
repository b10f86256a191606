"""Sound as a browser records it: Opus in Ogg that comes in pieces of any size."""

from __future__ import annotations

import random
from io import BytesIO

import av
import numpy as np
import pytest
from av import AudioFrame

from ringback.bots.calltest.chirps import LENGTH, PERIOD, RATE, Chirps, Ear
from ringback.bots.calltest.ogg import OggOpus, Recorded

STREAM = 9


def recorded(seconds: float, channels: int = 1) -> bytes:
    """Marked sound as a file."""
    file = BytesIO()
    pcm = np.repeat(Chirps(STREAM).pcm(0, round(seconds * RATE)), channels)
    layout = "stereo" if channels == 2 else "mono"
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout=layout)
        stream.bit_rate = 128_000
        for at in range(0, len(pcm), 960 * channels):
            piece = pcm[at : at + 960 * channels].reshape(1, -1)
            frame = AudioFrame.from_ndarray(piece, format="s16", layout=layout)
            frame.sample_rate, frame.pts = RATE, at // channels
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def pieces(data: bytes, seed: int) -> list[bytes]:
    dice, found = random.Random(seed), []
    while data:
        size = dice.choice((1, 26, 27, 300, 5000))
        found.append(data[:size])
        data = data[size:]
    return found


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_marks_are_heard_where_they_were(seed: int, channels: int) -> None:
    ogg, ear = OggOpus(), Ear()
    heard = [h for p in pieces(recorded(3.0, channels), seed) for h in ear.hear(ogg.decode(p))]
    assert [h.number for h in heard] == list(range(6))
    for found in heard:
        assert found.stream == STREAM
        assert found.number is not None
        # Without what the encoder looks ahead.
        assert found.sample == pytest.approx(found.number * PERIOD * RATE, abs=5)


def test_all_of_it_comes_at_once_or_bit_by_bit() -> None:
    data = recorded(2.0)
    whole = OggOpus().decode(data)
    ogg = OggOpus()
    assert np.array_equal(np.concatenate([ogg.decode(p) for p in pieces(data, 7)]), whole)
    assert len(whole) == pytest.approx(2.0 * RATE, abs=960)
    assert len(ogg.decode(b"")) == 0


def test_another_file_may_follow() -> None:
    ogg, data = OggOpus(), recorded(1.0)
    first = ogg.decode(data)
    assert np.array_equal(ogg.decode(data), first)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"RIFF" + bytes(40), "no page of Ogg"),
        (recorded(0.1).replace(b"OpusHead", b"Vorbis!!"), "no Opus in Ogg"),
    ],
)
def test_what_is_something_else(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        OggOpus().decode(data)


def test_when_a_piece_was_there() -> None:
    """Pages that come late, by what the browser has to do, do not make their sound late."""
    dice, made = random.Random(5), Recorded()
    data, at, begun = recorded(4.0), 0, list[float]()
    samples = 0
    for number in range(1 + len(data) // 2000):
        piece = data[at : at + 2000]
        at += 2000
        # One in three is handed over at once, 10 ms after its last sample.
        probe = OggOpus()
        there = len(probe.decode(data[:at])) / RATE
        late = 0.0 if number % 3 == 0 else dice.uniform(0, 0.4)
        when, pcm = made.take(100 + there + 0.01 + late, piece)
        if len(pcm):
            begun.append(when - samples / RATE)
        samples += len(pcm)
    assert samples >= 3.9 * RATE > LENGTH
    settled = begun[3:]
    assert settled == [pytest.approx(100.01, abs=1e-6)] * len(settled)
