"""Recordings to look at: real files with marked pictures and sounds, laid where the recorder lays
its own, and the entry that says whose they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from msgspec.structs import replace

from ringback.server import recording as rules
from ringback.server.engine.base import Engine
from ringback.server.keys import ENGINE
from ringback.server.protocol import Consent, RecordingEnd
from ringback.server.recording import Person, Recording
from ringback.server.shelf import FOLDER, SIDECAR, VOICEMAIL_FOLDER
from ringback.server.voicebox import VoiceMessage
from tests.clips import clip
from tests.marked import SIZE, picture
from tests.running import Server

START = 1_700_000_000_000


def thumbnail(path: Path) -> None:
    """A small JPEG."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuvj420p"
        container.mux(stream.encode(picture(0).reformat(format="yuvj420p")))
        container.mux(stream.encode())


@dataclass
class Tape:
    """Somebody's part: how long (s), where it begins (s), whether there is a picture."""

    name: str
    seconds: float = 2.0
    offset: float = 0.0
    picture: bool = True


def lay(data: Path, id: str, tapes: Sequence[Tape], *, shelf: str = FOLDER, **changes: Any) -> Path:
    """Lay the files of a recording and their sidecar; returns their folder."""
    folder = data / shelf / id
    folder.mkdir(parents=True)
    participants = []
    for number, tape in enumerate(tapes, 1):
        video = "libvpx" if tape.picture else None
        clip(folder / f"{number}.webm", video=video, seconds=tape.seconds, stream=number)
        part: dict[str, Any] = {
            "name": tape.name,
            "file": f"{number}.webm",
            "offset_ms": tape.offset * 1000,
            "duration_ms": tape.seconds * 1000,
            "bytes": (folder / f"{number}.webm").stat().st_size,
            "thumbnail": None,
            "audio": {"codec": "opus", "channels": 1},
            "clock": [],
            "gaps": [],
        }
        if tape.picture:
            thumbnail(folder / f"{number}.jpg")
            part["thumbnail"] = f"{number}.jpg"
            part["video"] = {"codec": "VP8", "width": SIZE[0], "height": SIZE[1], "frames": 30}
        participants.append(part)
    sidecar = {
        "v": 1, "id": id, "call": f"call of {id}", "started": START, "ended": START + 60_000,
        "reason": "stopped", "consent": [], "participants": participants,
    } | changes  # fmt: skip
    (folder / SIDECAR).write_text(json.dumps(sidecar))
    return folder


async def leave(
    server: Server, id: str, user: str, *, name: str = "Bob", by: str = "Ann",
    seconds: float = 2.0, heard: bool = False, at: int = START, cut: bool = False,
) -> Path:  # fmt: skip
    """Leave a message for a user under a name; returns the folder of its file."""
    message = VoiceMessage(
        id=id, kind="message", user=user, key=name.casefold(), name=name, from_name=by,
        call=f"call of {id}", after=f"before {id}", begun=at, left=at, seconds=seconds, heard=heard,
        cut=cut,
    )  # fmt: skip
    await server.app[ENGINE].put_message(message)
    tape = Tape(by, seconds, picture=False)
    return await asyncio.to_thread(lay, server.data, id, [tape], shelf=VOICEMAIL_FOLDER)


async def enter(
    engine: Engine, id: str, people: dict[str, str], *, start: int = START, live: bool = False
) -> Recording:
    """Note a recording of people (user by name) in the engine."""
    parties = tuple(
        Person(user, name, name.casefold(), f"s-{name}", consent=Consent(name, start, "1"))
        for name, user in people.items()
    )
    made = Recording(id, f"call of {id}", parties, next(iter(people)).casefold(), start, "starting")
    await engine.put_recording(made, None)
    on = rules.begun(made, start)
    await engine.put_recording(on, made.version)
    if live:
        return on
    off = rules.finish(on, RecordingEnd.STOPPED, on.asker, start + 60_000)
    await engine.put_recording(off, on.version)
    return replace(off)
