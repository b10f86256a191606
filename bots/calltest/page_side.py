"""A side of a call test that is a page in a browser: the real one, answered by its button."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ringback.bots.values import Kind
from ringback.server import protocol

from .browser import TITLES, Browser, BrowserError, Window
from .chromium import chromium
from .firefox import firefox
from .observed import Ending, Step
from .options import CannotCheck, NoCall, Options
from .page_talk import PageTalk

MOST = 60.0
"""Seconds that a call with a browser may last: the film of some is made before."""
NAMES: dict[str, str] = {"VP8": "VP8", "H264": "H.264"}
CONNECT = 20.0
OPEN = 60.0
"""Seconds until a page has come and is on the line: a browser that has just begun, on a busy
machine, is slow."""


class PageParty:
    """The page's part in the call. As a `Party`: `connect`, `over`, `hang_up`."""

    def __init__(self, window: Window, note: Callable[[str], None]) -> None:
        self.over = asyncio.Event()
        self.descriptions: list[protocol.Description] = []
        self.peer = None
        self._window = window
        self._note = note
        self._crashed = ""
        window.on_crash = self._fall

    def _fall(self) -> None:
        self._crashed = "The page crashed."
        self.over.set()

    @property
    def ending(self) -> Ending:
        """How a call ended that we did not end."""
        return "failed"

    def why(self) -> str:
        """Why it is over, in words."""
        return self._crashed

    async def connect(self, patience: float) -> None:
        """Press the button when it rings, and wait until media can flow. Raises `NoCall`."""
        window = self._window
        try:
            if not await window.appears("#answer", patience):
                raise NoCall("never answered", f"The page did not ring in {patience:g} s.")
            await window.press("#answer")
            self._note("answered")
            if not await window.appears('#phone[data-call-state="connected"]', CONNECT):
                state = await window.run("document.querySelector('#phone').dataset.callState")
                raise NoCall("never connected", f"The page is {state} after {CONNECT:g} s.")
        except BrowserError as error:
            raise NoCall("failed", self._crashed or f"The page fails: {error}.") from error

    async def hang_up(self) -> None:
        """Nothing: the other side does."""

    async def close(self) -> None:
        """Nothing: the page is closed with its window."""


class PageSide:
    """A person with a `browser` at the exchange `url`, who answers one call. As a `Side`: enter
    it, `listen`. The browser's camera and microphone are marked with `stream`, for calls of at
    most `seconds`. Its `bias` is not known: how long a browser holds back what comes, it decides
    anew all the time."""

    def __init__(
        self, url: str, name: str, *, browser: Browser, options: Options, stream: int,
        seconds: float, ca: Path | None, pool: Executor,
    ) -> None:  # fmt: skip
        self.url = url
        self.name = name
        self.options = options
        self.stream = stream
        self.steps: list[Step] = []
        self.restarts = 0
        self.bias: dict[Kind, float] = {}
        self.party: PageParty | None = None
        self.talk: PageTalk | None = None
        self.on_step: Callable[[Step], None] | None = None
        self.on_news: Callable[[], None] | None = None
        self._browser = browser
        self._seconds = seconds
        self._ca = ca
        self._pool = pool
        self._window: Window | None = None
        self._stack = AsyncExitStack()

    @property
    def shown(self) -> int:
        """The identity in its pictures: no other one."""
        return self.stream

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._window = await stack.enter_async_context(self._made())
            try:
                await self._open(self._window)
            except BrowserError as error:
                words = f"The page cannot be opened: {error}."
                raise CannotCheck("unreachable", words) from error
            self._stack = stack.pop_all()
        return self

    def _made(self) -> AbstractAsyncContextManager[Window]:
        if self._browser == "firefox":
            return firefox(self.options, self.stream, self._ca)
        return chromium(self.options, self.stream, self._seconds, self._ca)

    async def _open(self, window: Window) -> None:
        await window.visit(f"{self.url}/call/")
        if not await window.run("isSecureContext"):
            words = f"Browsers give {self.url} no camera: they want https, or localhost."
            raise CannotCheck("unreachable", words)
        await self._has_codec(window)
        await window.fill("#username", self.name)
        await window.press("form:has(#username) [type=submit]")
        if not await window.appears('body[data-wire="open"]', OPEN):
            words = f"The page at {self.url} is not on the line after {OPEN:g} s."
            raise CannotCheck("unreachable", words)

    async def _has_codec(self, window: Window) -> None:
        """Whether the browser can do what is asked of it. Raises `CannotCheck`."""
        known = await window.run(
            'RTCRtpSender.getCapabilities("video").codecs.map((codec) => codec.mimeType)'
        )
        codec = self.options.codec
        if self.options.sound_only or f"video/{codec}" in known:
            return
        words = f"This {TITLES[self._browser]} has no {NAMES[codec]}."
        if (self._browser, codec) == ("firefox", "H264"):
            words += " Name the folder of its OpenH264 in MOZ_GMP_PATH, or ask for VP8."
        raise CannotCheck("codec_missing", words)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the browser."""
        try:
            if self.talk is not None:
                await self.talk.finish()
        finally:
            await self._stack.aclose()

    @property
    def console(self) -> Sequence[str]:
        """What the page wrote."""
        return self._window.console if self._window is not None else ()

    @property
    def route(self) -> str | None:
        """The two candidates in use, in words."""
        return (self.talk.pair or None) if self.talk is not None else None

    def expect(self, stream: int) -> PageTalk:
        """Prepare for pictures and sounds of this stream."""
        assert self._window is not None
        self.talk = PageTalk(
            self._window, self.options, self.stream, stream, self._pool, self.note, self._news
        )  # fmt: skip
        return self.talk

    def listen(self) -> PageParty:
        """Answer the next call; `connect` of what it returns waits for it."""
        assert self._window is not None
        self.party = PageParty(self._window, self.note)
        return self.party

    async def screenshot(self) -> bytes | None:
        """What the page shows, as PNG; None when it cannot be had any more."""
        assert self._window is not None
        with suppress(BrowserError):
            return await self._window.screenshot()
        return None

    def note(self, name: str, detail: str = "", at: float | None = None) -> None:
        """Take down a step, by the page's clock; now where `at` is None."""
        offset = self.talk.clocks.offset if self.talk is not None else 0.0
        step = Step(time.monotonic() + offset if at is None else at, self.name, name, detail)
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(step)

    def _news(self) -> None:
        if self.on_news is not None:
            self.on_news()
