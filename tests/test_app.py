"""The server put together: what it holds, opens and closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ringback.server import identity, keys
from ringback.server.app import create_app
from tests.conftest import MakeConfig


def test_an_application_holds_its_parts(make_config: MakeConfig) -> None:
    config = make_config()
    app = create_app(config)
    assert app[keys.CONFIG] is config
    assert app[keys.SECRET] == identity.load_secret(config.data)
    assert app[keys.EXCHANGE].engine is app[keys.ENGINE]


def test_making_one_opens_nothing(make_config: MakeConfig) -> None:
    config = make_config()
    create_app(config)
    assert [path.name for path in config.data.iterdir()] == ["secret"]


def test_every_way_in_is_there(make_config: MakeConfig) -> None:
    paths = {resource.canonical for resource in create_app(make_config()).router.resources()}
    assert paths >= {
        "/",
        "/room/{room}/{username}/",
        "/call/",
        "/healthz",
        "/static/{path}",
        "/ws",
        "/ws/room/{room}/{username}/",
        "/ws/call/",
    }


def test_two_applications_share_nothing(make_config: MakeConfig) -> None:
    config = make_config()
    one, other = create_app(config), create_app(make_config(data=config.data / "other"))
    assert one[keys.ENGINE] is not other[keys.ENGINE]
    assert one[keys.SECRET] != other[keys.SECRET]


def test_a_damaged_secret_stops_it(make_config: MakeConfig) -> None:
    config = make_config()
    config.data.mkdir()
    (config.data / "secret").write_bytes(b"")
    with pytest.raises(identity.SecretError, match="delete it"):
        create_app(config)


async def test_it_opens_and_closes_in_order(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(make_config())
    order: list[str] = []

    def noted(part: object, method: str) -> None:
        done: Callable[[], Awaitable[None]] = getattr(part, method)

        async def note() -> None:
            await done()
            order.append(f"{type(part).__name__}.{method}")

        monkeypatch.setattr(part, method, note)

    for part in (app[keys.ENGINE], app[keys.EXCHANGE]):
        noted(part, "open")
        noted(part, "close")
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        assert order == ["EmbeddedEngine.open", "Exchange.open"]
        async with session.get(server.make_url("/healthz")) as response:
            assert response.status == 200
    assert order[2:] == ["Exchange.close", "EmbeddedEngine.close"]


@pytest.mark.parametrize("part", [keys.ENGINE, keys.EXCHANGE])
async def test_what_was_opened_is_closed_when_the_rest_cannot_open(
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    part: web.AppKey[object],
) -> None:
    app = create_app(make_config())
    closed: list[bool] = []

    async def fail() -> None:
        raise RuntimeError("cannot open")

    async def close() -> None:
        closed.append(True)
        await engine_close()

    engine_close = app[keys.ENGINE].close
    monkeypatch.setattr(app[keys.ENGINE], "close", close)
    monkeypatch.setattr(app[part], "open", fail)
    runner = web.AppRunner(app)
    with pytest.raises(RuntimeError, match="cannot open"):
        await runner.setup()
    await runner.cleanup()
    assert closed == [True]


async def test_a_guest_is_known_on_pages_and_sockets(make_config: MakeConfig) -> None:
    app = create_app(make_config())
    seen: list[str | None] = []

    async def on_a_socket(request: web.Request) -> web.Response:
        seen.append(await identity.user_of(request))
        return web.Response()

    app.router.add_get("/test/socket", on_a_socket)
    jar = aiohttp.CookieJar(unsafe=True)
    async with TestServer(app) as server, aiohttp.ClientSession(cookie_jar=jar) as session:
        ours = {"Origin": str(server.make_url("/")).rstrip("/")}
        for _ in range(2):
            async with session.get(server.make_url("/healthz")):
                pass
            async with session.get(server.make_url("/test/socket"), headers=ours):
                pass
            # A room that nobody may enter leads to the form, and the form makes a guest.
            async with session.get(server.make_url("/")):
                pass
    assert seen[0] is None
    assert seen[1] is not None


async def test_under_tls_the_cookie_is_secure(make_config: MakeConfig) -> None:
    # The page is asked for in the clear here; what counts is what the server was told.
    app = create_app(make_config(tls="self-signed"))
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as response,
    ):
        (cookie,) = response.cookies.values()
        assert cookie["secure"]
        assert "Strict-Transport-Security" not in response.headers
