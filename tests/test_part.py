"""One participant's file: what is written of what arrives, in virtual time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import av
import pytest

from ringback.bots.media import part as module
from ringback.bots.media.frames import Frame
from ringback.bots.media.part import Item, PartFile, Told, Took
from ringback.bots.media.sidecar import Participant
from ringback.bots.media.timeline import TimeLine
from tests.coded import coded_pictures, coded_sounds
from tests.marked import RATE, SIZE, begins, play

VIDEO, AUDIO = (1, "0"), (1, "1")


class Part:
    """A file and somebody who sends to it; our clock begins at 1000 s."""

    def __init__(self, folder: Path, line: TimeLine | None = None, number: int = 1) -> None:
        self.about = Participant("ann")
        self.line = line or TimeLine(1000.0)
        self.file = PartFile(folder, number, self.about, self.line)
        self.pictures = coded_pictures("VP8", count=60, keys=(0, 30))
        self.sounds = coded_sounds(4)

    def picture(
        self, number: int, arrived: float, *, gap: bool = False, dropped: bool = False
    ) -> Took:
        frame = Frame(
            "video", "VP8", self.pictures[number], 2**32 + number * 6000, 90_000,
            number in (0, 30), SIZE if number in (0, 30) else None, arrived, 0, gap,
        )  # fmt: skip
        return Took(VIDEO, frame, dropped)

    def sound(self, number: int, arrived: float) -> Took:
        frame = Frame(
            "audio", "opus", self.sounds[number], 7 + number * 960, 48_000, True, None, arrived, 0,
            False,
        )  # fmt: skip
        return Took(AUDIO, frame)

    def finish(self, now: float = 2000.0) -> Path:
        self.file.take([], now, last=True)
        self.file.finish()
        assert self.file.path is not None
        return self.file.path


def reports(arrived: float, ntp: float = 3.9e9) -> list[Told]:
    """Picture 0 and sound 0 were made at the same moment of the sender's clock."""
    return [
        Told(VIDEO, 0, 2**32, ntp, arrived, 90_000),
        Told(AUDIO, 0, 7, ntp, arrived, 48_000),
    ]


def test_frames_wait_until_the_sender_has_said_what_their_ticks_mean(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.file.take([part.picture(0, 1000.0), part.sound(0, 1000.2)], 1000.9)
    assert part.file.bytes == 0
    part.file.take(reports(1000.95), 1001.0)
    assert part.file.bytes > 0
    assert part.finish().name == part.about.file == "1.webm"


def test_it_is_settled_when_every_sender_has_said_so(tmp_path: Path) -> None:
    part = Part(tmp_path)
    first, second = reports(1000.2)
    items: list[list[Item]] = [
        [],
        [part.picture(0, 1000.0)],
        [first],
        [part.sound(0, 1000.4)],
        [second],
    ]
    settled = []
    for number, some in enumerate(items):
        part.file.take(some, 1000.1 + number / 10)
        settled.append(part.file.settled)
    assert settled == [True, False, True, False, True]
    part.finish()


def test_a_late_beginning_moves_nothing_up(tmp_path: Path) -> None:
    """The first packets of a connection take longer than those that follow."""
    part = Part(tmp_path)
    came = [part.sound(n, 1000.3 + max(0.0, n / 50 - 0.3)) for n in range(100)]
    part.file.take(came, 1002.5)
    part.finish()
    assert part.about.duration_ms == 99 * 20


def test_frames_wait_no_longer_than_that(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.file.take([part.picture(0, 1000.0)], 1000.0 + module.HOLD_UNKNOWN - 0.01)
    assert part.file.bytes == 0
    part.file.take([], 1000.0 + module.HOLD_UNKNOWN + 0.01)
    assert part.file.bytes > 0
    part.finish()


def test_pictures_and_sounds_made_together_lie_together(tmp_path: Path) -> None:
    """The pictures took half a second longer to come."""
    part = Part(tmp_path)
    items = [part.picture(n, 1000.55 + n / 15) for n in range(45)]
    items += [part.sound(n, 1000.05 + n / 50) for n in range(150)]
    items.sort(key=lambda took: took.frame.arrived)
    part.file.take([*reports(1000.05), *items], 1010.0)
    path = part.finish()
    with av.open(str(path)) as container:
        firsts = [next(iter(container.demux(s))).pts for s in container.streams]
        # One demuxer gives the streams in turn: the first packets of both lie at the beginning.
        assert firsts[0] == 0
    found = play(path)
    assert found.numbers == list(range(45))
    assert found.times[0] == 0
    assert found.seconds == pytest.approx(3.0, abs=0.02)


def test_the_file_tells_where_it_lies_and_what_is_in_it(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.file.take([*reports(1003.0), *(part.picture(n, 1003.0 + n / 15) for n in range(45))], 1010)
    path = part.finish()
    about = part.about
    assert about.offset_ms == pytest.approx(3000, abs=2)
    assert about.duration_ms == pytest.approx(44_000 / 15, abs=2)
    assert about.bytes == path.stat().st_size
    assert about.video is not None
    assert (about.video.codec, about.video.frames) == ("VP8", 45)
    assert (about.video.width, about.video.height) == SIZE
    assert about.audio is None
    assert about.gaps == []
    [point] = about.clock
    assert point.ntp == 3.9e9


@pytest.mark.parametrize("why", ["lost", "dropped"])
def test_gaps_are_noted(tmp_path: Path, why: Literal["lost", "dropped"]) -> None:
    part = Part(tmp_path)
    items = [part.picture(n, 1000 + n / 15) for n in range(15)]
    lost, dropped = why == "lost", why == "dropped"
    items += [part.picture(30, 1002.0, gap=lost, dropped=dropped), part.picture(31, 1002.07)]
    part.file.take([*reports(1000.0), *items], 1010.0)
    path = part.finish()
    [gap] = part.about.gaps
    assert (gap.kind, gap.why) == ("video", why)
    assert gap.at_ms == pytest.approx(14_000 / 15, abs=2)
    assert gap.ms == pytest.approx(2000 - 14_000 / 15, abs=2)
    assert play(path).numbers == [*range(15), 30, 31]


def test_of_very_many_gaps_the_later_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_GAPS", 3)
    part = Part(tmp_path)
    part.file.take(
        [*reports(1000.0), *(part.picture(n, 1000 + n / 15, gap=True) for n in range(10))], 1010.0
    )
    part.finish()
    assert len(part.about.gaps) == 3
    assert part.about.gaps_more == 6


def test_what_was_made_in_a_pause_is_not_kept(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.line.pause(1001.0)
    part.line.resume(1002.0)
    part.file.take([*reports(1000.0), *(part.picture(n, 1000 + n / 15) for n in range(45))], 1010.0)
    path = part.finish()
    found = play(path)
    assert found.numbers[:15] == list(range(15))
    assert part.about.duration_ms == pytest.approx(1000 + 14_000 / 15, abs=70)


def test_without_its_keyframe_no_picture_is_kept(tmp_path: Path) -> None:
    """A keyframe made in the pause that arrives after it is not kept, nor what leans on it."""
    part = Part(tmp_path)
    part.file.take([*reports(1000.0), *(part.picture(n, 1000 + n / 15) for n in range(10))], 1001.5)
    assert part.file.waiting == set()
    part.line.pause(1001.0)
    part.line.resume(1002.01)
    # Made at 1002, a moment before the end of the pause.
    part.file.take([part.picture(n, 1002.02 + (n - 30) / 15) for n in range(30, 40)], 1004.0)
    assert part.file.waiting == {VIDEO}
    again = part.picture(0, 1004.0)
    keyframe = again.frame._replace(timestamp=2**32 + 60 * 6000)
    part.file.take([Took(VIDEO, keyframe)], 1006.0)
    assert part.file.waiting == set()
    with av.open(str(part.finish())) as container:
        assert len(list(container.decode(video=0))) == 11
    assert part.about.video is not None
    assert part.about.video.frames == 11


def test_pictures_begin_with_a_keyframe(tmp_path: Path) -> None:
    part = Part(tmp_path)
    pictures = [part.picture(n, 1000 + n / 15) for n in range(25, 40)]
    part.file.take([*reports(1000.0 - 25 / 15), *pictures], 1004.0)
    with av.open(str(part.finish())) as container:
        assert len(list(container.decode(video=0))) == 10


def test_clusters_are_short_and_keyframes_open_them(tmp_path: Path) -> None:
    part = Part(tmp_path)
    part.file.take([*reports(1000.0), *(part.picture(n, 1000 + n / 15) for n in range(60))], 1010.0)
    path = part.finish()
    with av.open(str(path)) as container:
        container.seek(2_500_000)
        first = next(container.decode(container.streams.video[0]))
        assert first.time == pytest.approx(2.0, abs=0.01)


def test_times_in_a_file_only_grow(tmp_path: Path) -> None:
    """Reports that come late, and put what follows earlier, turn nothing round."""
    part = Part(tmp_path)
    early = [part.picture(n, 1000.8 + n / 15) for n in range(20)]
    part.file.take(early, 1010.0)
    part.file.take(
        [*reports(1000.0), *(part.picture(n, 1000.8 + n / 15) for n in range(20, 60))], 1020
    )
    times = play(part.finish()).times
    assert all(a < b for a, b in zip(times, times[1:], strict=False))
    assert len(times) == 60


def test_a_first_report_that_was_late_moves_the_whole_file(tmp_path: Path) -> None:
    """The machine was busy and the report waited; frames of it are in the file when the next
    one says so. In the file nothing is seen of that."""
    part, late = Part(tmp_path), 0.178
    on_time = reports(1000.0)
    part.file.take([t._replace(arrived=t.arrived + late) for t in on_time], 1000.2)
    part.file.take([part.picture(n, 1000.25 + n / 15) for n in range(12)], 1001.6)
    assert part.about.offset_ms == pytest.approx(178, abs=1)
    second = Told(VIDEO, 0, 2**32 + 90_000, 3.9e9 + 1, 1001.002, 90_000)
    part.file.take([second, *(part.picture(n, 1000.25 + n / 15) for n in range(12, 30))], 1010.0)
    times = play(part.finish()).times
    assert part.about.offset_ms == pytest.approx(2, abs=1)
    assert times == pytest.approx([n / 15 for n in range(30)], abs=0.002)


def test_a_later_leg_leaves_what_was_recorded_before_in_its_place(tmp_path: Path) -> None:
    """Their page was loaded anew: its first report was late, not those of the one before."""
    part = Part(tmp_path)
    part.file.take(
        [*reports(1000.0), *(part.picture(n, 1000.05 + n / 15) for n in range(15))], 1003
    )
    leg = (2, "0")
    items: list[Item] = [Told(leg, 0, 2**32, 5e9, 1010.1, 90_000)]
    items += [part.picture(n, 1010.2 + n / 15)._replace(key=leg) for n in range(15)]
    part.file.take(items, 1012.0)
    items = [Told(leg, 0, 2**32 + 90_000, 5e9 + 1, 1011.0, 90_000)]
    items += [part.picture(n, 1010.2 + n / 15)._replace(key=leg) for n in range(30, 45)]
    part.file.take(items, 1020.0)
    times = play(part.finish()).times
    assert part.about.offset_ms == pytest.approx(0, abs=1)
    assert times[:15] == pytest.approx([n / 15 for n in range(15)], abs=0.002)
    assert times[-1] == pytest.approx(10 + 44 / 15, abs=0.002)


def came(item: Item) -> float:
    return item.arrived if isinstance(item, Told) else item.frame.arrived


@pytest.mark.parametrize("hours", [0, 1])
def test_pictures_and_sounds_are_together_after_an_hour_too(tmp_path: Path, hours: int) -> None:
    """Two people send the same at once; their clocks and sound cards drift by 100 ppm, apart."""
    line, dice = TimeLine(1000.0), random.Random(1)
    pictures, sounds = coded_pictures("VP8", 6 * RATE), coded_sounds(6)
    began = 3590.0 * hours
    found = []
    for number, drift in ((1, 100e-6), (2, -100e-6)):
        part = Part(tmp_path, line, number)

        def ntp(true: float, number: int = number, drift: float = drift) -> float:
            return 3.9e9 + 777 * number + true * (1 + drift)

        def ticks(rate: int, true: float, drift: float = drift) -> int:
            return 2**32 + round(true * rate * (1 + (2 * drift if rate == 48_000 else drift)))

        def delay() -> float:
            return 0.02 + dice.expovariate(200)

        told = []
        for second in range(round(began) + 8):
            for key, rate in ((VIDEO, 90_000), (AUDIO, 48_000)):
                arrived = 1000 + second + delay()
                told.append(Told(key, 0, ticks(rate, second), ntp(second), arrived, rate))
        frames = [
            Took(VIDEO, Frame("video", "VP8", data, ticks(90_000, began + at), 90_000, at == 0,
                              SIZE, 1000 + began + at + delay() + 0.1, 0, False))
            for at, data in ((n / RATE, data) for n, data in enumerate(pictures))
        ] + [
            Took(AUDIO, Frame("audio", "opus", data, ticks(48_000, began + at), 48_000, True,
                              None, 1000 + began + at + delay(), 0, False))
            for at, data in ((n / 50, data) for n, data in enumerate(sounds))
        ]  # fmt: skip
        part.file.take([t for t in told if t.arrived < 1000 + began], 1000 + began)
        items: list[Item] = sorted(
            [*(t for t in told if t.arrived >= 1000 + began), *frames],
            key=came,
        )
        part.file.take(items, 1000 + began + 20)
        found.append((play(part.finish()), part.about.offset_ms / 1000))
    begun = []
    for played, offset in found:
        assert played.numbers == list(range(6 * RATE))
        assert [sound.number for sound in played.sounds] == list(range(12))
        begun += [at + offset for at in begins(played.sounds)]
        begun += [at + offset - number / RATE for number, at in enumerate(played.times)]
    # The coder delays sound by 6.5 ms.
    assert max(begun) - min(begun) < 0.020
