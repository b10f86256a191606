"""What is kept of a call test: what came, frame by frame, as files that other programs read."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from ringback.bots.media.frames import Frame
from ringback.bots.media.writing import CannotRecord
from ringback.bots.recording import Recording

from .observed import Direction, Observed
from .options import CannotCheck
from .packetlog import PacketLog
from .page_side import PageSide
from .reels import png
from .side import Side
from .verified import Call


class Keeper:
    """Keeps one call in a folder, which is made. Enter it before the call, `look` at its end and
    `keep` after it.

    `received.webm` (`.mkv` for H.264) is written while the call goes on; with two sides each
    has its name in it. Raises `CannotCheck` where the folder cannot be written.
    """

    def __init__(self, call: Call, folder: Path) -> None:
        self._call = call
        self._folder = folder
        self._stack = AsyncExitStack()
        self._recordings: dict[str, Path] = {}
        self._shots: dict[str, bytes | None] = {}

    async def __aenter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCheck(
                "bad_option", f"{self._folder} cannot be made: {error.strerror}."
            ) from error
        async with AsyncExitStack() as stack:
            for side in self._call.sides:
                if isinstance(side, Side):
                    await self._record(side, stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _record(self, side: Side, stack: AsyncExitStack) -> None:
        assert side.talk is not None
        ending = "mkv" if side.options.codec == "H264" else "webm"
        path = self._folder / f"received{self._suffix(side)}.{ending}"
        path.unlink(missing_ok=True)
        recording = await stack.enter_async_context(Recording(path))
        side.talk.on_frame = partial(self._take, recording)
        self._recordings[f"received{self._suffix(side)}"] = path

    def _take(self, recording: Recording, frame: Frame) -> None:
        # That the disk is full is no matter of the call; leaving the recording raises it.
        with suppress(CannotRecord):
            recording.write(frame)

    def _suffix(self, side: Side | PageSide) -> str:
        return f"-{side.name}" if len(self._call.sides) > 1 else ""

    async def look(self) -> None:
        """Take pictures of the pages as they are now: to be called before the call is ended."""
        for side in self._call.sides:
            if isinstance(side, PageSide):
                self._shots[side.name] = await side.screenshot()

    async def keep(self, observed: Observed, packets: PacketLog | None) -> None:
        """Write everything, `packets` of the made up network too, and name it in `files` of what
        was observed."""
        try:
            await self._stack.aclose()
            files = await asyncio.to_thread(self._write, observed, packets)
        except (OSError, CannotRecord) as error:
            raise CannotCheck("bad_option", f"What was to be kept cannot be: {error}") from error
        observed.files |= {name: str(path) for name, path in files.items()}

    def _write(self, observed: Observed, packets: PacketLog | None) -> dict[str, Path]:
        files = {name: path for name, path in self._recordings.items() if path.is_file()}
        writers: dict[str, Callable[[Path, Observed], None]] = {
            "frames.csv": _frames, "stats.jsonl": _stats, "events.jsonl": _events,
        }  # fmt: skip
        for name, write in writers.items():
            files[name] = self._folder / name
            write(files[name], observed)
        if packets is not None:
            files["packets.csv"] = self._folder / "packets.csv"
            packets.write(files["packets.csv"])
        for side in self._call.sides:
            files |= self._of(side) if isinstance(side, Side) else self._of_page(side)
        return files

    def _of_page(self, page: PageSide) -> dict[str, Path]:
        """What a page showed: itself and its first and worst picture; and wrote to its console."""
        files = {f"console-{page.name}.txt": self._folder / f"console-{page.name}.txt"}
        files[f"console-{page.name}.txt"].write_text("".join(f"{s}\n" for s in page.console))
        shot = self._shots.get(page.name)
        if shot is not None:
            name = f"page-{page.name}.png"
            files[name] = self._folder / name
            files[name].write_bytes(shot)
        assert page.talk is not None
        album = page.talk.album
        return files | self._stills(page, {"first": album.first, "worst": album.worst})

    def _of(self, side: Side) -> dict[str, Path]:
        """The descriptions of a side, and its first and its worst picture."""
        files: dict[str, Path] = {}
        for description in side.party.descriptions if side.party is not None else ():
            name = f"{description.type}{self._suffix(side)}.sdp"
            files[name] = self._folder / name
            files[name].write_text(description.sdp)
        assert side.talk is not None
        watcher = side.talk.watcher
        kept = {"first": watcher.first, "worst": watcher.worst}
        drawn = {what: png(picture) for what, picture in kept.items() if picture is not None}
        return files | self._stills(side, drawn)

    def _stills(
        self, side: Side | PageSide, pictures: Mapping[str, bytes | None]
    ) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for what, data in pictures.items():
            if data is not None:
                name = f"{what}{self._suffix(side)}.png"
                files[name] = self._folder / name
                files[name].write_bytes(data)
        return files


def _frames(path: Path, observed: Observed) -> None:
    """One line for each picture that was sent or came."""
    columns = (
        "direction", "what", "sequence", "at", "shown", "stream", "stamp", "width", "height",
        "bytes", "keyframe", "torn", "gap", "similarity",
    )  # fmt: skip
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for direction in observed.directions:
            table.writerows(_rows(direction, observed.began))


def _rows(direction: Direction, began: float) -> list[list[object]]:
    name = direction.name
    sent: list[list[object]] = [
        [name, "sent", p.sequence, f"{p.at - began:.6f}", "", direction.stream, "",
         *direction.size, p.bytes, int(p.keyframe), "", "", ""]
        for p in direction.sent
    ]  # fmt: skip
    seen: list[list[object]] = [
        [name, "seen", p.sequence, f"{p.arrived - began:.6f}", f"{p.shown - began:.6f}", p.stream,
         p.stamp, p.width, p.height, p.bytes, int(p.keyframe), int(p.torn), int(p.gap),
         p.similarity]
        for p in direction.seen
    ]  # fmt: skip
    return [*sent, *seen]


def _stats(path: Path, observed: Observed) -> None:
    lines = [
        {"direction": direction.name, **asdict(sample), "at": round(sample.at - observed.began, 6)}
        for direction in observed.directions
        for sample in direction.samples
    ]
    _json_lines(path, lines)


def _events(path: Path, observed: Observed) -> None:
    _json_lines(
        path, [{**asdict(s), "at": round(s.at - observed.began, 6)} for s in observed.steps]
    )


def _json_lines(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
