"""What machines that watch a Ringback are told."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from ringback import __version__
from ringback.server import health
from ringback.server.engine.base import EngineError
from ringback.server.keys import ENGINE
from tests.running import Server


async def asked(server: Server) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/healthz") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json()


async def test_health_when_all_is_well(server: Server) -> None:
    assert await asked(server) == (200, {"status": "ok", "version": __version__, "engine": "ok"})


async def test_health_when_the_engine_fails(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise EngineError("The disk is full.")

    monkeypatch.setattr(server.app[ENGINE], "check", fail)
    status, told = await asked(server)
    assert status == 503
    assert told == {"status": "failing", "version": __version__, "engine": "The disk is full."}


async def test_health_when_the_engine_does_not_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(server.app[ENGINE], "check", hang)
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    status, told = await asked(server)
    assert status == 503
    assert told["engine"] == "The engine did not answer within 0.05 seconds."
