"""The servers that calls are measured at: Ringback and those beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from msgspec import Struct

from bench import janus
from bench.chat import port_of
from bench.dial import Way
from bench.processes import BenchError, Child

RINGBACK, JANUS, FLOOR = "Ringback", "Janus", "floor"
AIORTC = "aiortc"
RECORDS_ONLY = "Janus, which records only"
"""Janus beside voicemail: it has nothing that plays back what was said."""


class Contestant(Struct, frozen=True):
    """A server that runs. `exact`: it sends back just what it gets, so every packet can be
    counted; `codec`: it decodes, so few calls fit; `alone`: not even one does, and beside
    it a second may never be connected; without `video` it gets sound alone. What it records comes
    into `files`."""

    name: str
    way: Way
    pid: int
    exact: bool = True
    codec: bool = False
    alone: bool = False
    files: Path | None = None
    video: bool = True


Start = Callable[[AsyncExitStack, Path], Awaitable[Contestant | None]]
"""Starts one in a folder of its own, to end with the stack; None: it is not to be had here."""


def ringback(bot: str) -> Start:
    """`ringback serve` with its bots, of which one is called."""

    async def start(stack: AsyncExitStack, folder: Path) -> Contestant | None:
        data = folder / "data"
        child = await stack.enter_async_context(
            await Child.start(
                folder, "ringback.server", "serve", "--port", "0",
                # As many as fit: what is measured shall not be turned away.
                "--bot-calls", "10000", "--bot-load", "1000",
                "--limits", "off", "--data", str(data),
            )
        )  # fmt: skip
        port = port_of(await child.line("http://"))
        if bot not in await child.line("Bots on the line: "):
            return None
        files = data / "recordings" if bot == "recorder" else None
        way, video = Way("ringback", port, bot), bot != "voicemail"
        exact = bot == "echo"
        pid = bots_of(child.pid)
        return Contestant(RINGBACK, way, pid, exact=exact, files=files, video=video)

    return start


def bots_of(pid: int) -> int:
    """The bots' process of a running `ringback serve`."""
    children = psutil.Process(pid).children()
    if len(children) != 1:
        raise BenchError(f"ringback serve has {len(children)} child processes, not just the bots")
    return children[0].pid


def gateway(plugin: str, *, video: bool = True) -> Start:
    """Janus, with one of its plugins."""

    async def start(stack: AsyncExitStack, folder: Path) -> Contestant | None:
        place = await asyncio.to_thread(janus.installed)
        if place is None:
            return None
        child, port = await janus.start(folder / "janus", place)
        await stack.enter_async_context(child)
        files = folder / "janus" / "recordings" if plugin == "recordplay" else None
        way, exact = Way("janus", port, plugin), plugin == "echotest"
        name = JANUS if video else RECORDS_ONLY
        return Contestant(name, way, child.pid, exact=exact, files=files, video=video)

    return start


def codecs(form: str) -> Start:
    """aiortc as in its examples: `echo`, or recording as `mp4` or `webm`."""

    async def start(stack: AsyncExitStack, folder: Path) -> Contestant | None:
        files = folder / "recorded"
        files.mkdir(parents=True)
        child = await stack.enter_async_context(
            await Child.start(folder, "bench.codecs", str(files))
        )
        way = Way("plain", port_of(await child.line("http://")), form)
        name = AIORTC if form == "echo" else f"{AIORTC}, {form}"
        found = files if form != "echo" else None
        alone = form == "webm"
        return Contestant(name, way, child.pid, exact=False, codec=True, alone=alone, files=found)

    return start


def floor(*, records: bool = False) -> Start:
    """The bare loop, which returns packets, or keeps them."""

    async def start(stack: AsyncExitStack, folder: Path) -> Contestant | None:
        files = folder if records else None
        words = [str(folder)] if records else []
        child = await stack.enter_async_context(await Child.start(folder, "bench.floor", *words))
        way = Way("bare", port_of(await child.line("http://")))
        return Contestant(FLOOR, way, child.pid, exact=not records, files=files)

    return start


async def start_all(stack: AsyncExitStack, folder: Path, starts: dict[str, Start]) -> Started:
    """Start each in a folder of its name. Raises `BenchError`."""
    running: list[Contestant] = []
    absent: list[str] = []
    for name, start in starts.items():
        place = folder / name
        place.mkdir(parents=True)
        found = await start(stack, place)
        if found is None:
            absent.append(name)
        else:
            running.append(found)
    return Started(running, absent)


class Started(Struct, frozen=True):
    """Who runs, and who (by the keys of what was to be started) cannot be had here."""

    running: list[Contestant]
    absent: list[str]
