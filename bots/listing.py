"""Recordings as a terminal shows them: a list, and one with what is missing in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .library import Found, length_ms
from .media.sidecar import Gap, Participant, Sidecar

REASONS = {
    "stopped": "whole",
    "too_long": "ended: the longest time",
    "too_large": "ended: the largest size",
    "disk_full": "ended: the disk was full",
    "stopping": "ended: the recorder was stopped",
    "failed": "broke off",
}
_WHY = {"lost": "lost on the way", "dropped": "let go: the disk was too slow"}
_KINDS = {"audio": "sound", "video": "picture"}
KEPT, MISSING, PAUSED, NOTHING = "█", "░", "|", "·"
WIDE = 50
MOST_GAPS = 20


def clock(ms: float) -> str:
    """A time as people write it: `0:07`, `1:02:03`."""
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def size(count: float) -> str:
    """A size in bytes as people write it, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def moment(ms: int) -> str:
    """A moment (ms since 1970), in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


def state(found: Found) -> str:
    """How a recording ended, or that it has not."""
    if found.about is None:
        return f"not readable: {found.problem}"
    if found.about.ended is not None:
        return REASONS[found.about.reason or "failed"]
    return "is being recorded" if found.running() else "not ended: repair it"


def listed(recordings: Sequence[Found]) -> Table:
    """All of them, a line each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    table.add_column("begun", no_wrap=True)
    table.add_column("length", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    # In a narrow window names and words go on in the next line, none is cut off.
    table.add_column("who", overflow="fold")
    table.add_column("state", overflow="fold")
    for found in recordings:
        about = found.about
        if about is None:
            table.add_row(Text(found.id), "", "", "", "", Text(state(found)))
            continue
        names = ", ".join(part.name for part in about.participants)
        total = size(sum(part.bytes for part in about.participants))
        table.add_row(
            Text(found.id), moment(about.started)[:-3], clock(length_ms(about)), total, Text(names),
            Text(state(found)),
        )  # fmt: skip
    return table


def shown(found: Found, about: Sidecar) -> RenderableType:
    """One recording: who agreed, each part, and its time line."""
    lines: list[RenderableType] = [
        Text(f"{found.id}, {moment(about.started)}, {clock(length_ms(about))}, {state(found)}"),
        Text(""),
    ]
    for consent in about.consent:
        words = f"{consent.name} agreed at {moment(consent.time)} to text {consent.version}"
        lines.append(Text(words))
    for number, part in enumerate(about.participants, 1):
        lines += [Text(""), Text(f"{number}. {_words(part)}"), *_bars(about, part)]
        lines += [Text(f"   {line}") for line in _gaps(about, part)]
    if about.pauses:
        left_out = clock(sum(ms for _, ms in about.pauses))
        times = "once" if len(about.pauses) == 1 else f"{len(about.pauses)} times"
        lines += [Text(""), Text(f"Paused {times}: {left_out} left out.")]
    legend = f"{KEPT} kept   {MISSING} missing   {PAUSED} paused here   {NOTHING} nothing"
    lines += [Text(""), Text(legend, style="dim")]
    return Group(*lines)


def _words(part: Participant) -> str:
    if not part.file:
        return f"{part.name}: nothing came"
    words = [f"{part.name}: {part.file}", size(part.bytes), clock(part.duration_ms)]
    if part.audio is not None:
        words.append(part.audio.codec)
    if part.video is not None:
        video = part.video
        words.append(f"{video.codec} {video.width}x{video.height}, {video.frames} pictures")
    if part.keyframe_requests:
        words.append(f"{part.keyframe_requests} keyframes asked for")
    return ", ".join(words)


def _bars(about: Sidecar, part: Participant) -> Iterator[Text]:
    """A bar for each kind of media, over the whole time line."""
    total = max(1, length_ms(about))
    for kind, media in (("audio", part.audio), ("video", part.video)):
        if media is None:
            continue
        cells = [_cell(part, kind, n * total / WIDE, (n + 1) * total / WIDE) for n in range(WIDE)]
        for at, _ in about.pauses:
            cells[min(WIDE - 1, at * WIDE // total)] = PAUSED
        yield Text(f"   {_KINDS[kind]:<8}{''.join(cells)} {clock(total)}")


def _cell(part: Participant, kind: str, begin: float, end: float) -> str:
    """What a piece of the time line (ms) is like."""
    begin, end = begin - part.offset_ms, end - part.offset_ms
    if end <= 0 or begin >= part.duration_ms:
        return NOTHING
    for gap in part.gaps:
        if gap.kind == kind and gap.at_ms < end and gap.at_ms + gap.ms > begin:
            return MISSING
    return KEPT


def _gaps(about: Sidecar, part: Participant) -> Iterator[str]:
    """The gaps in words, on the time line that all share."""
    for gap in part.gaps[:MOST_GAPS]:
        yield _gap(gap, part.offset_ms)
    more = len(part.gaps) - MOST_GAPS
    if more > 0 or part.gaps_more:
        yield f"and {max(0, more) + part.gaps_more} more gaps"
    elif not part.gaps and part.file:
        yield "nothing is missing"


def _gap(gap: Gap, offset_ms: int) -> str:
    at = max(0, gap.at_ms + offset_ms)
    when = f"{clock(at - at % 1000)}.{at // 100 % 10}"
    return f"{when}  {_KINDS[gap.kind]} missing for {gap.ms / 1000:.1f} s, {_WHY[gap.why]}"
