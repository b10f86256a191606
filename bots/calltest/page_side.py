"""A side of a call test that is a page in a browser: the real one, answered by its button."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ringback.bots.values import Kind
from ringback.server import protocol

from .browser import window
from .observed import Ending, Step
from .options import CannotCheck, NoCall, Options
from .page_talk import PageTalk

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Page

MOST = 60.0
"""Seconds that a call with a browser may last: its film is made before."""
SPARE = 30.0
"""Seconds from the opening of the camera until the call is judged, at most."""
CONNECT = 20.0
LINES = 500


class PageParty:
    """The page's part in the call. As a `Party`: `connect`, `over`, `hang_up`."""

    def __init__(self, page: Page, note: Callable[[str], None]) -> None:
        self.over = asyncio.Event()
        self.descriptions: list[protocol.Description] = []
        self.peer = None
        self._page = page
        self._note = note
        self._crashed = ""
        page.on("crash", lambda _: self._fall("The page crashed."))

    def _fall(self, why: str) -> None:
        self._crashed = why
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
        from playwright.async_api import TimeoutError as TooLate

        phone = self._page.locator("#phone")
        try:
            await self._page.locator("#answer").click(timeout=1000 * patience)
        except TooLate:
            raise NoCall("never answered", f"The page did not ring in {patience:g} s.") from None
        self._note("answered")
        try:
            await self._page.wait_for_selector(
                '#phone[data-call-state="connected"]', timeout=1000 * CONNECT
            )
        except TooLate:
            state = await phone.get_attribute("data-call-state")
            raise NoCall("never connected", f"The page is {state} after {CONNECT:g} s.") from None

    async def hang_up(self) -> None:
        """Nothing: the other side does."""

    async def close(self) -> None:
        """Nothing: the page is closed with its window."""


class PageSide:
    """A person with a browser at the exchange `url`, who answers one call. As a `Side`: enter
    it, `listen`. The browser's camera and microphone are marked with `stream`, for calls of at
    most `seconds`. `console` is what the page wrote. Its `bias` is not known: how long a browser
    holds back what comes, it decides anew all the time."""

    def __init__(
        self, url: str, name: str, *, options: Options, stream: int, seconds: float,
        ca: Path | None, pool: Executor,
    ) -> None:  # fmt: skip
        self.url = url
        self.name = name
        self.options = options
        self.stream = stream
        self.steps: list[Step] = []
        self.console: list[str] = []
        self.restarts = 0
        self.bias: dict[Kind, float] = {}
        self.party: PageParty | None = None
        self.talk: PageTalk | None = None
        self.on_step: Callable[[Step], None] | None = None
        self.on_news: Callable[[], None] | None = None
        self._seconds = seconds
        self._ca = ca
        self._pool = pool
        self._page: Page | None = None
        self._stack = AsyncExitStack()

    @property
    def shown(self) -> int:
        """The identity in its pictures: no other one."""
        return self.stream

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            made = window(self.options, self.stream, self._seconds + SPARE, self._ca)
            self._page = await stack.enter_async_context(made)
            self._page.on("console", self._wrote)
            self._page.on("pageerror", lambda error: self._write(f"uncaught: {error}"))
            await self._open(self._page)
            self._stack = stack.pop_all()
        return self

    async def _open(self, page: Page) -> None:
        from playwright.async_api import Error

        try:
            await page.goto(f"{self.url}/call/")
            await page.get_by_label("Your name").fill(self.name)
            await page.get_by_role("button", name="Go to calls").click()
            await page.wait_for_selector('body[data-wire="open"]', timeout=20_000)
        except Error as error:
            line = str(error).splitlines()[0]
            raise CannotCheck("unreachable", f"The page cannot be opened: {line}") from error

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

    def _wrote(self, message: ConsoleMessage) -> None:
        self._write(f"{message.type}: {message.text}")

    def _write(self, line: str) -> None:
        if len(self.console) < LINES:
            self.console.append(line)

    @property
    def route(self) -> str | None:
        """The two candidates in use, in words."""
        return (self.talk.pair or None) if self.talk is not None else None

    def expect(self, stream: int) -> PageTalk:
        """Prepare for pictures and sounds of this stream."""
        assert self._page is not None
        self.talk = PageTalk(
            self._page, self.options, self.stream, stream, self._pool, self.note, self._news
        )  # fmt: skip
        return self.talk

    def listen(self) -> PageParty:
        """Answer the next call; `connect` of what it returns waits for it."""
        assert self._page is not None
        self.party = PageParty(self._page, self.note)
        return self.party

    async def screenshot(self) -> bytes | None:
        """What the page shows, as PNG; None when it cannot be had any more."""
        from playwright.async_api import Error

        assert self._page is not None
        with suppress(Error):
            return await self._page.screenshot()
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
