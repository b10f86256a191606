"""The shelves: the folders of recordings and of voicemail, as far as the server knows them.

The bots `recorder` and `voicemail` write them, each recording into a folder named by its id, with
a sidecar `recording.json` beside the files. Here it is read with all caution, because a process
may have died in the middle of it, and removed when nobody may have it any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from . import mediafiles
from .engine.base import EngineError
from .recordbook import RecordBook

log = logging.getLogger(__name__)

FOLDER = "recordings"
VOICEMAIL_FOLDER = "voicemail"
SIDECAR = "recording.json"
SIDECAR_BYTES = 8 * 1024 * 1024
DAY = 86_400
SWEEP_EVERY = 3_600.0
_AT_ONCE = 100
_REMOVALS = 5
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Track(Struct, frozen=True):
    """One track of a file: its codec, and the size of a picture."""

    codec: str = ""
    width: int | None = None
    height: int | None = None


class Part(Struct, frozen=True):
    """What was recorded of one person. `offset_ms`: where the file begins on the time line
    that all parts share; `bytes`: of the file as it is now, 0 if it is gone."""

    name: str = ""
    file: str = ""
    offset_ms: float = 0.0
    duration_ms: float | None = None
    bytes: int = 0
    thumbnail: str | None = None
    audio: Track | None = None
    video: Track | None = None

    @property
    def there(self) -> bool:
        """Whether there is anything to play."""
        return self.bytes > 0


class Sidecar(Struct, frozen=True):
    """What the recorder says of a recording; `ended` is None until its files are finished."""

    id: str = ""
    ended: int | None = None
    participants: list[Part] = []


_decoder = msgspec.json.Decoder(Sidecar)


class Shelf:
    """The recordings in one folder under `data`."""

    def __init__(self, data: Path, folder: str = FOLDER) -> None:
        self._folder = data / folder

    def path(self, id: str, file: str) -> Path | None:
        """Where a file of a recording is; None for what cannot be its name."""
        if not _ID.match(id) or not mediafiles.safe(file):
            return None
        return self._folder / id / file

    def read(self, id: str) -> Sidecar | None:
        """What there is of a recording; None if that cannot be read. Blocks."""
        try:
            sidecar = _decoder.decode(self._read_sidecar(id))
        except (OSError, ValueError) as error:
            # `msgspec.DecodeError` is a `ValueError`: cut off, or not of the agreed form.
            log.info("The recording %s cannot be read: %s", id, error)
            return None
        return msgspec.structs.replace(
            sidecar, participants=[self._look(id, part) for part in sidecar.participants]
        )

    def read_all(self, ids: list[str]) -> dict[str, Sidecar]:
        """The readable ones among some recordings. Blocks."""
        found = {id: self.read(id) for id in ids}
        return {id: sidecar for id, sidecar in found.items() if sidecar is not None}

    async def measure(self, ids: list[str]) -> int:
        """The bytes of all files of some recordings."""
        return await asyncio.to_thread(lambda: sum(map(self._bytes, ids)))

    def remove(self, id: str) -> None:
        """Remove all files of a recording. Blocks; what cannot be removed is logged."""
        if not _ID.match(id):
            return
        folder = self._folder / id
        for _ in range(_REMOVALS):
            try:
                shutil.rmtree(folder)
                return
            except FileNotFoundError:
                # Nothing was ever written; or its bot has removed a file meanwhile.
                if not folder.exists():
                    return
            except OSError as error:
                log.warning("The files of the recording %s cannot be removed: %s", id, error)
                return

    def folders(self) -> dict[str, float]:
        """When each recording's folder was last written to (seconds since 1970). Blocks."""
        found: dict[str, float] = {}
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if _ID.match(path.name) and path.is_dir() and not path.is_symlink():
                    found[path.name] = path.stat().st_mtime
        return found

    def _bytes(self, id: str) -> int:
        folder = self._folder / id
        if not _ID.match(id):
            return 0
        try:
            return sum(mediafiles.size(path) or 0 for path in folder.iterdir())
        except OSError:
            return 0  # never made, or removed just now

    def _read_sidecar(self, id: str) -> bytes:
        if not _ID.match(id):
            raise ValueError("it has no proper id")
        path = self._folder / id / SIDECAR
        if path.stat().st_size > SIDECAR_BYTES:
            raise ValueError(f"{SIDECAR} is larger than it can be")
        return path.read_bytes()

    def _look(self, id: str, part: Part) -> Part:
        file = self.path(id, part.file)
        picture = self.path(id, part.thumbnail or "")
        return msgspec.structs.replace(
            part,
            bytes=(mediafiles.size(file) or 0) if file is not None else 0,
            thumbnail=part.thumbnail if picture and mediafiles.size(picture) else None,
        )


async def sweep(shelf: Shelf, recordbook: RecordBook, days: float, now: float) -> int:
    """Remove what was kept for `days` (0: nothing is too old) at `now` (seconds since 1970):
    recordings, and folders that belong to none. Returns how many such folders are left."""
    before = now - days * DAY
    if days:
        while ids := await recordbook.forget_old(round(before * 1000), _AT_ONCE):
            for id in ids:
                await asyncio.to_thread(shelf.remove, id)
            log.info("Removed %d recordings that were kept for %g days", len(ids), days)
    return await sweep_strays(shelf, recordbook.known, before if days else 0.0)


async def sweep_strays(shelf: Shelf, known: Callable[[str], Awaitable[bool]], before: float) -> int:
    """Remove folders that are not `known` and were last written to before a time (seconds since
    1970). Returns how many younger ones there are."""
    strays = 0
    for id, written in (await asyncio.to_thread(shelf.folders)).items():
        if await known(id):
            continue
        if written < before:
            await asyncio.to_thread(shelf.remove, id)
        else:
            strays += 1
    return strays


async def keep_swept(sweep: Callable[[], Awaitable[int]], what: str) -> NoReturn:
    """Sweep a shelf now and every hour, until this is cancelled. `sweep` tells how many folders
    are left that belong to none; `what` is on the shelf, for the log."""
    known = -1
    while True:
        try:
            strays = await sweep()
            if strays not in (0, known):
                log.warning("%d folders of %s belong to none that is known", strays, what)
            known = strays
        except (EngineError, OSError) as error:
            log.warning("Old %s cannot be removed now: %s", what, error)
        await asyncio.sleep(SWEEP_EVERY)
