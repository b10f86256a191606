"""A Firefox without a window, driven by WebDriver BiDi, which it speaks itself.

It takes no files for its camera and microphone, so the page is given others in their place
(devices.js).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from av import VideoFrame

from .bidi import PATIENCE, Bidi, connected
from .browser import BrowserError, Window, literal, module, probe, script
from .options import CannotCheck, Options
from .reels import AGAIN, png, sound, tape
from .scene import Scene

NAMES = ("firefox-esr", "firefox")
OLDEST = 132
"""The first that tells a page of each picture that it shows (requestVideoFrameCallback)."""
GOODBYE = 10.0
"""Seconds to close by itself; then it is ended."""
GLANCE = 0.05
SIZE = {"width": 1280, "height": 720}
PREFERENCES: Mapping[str, bool | int] = {
    # So that there are devices to choose from, and nobody is asked for them.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "privacy.reduceTimerPrecision": False,
    # It asks for nothing that a test does not want.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
_LISTENS = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")


class FirefoxWindow(Window):
    """Its one page. Made by `opened`."""

    def __init__(self, bidi: Bidi, page: str) -> None:
        super().__init__()
        self.bidi = bidi
        self.page = page
        bidi.on_event = self._hear
        bidi.on_end = self.crashed

    async def prepare(self, *scripts: str) -> str:
        """Run these in each page before its own; the number by which they are taken back."""
        source = "\n".join(f"{{ {one} }}" for one in scripts)
        added = await self.bidi.tell(
            "script.addPreloadScript", functionDeclaration=f"() => {{ {source} }}"
        )
        return str(added["script"])

    async def visit(self, url: str) -> None:
        page = self.page
        await self.bidi.tell("browsingContext.navigate", context=page, url=url, wait="complete")

    async def run(self, script: str) -> Any:
        done = await self.bidi.tell(
            "script.evaluate", expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self.page}, awaitPromise=True,
        )  # fmt: skip
        if done["type"] != "success":
            raise BrowserError(str(done["exceptionDetails"]["text"]).partition("\n")[0])
        return json.loads(done["result"].get("value", "null"))

    async def appears(self, selector: str, seconds: float) -> bool:
        look = f"document.querySelector({literal(selector)})?.checkVisibility() ?? false"
        end = time.monotonic() + seconds
        while True:
            try:
                if await self.run(look):
                    return True
            except BrowserError:
                # Between two pages there is none to look at.
                if time.monotonic() > end:
                    raise
            if time.monotonic() > end:
                return False
            await asyncio.sleep(GLANCE)

    async def fill(self, selector: str, text: str) -> None:
        await self.press(selector)
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        await self._act({"type": "key", "id": "keyboard", "actions": keys})

    async def press(self, selector: str) -> None:
        await self.press_found("css", selector)

    async def press_found(self, kind: str, value: object) -> None:
        """Press the first element that a locator of BiDi's finds."""
        found = await self.bidi.tell(
            "browsingContext.locateNodes", context=self.page, maxNodeCount=1,
            locator={"type": kind, "value": value},
        )  # fmt: skip
        if not found["nodes"]:
            raise BrowserError(f"there is no {value}")
        node = {"sharedId": found["nodes"][0]["sharedId"]}
        await self.bidi.tell(
            "script.callFunction", functionDeclaration="(e) => e.scrollIntoView({block: 'center'})",
            arguments=[node], target={"context": self.page}, awaitPromise=False,
        )  # fmt: skip
        origin = {"type": "element", "element": node}
        await self._act({
            "type": "pointer", "id": "mouse", "actions": [
                {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
                {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0},
            ],
        })  # fmt: skip

    async def _act(self, source: dict[str, Any]) -> None:
        await self.bidi.tell("input.performActions", context=self.page, actions=[source])

    async def screenshot(self) -> bytes:
        shot = await self.bidi.tell("browsingContext.captureScreenshot", context=self.page)
        return base64.b64decode(shot["data"])

    def _hear(self, event: dict[str, Any]) -> None:
        params = event["params"]
        if event["method"] == "log.entryAdded":
            kind = "uncaught" if params["type"] == "javascript" else params["level"]
            self.write(f"{kind}: {params['text']}")
        elif params["context"] == self.page:
            self.crashed()


@asynccontextmanager
async def firefox(options: Options, stream: int, ca: Path | None) -> AsyncIterator[Window]:
    """An empty page whose camera and microphone are marked with `stream`. With a `ca` it believes
    every certificate. Raises `CannotCheck`."""
    async with opened(believing=ca is not None) as window:
        await window.prepare(probe(), await asyncio.to_thread(devices, options, stream))
        yield window


def devices(options: Options, stream: int) -> str:
    """The script that stands for a camera and a microphone."""
    scene = Scene(stream, *options.size)
    ground = VideoFrame.from_ndarray(scene.ground(), "yuv420p")
    square = VideoFrame.from_ndarray(scene.square(), "yuv420p").to_ndarray(format="rgb24")
    left, top, side, room = scene.fall
    settings = {
        "stream": scene.stream, "width": scene.width, "height": scene.height,
        "rate": options.rate,
        "sounds": base64.b64encode(tape(sound(options, stream), AGAIN)).decode(),
        "ground": base64.b64encode(png(ground)).decode(),
        "square": {"colour": square[0, 0].tolist(), "left": left, "top": top, "side": side,
                   "room": room},
    }  # fmt: skip
    return script("devices", MARKS=module("marks"), SETTINGS=literal(settings))


@asynccontextmanager
async def opened(*, believing: bool = False) -> AsyncIterator[FirefoxWindow]:
    """A Firefox with a new profile, and its one window; all gone at the end. `believing`: every
    certificate will do. Raises `CannotCheck`."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise CannotCheck("browser_missing", "There is no Firefox: apt-get install firefox-esr.")
    with tempfile.TemporaryDirectory(prefix="ringback-firefox-") as folder:
        _profile(Path(folder))
        async with _process([found, "--profile", folder]) as url, connected(url) as bidi:
            try:
                yield await _window(bidi, believing)
            finally:
                with suppress(BrowserError):
                    await bidi.tell("browser.close", seconds=GOODBYE)


def _profile(folder: Path) -> None:
    lines = [f"user_pref({literal(k)}, {literal(v)});\n" for k, v in PREFERENCES.items()]
    (folder / "user.js").write_text("".join(lines))


async def _window(bidi: Bidi, believing: bool) -> FirefoxWindow:
    try:
        wanted = {"alwaysMatch": {"acceptInsecureCerts": believing}}
        session = await bidi.tell("session.new", capabilities=wanted)
        version = str(session["capabilities"]["browserVersion"])
        if int(version.partition(".")[0]) < OLDEST:
            words = f"This is Firefox {version}: call tests need {OLDEST} or a later one."
            raise CannotCheck("browser_missing", words)
        tree = await bidi.tell("browsingContext.getTree")
        window = FirefoxWindow(bidi, tree["contexts"][0]["context"])
        events = ["log.entryAdded", "browsingContext.contextDestroyed"]
        await bidi.tell("session.subscribe", events=events)
        await bidi.tell("browsingContext.setViewport", context=window.page, viewport=SIZE)
    except BrowserError as error:
        raise CannotCheck("browser_missing", f"Firefox cannot be driven: {error}.") from error
    return window


@asynccontextmanager
async def _process(command: Sequence[str]) -> AsyncIterator[str]:
    """Firefox on its way until the end; the address where it is driven. Raises `CannotCheck`."""
    process = await asyncio.create_subprocess_exec(
        *command, "--headless", "--no-remote", "--remote-debugging-port", "0",
        stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True,
        env=os.environ | {"MOZ_CRASHREPORTER_DISABLE": "1"},
    )  # fmt: skip
    draining: asyncio.Task[None] | None = None
    try:
        url = await _listening(process)
        draining = asyncio.create_task(_drain(process), name="firefox")
        yield url
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE if draining is not None else 0):
                await process.wait()
        await _end(process)
        if draining is not None:
            await draining


async def _listening(process: Process) -> str:
    assert process.stdout is not None
    last = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while line := await process.stdout.readline():
                if found := _LISTENS.search(line):
                    return f"{found[1].decode()}/session"
                last = line.strip() or last
    words = last.decode(errors="replace")
    raise CannotCheck("browser_missing", f"Firefox does not start. Its last words: {words}")


async def _drain(process: Process) -> None:
    """Read what the browser says, so that it never waits to be heard."""
    assert process.stdout is not None
    while await process.stdout.read(4096):
        pass


async def _end(process: Process) -> None:
    """End it with all it started, which has a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    with suppress(ProcessLookupError, TimeoutError):
        async with asyncio.timeout(GOODBYE):
            while True:
                os.killpg(process.pid, 0)
                await asyncio.sleep(GLANCE)
