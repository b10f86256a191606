"""The figures of a direction as people read them: a few lines, each with a label. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .figures import NAMES, Figures, value
from .spread import Latency
from .units import show


def rows(f: Figures) -> list[tuple[str, str]]:
    """What to show of a direction, in order: the label, and the figure in words. Which labels
    there are depends on what was promised; a dash stands for what was not measured."""
    found: list[tuple[str, str]] = []
    if "video" in f.kinds:
        found += _pictures(f)
    if "audio" in f.kinds:
        found += _sounds(f)
    if {"audio", "video"} <= set(f.kinds):
        found.append(("sound is", _skew(f)))
    if f.speech is not None:
        found.append(("speech (STOI)", show(f.speech, "index")))
    found.append(("latencies are", _errors(f)))
    found += _setup(f)
    if f.clock.error or f.clock.offset:
        error = show(f.clock.error, "time")
        found.append(("clocks", f"two, compared to \N{PLUS-MINUS SIGN}{error}"))
    return found


def _pictures(f: Figures) -> Iterator[tuple[str, str]]:
    frames, freezes = f.frames, f.freezes
    yield "pictures", f"{frames.delivered} of {frames.due} identified"
    yield (
        "picture faults",
        _faults(
            (frames.lost, "lost"),
            (frames.damaged, "damaged"),
            (frames.repeated, "repeated"),
            (frames.reordered, "out of order"),
            (frames.wrong, "of others"),
            (frames.stale, "stale"),
        ),
    )
    together = show(freezes.seconds, "time")
    yield "freezes", f"{freezes.count}, together {together}" if freezes.count else "none"
    yield "longest still", show(freezes.still, "time")
    yield "picture latency", latency(f.latency)
    if f.similarity.count:
        median, worst = (show(v, "index") for v in (f.similarity.median, f.similarity.worst))
        yield "likeness (SSIM)", f"{median}, worst {worst}"
    size = f"{frames.width}x{frames.height}" if frames.width else "-"
    yield "size, rate", f"{size}, {show(frames.rate, 'pictures')}"
    yield "picture codec", f"{f.video.codec or '-'}, {show(f.video.bitrate, 'rate')}"


def _sounds(f: Figures) -> Iterator[tuple[str, str]]:
    sound = f.sound
    yield "sounds", f"{sound.delivered} of {sound.due} identified"
    yield (
        "sound faults",
        _faults(
            (sound.lost, "lost"),
            (sound.unread, "unreadable"),
            (sound.repeated, "repeated"),
            (sound.wrong, "of others"),
            (sound.stale, "stale"),
        ),
    )
    length = show(sound.gap_seconds, "time")
    yield "sound gaps", f"{sound.gaps}, together {length}" if sound.gaps else "none"
    yield "silence, level", f"{show(sound.silence, 'time')}, {show(sound.level, 'level')}"
    yield "sound latency", latency(sound.latency)
    yield "sound codec", f"{f.audio.codec or '-'}, {show(f.audio.bitrate, 'rate')}"


def _faults(*counts: tuple[int, str]) -> str:
    """Like `2 lost, 1 out of order`; what there is none of is left out."""
    return ", ".join(f"{count} {name}" for count, name in counts if count) or "none"


def latency(found: Latency) -> str:
    """Like `38 ms, p95 41 ms, worst 60 ms`."""
    if not found.count:
        return "-"
    middle, p95, worst = (show(v, "time") for v in (found.median, found.p95, found.worst))
    return f"{middle}, p95 {p95}, worst {worst}"


def _errors(f: Figures) -> str:
    """How wrong latencies may be, and what of them is the receiver's own."""
    timed = [
        (kind, found.bias)
        for kind, found in (("picture", f.latency), ("sound", f.sound.latency))
        if found.count
    ]
    own = [f"{show(bias, 'time')} of {kind} is the receiver's" for kind, bias in timed if bias]
    if any(bias is None for _, bias in timed):
        own.append("receiver's unknown")
    return "; ".join([f"\N{PLUS-MINUS SIGN}{show(f.latency.error, 'time')}", *own])


def _skew(f: Figures) -> str:
    middle = f.skew.median
    if middle is None:
        return "-"
    words = "early" if middle >= 0 else "late"
    return f"{show(abs(middle), 'time')} {words}: {f.skew.verdict}"


def _setup(f: Figures) -> Iterator[tuple[str, str]]:
    s = f.setup
    if s.answered is not None:
        yield "answered after", show(s.answered, "time")
    if s.ice is not None or s.dtls is not None:
        yield "ICE, DTLS after", f"{show(s.ice, 'time')}, {show(s.dtls, 'time')}"
    yield "first packet", show(s.packet, "time")
    if "video" in f.kinds:
        yield "first picture", show(s.picture, "time")
    if "audio" in f.kinds:
        yield "first sound", show(s.sound, "time")


def every(f: Figures) -> Iterator[tuple[str, str, str]]:
    """Every figure: its name, its value for people, and what it is."""
    for name, about in NAMES.items():
        yield name, show(value(f, name), about.unit), about.words


def measured(f: Figures) -> dict[str, int | float | str]:
    """Every figure that was measured, by its name with dots, for programs: seconds, fractions,
    bits a second."""
    values = {name: value(f, name) for name in NAMES}
    return {name: found for name, found in values.items() if found is not None}
