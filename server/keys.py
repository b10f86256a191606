"""What the parts of the server find in the application, each under one typed key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

# For the types alone: whoever imports a key must not import the whole server with it.
if TYPE_CHECKING:
    from .assets import Assets
    from .config import Config
    from .engine.base import Engine
    from .exchange import Exchange
    from .shelf import Shelf

CONFIG: web.AppKey[Config] = web.AppKey("CONFIG")
"""How this Ringback runs."""
ENGINE: web.AppKey[Engine] = web.AppKey("ENGINE")
"""What is kept and shared."""
EXCHANGE: web.AppKey[Exchange] = web.AppKey("EXCHANGE")
"""Rooms, calls and people, over the engine."""
SHELF: web.AppKey[Shelf] = web.AppKey("SHELF")
"""The files of recordings."""
VOICE_SHELF: web.AppKey[Shelf] = web.AppKey("VOICE_SHELF")
"""The files of voicemail: messages and greetings."""
SECRET: web.AppKey[bytes] = web.AppKey("SECRET")
"""What cookies, forms and tokens are signed with."""
ASSETS: web.AppKey[Assets] = web.AppKey("ASSETS")
"""The files of the pages: scripts, styles, pictures."""
