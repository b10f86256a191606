"""A call as a bot of one's own sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from ringback.server import protocol

from .call import BotCall
from .channel import Channel
from .feed import Feed, Listener
from .media import channel as media
from .media.endpoint import Endpoint
from .media.frames import Frame
from .media.incoming import Incoming
from .media.plane import Plane
from .rooms import Room, Rooms
from .sender import Sender
from .sounds import Cue
from .track import Frames, Track, both
from .values import CallEvent, Digit, Held, KeyframeWanted, Muted, Picture, Sound

MAX_CHANNELS = 16


class Call:
    """A call, connected. The bot's coroutine gets it; returning hangs up.

    `caller` is the name of who calls and `caller_is_bot` says whether that is a bot; `audio`
    and `video` are what they send, `events()` what they do. `send`, `publish` and `play` are
    what they hear and see.
    """

    def __init__(self, line: BotCall, rooms: Rooms, pool: Executor) -> None:
        self.id = line.id
        self.caller = line.ring.from_
        self.caller_is_bot = line.ring.bot
        self.audio = Track("audio", pool, self._ask_keyframe)
        self.video = Track("video", pool, self._ask_keyframe)
        self._rooms = rooms
        self._line = line
        self._events: Feed[CallEvent] = Feed()
        self._sender = Sender(pool, self._keyframe_wanted)
        self._plane: Endpoint | None = None
        self._held = False
        self._channels: dict[str, Channel] = {}
        self._new_channel = asyncio.Event()
        self._hear_media(line.media)
        line.on_plane = self._take_plane
        line.on_media = self._hear_media
        line.on_renegotiated = self._look

    @property
    def held(self) -> bool:
        """Whether the other side has put the call on hold: it does not listen."""
        return self._held

    # --- what comes

    def frames(self) -> Frames:
        """Coded sound and pictures from now on, as they come, both in one iterator."""
        return both(self.audio, self.video)

    def events(self) -> Listener[CallEvent]:
        """What happens from now on: `Muted`, `Held`, `Digit`, `KeyframeWanted`. A reader that
        falls behind by more than 256 loses the oldest."""
        return self._events.listen()

    async def channel(self, label: str) -> Channel:
        """The data channel that the other side opens under this label; waits for it."""
        while label not in self._channels:
            self._new_channel.clear()
            await self._new_channel.wait()
        return self._channels[label]

    # --- what goes

    def send(self, frame: Frame) -> bool:
        """Send a coded frame as it is, of this call or of another; whether it is on its way.

        When it is not, nobody wants it now, or too much waits. Requests for a keyframe go to
        this call's own pictures and are told as `KeyframeWanted`. Raises `ValueError` when
        the other side does not take the codec.
        """
        return self._sender.pass_on(frame)

    async def publish(self, items: AsyncIterable[Sound | Cue | Picture | Frame]) -> None:
        """Send the sound and the pictures of an async generator until it ends.

        Each piece of sound follows the one before; a picture is shown at its `time`, counted
        from the first, or at once. The generator is asked for more when more is wanted. After
        its end the last picture stays. Raises `RuntimeError` when the same kind is being
        published already, `ValueError` for what is no sound or picture, and what it raises.
        """
        await self._sender.publish(items)

    async def play(self, path: str | Path, *, loop: bool = False) -> None:
        """Send a file's sound and pictures; returns at its end.

        What is coded as the other side takes it (Opus, VP8, VP9, H.264 without B-frames) goes
        out as it is, anything else that PyAV reads is coded anew. Raises `CannotPlay`, and
        `RuntimeError` as `publish` does.
        """
        await self._sender.play(Path(path), loop)

    def room(self, name: str, *, unlisted: bool = False) -> AbstractAsyncContextManager[Room]:
        """Be in a room: `async with call.room("kitchen") as room: await room.say("Hello.")`"""
        return self._rooms.visit(name, unlisted)

    # --- from its line

    async def close(self) -> None:
        """End what reads and what is sent. The bot's process does this."""
        self._events.end()
        self.audio.end()
        self.video.end()
        await self._sender.close()

    def _take_plane(self, plane: Plane) -> None:
        assert isinstance(plane, Endpoint)
        self._plane = plane
        plane.on_incoming = self._take_track
        plane.on_digit = lambda key: self._events.put(Digit(key))
        plane.on_channel = self._take_channel
        for track in plane.incoming.values():
            self._take_track(track)
        self._sender.use(plane)

    def _take_track(self, incoming: Incoming) -> None:
        incoming.on_frame = self.audio.take if incoming.kind == "audio" else self.video.take

    def _take_channel(self, channel: media.Channel) -> None:
        known = channel.label in self._channels and self._channels[channel.label].open
        if known or len(self._channels) >= MAX_CHANNELS:
            channel.close()
            return
        self._channels[channel.label] = Channel(channel)
        self._new_channel.set()

    def _ask_keyframe(self) -> None:
        for track in self._plane.incoming.values() if self._plane is not None else ():
            track.ask_keyframe()

    def _keyframe_wanted(self) -> None:
        self._events.put(KeyframeWanted())
        self._ask_keyframe()

    def _hear_media(self, media: protocol.Media) -> None:
        for track, sends in ((self.audio, media.audio), (self.video, media.video)):
            if track.muted == sends:
                track.muted = not sends
                self._events.put(Muted(track.kind, track.muted))

    def _look(self) -> None:
        """Something was negotiated anew."""
        tracks = self._plane.outgoing.values() if self._plane is not None else []
        held = bool(tracks) and not any(track.active for track in tracks)
        if held != self._held:
            self._held = held
            self._events.put(Held(held))
