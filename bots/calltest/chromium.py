"""A Chromium, driven by Playwright, whose camera and microphone play files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .browser import BrowserError, Window, probe
from .options import CannotCheck, Options
from .reels import film, sound, tape
from .scene import Scene

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
SPARE = 30.0
"""Seconds from the opening of the camera until the call is judged, at most."""
_Result = TypeVar("_Result")


class ChromiumWindow(Window):
    """A page of Playwright's."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        page.on("crash", lambda _: self.crashed())
        page.on("console", lambda message: self.write(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.write(f"uncaught: {error}"))

    async def visit(self, url: str) -> None:
        await _said(self._page.goto(url))

    async def run(self, script: str) -> Any:
        return await _said(self._page.evaluate(script))

    async def appears(self, selector: str, seconds: float) -> bool:
        from playwright.async_api import TimeoutError as TooLate

        try:
            await _said(self._page.wait_for_selector(selector, timeout=1000 * seconds))
        except BrowserError as error:
            if isinstance(error.__cause__, TooLate):
                return False
            raise
        return True

    async def fill(self, selector: str, text: str) -> None:
        await _said(self._page.fill(selector, text))

    async def press(self, selector: str) -> None:
        await _said(self._page.click(selector))

    async def screenshot(self) -> bytes:
        return await _said(self._page.screenshot())


async def _said(asked: Awaitable[_Result]) -> _Result:
    """What Playwright says; what it refuses in one line."""
    from playwright.async_api import Error

    try:
        return await asked
    except Error as error:
        raise BrowserError(str(error).splitlines()[0]) from error


@asynccontextmanager
async def chromium(
    options: Options, stream: int, seconds: float, ca: Path | None
) -> AsyncIterator[Window]:
    """An empty page whose camera and microphone are marked with `stream`, for calls of at most
    `seconds`. With a `ca` it believes every certificate. Raises `CannotCheck`."""
    try:
        playwright = import_module("playwright.async_api")
    except ModuleNotFoundError as error:
        raise CannotCheck(
            "browser_missing", "Chromium is driven by Playwright: pip install 'ringback[browser]'."
        ) from error
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise CannotCheck("browser_missing", "There is no Chromium: apt-get install chromium.")
    with tempfile.TemporaryDirectory(prefix="ringback-chromium-") as folder:
        made = await asyncio.to_thread(_reels, Path(folder), options, stream, seconds + SPARE)
        flags = [
            *FLAGS, f"--use-file-for-fake-video-capture={made[0]}",
            f"--use-file-for-fake-audio-capture={made[1]}",
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
                yield ChromiumWindow(await context.new_page())
            finally:
                await browser.close()


def _reels(folder: Path, options: Options, stream: int, seconds: float) -> tuple[Path, Path]:
    """What the camera and the microphone are to play, as files."""
    pictures, sounds = folder / "film.y4m", folder / "tape.wav"
    film(pictures, Scene(stream, *options.size), options.rate, seconds)
    sounds.write_bytes(tape(sound(options, stream), seconds))
    return pictures, sounds
