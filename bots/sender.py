"""What a bot sends in one call: coded frames, sound and pictures it makes, files.

Sound and pictures are coded in a worker thread, only while the other side wants them, and leave
at the pace at which they are to be heard and seen: whoever makes them is asked for more just in
time. Timestamps only grow, whatever is sent after whatever, so the other side plays on.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path

from .media.endpoint import Endpoint
from .media.frames import Frame
from .media.outgoing import Outgoing
from .out import Out
from .pictures import PictureOut
from .playing import Player
from .sounds import Cue, SoundOut
from .values import Kind, Picture, Sound


class Sender:
    """All that one call sends. `wanted` is called when the peer needs a keyframe of pictures
    that were passed on."""

    def __init__(self, pool: Executor, wanted: Callable[[], None]) -> None:
        self._pool = pool
        self._wanted = wanted
        self._plane: Endpoint | None = None
        self._outs: dict[Kind, Out] = {kind: Out(kind, self.track) for kind in ("audio", "video")}
        self._pictures = PictureOut(self._outs["video"], pool)

    def use(self, plane: Endpoint) -> None:
        """Send by another connection from now on."""
        self._plane = plane

    def track(self, kind: Kind) -> Outgoing | None:
        """The track of a kind that the peer wants now."""
        if self._plane is None:
            return None
        tracks = self._plane.outgoing.values()
        return next((t for t in tracks if t.kind == kind and t.active), None)

    def pass_on(self, frame: Frame) -> bool:
        """Send a coded frame as it is."""
        out = self._outs[frame.kind]
        if frame.kind == "video":
            self._pictures.forget()
            out.request = self._wanted
        return out.pass_on(frame)

    async def publish(self, items: AsyncIterable[Sound | Cue | Picture | Frame]) -> None:
        """Send what comes until there is no more."""
        sound = SoundOut(self._outs["audio"], self._pool)
        with ExitStack() as taken:
            have: set[Kind] = set()
            async for item in items:
                kind = item.kind if isinstance(item, Frame) else _kind(item)
                if kind not in have:
                    taken.enter_context(self._outs[kind].taken())
                    have.add(kind)
                    if isinstance(item, Picture):
                        self._pictures.begin()
                match item:
                    case Cue():
                        await sound.put_cue(item)
                    case Sound(data=data, rate=rate, channels=channels):
                        await sound.put(data, rate, channels)
                    case Picture():
                        await self._pictures.put(item)
                    case Frame():
                        self.pass_on(item)
            await sound.finish()

    async def play(self, path: Path, loop: bool) -> None:
        """Send a file's sound and pictures to its end, or for ever."""
        tracks = self._plane.outgoing.values() if self._plane is not None else []
        codecs = {track.kind: track.passes for track in reversed(list(tracks))}
        player = Player(path, self._outs, self._pictures, self._pool)
        with ExitStack() as taken:
            for kind in await player.open(codecs):
                taken.enter_context(self._outs[kind].taken())
            await player.run(loop)

    async def close(self) -> None:
        """Send nothing more."""
        self._plane = None
        await self._pictures.close()


def _kind(item: Sound | Cue | Picture) -> Kind:
    if isinstance(item, Sound | Cue):
        return "audio"
    if isinstance(item, Picture):
        return "video"
    raise TypeError(f"A bot sends Sound, Picture or Frame, not {type(item).__name__}.")
