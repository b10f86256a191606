"""A recording as its page shows it: what the database and the files say of it, put together."""

from __future__ import annotations

import datetime

from msgspec import Struct

from .recording import Recording, words
from .shelf import Part, Sidecar

STATES = {
    "running": "It can be played once it has stopped.",
    "finished": "",
    "unfinished": (
        "Not finished yet. If the recorder broke off, it is put in order at its next start."
    ),
    "unreadable": "The files of this recording are gone or cannot be read.",
}


class Piece(Struct, frozen=True, omit_defaults=True):
    """One person's part as the page shows it. Sizes in bytes, times in ms."""

    name: str
    own: bool
    url: str
    bytes: int
    offset_ms: float
    duration_ms: float | None
    picture: bool
    thumbnail: str | None = None


class Item(Struct, frozen=True, omit_defaults=True):
    """A recording as its page shows it. `peers`: who was recorded besides oneself."""

    id: str
    peers: list[str]
    started: int
    duration_ms: float
    bytes: int
    state: str
    words: str
    pieces: list[Piece]

    @property
    def long(self) -> str:
        """The duration like 0:42 or 1:02:03."""
        return long(self.duration_ms)

    @property
    def size(self) -> str:
        """The size like 4.2 MB."""
        kilobytes = self.bytes / 1000
        return f"{kilobytes / 1000:.1f} MB" if kilobytes >= 1000 else f"{kilobytes:.0f} kB"

    @property
    def date(self) -> str:
        """The start in ISO 8601, UTC."""
        return date(self.started)


def item(recording: Recording, sidecar: Sidecar | None, user: str) -> Item:
    """One of a user's recordings. `sidecar`: what its files say, None if they say nothing."""
    started = recording.started or recording.asked
    pieces = _pieces(recording, sidecar, user)
    ends = [piece.offset_ms + (piece.duration_ms or 0) for piece in pieces]
    lasted = max(0, (recording.ended or started) - started)
    own = next(person for person in recording.people if person.user == user)
    state = _state(recording, sidecar, pieces)
    told = words(recording, own.key) if state == "finished" else ""
    return Item(
        id=recording.id,
        peers=[person.name for person in recording.people if person is not own],
        started=started,
        duration_ms=max(ends, default=0) or lasted,
        bytes=sum(piece.bytes for piece in pieces),
        state=state,
        words=STATES[state] or told,
        pieces=pieces,
    )


def _state(recording: Recording, sidecar: Sidecar | None, pieces: list[Piece]) -> str:
    if recording.live:
        return "running"
    if sidecar is None or not pieces:
        return "unreadable"
    return "unfinished" if sidecar.ended is None else "finished"


def _pieces(recording: Recording, sidecar: Sidecar | None, user: str) -> list[Piece]:
    if sidecar is None:
        return []
    own = {person.name for person in recording.people if person.user == user}
    base = f"/recordings/{recording.id}/"
    return [
        Piece(
            name=part.name,
            own=part.name in own,
            url=base + part.file,
            bytes=part.bytes,
            offset_ms=part.offset_ms,
            duration_ms=part.duration_ms,
            picture=part.video is not None,
            thumbnail=base + part.thumbnail if part.thumbnail else None,
        )
        for part in sidecar.participants
        if part.there
    ]


def title(recording: Recording, part: Part, user: str) -> str:
    """What a file is called in somebody's downloads."""
    at = _utc(recording.started or recording.asked).strftime("%Y-%m-%d %H-%M")
    return f"Recording {at} {part.name}"


def long(ms: float) -> str:
    """A duration like 0:42 or 1:02:03."""
    seconds = int(ms / 1000)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def date(ms: int) -> str:
    """A time in ISO 8601, UTC."""
    return _utc(ms).isoformat(timespec="seconds")


def _utc(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
