"""Messages of which the exchange does not know what became: told until it does.

Each message has a mark in its folder from its first sound until the exchange knows. So what a
process had under way when it died is found by the next one, which finishes the file.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from ringback.server.protocol import ProtocolError, TellMessage

from .client import Client, Lost
from .media.repair import repair
from .media.sidecar import Reason, Sidecar

MARK = ".untold"
LEAST = 1.0
"""Seconds below which nothing was said."""
REMOVALS = 5
"""How often a folder is removed in which somebody else removes files, too."""
AGAIN = 30.0
"""Seconds after which the exchange is told once more."""

logger = logging.getLogger(__name__)


def broken(reason: Reason | None) -> bool:
    """Whether what ended a recording so was no wish of the caller, and no limit."""
    return reason not in (None, "stopped", "too_long")


def mark(folder: Path) -> None:
    """Note that the exchange does not know yet. Blocks; raises `OSError`."""
    (folder / MARK).touch()


def settle(folder: Path) -> None:
    """It does. Blocks; a mark that stays is told of once more, which is no fault."""
    try:
        (folder / MARK).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("The mark in %s cannot be removed: %s", folder, error)


def remove(folder: Path) -> None:
    """Remove a message and its folder. Blocks."""
    for _ in range(REMOVALS):
        try:
            shutil.rmtree(folder)
            return
        except FileNotFoundError:
            # The exchange may be removing the same files.
            if not folder.exists():
                return
        except OSError as error:
            logger.warning("%s cannot be removed: %s", folder, error)
            return


class Leftovers:
    """Those below `parent`: found when made, and `add`ed. `run` it; it ends by being cancelled."""

    def __init__(self, client: Client, parent: Path) -> None:
        self._client = client
        self._folders = {path.parent for path in parent.glob(f"*/{MARK}")}
        self._more = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many there are."""
        return len(self._folders)

    def add(self, folder: Path) -> None:
        """The exchange could not be told of this one."""
        self._folders.add(folder)
        self._more.set()

    async def run(self) -> None:
        """Tell of each, again where that failed."""
        while True:
            for folder in sorted(self._folders):
                if await self._tell(folder):
                    self._folders.discard(folder)
            self._more.clear()
            try:
                async with asyncio.timeout(AGAIN if self._folders else None):
                    await self._more.wait()
            except TimeoutError:
                logger.info("The exchange is told once more of %d messages.", self.waiting)

    async def _tell(self, folder: Path) -> bool:
        """Finish a message and say what became of it; whether that is done."""
        try:
            about = await asyncio.to_thread(repair, folder)
        except FileNotFoundError:
            # Its owner has deleted it meanwhile, or the exchange has forgotten it.
            return not await asyncio.to_thread(folder.is_dir)
        except (OSError, ValueError) as error:
            logger.warning("The message in %s cannot be finished: %s", folder, error)
            return False
        said = _seconds(about) >= LEAST
        try:
            await self._client.request(
                TellMessage(
                    message=folder.name,
                    state="left" if said else "discarded",
                    seconds=_seconds(about),
                    cut=broken(about.reason),
                )
            )
        except (ProtocolError, Lost, TimeoutError) as error:
            logger.warning("The exchange does not take the message %s: %s", folder.name, error)
            return False
        logger.info("The message %s is %s.", folder.name, "left" if said else "discarded")
        after: Callable[[Path], None] = settle if said else remove
        await asyncio.to_thread(after, folder)
        return True


def _seconds(about: Sidecar) -> float:
    return max((part.duration_ms for part in about.participants), default=0) / 1000
