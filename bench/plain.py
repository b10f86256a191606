"""The measure for chat: rooms in plain aiohttp, as short as it can be written.

It serialises a message once and sends it to each socket; it stores nothing, checks nothing,
and waits for its slowest reader.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import count

from aiohttp import WSMsgType, web

from bench.processes import say

Listeners = defaultdict[str, list[web.WebSocketResponse]]
ROOMS: web.AppKey[Listeners] = web.AppKey("ROOMS", defaultdict)
NUMBERS: web.AppKey[Callable[[], int]] = web.AppKey("NUMBERS")


async def listen(request: web.Request) -> web.WebSocketResponse:
    """One socket of a room. What it says goes to all, in the form Ringback gives it."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    everybody = request.app[ROOMS][request.query["room"]]
    everybody.append(ws)
    try:
        async for frame in ws:
            said = json.loads(frame.data)
            message = {
                "type": "chat",
                "room": said["room"],
                "seq": request.app[NUMBERS](),
                "from": request.query["name"],
                "text": said["text"],
                "time": round(time.time() * 1000),
                "cid": said["cid"],
            }
            payload = json.dumps(message, separators=(",", ":")).encode()
            for listener in list(everybody):
                await listener.send_frame(payload, WSMsgType.TEXT)
    finally:
        everybody.remove(ws)
    return ws


def create_app() -> web.Application:
    """One server, at `/ws?name=NAME&room=ROOM`."""
    app = web.Application()
    rooms: Listeners = defaultdict(list)
    app[ROOMS] = rooms
    numbers = count(1)
    app[NUMBERS] = lambda: next(numbers)
    app.router.add_get("/ws", listen)
    return app


async def main() -> None:
    """Serve on a free port of the loopback and say which; until the process is ended."""
    runner = web.AppRunner(create_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    say(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
