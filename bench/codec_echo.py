"""The measure for calls: an echo as aiortc's examples are written, decoding and encoding.

POST an offer's SDP to `/`, get the answer's.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaRelay

from bench.processes import say

CALLS: web.AppKey[set[RTCPeerConnection]] = web.AppKey("CALLS", set)


async def answer(request: web.Request) -> web.Response:
    """Answer one call; it ends when the caller closes its connection."""
    calls = request.app[CALLS]
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    relay = MediaRelay()
    calls.add(pc)

    @pc.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        pc.addTrack(relay.subscribe(track))

    @pc.on("connectionstatechange")
    async def on_change() -> None:
        if pc.connectionState in ("failed", "closed"):
            calls.discard(pc)
            await pc.close()

    await pc.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    return web.Response(text=pc.localDescription.sdp)


async def main() -> None:
    """Serve on a free port of the loopback and say which; until the process is ended."""
    app = web.Application()
    app[CALLS] = set()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
