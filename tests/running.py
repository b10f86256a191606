"""A whole Ringback inside a test: real sockets, a free port, a folder of its own."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from ringback.server import tls
from ringback.server.app import create_app
from ringback.server.config import Config


class Server:
    """One running Ringback without its bots. Made by the fixture `serve`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.app = create_app(config)
        self.port = config.port
        self._runner = web.AppRunner(
            self.app, handle_signals=False, access_log=None, shutdown_timeout=1
        )

    @property
    def url(self) -> str:
        """Where its pages are, without a slash at the end."""
        return f"{'https' if self.config.secure else 'http'}://{self.config.host}:{self.port}"

    @property
    def ws(self) -> str:
        """Where its sockets are, without a slash at the end."""
        return f"{'wss' if self.config.secure else 'ws'}://{self.config.host}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder it keeps things in."""
        return self.config.data

    async def start(self) -> None:
        """Open the port; `port` then holds the one that was taken."""
        await self._runner.setup()
        context = tls.context(tls.files(self.config))
        await web.TCPSite(self._runner, self.config.host, self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Say goodbye to everybody and close; once more does nothing."""
        await self._runner.cleanup()
