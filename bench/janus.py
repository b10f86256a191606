"""Janus, a WebRTC server in C, as the measure for calls: its process and its HTTP interface.

It gets a configuration, folders and ports of its own, and only the two plugins measured here:
`echotest` sends back what comes, `recordplay` writes each medium to a file of packets (.mjr)
that is to be converted before it can be played.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from bench.processes import BenchError, Child

PLUGINS = ("echotest", "recordplay")
STARTING = 20.0
ANSWERING = 20.0
_PLACES = ("/usr/lib/*/janus", "/usr/lib/janus", "/usr/local/lib/janus")

_MAIN = """\
general: {{
  configs_folder = "{folder}/etc"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/none"
  loggers_folder = "{folder}/none"
  debug_level = 3
  session_timeout = 0
}}
"""
_HTTP = """\
general: {{ json = "compact" base_path = "/janus" http = true ip = "127.0.0.1" port = {port} }}
admin: {{ admin_http = false }}
"""
_RECORDPLAY = 'general: {{ path = "{folder}/recordings" }}\n'


def installed() -> Path | None:
    """Where Janus keeps its plugins; None when it is not here, or without what is needed."""
    if shutil.which("janus") is None:
        return None
    for pattern in _PLACES:
        for place in Path("/").glob(pattern.removeprefix("/")):
            if all(found.exists() for found in _libraries(place)):
                return place
    return None


def _libraries(place: Path) -> Sequence[Path]:
    plugins = [place / "plugins" / f"libjanus_{name}.so" for name in PLUGINS]
    return [*plugins, place / "transports" / "libjanus_http.so"]


async def start(folder: Path, place: Path) -> tuple[Child, int]:
    """Janus with everything it needs and writes in `folder`, ready to be called: its process,
    to be entered and so ended, and its port. Raises `BenchError`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    for name in ("etc", "plugins", "transports", "none", "recordings"):
        (folder / name).mkdir(parents=True)
    for library in _libraries(place):
        (folder / library.parent.name / library.name).symlink_to(library)
    for name, text in {
        "janus": _MAIN, "janus.transport.http": _HTTP, "janus.plugin.recordplay": _RECORDPLAY,
        "janus.plugin.echotest": "general: {{}}\n",
    }.items():  # fmt: skip
        (folder / "etc" / f"{name}.jcfg").write_text(text.format(folder=folder, port=port))
    child = await Child.run(
        folder, "janus", "janus", "-F", str(folder / "etc"), "-N", "-L", str(folder / "log")
    )
    try:
        await _ready(port)
    except BaseException:
        await child.__aexit__(None, None, None)
        raise
    return child, port


async def _ready(port: int) -> None:
    try:
        async with asyncio.timeout(STARTING), aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"http://127.0.0.1:{port}/janus/info"):
                        return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise BenchError(f"Janus did not start in {STARTING:.0f} s") from None


class Handle:
    """One session with one plugin. Enter it, `call`; leaving hangs up."""

    def __init__(self, port: int, plugin: str) -> None:
        self._base = f"http://127.0.0.1:{port}/janus"
        self._plugin = plugin
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            made = await self._say(self._base, janus="create")
            self._session = f"{self._base}/{made['data']['id']}"
            plugin = f"janus.plugin.{self._plugin}"
            made = await self._say(self._session, janus="attach", plugin=plugin)
            self._handle = f"{self._session}/{made['data']['id']}"
        except BaseException:
            await self._http.close()
            raise
        return self

    async def call(self, offer: str) -> str:
        """The SDP that answers an offer. Raises `BenchError` when there is none in time."""
        body: dict[str, Any] = {"audio": True, "video": True}
        if self._plugin == "recordplay":
            body = {"request": "record", "name": f"bench {secrets.token_hex(4)}"}
        jsep = {"type": "offer", "sdp": offer}
        await self._say(self._handle, janus="message", body=body, jsep=jsep)
        try:
            async with asyncio.timeout(ANSWERING):
                while True:
                    event = await self._event()
                    if error := event.get("plugindata", {}).get("data", {}).get("error"):
                        raise BenchError(f"Janus refused a call: {error}")
                    if "jsep" in event:
                        return str(event["jsep"]["sdp"])
        except TimeoutError:
            raise BenchError("Janus did not answer a call in time") from None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._http is not None
        try:
            if kind is None:
                await self._say(self._session, janus="destroy")
        finally:
            await self._http.close()

    async def _say(self, url: str, **message: Any) -> dict[str, Any]:
        assert self._http is not None
        message["transaction"] = secrets.token_hex(8)
        async with self._http.post(url, json=message) as reply:
            said: dict[str, Any] = await reply.json()
        if said.get("janus") not in ("success", "ack"):
            raise BenchError(f"Janus refused: {said}")
        return said

    async def _event(self) -> dict[str, Any]:
        assert self._http is not None
        async with self._http.get(self._session) as reply:
            event: dict[str, Any] = await reply.json()
        return event
