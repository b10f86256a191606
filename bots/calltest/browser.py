"""A Chromium of one's own, whose camera and microphone play files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING

from .chirps import RATE, Chirps
from .marks import Mark
from .options import CannotCheck, Options
from .scene import Scene
from .speech import Spoken

if TYPE_CHECKING:
    from playwright.async_api import Page

FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def film(path: Path, scene: Scene, rate: float, seconds: float) -> None:
    """Write marked pictures, numbered from 0, as a Y4M file. Their stamps say nothing."""
    head = f"YUV4MPEG2 W{scene.width} H{scene.height} F{round(rate * 1000)}:1000 Ip A1:1 C420\n"
    with path.open("wb") as file:
        file.write(head.encode())
        for number in range(round(rate * seconds)):
            file.write(b"FRAME\n")
            file.write(scene.picture(Mark(scene.stream, number & 0xFFFF, 0)).tobytes())


def tape(path: Path, chirps: Chirps, seconds: float) -> None:
    """Write marked sounds, numbered from 0, as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(chirps.pcm(0, round(RATE * seconds)).tobytes())


def probe() -> str:
    """The script that reads marks in a page, with the module it needs."""
    root = resources.files("ringback")
    marks = root.joinpath("static/js/marks.js").read_text().replace("export ", "")
    module = f"(() => {{ {marks}\nreturn {{ read }}; }})()"
    return root.joinpath("bots/calltest/probe.js").read_text().replace("= MARKS;", f"= {module};")


@asynccontextmanager
async def window(
    options: Options, stream: int, seconds: float, ca: Path | None
) -> AsyncIterator[Page]:
    """An empty page of a browser that is gone at the end. Raises `CannotCheck`."""
    try:
        playwright = import_module("playwright.async_api")
    except ModuleNotFoundError as error:
        raise CannotCheck(
            "browser_missing", "Browsers are driven by Playwright: pip install 'ringback[browser]'."
        ) from error
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise CannotCheck("browser_missing", "There is no Chromium: apt-get install chromium.")
    with tempfile.TemporaryDirectory(prefix="ringback-browser-") as folder:
        pictures, sounds = Path(folder, "film.y4m"), Path(folder, "tape.wav")
        scene = Scene(stream, *options.size)
        await asyncio.to_thread(film, pictures, scene, options.rate, seconds)
        chirps = Spoken(stream) if options.speech else Chirps(stream)
        await asyncio.to_thread(tape, sounds, chirps, seconds)
        flags = [
            *FLAGS, f"--use-file-for-fake-video-capture={pictures}",
            f"--use-file-for-fake-audio-capture={sounds}",
        ]  # fmt: skip
        async with playwright.async_playwright() as driver:
            browser = await driver.chromium.launch(
                executable_path=found, args=flags, chromium_sandbox=False
            )
            try:
                context = await browser.new_context(
                    permissions=["camera", "microphone"], ignore_https_errors=ca is not None
                )
                await context.add_init_script(probe())
                yield await context.new_page()
            finally:
                await browser.close()
