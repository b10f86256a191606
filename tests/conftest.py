"""Fixtures that many tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from ringback.server.config import Config

if TYPE_CHECKING:
    from tests.clients import Crowd
    from tests.reading import Reader
    from tests.running import Server

# Machines are shared and slow at times; a slow example is no failure. A check that must pass
# before a change is taken in says the same of the same code every time.
settings.register_profile("ringback", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ringback")

# Before anything imports it: a contract's asserts are to say what they compared.
pytest.register_assert_rewrite("tests.engine_contract")

MakeConfig = Callable[..., Config]
Serve = Callable[..., Awaitable["Server"]]
NewReader = Callable[[], "Reader"]


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Makes a configuration for tests: a free port, a new folder, no bots, a short drain."""

    def make(**changes: Any) -> Config:
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "data": tmp_path / "data",
            "bots": False,
            "drain": 0.05,
        }
        return Config(**(values | changes))

    return make


@pytest.fixture
async def serve(make_config: MakeConfig) -> AsyncIterator[Serve]:
    """Starts a Ringback with the changes given; all are stopped when the test ends.

    To start one again where it was: `await serve(port=old.port, data=old.data)`.
    """
    # Here and not above: tests of the parts need none of the whole server.
    from tests.running import Server

    started: list[Server] = []

    async def start(**changes: Any) -> Server:
        config = make_config(**changes)
        config.data.mkdir(parents=True, exist_ok=True)
        server = Server(config)
        started.append(server)
        await server.start()
        return server

    yield start
    for server in reversed(started):
        await server.stop()


@pytest.fixture
async def server(serve: Serve) -> Server:
    """A Ringback that runs for this test."""
    return await serve()


@pytest.fixture
async def new_reader(server: Server) -> AsyncIterator[NewReader]:
    """Makes people who read the pages of `server`, each with cookies of their own."""
    from tests.reading import Reader

    made: list[Reader] = []

    def make() -> Reader:
        made.append(Reader(server))
        return made[-1]

    yield make
    for reader in made:
        await reader.session.close()


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    """Makes clients of the sockets."""
    from tests.clients import Crowd

    made = Crowd()
    yield made
    await made.close()


class Trouble:
    """What was logged that an operator should look at."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def none(self) -> None:
        """Nothing was."""
        found = [r for r in self._caplog.records if r.levelno >= logging.WARNING]
        assert not found, [r.getMessage() for r in found]


@pytest.fixture
def trouble(caplog: pytest.LogCaptureFixture) -> Trouble:
    """What is logged during a test."""
    return Trouble(caplog)
