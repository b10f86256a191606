"""What shells of pages answer with: a rendered page, or another address."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import aiohttp_jinja2
from aiohttp import web

from . import identity
from .keys import CONFIG, EXCHANGE
from .names import fold


async def page(
    template: str, request: web.Request, context: Mapping[str, object], status: int = 200
) -> web.Response:
    """A page out of a template, which also learns how many messages its guest has not heard.

    Raises `EngineError` when that cannot be known.
    """
    context = dict(context) | await _unheard(request, str(context.get("username", "")))
    response = aiohttp_jinja2.render_template(template, request, context, status=status)
    # It holds what is this guest's alone and what may be different in a moment.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


async def _unheard(request: web.Request, name: str) -> dict[str, object]:
    """How many messages somebody has not heard: all, and those that are not for `name`."""
    if not request.config_dict[CONFIG].voicemail.on:
        return {}
    name = name or await identity.remembered_name(request)
    keeper = request.config_dict[EXCHANGE].messages
    new = [m for m in await keeper.listed(await identity.guest(request)) if not m.heard]
    return {"unheard": len(new), "elsewhere": sum(m.key != fold(name) for m in new)}


def see(path: str, query: Mapping[str, str]) -> web.Response:
    """Another page of ours (RFC 9110, 303)."""
    location = f"{path}?{urlencode(query)}" if query else path
    return web.Response(status=303, headers={"Location": location})
