"""The measure for calls: servers as aiortc's examples are written, decoding and encoding.

`python -m bench.codecs FOLDER`: POST an offer's SDP to `/echo`, `/mp4` or `/webm`, get the
answer's; the last two record into the folder until the caller closes its connection.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from aiohttp import web
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaRecorder, MediaRelay

from bench.processes import say


class Server:
    """All calls of the process, each with its own connection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls: set[RTCPeerConnection] = set()
        self._numbers = count(1)

    async def echo(self, request: web.Request) -> web.Response:
        """Answer one call and send back what is decoded."""
        pc = self._connection()
        relay = MediaRelay()

        @pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            pc.addTrack(relay.subscribe(track))

        return await _answer(pc, request)

    async def record(self, request: web.Request) -> web.Response:
        """Answer one call and record it in the format that the path names."""
        form = request.match_info["form"]
        recorder = MediaRecorder(str(self._folder / f"{next(self._numbers)}.{form}"))
        pc = self._connection(recorder)

        @pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            recorder.addTrack(track)

        answer = await _answer(pc, request)
        await recorder.start()
        return answer

    def _connection(self, recorder: MediaRecorder | None = None) -> RTCPeerConnection:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._calls.add(pc)

        @pc.on("connectionstatechange")
        async def on_change() -> None:
            if pc.connectionState in ("failed", "closed") and pc in self._calls:
                self._calls.discard(pc)
                if recorder is not None:
                    await recorder.stop()
                await pc.close()

        return pc


async def _answer(pc: RTCPeerConnection, request: web.Request) -> web.Response:
    await pc.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    return web.Response(text=pc.localDescription.sdp)


async def main() -> None:
    """Serve on a free port of the loopback and say which; until the process is ended."""
    server = Server(Path(sys.argv[1]))
    app = web.Application()
    app.router.add_post("/echo", server.echo)
    app.router.add_post("/{form:mp4|webm}", server.record)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
