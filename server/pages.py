"""The pages: home, rooms, calls.

A page that needs a name asks the exchange whether its guest may use it, and shows the form
again with the reason beside the field where not.
"""

from __future__ import annotations

from urllib.parse import quote

import aiohttp_jinja2
import jinja2
from aiohttp import web
from msgspec import Struct

from ringback import __version__

from . import forms, identity, names, recording, render
from .assets import data_folder
from .keys import ASSETS, CONFIG, EXCHANGE
from .protocol import ErrorCode, ProtocolError

_NOT_YOURS = (
    "We could not tell that this form came from you. "
    "Allow cookies for this site, then send it again."
)

Errors = dict[str, str]
"""What is wrong with a form: a sentence for each field (`form`: with all of it)."""


class _Entered(Struct, frozen=True):
    """What somebody wrote on the way into a room."""

    room: str
    username: str
    unlisted: bool = False


class _Checked(Struct, frozen=True):
    """What that means; with `errors` there is nothing but them and their status."""

    room: str
    username: str
    errors: Errors
    status: int

    @property
    def path(self) -> str:
        """Where the room is."""
        return room_path(self.room, self.username)


def setup(app: web.Application) -> None:
    """Add the pages to `app`, which holds its exchange, engine, secret and assets."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(data_folder("templates")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "voicemail_on": app[CONFIG].voicemail.on,
        "static": app[ASSETS].url,
        "consent_version": recording.VERSION,
        "consent_text": recording.TEXT,
        "recorder_text": recording.SOLO_TEXT,
    }
    app.router.add_get("/", home)
    app.router.add_post("/", join)
    app.router.add_get("/room/{room}/{username}/", room)
    app.router.add_get("/call/", call)
    app.router.add_post("/call/", name_for_calls)
    app.router.add_get("/room/{room}/", door)
    for path in ("/room/{room}/{username}", "/room/{room}", "/call"):
        app.router.add_get(path, with_slash)
    app.router.add_get("/robots.txt", robots)
    app.router.add_get("/favicon.ico", favicon)


# --- home


async def home(request: web.Request) -> web.Response:
    """The home page; `?room=` fills in a room."""
    entered = _Entered(request.query.get("room", ""), await identity.remembered_name(request))
    return await _home(request, entered, {})


async def join(request: web.Request) -> web.Response:
    """The form of the home page: on to the room, or the form again with the reason."""
    form = await forms.read(request)
    entered = _Entered(
        form.get("room_name", ""), form.get("username", ""), bool(form.get("unlisted"))
    )
    if not await forms.sent_by_guest(request, form):
        return await _home(request, entered, {"form": _NOT_YOURS}, 403)
    checked = await _check(request, entered)
    if checked.errors:
        return await _home(request, entered, checked.errors, checked.status)
    await identity.remember_name(request, checked.username)
    return render.see(checked.path, {"unlisted": "1"} if entered.unlisted else {})


async def _home(
    request: web.Request, entered: _Entered, errors: Errors, status: int = 200
) -> web.Response:
    context = {
        "csrf": await forms.token(request),
        "room_name": entered.room,
        "username": entered.username,
        "unlisted": entered.unlisted,
        "errors": errors,
        "rooms": await request.config_dict[EXCHANGE].listed_rooms(),
    }
    return await render.page("home.html", request, context, status)


# --- rooms


def room_path(room: str, username: str) -> str:
    """Where somebody finds a room; both in the form in which `names` gives them."""
    return f"/room/{quote(room, safe='')}/{quote(username, safe='')}/"


async def room(request: web.Request) -> web.Response:
    """A room for somebody; under a name that cannot be, the home page says why."""
    entered = _Entered(
        request.match_info["room"], request.match_info["username"], "unlisted" in request.query
    )
    checked = await _check(request, entered)
    if checked.errors:
        return await _home(request, entered, checked.errors, checked.status)
    if (checked.room, checked.username) != (entered.room, entered.username):
        return render.see(checked.path, request.query)
    await identity.remember_name(request, checked.username)
    context = {"room": checked.room, "username": checked.username}
    return await render.page("room.html", request, context)


async def door(request: web.Request) -> web.Response:
    """A room without a name: ask for it at home. Made to be sent to others."""
    return render.see("/", {"room": request.match_info["room"]})


# --- calls


async def call(request: web.Request) -> web.Response:
    """The call page; the form alone for somebody whose name is not known or not free.

    `?as=` names this window: another one of the same browser may have another name.
    """
    username = request.query.get("as") or await identity.remembered_name(request)
    to = request.query.get("to", "")
    if not username:
        return await _call(request, "", to, {})
    name, error, status = await _check_name(request, username)
    if error:
        return await _call(request, username, to, {"username": error}, status)
    return await _call(request, name, to, {})


async def name_for_calls(request: web.Request) -> web.Response:
    """The form of the call page: under which name somebody calls and is called."""
    form = await forms.read(request)
    username, to = form.get("username", ""), form.get("to") or request.query.get("to", "")
    if not await forms.sent_by_guest(request, form):
        return await _call(request, username, to, {"form": _NOT_YOURS}, 403)
    name, error, status = await _check_name(request, username)
    if error:
        return await _call(request, username, to, {"username": error}, status)
    await identity.remember_name(request, name)
    return render.see("/call/", {"to": to} if to else {})


async def _call(
    request: web.Request, username: str, to: str, errors: Errors, status: int = 200
) -> web.Response:
    context = {"csrf": await forms.token(request), "username": username, "errors": errors, "to": to}
    return await render.page("call.html", request, context, status)


# --- what robots and browsers ask for by themselves


async def robots(request: web.Request) -> web.Response:
    """Rooms, calls, recordings and voicemail are nothing to index (RFC 9309)."""
    return web.Response(
        text="User-agent: *\nDisallow: /room/\nDisallow: /call/\nDisallow: /recordings/\n"
        "Disallow: /voicemail/\n"
    )


async def favicon(request: web.Request) -> web.Response:
    """Where browsers that read no `<link rel="icon">` find the icon."""
    raise web.HTTPFound(request.config_dict[ASSETS].url("img/icon.svg"))


async def with_slash(request: web.Request) -> web.Response:
    """An address that lacks its last slash."""
    return render.see(f"{request.rel_url.raw_path}/", request.query)


# --- shared by the pages


async def _check(request: web.Request, entered: _Entered) -> _Checked:
    errors: Errors = {}
    name, reason, status = await _check_name(request, entered.username)
    if reason:
        errors["username"] = reason
    room = ""
    try:
        room = names.clean_room(entered.room)
    except names.BadName as error:
        errors["room_name"], status = str(error), 400
    return _Checked(room, name, errors, status)


async def _check_name(request: web.Request, text: str) -> tuple[str, str, int]:
    """The name a guest may use, why not, and the status that says so."""
    user = await identity.guest(request)
    try:
        return await request.config_dict[EXCHANGE].check_name(text, user), "", 200
    except ProtocolError as error:
        return "", str(error), 400 if error.code is ErrorCode.BAD_NAME else 409
