"""How each kind of server is called: an offer's SDP goes there, the answer's comes back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from msgspec import Struct

from bench import janus
from bench.processes import BenchError
from bench.wire import Dial
from ringback.bots.client import Client
from ringback.server import protocol


class Way(Struct, frozen=True):
    """Whom to call. `kind`: `ringback` (`to` is a bot), `janus` (a plugin), `plain` (a path of
    `bench.codecs`), or `bare` (`bench.floor`, which is not called, only sent to)."""

    kind: str
    port: int
    to: str = ""


def dial(way: Way) -> Dial:
    """A function that places a call. It raises `BenchError` when it is not answered."""
    return {"ringback": _ringback, "janus": _janus, "plain": _plain}[way.kind](way)


def _plain(way: Way) -> Dial:
    @asynccontextmanager
    async def call(offer: str) -> AsyncIterator[str]:
        url = f"http://127.0.0.1:{way.port}/{way.to}"
        async with aiohttp.ClientSession() as http:
            async with http.post(url, data=offer) as reply:
                if reply.status != 200:
                    raise BenchError(f"{url} answered with status {reply.status}")
                answer = await reply.text()
            yield answer

    return call


def _janus(way: Way) -> Dial:
    @asynccontextmanager
    async def call(offer: str) -> AsyncIterator[str]:
        async with janus.Handle(way.port, way.to) as handle:
            yield await handle.call(offer)

    return call


def _ringback(way: Way) -> Dial:
    @asynccontextmanager
    async def call(offer: str) -> AsyncIterator[str]:
        number = f"bench-{secrets.token_hex(8)}"
        url = f"http://127.0.0.1:{way.port}"
        headers = await _known(url) if way.to == "voicemail" else {}
        async with Client(f"{url}/ws", name=number[:20], headers=headers) as client:
            description = protocol.Description(type="offer", sdp=offer)
            await client.request(
                protocol.Call(
                    call=number, to=way.to, media=protocol.Media(), description=description,
                    # One's own greeting: recorded and played as messages are, with no need of
                    # somebody who does not answer.
                    greeting=way.to == "voicemail",
                )
            )  # fmt: skip
            async for event in client:
                if isinstance(event, protocol.Ended):
                    raise BenchError(f"the call ended: {event.message}")
                if isinstance(event, protocol.Answered):
                    break
            else:
                raise BenchError("the session ended before the call was answered")
            client.tell(protocol.Progress(call=number, state="connected"))
            yield event.description.sdp
            await client.request(protocol.Hangup(call=number))

    return call


async def _known(url: str) -> dict[str, str]:
    """What a browser says that has been here: voicemail is for people with a cookie."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/call/") as page:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in page.cookies.items())
    return {"Cookie": cookies, "Origin": url}
