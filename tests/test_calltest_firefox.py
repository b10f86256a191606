"""Firefox for call tests, as far as it can be told without one: what it is given, and what is said
of one that is missing, old, or does not start."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ringback.bots.calltest import firefox as module
from ringback.bots.calltest.browser import BrowserError, probe
from ringback.bots.calltest.browser import module as browser_module
from ringback.bots.calltest.chirps import LENGTH, RATE
from ringback.bots.calltest.firefox import FirefoxWindow, devices, firefox, opened
from ringback.bots.calltest.marks import Mark
from ringback.bots.calltest.options import CannotCheck, Options
from ringback.bots.calltest.reels import sound
from ringback.bots.calltest.scene import Scene

# Stands where Firefox does: speaks as much of it as `answers` says.
FAKE = """#!{python}
import asyncio, json, os, sys
from aiohttp import web

ANSWERS = {answers}

async def handle(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        asked = json.loads(message.data)
        answer = ANSWERS.get(asked["method"])
        if answer is None:
            said = {{"type": "error", "error": "unknown command", "message": asked["method"]}}
        else:
            said = {{"type": "success", "result": answer}}
        await socket.send_json(said | {{"id": asked["id"]}})
    return socket

async def main():
    with open(os.path.join({folder!r}, "seen"), "w") as file:
        json.dump([os.getpid(), sys.argv[1:]], file)
    app = web.Application()
    app.router.add_get("/session", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    print("Something else first", flush=True)
    print(f"WebDriver BiDi listening on ws://127.0.0.1:{{port}}", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
TREE = {"contexts": [{"context": "page"}]}
"""What a browser says of its windows."""

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a program where Firefox is looked for."""

    def put(source: str) -> None:
        path = tmp_path / "firefox-esr"
        path.write_text(source)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(module, "GOODBYE", 0.2)

    return put


def fake(folder: Path, **answers: Any) -> str:
    return FAKE.format(python=sys.executable, answers=repr(answers), folder=str(folder))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def left_over(folder: Path) -> tuple[int, Path]:
    """The process that stood for Firefox, and the folder it was given."""
    pid, arguments = json.loads((folder / "seen").read_text())
    assert "--headless" in arguments
    return pid, Path(arguments[arguments.index("--profile") + 1])


async def test_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotCheck) as caught:
        async with firefox(Options(), 7, None):
            pass
    assert caught.value.code == "browser_missing"
    assert str(caught.value) == "There is no Firefox: apt-get install firefox-esr."


async def test_one_that_does_not_start(install: Install) -> None:
    install("#!/bin/sh\necho no protocol specified\necho\nexit 1\n")
    with pytest.raises(CannotCheck, match="Its last words: no protocol specified$") as caught:
        async with opened():
            pass
    assert caught.value.code == "browser_missing"


async def test_one_that_is_too_old(install: Install, tmp_path: Path) -> None:
    session = {"capabilities": {"browserVersion": "128.3.1"}}
    install(fake(tmp_path, **{"session.new": session, "browsingContext.getTree": TREE}))
    with pytest.raises(CannotCheck, match=r"This is Firefox 128.3.1: call tests need 132 or"):
        async with opened():
            pass
    pid, folder = left_over(tmp_path)
    assert not alive(pid)
    assert not folder.exists()


async def test_one_that_refuses(install: Install, tmp_path: Path) -> None:
    install(fake(tmp_path))
    with pytest.raises(CannotCheck, match=r"cannot be driven: session.new: unknown command"):
        async with opened():
            pass
    assert not alive(left_over(tmp_path)[0])


async def test_nothing_is_left_when_a_test_fails(install: Install, tmp_path: Path) -> None:
    answers = {
        "session.new": {"capabilities": {"browserVersion": "153.0"}},
        "browsingContext.getTree": TREE, "session.subscribe": {},
        "browsingContext.setViewport": {}, "script.addPreloadScript": {"script": "one"},
    }  # fmt: skip
    install(fake(tmp_path, **answers))
    with pytest.raises(ZeroDivisionError):
        await fails(tmp_path)
    pid, folder = left_over(tmp_path)
    assert not alive(pid)
    assert not folder.exists()


async def fails(there: Path) -> None:
    async with opened() as window:
        assert await window.prepare("1", "2") == "one"
        _, folder = left_over(there)
        assert (folder / "user.js").read_text().count("user_pref(") == len(module.PREFERENCES)
        raise ZeroDivisionError


# --- the window ------------------------------------------------------------------------------


class Told:
    """Stands where the connection does: takes down what is told, and answers by a script."""

    def __init__(self, *answers: Any) -> None:
        self.on_event: Callable[[dict[str, Any]], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._answers = list(answers)

    async def tell(self, method: str, **params: Any) -> Any:
        self.told.append((method, params))
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer


def value(text: str) -> dict[str, Any]:
    return {"type": "success", "result": {"type": "string", "value": text}}


def window(bidi: Told) -> FirefoxWindow:
    return FirefoxWindow(bidi, "page")  # type: ignore[arg-type]


async def test_what_scripts_come_to() -> None:
    thrown = {"type": "exception", "exceptionDetails": {"text": "TypeError: x\nat y"}}
    bidi = Told(value('{"a": [1]}'), {"type": "success", "result": {"type": "undefined"}}, thrown)
    page = window(bidi)
    assert await page.run("one()") == {"a": [1]}
    assert await page.run("two()") is None
    with pytest.raises(BrowserError, match=r"^TypeError: x$"):
        await page.run("three()")


async def test_what_appears() -> None:
    between = BrowserError("no such frame")
    assert await window(Told(value("false"), between, value("true"))).appears("#a", 30)
    assert not await window(Told(*[value("false")] * 9)).appears("#a", 0)
    with pytest.raises(BrowserError, match="no such frame"):
        await window(Told(between)).appears("#a", -1)


async def test_a_button_is_pressed_as_a_mouse_does() -> None:
    bidi = Told({"nodes": [{"sharedId": "n"}]}, {}, {})
    await window(bidi).press("#answer")
    (_, found), _, (method, acted) = bidi.told
    assert found["locator"] == {"type": "css", "value": "#answer"}
    assert method == "input.performActions"
    [mouse] = acted["actions"]
    assert [step["type"] for step in mouse["actions"]] == [
        "pointerMove",
        "pointerDown",
        "pointerUp",
    ]
    with pytest.raises(BrowserError, match="there is no #gone"):
        await window(Told({"nodes": []})).press("#gone")


def test_what_a_page_writes_and_when_it_is_gone() -> None:
    bidi, gone = Told(), list[bool]()
    page = window(bidi)
    page.on_crash = lambda: gone.append(True)
    assert bidi.on_event is not None
    for kind, level in (("console", "info"), ("javascript", "error")):
        entry = {"type": kind, "level": level, "text": f"{kind}!"}
        bidi.on_event({"method": "log.entryAdded", "params": entry})
    assert page.console == ["info: console!", "uncaught: javascript!"]
    for context, times in (("a frame of it", 0), ("page", 1)):
        bidi.on_event(
            {"method": "browsingContext.contextDestroyed", "params": {"context": context}}
        )
        assert len(gone) == times


# --- what stands for its camera -----------------------------------------------------------------


def test_the_scripts_bring_what_they_need() -> None:
    for source in (probe(), devices(Options(), 9)):
        assert "export " not in source
        assert not any(f"= {name};" in source for name in ("MARKS", "SETTINGS"))
        checked = subprocess.run(
            ["node", "--check", "-"], input=source, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
    assert "return { RATE, PERIOD, Chirps }" in browser_module("chirps")


@pytest.mark.parametrize(("stream", "number"), [(9, 0), (4000, 333)])
def test_what_is_painted_is_the_scene(stream: int, number: int) -> None:
    """The ground, put where devices.js puts it, with its square, is the picture without marks."""
    scene = Scene(stream, 320, 240)
    moved = 2 * number
    ground = scene.ground()[:240]
    made = np.roll(ground, -(moved % 320), axis=1)
    left, top, side, room = scene.fall
    top += moved % room
    made[top : top + side, left : left + side] = scene.square()[0, 0]
    whole = scene.luma(Mark(stream, number, 0))
    assert (made[30:210] == whole[30:210]).all()


def test_its_ground_survives_the_way_to_the_page() -> None:
    scene = Scene(9, 320, 240)
    coded = devices(Options(), 9).split('"ground": "')[1].split('"')[0]
    decoder = av.CodecContext.create("png", "r")
    [frame] = decoder.decode(av.Packet(base64.b64decode(coded)))
    assert isinstance(frame, av.VideoFrame)
    there = frame.reformat(format="yuv420p").to_ndarray()
    assert np.abs(there.astype(int) - scene.ground()).mean() < 2


@pytest.mark.parametrize("speech", [False, True])
def test_its_sounds_go_on_where_they_begin_again(speech: bool) -> None:
    coded = devices(Options(speech=speech), 9).split('"sounds": "')[1].split('"')[0]
    with wave.open(BytesIO(base64.b64decode(coded))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        once = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    twice = sound(Options(speech=speech), 9).pcm(0, 2 * len(once))
    assert np.array_equal(np.concatenate((once, once)), twice)
    assert (np.abs(once[LENGTH : LENGTH + 9600]).max() > 1000) == speech
