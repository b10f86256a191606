"""A bot of one's own: what it is called, and the coroutines that are its calls and its rooms.

    from ringback import bots

    @bots.bot("parrot", about="Repeats what it hears and sees.")
    async def parrot(call: bots.Call) -> None:
        async for frame in call.frames():
            call.send(frame)

`ringback bot run FILE` puts it on the line of an exchange.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from .rooms import Room
from .talk import Call

MAX_CALLS = 50

CallHandler = Callable[[Call], Awaitable[None]]
RoomHandler = Callable[[Room], Awaitable[None]]


class Visit(NamedTuple):
    """A room that a bot is in while it is on the line, and the coroutine that is there for it."""

    room: str
    unlisted: bool
    handler: RoomHandler


class Bot:
    """A bot. One coroutine, marked with `call`, is one call; one marked with `room` one room.

    `name`: how it is called where its token does not say otherwise. `about`: one line it says
    of itself, at most 120 characters. `max_calls`: how many calls one process takes at once.
    `accepts` gets a caller's name and says whether to answer; without it everybody is.
    """

    def __init__(
        self,
        name: str,
        *,
        about: str = "",
        max_calls: int = MAX_CALLS,
        accepts: Callable[[str], bool] | None = None,
    ) -> None:
        if len(about) > 120:
            raise ValueError("What a bot says of itself has at most 120 characters.")
        if max_calls < 1:
            raise ValueError("A bot takes at least one call.")
        self.name = name
        self.about = about
        self.max_calls = max_calls
        self.accepts = accepts
        self.handler: CallHandler | None = None
        self.visits: list[Visit] = []

    def call(self, handler: CallHandler) -> CallHandler:
        """Let a coroutine function be the bot's calls: it is run once for each, from when the
        call is connected; returning hangs up, and it is cancelled when the other side does."""
        _coroutine(handler)
        self.handler = handler
        return handler

    def room(self, name: str, *, unlisted: bool = False) -> Callable[[RoomHandler], RoomHandler]:
        """Let a coroutine function be there in a room for as long as the bot is on the line;
        returning leaves the room. `unlisted`: the room is not to be listed."""

        def mark(handler: RoomHandler) -> RoomHandler:
            _coroutine(handler)
            self.visits.append(Visit(name, unlisted, handler))
            return handler

        return mark

    def __repr__(self) -> str:
        return f"<Bot {self.name}>"


def bot(
    name: str,
    *,
    about: str = "",
    max_calls: int = MAX_CALLS,
    accepts: Callable[[str], bool] | None = None,
) -> Callable[[CallHandler], Bot]:
    """Make a `Bot` of the coroutine function that is its calls. The arguments are `Bot`'s."""

    def make(handler: CallHandler) -> Bot:
        made = Bot(name, about=about, max_calls=max_calls, accepts=accepts)
        made.call(handler)
        return made

    return make


def _coroutine(handler: object) -> None:
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler!r} is no coroutine function: write `async def`.")
