"""Whether this Ringback works, for machines that watch it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ringback import __version__

from .engine.base import EngineError
from .keys import ENGINE

PATIENCE = 2.0
"""Seconds that the engine is given to answer."""


def setup(app: web.Application) -> None:
    """Add `/healthz` to an application that holds its engine."""
    app.router.add_get("/healthz", healthz)


async def healthz(request: web.Request) -> web.Response:
    """Whether messages can be taken now: 200, or 503 with what is wrong."""
    trouble = await _trouble(request)
    health = {
        "status": "failing" if trouble else "ok",
        "version": __version__,
        "engine": trouble or "ok",
    }
    headers = {"Cache-Control": "no-store"}
    return web.json_response(health, status=503 if trouble else 200, headers=headers)


async def _trouble(request: web.Request) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await request.config_dict[ENGINE].check()
    except EngineError as error:
        return str(error) or "The engine cannot store messages."
    except TimeoutError:
        return f"The engine did not answer within {PATIENCE:g} seconds."
    return ""
