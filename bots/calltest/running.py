"""A call of a test with what goes with it: the network it passes, and what is kept of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .artifacts import Keeper
from .observed import Observed
from .packetlog import PacketLog
from .profiles import Profile
from .relay import Relay
from .verified import Call


@dataclass(frozen=True, slots=True)
class Running:
    """Made by `prepare`; then `connect` and `begin`, `end` and `keep`. `relay` and `keeper` where
    there is a network, or something to be kept."""

    call: Call
    relay: Relay | None
    keeper: Keeper | None

    @classmethod
    async def prepare(
        cls,
        call: Call,
        stack: AsyncExitStack,
        relay: Relay | None,
        folder: Path | None,
    ) -> Self:
        """Have its network and its keeper stand until the `stack` ends. In the `folder`
        everything is kept, nothing where it is None. Raises `CannotCheck`."""
        if relay is not None:
            await stack.enter_async_context(relay)
        keeper = None
        if folder is not None:
            keeper = await stack.enter_async_context(Keeper(call, folder))
        return cls(call, relay, keeper)

    async def connect(self) -> None:
        """Let it come about. Raises `NoCall`, and `CannotCheck`."""
        await self.call.connect(self.relay)

    def begin(self) -> None:
        """Begin to send: it is judged from now on, and the times of its network count."""
        self.call.begin()
        if self.relay is not None:
            self.relay.begin()

    async def end(self) -> None:
        """End it, once what pages show is kept."""
        if self.keeper is not None:
            await self.keeper.look()
        await self.call.end()

    async def keep(self, observed: Observed) -> bool:
        """Write what is to be kept; whether that was anything. Raises `CannotCheck`."""
        if self.keeper is not None:
            await self.keeper.keep(observed, self.relay.log if self.relay is not None else None)
        return self.keeper is not None


def network(profile: Profile | None, seed: int, *, logged: bool) -> Relay:
    """What a call passes; `logged`: it takes note of each packet."""
    return Relay(profile, seed, PacketLog() if logged else None)
