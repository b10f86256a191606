"""What shells of pages answer with: a rendered page, or another address."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import aiohttp_jinja2
from aiohttp import web


def page(
    template: str, request: web.Request, context: Mapping[str, object], status: int = 200
) -> web.Response:
    """A page out of a template."""
    response = aiohttp_jinja2.render_template(template, request, context, status=status)
    # It holds what is this guest's alone and what may be different in a moment.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def see(path: str, query: Mapping[str, str]) -> web.Response:
    """Another page of ours (RFC 9110, 303)."""
    location = f"{path}?{urlencode(query)}" if query else path
    return web.Response(status=303, headers={"Location": location})
