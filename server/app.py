"""The whole server put together: the only place that knows all its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from . import (
    assets,
    forms,
    health,
    identity,
    pages,
    recordpages,
    security,
    sockets,
    voicemailpages,
    workshop,
)
from .config import Config
from .engine.embedded import EmbeddedEngine
from .exchange import Exchange
from .keys import CONFIG, ENGINE, EXCHANGE, SECRET, SHELF, VOICE_SHELF
from .shelf import VOICEMAIL_FOLDER, Shelf

DATABASE = "ringback.sqlite3"


def create_app(config: Config) -> web.Application:
    """A Ringback as `config` says, ready to be run; it opens its things when it starts.

    Raises `OSError` when the data folder cannot be used and `identity.SecretError` when what
    lies in it is damaged.
    """
    secret = identity.load_secret(config.data)
    limits = config.limits
    path = config.data / DATABASE
    engine = EmbeddedEngine(path, config.hold, mailbox=limits.mailbox, window=limits.history)
    app = web.Application(client_max_size=forms.MAX_BYTES)
    app[CONFIG] = config
    app[SECRET] = secret
    app[ENGINE] = engine
    app[EXCHANGE] = Exchange(engine, config, partial(identity.read_token, secret))
    app[SHELF] = Shelf(config.data)
    app[EXCHANGE].recordbook.measure = app[SHELF].measure
    app[VOICE_SHELF] = Shelf(config.data, VOICEMAIL_FOLDER)
    # Outermost first: a new guest keeps the cookie even where the page turns into an error.
    identity.setup(app, secret, config.secure)
    security.setup(app, config)
    assets.setup(app)
    pages.setup(app)
    health.setup(app)
    sockets.setup(app)
    workshop.setup(app)
    app.cleanup_ctx.append(_opened)
    recordpages.setup(app)
    voicemailpages.setup(app)
    return app


async def _opened(app: web.Application) -> AsyncIterator[None]:
    """The engine and the exchange over it, open for as long as the server runs."""
    engine, exchange = app[ENGINE], app[EXCHANGE]
    try:
        await engine.open()
        await exchange.open()
        yield
    finally:
        # Both may be closed without having been opened.
        await exchange.close()
        await engine.close()
