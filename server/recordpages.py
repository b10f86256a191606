"""The page of one's recordings, their files, and how one is deleted.

Every request is asked anew whose recording it is. For everybody else there is nothing here:
404, as for a recording that never was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from . import forms, identity, mediafiles, render
from .keys import CONFIG, EXCHANGE, SHELF
from .protocol import ErrorCode, ProtocolError
from .recording import Recording
from .recorditems import Item, item, title
from .shelf import keep_swept, sweep

log = logging.getLogger(__name__)

PAGE = 30
"""How many recordings one page shows."""


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
    return await render.page("recordings.html", request, context)


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
            save_as = title(recording, part, user) if "save" in request.query else ""
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
    sidecar = await asyncio.to_thread(request.config_dict[SHELF].read, recording.id)
    shown = item(recording, sidecar, user)
    others = [p.name for p in recording.people if p.user != user and p.listed]
    csrf = await forms.token(request)
    context = {"item": shown, "others": others, "csrf": csrf, "error": error}
    return await render.page("delete-recording.html", request, context, status)


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
    items = [item(recording, sidecars.get(recording.id), user) for recording in shown]
    return items, shown[-1].asked if len(found) > PAGE else None


async def _sweeping(app: web.Application) -> AsyncIterator[None]:
    """Remove what is too old now and every hour, for as long as the server runs."""
    days = app[CONFIG].recordings.days
    exchange, shelf = app[EXCHANGE], app[SHELF]

    async def swept() -> int:
        return await sweep(shelf, exchange.recordbook, days, exchange.clock.now())

    exchange.spawn(keep_swept(swept, "recordings"))
    yield
