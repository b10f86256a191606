"""The page of one's voicemail, its files, and what one does with them.

Every request is asked anew whose message it is. For everybody else there is nothing here: 404,
as for a message that never was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from . import forms, identity, mediafiles, render
from .exchange import Exchange
from .keys import CONFIG, EXCHANGE, VOICE_SHELF
from .names import fold
from .protocol import ErrorCode, ProtocolError
from .recorditems import date, long
from .shelf import DAY, Shelf, keep_swept, sweep_strays
from .voicebox import VoiceMessage

log = logging.getLogger(__name__)

USUAL = Path(str(files("ringback"))) / "bots" / "prompts" / "greeting.webm"
"""The greeting of those who have none of their own."""
_AT_ONCE = 100


def setup(app: web.Application) -> None:
    """Add the page and the files to `app`, which holds its exchange and its shelves."""
    app.router.add_get("/voicemail/", page)
    app.router.add_get("/voicemail", with_slash)
    app.router.add_get("/voicemail/usual.webm", usual)
    app.router.add_post("/voicemail/settings", settings)
    app.router.add_post("/voicemail/usual", use_usual)
    app.router.add_get("/voicemail/{id}/delete", confirm)
    app.router.add_post("/voicemail/{id}/delete", delete)
    app.router.add_post("/voicemail/{id}/heard", heard)
    app.router.add_get("/voicemail/{id}/{file}", file)
    exchange, shelf = app[EXCHANGE], app[VOICE_SHELF]
    exchange.messages.on_drop = lambda id: exchange.spawn(asyncio.to_thread(shelf.remove, id))
    app.cleanup_ctx.append(_sweeping)


# --- the page


async def page(request: web.Request) -> web.Response:
    """One's messages, newest first, the greeting, and whether callers may leave any.

    `?as=` names this window, as on the page of calls.
    """
    if not request.config_dict[CONFIG].voicemail.on:
        return await render.page("voicemail.html", request, {"off": True})
    user, name, free = await _who(request)
    keeper = request.config_dict[EXCHANGE].messages
    box = await keeper.box(user, fold(name)) if name else None
    greeting = await _sound(request, box.greeting) if box and box.greeting else None
    context = {
        "csrf": await forms.token(request),
        "username": name,
        "free": free,
        "box": box,
        "greeting": greeting,
        "messages": [await _shown(request, m, name) for m in await keeper.listed(user)],
        "nearly_full": await _warn(request, user),
        "limits": request.config_dict[CONFIG].voicemail,
    }
    return await render.page("voicemail.html", request, context)


async def _who(request: web.Request) -> tuple[str, str, bool]:
    """The user, the name of this window, and whether they can be on the line under it."""
    user = await identity.guest(request)
    asked = request.query.get("as") or await identity.remembered_name(request)
    if not asked:
        return user, "", False
    try:
        return user, await request.config_dict[EXCHANGE].check_name(asked, user), True
    except ProtocolError as error:
        # A name that somebody else has meanwhile is still the one of these messages.
        return user, "" if error.code is ErrorCode.BAD_NAME else asked, False


async def _shown(request: web.Request, message: VoiceMessage, name: str) -> dict[str, object]:
    left = message.left or message.begun
    return {
        "id": message.id,
        "from": message.from_name,
        "to": message.name if message.key != fold(name) else "",
        "date": date(left),
        "long": long(round(message.seconds * 1000)),
        "heard": message.heard,
        "cut": message.cut,
        "url": await _sound(request, message.id),
    }


async def _sound(request: web.Request, id: str) -> str | None:
    """Where the sound of a message or a greeting is; None if there is none."""
    sidecar = await asyncio.to_thread(request.config_dict[VOICE_SHELF].read, id)
    parts = sidecar.participants if sidecar else []
    return f"/voicemail/{id}/{parts[0].file}" if parts and parts[0].there else None


async def _warn(request: web.Request, user: str) -> bool:
    """Whether there is little room left under one of somebody's names, who is told so now."""
    keeper = request.config_dict[EXCHANGE].messages
    by_key: dict[str, list[VoiceMessage]] = {}
    for message in await keeper.listed(user):
        by_key.setdefault(message.key, []).append(message)
    full = [key for key, messages in by_key.items() if keeper.nearly_full(messages)]
    for key in full:
        await keeper.warned(user, key)
    return bool(full)


async def with_slash(request: web.Request) -> web.Response:
    """An address that lacks its last slash."""
    return render.see("/voicemail/", request.query)


# --- its files


async def file(request: web.Request) -> web.FileResponse:
    """The sound of a message or of one's own greeting, in ranges where asked for."""
    id, name = request.match_info["id"], request.match_info["file"]
    if not await _own_message(request, id) and not await _own_greeting(request, id):
        raise web.HTTPNotFound
    shelf = request.config_dict[VOICE_SHELF]
    path = shelf.path(id, name)
    sidecar = await asyncio.to_thread(shelf.read, id)
    if path is None or sidecar is None or name not in {p.file for p in sidecar.participants}:
        raise web.HTTPNotFound
    return mediafiles.answer(path, sound=True)


async def usual(request: web.Request) -> web.FileResponse:
    """The greeting of those who have none of their own."""
    return mediafiles.answer(USUAL, sound=True)


async def _own_message(request: web.Request, id: str) -> VoiceMessage | None:
    user = await identity.guest(request)
    found = await request.config_dict[EXCHANGE].messages.of(user, id)
    return found if found is not None and found.kind == "message" else None


async def _own_greeting(request: web.Request, id: str) -> bool:
    user, name, _ = await _who(request)
    box = await request.config_dict[EXCHANGE].messages.box(user, fold(name)) if name else None
    return box is not None and box.greeting == id


# --- what one does


async def heard(request: web.Request) -> web.Response:
    """A message was played."""
    user = await _sender(request)
    try:
        await request.config_dict[EXCHANGE].messages.heard(user, request.match_info["id"])
    except ProtocolError as error:
        raise web.HTTPNotFound from error
    return web.Response(status=204)


async def settings(request: web.Request) -> web.Response:
    """Take messages under this window's name (`on=1`), or take none."""
    user = await _sender(request)
    _, name, _ = await _who(request)
    if not name:
        raise web.HTTPNotFound
    on = bool((await forms.read(request)).get("on"))
    await request.config_dict[EXCHANGE].messages.switch(user, fold(name), on)
    return web.Response(status=204)


async def use_usual(request: web.Request) -> web.Response:
    """Greet callers with the usual greeting again."""
    user = await _sender(request)
    _, name, _ = await _who(request)
    if name:
        await request.config_dict[EXCHANGE].messages.forget_greeting(user, fold(name))
    return render.see("/voicemail/", {"usual": "1"} | _window(request))


async def confirm(request: web.Request) -> web.Response:
    """Ask whether a message is to be deleted."""
    return await _confirm(request, "")


async def delete(request: web.Request) -> web.Response:
    """Delete a message and its file."""
    form = await forms.read(request)
    if not await forms.sent_by_guest(request, form):
        return await _confirm(request, "Send this form once more.", 403)
    user, id = await identity.guest(request), request.match_info["id"]
    try:
        await request.config_dict[EXCHANGE].messages.delete(user, id)
    except ProtocolError as error:
        raise web.HTTPNotFound from error
    return render.see("/voicemail/", {"deleted": "1"} | _window(request))


async def _confirm(request: web.Request, error: str, status: int = 200) -> web.Response:
    found = await _own_message(request, request.match_info["id"])
    if found is None:
        raise web.HTTPNotFound
    context = {
        "message": await _shown(request, found, found.name),
        "csrf": await forms.token(request),
        "error": error,
        "window": _window(request).get("as", ""),
    }
    return await render.page("delete-message.html", request, context, status)


async def _sender(request: web.Request) -> str:
    """Who sends a form. Raises 403 unless it was shown to them."""
    if not await forms.sent_by_guest(request, await forms.read(request)):
        raise web.HTTPForbidden
    return await identity.guest(request)


def _window(request: web.Request) -> dict[str, str]:
    return {"as": request.query["as"]} if request.query.get("as") else {}


# --- what is too old, and what belongs to nobody


async def sweep(shelf: Shelf, exchange: Exchange, days: float) -> int:
    """Remove messages that were kept for `days` (0: nothing is too old) or never completed, and
    folders that belong to none. Returns how many such folders are left."""
    while ids := await exchange.messages.forget_old(_AT_ONCE):
        for id in ids:
            await asyncio.to_thread(shelf.remove, id)
        log.info("Removed %d messages of voicemail that were old or incomplete", len(ids))
    before = exchange.clock.now() - days * DAY if days else 0.0
    return await sweep_strays(shelf, exchange.messages.known, before)


async def _sweeping(app: web.Application) -> AsyncIterator[None]:
    """Sweep now and every hour, for as long as the server runs."""
    exchange, shelf, days = app[EXCHANGE], app[VOICE_SHELF], app[CONFIG].voicemail.days
    exchange.spawn(keep_swept(lambda: sweep(shelf, exchange, days), "voicemail"))
    yield
