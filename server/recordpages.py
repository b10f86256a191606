"""The page of one's recordings, their files, and how one is deleted.

Every request is asked anew whose recording it is. For everybody else there is nothing here:
404, as for a recording that never was.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web
from msgspec import Struct

from . import forms, identity, mediafiles, render
from .engine.base import EngineError
from .keys import CONFIG, EXCHANGE, SHELF
from .protocol import ErrorCode, ProtocolError
from .recording import Recording, words
from .shelf import SWEEP_EVERY, Part, Sidecar, sweep

log = logging.getLogger(__name__)

PAGE = 30
"""How many recordings one page shows."""

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
    def with_whom(self) -> str:
        """A title for people."""
        return f"With {' and '.join(self.peers)}" if self.peers else "You alone"

    @property
    def long(self) -> str:
        """The duration like 0:42 or 1:02:03."""
        seconds = int(self.duration_ms / 1000)
        hours, rest = divmod(seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    @property
    def size(self) -> str:
        """The size like 4.2 MB."""
        kilobytes = self.bytes / 1000
        return f"{kilobytes / 1000:.1f} MB" if kilobytes >= 1000 else f"{kilobytes:.0f} kB"

    @property
    def date(self) -> str:
        """The start in ISO 8601, UTC."""
        return _utc(self.started).isoformat(timespec="seconds")


def setup(app: web.Application) -> None:
    """Add the page and the files to `app`, which holds its exchange and its shelf."""
    app.router.add_get("/recordings/", page)
    app.router.add_get("/recordings", with_slash)
    app.router.add_get("/recordings/list.json", as_json)
    app.router.add_get("/recordings/{id}/delete", confirm)
    app.router.add_post("/recordings/{id}/delete", delete)
    app.router.add_get("/recordings/{id}/{file}", file)
    app.cleanup_ctx.append(_sweeping)


async def page(request: web.Request) -> web.Response:
    """One's recordings, newest first; `?before=` goes on where the page before ended."""
    items, more = await _items(request)
    limits = request.config_dict[CONFIG].recordings
    context = {"items": items, "more": more, "limits": limits}
    return render.page("recordings.html", request, context)


async def as_json(request: web.Request) -> web.Response:
    """The same for scripts: `{"recordings": [...], "more": MS or null}`."""
    items, more = await _items(request)
    body = msgspec.json.encode({"recordings": items, "more": more})
    headers = {"Cache-Control": "private, no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def file(request: web.Request) -> web.FileResponse:
    """A file of a recording, in ranges where asked for; `?save` to keep it."""
    recording, user = await _own(request)
    name = request.match_info["file"]
    shelf = request.config_dict[SHELF]
    path = shelf.path(recording.id, name)
    sidecar = await asyncio.to_thread(shelf.read, recording.id)
    if path is None or sidecar is None:
        raise web.HTTPNotFound
    for part in sidecar.participants:
        if name == part.thumbnail:
            return mediafiles.answer(path)
        if name == part.file:
            save_as = _title(recording, part, user) if "save" in request.query else ""
            return mediafiles.answer(path, sound=part.video is None, save_as=save_as)
    raise web.HTTPNotFound


async def confirm(request: web.Request) -> web.Response:
    """Ask whether a recording is to be deleted."""
    recording, user = await _own(request)
    return await _confirm(request, recording, user, "")


async def delete(request: web.Request) -> web.Response:
    """Take a recording off one's list; its files go when it was the last list."""
    recording, user = await _own(request)
    form = await forms.read(request)
    if not await forms.sent_by_guest(request, form):
        return await _confirm(request, recording, user, "Send this form once more.", 403)
    try:
        nobodys = await request.config_dict[EXCHANGE].recordbook.unlist(user, recording.id)
    except ProtocolError as error:
        if error.code is not ErrorCode.WRONG_STATE:
            raise web.HTTPNotFound from error
        return await _confirm(request, recording, user, str(error), 409)
    if nobodys:
        await asyncio.to_thread(request.config_dict[SHELF].remove, recording.id)
    return render.see("/recordings/", {"deleted": "1"})


async def with_slash(request: web.Request) -> web.Response:
    """An address that lacks its last slash."""
    return render.see("/recordings/", request.query)


async def _confirm(
    request: web.Request, recording: Recording, user: str, error: str, status: int = 200
) -> web.Response:
    item = _item(recording, await _sidecar(request, recording), user)
    others = [p.name for p in recording.people if p.user != user and p.listed]
    csrf = await forms.token(request)
    context = {"item": item, "others": others, "csrf": csrf, "error": error}
    return render.page("delete-recording.html", request, context, status)


async def _own(request: web.Request) -> tuple[Recording, str]:
    """The recording that is asked for, and who asks. Raises 404 unless it is theirs."""
    user = await identity.guest(request)
    recordbook = request.config_dict[EXCHANGE].recordbook
    found = await recordbook.of(user, request.match_info["id"])
    if found is None:
        raise web.HTTPNotFound
    return found, user


async def _items(request: web.Request) -> tuple[list[Item], int | None]:
    """A page of one's recordings, and `before` for the next one."""
    user = await identity.guest(request)
    text = request.query.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    found = await request.config_dict[EXCHANGE].recordbook.listed(user, before, PAGE + 1)
    shown = found[:PAGE]
    shelf = request.config_dict[SHELF]
    sidecars = await asyncio.to_thread(shelf.read_all, [recording.id for recording in shown])
    items = [_item(recording, sidecars.get(recording.id), user) for recording in shown]
    return items, shown[-1].asked if len(found) > PAGE else None


async def _sidecar(request: web.Request, recording: Recording) -> Sidecar | None:
    return await asyncio.to_thread(request.config_dict[SHELF].read, recording.id)


def _item(recording: Recording, sidecar: Sidecar | None, user: str) -> Item:
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


def _title(recording: Recording, part: Part, user: str) -> str:
    """What a file is called in somebody's downloads."""
    at = _utc(recording.started or recording.asked).strftime("%Y-%m-%d %H-%M")
    return f"Recording {at} {part.name}"


def _utc(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


async def _sweeping(app: web.Application) -> AsyncIterator[None]:
    """Remove what is too old now and every hour, for as long as the server runs."""
    days = app[CONFIG].recordings.days
    exchange, shelf = app[EXCHANGE], app[SHELF]

    async def sweeping() -> None:
        known = -1
        while True:
            try:
                strays = await sweep(shelf, exchange.recordbook, days, exchange.clock.now())
                if strays not in (0, known):
                    log.warning("%d folders of recordings belong to none that is known", strays)
                known = strays
            except (EngineError, OSError) as error:
                log.warning("Old recordings cannot be removed now: %s", error)
            await asyncio.sleep(SWEEP_EVERY)

    exchange.spawn(sweeping())
    yield
