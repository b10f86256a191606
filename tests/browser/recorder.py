"""A recorder for tests of pages: takes legs and calls, says that it records, and keeps nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringback.bots.call import BotCall
from ringback.bots.client import Client
from ringback.bots.service import Service
from ringback.server import protocol as p
from ringback.server.identity import mint_bot_token
from ringback.server.keys import SECRET
from tests.running import Server


class StubRecorder:
    """What it was rung for, what it was told, and how many legs it has now."""

    def __init__(self, client: Client) -> None:
        self.orders: list[p.RecordingOrder] = []
        self.told: list[p.RecordingChange] = []
        self.legs: Counter[str] = Counter()
        self._client = client

    async def handle(self, call: BotCall) -> None:
        """One leg, until the exchange hangs it up."""
        order = call.ring.recording
        assert order is not None
        self.orders.append(order)
        await call.answer()
        await call.connected()
        self.legs[order.name] += 1
        try:
            await self._client.request(p.TellRecording(recording=order.id, state="on"))
            await call.over()
        finally:
            self.legs[order.name] -= 1

    def hear(self, event: p.ServerMessage) -> None:
        """What it is told besides rings."""
        if isinstance(event, p.RecordingChange):
            self.told.append(event)

    async def end(self, reason: str) -> None:
        """End what is recorded now by itself."""
        said = {"recording": self.orders[-1].id, "state": "off", "reason": reason}
        await self._client.request(p.TellRecording(**said))  # type: ignore[arg-type]


@asynccontextmanager
async def recorder(server: Server) -> AsyncIterator[StubRecorder]:
    """A recorder on the line of a server."""
    token = mint_bot_token(server.app[SECRET], "recorder", 600)
    about = "Records you."
    async with Client(f"{server.ws}/ws", token=token, name="recorder", about=about) as client:
        stub = StubRecorder(client)
        service = Service(client, stub.handle, on_event=stub.hear)
        running = asyncio.create_task(service.run())
        try:
            yield stub
        finally:
            running.cancel()
            await asyncio.wait([running])
