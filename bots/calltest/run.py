"""A call test from beginning to end: who calls whom, how long, by which network, what is kept."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import ifaddr

from ringback.bots import process
from ringback.bots.media.payload import Codec

from . import page_side
from .browser import Browser
from .lag import Lag
from .observed import Observed
from .options import CannotCheck, NoCall, Options
from .page_side import PageSide
from .profiles import Profile
from .running import Running, network
from .side import Side
from .together import Together
from .verified import Call

MOST = 3600.0
PATIENCE = 20.0
"""Seconds that an answer is waited for."""
Partner = Literal["bot", "browser", "firefox"]
BROWSERS: Mapping[Partner, Browser] = {"browser": "chromium", "firefox": "firefox"}
Watch = Callable[[Observed], None]


@dataclass(frozen=True, slots=True)
class Check:
    """What is to be tested.

        A peer of ours calls `to`, who is to send everything back; or, `between`, another peer of
    ours; or a browser (`partner`; Chromium where none is named). It lasts `seconds` (at most an
    hour) from the connection. `tokens`: of bots, for the first peer and the second. `seed` decides
    about what is lost on the way of a `profile`, and about the identities. In the folder
    `artifacts` everything is kept. `speech`: whether it is to be judged how intelligible a voice
    stays. Raises `ValueError` in words.
    """

    url: str
    to: str = "echo"
    between: bool = False
    partner: Partner = "bot"
    seconds: float = 5.0
    codec: Codec = "VP8"
    size: tuple[int, int] = (320, 240)
    rate: float = 15.0
    sound_only: bool = False
    relay_only: bool = False
    profile: Profile | None = None
    seed: int | None = None
    tokens: tuple[str, ...] = ()
    ca: Path | None = None
    artifacts: Path | None = None
    speech: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MOST:
            raise ValueError("A call test lasts at most an hour.")
        _ = self.options
        if self.between and self.partner != "bot":
            raise ValueError("Between two peers of its own there is no browser.")
        if self.partner != "bot" and self.seconds > page_side.MOST:
            raise ValueError(f"A call with a browser lasts at most {page_side.MOST:g} s.")

    @property
    def options(self) -> Options:
        """What its sides send and ask for."""
        return Options(
            self.size, self.rate, codec=self.codec, sound_only=self.sound_only,
            relay_only=self.relay_only, speech=self.speech, patience=PATIENCE,
        )  # fmt: skip


async def run(
    check: Check, watch: Watch | None = None, together: Together | None = None, number: int = 0
) -> Observed:
    """Make the call and see it to its end: what was observed, whatever that was.

    `watch` gets what there is at each step, and twice a second. It is call `number`, from 0, of
    those that go on `together`. Raises `CannotCheck`.
    """
    if not _has_address():
        raise CannotCheck("no_address", "This machine has no network address for media.")
    dice = random.Random(check.seed)
    async with AsyncExitStack() as stack:
        if together is None:
            together = await stack.enter_async_context(Together(check.options, dice))
        stack.callback(together.begin.leave, number)
        lag = await stack.enter_async_context(Lag())
        sides = await _sides(check, together, number, stack)
        relay = None
        if check.profile is not None:
            kept = check.artifacts is not None
            relay = network(check.profile, dice.randrange(2**32), logged=kept)

        def show(observed: Observed) -> None:
            if watch is not None:
                watch(_complete(observed, check, lag))

        caller = sides[0]
        assert isinstance(caller, Side)
        call = Call(caller, sides[1] if len(sides) > 1 else check.to, show)
        running = await Running.prepare(call, stack, relay, check.artifacts)
        try:
            async with together.turn:
                await running.connect()
            await together.begin.wait(number)
            running.begin()
            lag.begin()
            await call.last(check.seconds)
        except NoCall:
            # How it ended is told by what was observed; others do not wait for it.
            together.begin.leave(number)
        finally:
            await running.end()
        observed = _complete(call.observed(), check, lag)
        await running.keep(observed)
        return observed


def _complete(observed: Observed, check: Check, lag: Lag) -> Observed:
    observed.lag = lag.worst
    observed.seed = check.seed
    observed.network = check.profile.name if check.profile is not None else None
    return observed


async def _sides(
    check: Check, together: Together, number: int, stack: AsyncExitStack
) -> list[Side | PageSide]:
    # Not by the seed: two tests with the same seed may run beside each other.
    name = f"check-{secrets.token_hex(3)}"
    alone = not check.between and check.partner == "bot"
    names = [name] if alone else [f"{name}-a", f"{name}-b"]
    streams = [together.stream(number, side) for side in range(2)]
    sides: list[Side | PageSide] = []
    if check.partner != "bot":
        page = PageSide(
            page_url(check.url), names[1], browser=BROWSERS[check.partner], options=check.options,
            stream=streams[1], seconds=check.seconds, ca=check.ca, pool=together.pool,
        )  # fmt: skip
        sides.append(await stack.enter_async_context(page))
    for place in range(2 if check.between else 1):
        token = check.tokens[place] if place < len(check.tokens) else None
        side = Side(
            check.url, None if token else names[place],
            options=check.options, stream=streams[place], token=token, ca=check.ca,
            pool=together.pool, camera=together.camera(place),
        )  # fmt: skip
        sides.insert(place, await stack.enter_async_context(side))
    return sides


def page_url(url: str) -> str:
    """The address of an exchange's pages, without a slash at the end."""
    return process.socket_url(url).removesuffix("/ws").replace("ws", "http", 1)


def _has_address() -> bool:
    addresses = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return any(
        not ip.startswith("127.0.0.1") if isinstance(ip, str) else ip[0] != "::1"
        for ip in addresses
    )
