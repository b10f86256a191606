"""What the call tests of one pytest test share: its peers, its calls, its network, its verdicts.

Everything here happens in the event loop of the test itself, whoever runs that.
"""

from __future__ import annotations

import functools
import os
import random
import secrets
import shutil
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from .browser import Browser
from .chirps import WORDS
from .lag import Lag
from .options import Options
from .outcome import Outcome, conclude
from .page_side import PageSide
from .profiles import Profile
from .relay import Relay
from .run import page_url
from .running import Running, network
from .side import Side
from .thresholds import Threshold
from .together import streams
from .verified import Call

_Side = TypeVar("_Side", Side, PageSide)
Keep = Literal["off", "on", "retain-on-failure"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the calls of a test are made. `folder`: where its artefacts go, and `keep` when.
    `shaped`: whether all media is to pass a made up network, though it may do nothing yet.
    `browser`: that of people on pages, None where there are to be none."""

    url: str
    options: Options
    thresholds: Sequence[Threshold]
    seed: int
    folder: Path
    keep: Keep = "retain-on-failure"
    profile: Profile | None = None
    shaped: bool = False
    strict: bool = False
    browser: Browser | None = "chromium"
    soak: float = 0.0


def _unique(name: str) -> str:
    # Tests may run beside each other at one exchange, which keeps names for a while.
    return f"{name}-{secrets.token_hex(3)}"


class Stage:
    """Peers and calls of one test. `begin` before the test, `conclude` after it.

    Made without an event loop. `judged` is what its calls came to; `ready` is the call between
    the two peers of the fixture `call`, where it was asked for.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.profile = plan.profile
        self.judged: list[Outcome] = []
        self.ready: Call | None = None
        self.relays: list[Relay] = []
        self._lag = Lag()
        self._dice = random.Random(plan.seed)
        self._pair: tuple[Side, Side] | None = None
        self._running: list[Running] = []
        self._stack = AsyncExitStack()
        self._pool: ThreadPoolExecutor | None = None
        self._streams: list[int] = []

    # --- for the fixtures

    def make(self, name: str | None = None, token: str | None = None, **changes: Any) -> Side:
        """A peer that is not on the line yet; `name` is how its own begins. Raises `ValueError`
        in words, `TypeError` for what `Options` does not know."""
        return Side(
            self.plan.url, None if token else _unique(name or "peer"),
            options=replace(self.plan.options, **changes), stream=self._stream(), token=token,
            pool=self._workers(),
        )  # fmt: skip

    def make_page(self, name: str | None, browser: Browser, seconds: float) -> PageSide:
        """The same in a browser, for calls of at most so long."""
        return PageSide(
            page_url(self.plan.url), _unique(name or "page"), browser=browser,
            options=self.plan.options, stream=self._stream(), seconds=seconds, ca=None,
            pool=self._workers(),
        )  # fmt: skip

    def _workers(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "calltest")
        return self._pool

    def _stream(self) -> int:
        """One whose sounds no other of this test can be taken for, as long as there are any."""
        self._streams = self._streams or streams(self._dice, WORDS)
        return self._streams.pop()

    def ask_for_call(self) -> Call:
        """The call that is to be on when the test begins."""
        if self.ready is None:
            self._pair = self.make("a"), self.make("b")
            self.ready = Call(*self._pair)
        return self.ready

    async def enter(self, side: _Side) -> _Side:
        """Bring a peer on the line, until the test is over. Raises `CannotCheck`."""
        return await self._stack.enter_async_context(side)

    async def connect(self, call: Call) -> Call:
        """Let a call come about. Raises `NoCall`."""
        number = len(self._running)
        relay, folder = None, None
        if self.plan.keep != "off":
            folder = self.plan.folder / f"call-{number + 1}" if number else self.plan.folder
        if self.plan.shaped or self.profile is not None:
            seed = self._dice.randrange(2**32)
            relay = network(self.profile, seed, logged=folder is not None)
            self.relays.append(relay)
        running = await Running.prepare(call, self._stack, relay, folder)
        self._running.append(running)
        await running.connect()
        running.begin()
        if not number:
            self._lag.begin()
        return call

    def call_of(self, *sides: Side | PageSide) -> Call:
        """The call that these peers have, or had. Raises `ValueError` in words."""
        for running in reversed(self._running):
            if all(side in running.call.sides for side in sides):
                return running.call
        names = " and ".join(side.name for side in sides)
        raise ValueError(f"{names} had no call in this test.")

    def judge(self, call: Call) -> Outcome:
        """What would be said of a call if it were over now."""
        observed = call.observed()
        observed.lag, observed.seed = self._lag.worst, self.plan.seed
        if self.profile is not None:
            observed.network = self.profile.name
        return conclude(observed, self.plan.thresholds)

    # --- around a test

    def around(self, test: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The coroutine function of a test, with all that is to happen before and after it."""

        @functools.wraps(test)
        async def whole(*arguments: Any, **named: Any) -> Any:
            try:
                await self.begin()
                result = await test(*arguments, **named)
                for running in self._running:
                    await running.call.last(max(0.0, self.plan.soak))
            except BaseException:
                await self.conclude(failed=True)
                raise
            await self.conclude(failed=False)
            return result

        return whole

    async def begin(self) -> None:
        """Start watching the loop, and make the call that was asked for. Raises `CannotCheck`,
        and `NoCall` when it does not come about."""
        await self._stack.enter_async_context(self._lag)
        if self._pair is not None:
            for side in self._pair:
                await self.enter(side)
        if self.ready is not None:
            await self.connect(self.ready)

    async def conclude(self, failed: bool) -> None:
        """End the calls, judge them, keep what is to be kept, free everything."""
        kept = False
        try:
            for running in self._running:
                await running.end()
                judged = self.judge(running.call)
                self.judged.append(judged)
                kept |= await running.keep(judged.observed)
        finally:
            await self._stack.aclose()
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
        well = not failed and all(judged.verdict.state == "passed" for judged in self.judged)
        if kept and well and self.plan.keep != "on":
            for judged in self.judged:
                judged.observed.files.clear()
            shutil.rmtree(self.plan.folder)
