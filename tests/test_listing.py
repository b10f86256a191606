"""What the terminal shows of recordings."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from ringback.bots import listing
from ringback.bots.library import Found
from ringback.bots.media.sidecar import Gap, Participant, Pictures, Sidecar, Sound
from ringback.server.protocol import Consent

FOLDER = Path("r1")


def text(what: RenderableType, width: int = 120) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def recording() -> Sidecar:
    """Ten seconds of Ann, and of Ben from the fifth on."""
    ann = Participant("Ann", "1.webm", 0, 10_000, 12_345, None, Sound("opus"), keyframe_requests=2)
    ann.video = Pictures("VP8", 640, 480, 300)
    ben = Participant("Ben", "2.webm", 5_000, 5_000, 2_000_000, audio=Sound("PCMU"))
    return Sidecar("r1", "c1", 0, ended=10_000, reason="stopped", participants=[ann, ben])


def bar(lines: list[str], kind: str, nth: int = 0) -> str:
    found = [line for line in lines if line.startswith(f"   {kind} ")]
    return found[nth].removeprefix(f"   {kind:<8}")[: listing.WIDE]


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0, "0:00"), (499, "0:00"), (7_600, "0:08"), (59_600, "1:00"), (3_723_000, "1:02:03")],
)
def test_times(ms: int, words: str) -> None:
    assert listing.clock(ms) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_345_678, "2.3 MB"), (5e9, "5.0 GB")],
)
def test_sizes(count: float, words: str) -> None:
    assert listing.size(count) == words


def test_a_line_each() -> None:
    broken = Found(Path("r2"), None, "it is torn")
    lines = text(listing.listed([Found(FOLDER, recording()), broken]))
    assert lines[0].split() == ["id", "begun", "length", "size", "who", "state"]
    assert lines[1].endswith("0:10  2.0 MB  Ann, Ben  whole")
    assert lines[2].startswith("r2")
    assert lines[2].endswith("not readable: it is torn")


def test_in_a_narrow_window_nothing_is_cut_off(tmp_path: Path) -> None:
    about = recording()
    about.ended = about.reason = None
    about.participants[0].name = "Annabella-Maria-Magdalena"
    rows = text(listing.listed([Found(tmp_path / ("r" * 22), about)]), 80)
    assert "…" not in "".join(rows)
    who, state = rows[0].index("who"), rows[0].index("state")
    assert "".join(row[who:state].strip() for row in rows[1:]) == "Annabella-Maria-Magdalena,Ben"
    assert " ".join(row[state:] for row in rows[1:]).split() == ["not", "ended:", "repair", "it"]


@pytest.mark.parametrize("reason", listing.REASONS)
def test_why_it_ended(reason: str) -> None:
    about = recording()
    about.reason = reason  # type: ignore[assignment]
    assert listing.state(Found(FOLDER, about)) == listing.REASONS[reason]


def test_that_it_has_not_ended(tmp_path: Path) -> None:
    about = recording()
    about.ended = about.reason = None
    assert listing.state(Found(tmp_path, about)) == "not ended: repair it"
    (tmp_path / "recording.json").write_text("written just now")
    assert listing.state(Found(tmp_path, about)) == "is being recorded"


def test_each_part_and_who_agreed() -> None:
    about = recording()
    about.consent = [Consent("Ann", 0, "7")]
    about.participants.append(Participant("Cyd"))
    lines = text(listing.shown(Found(FOLDER, about), about))
    assert lines[0].startswith("r1, ")
    assert any(line.startswith("Ann agreed at ") and line.endswith("to text 7") for line in lines)
    assert (
        "1. Ann: 1.webm, 12.3 kB, 0:10, opus, VP8 640x480, 300 pictures, 2 keyframes asked for"
        in lines
    )
    assert "2. Ben: 2.webm, 2.0 MB, 0:05, PCMU" in lines
    assert "3. Cyd: nothing came" in lines
    assert lines.count("   nothing is missing") == 2


def test_bars_show_where_there_is_something() -> None:
    about = recording()
    lines = text(listing.shown(Found(FOLDER, about), about))
    assert bar(lines, "sound") == listing.KEPT * 50
    assert bar(lines, "sound", 1) == listing.NOTHING * 25 + listing.KEPT * 25
    assert bar(lines, "picture") == listing.KEPT * 50


def test_gaps_are_seen_and_told() -> None:
    about = recording()
    ann, ben = about.participants
    ann.gaps = [Gap(2_000, 1_000, "video"), Gap(9_950, 50, "audio", "dropped")]
    ben.gaps = [Gap(1_000, 100, "audio")]
    lines = text(listing.shown(Found(FOLDER, about), about))
    assert bar(lines, "picture") == "█" * 10 + "░" * 5 + "█" * 35
    assert bar(lines, "sound") == "█" * 49 + "░"
    assert bar(lines, "sound", 1)[30] == "░"
    assert "   0:02.0  picture missing for 1.0 s, lost on the way" in lines
    assert any("0:09.9  sound missing" in line and "too slow" in line for line in lines)
    assert "   0:06.0  sound missing for 0.1 s, lost on the way" in lines


def test_many_gaps_are_counted() -> None:
    about = recording()
    about.participants[0].gaps = [Gap(at * 100, 10, "audio") for at in range(30)]
    about.participants[0].gaps_more = 5
    lines = text(listing.shown(Found(FOLDER, about), about))
    assert sum("sound missing" in line for line in lines) == listing.MOST_GAPS
    assert "   and 15 more gaps" in lines


def test_pauses_are_marked() -> None:
    about = recording()
    about.pauses = [(5_000, 60_000), (10_000, 5_000)]
    lines = text(listing.shown(Found(FOLDER, about), about))
    assert [n for n, cell in enumerate(bar(lines, "sound")) if cell == "|"] == [25, 49]
    assert "Paused 2 times: 1:05 left out." in lines


def test_a_recording_of_nothing_can_be_shown() -> None:
    about = Sidecar("r1", "c1", 0, ended=1, reason="failed", participants=[Participant("Ann")])
    assert "1. Ann: nothing came" in text(listing.shown(Found(FOLDER, about), about))


def test_names_are_no_markup() -> None:
    about = recording()
    about.participants[0].name = "[red]Ann[/red]"
    assert "[red]Ann[/red]" in text(listing.listed([Found(FOLDER, about)]), 200)[1]
    assert "1. [red]Ann[/red]" in "\n".join(text(listing.shown(Found(FOLDER, about), about), 200))
