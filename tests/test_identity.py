"""The secret, the guests' cookie, origins, and the bots' tokens."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Awaitable, Callable
from http.cookies import Morsel
from pathlib import Path

import jwt
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient, make_mocked_request
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from ringback.server import identity
from ringback.server.config import Config
from ringback.server.keys import CONFIG
from ringback.server.protocol import ErrorCode, ProtocolError

SECRET = bytes(range(32))
OTHER = bytes(32)
COOKIE = identity.cookie_name(SECRET, secure=False)

Client = TestClient[web.Request, web.Application]
Start = Callable[..., Awaitable[Client]]


# --- the secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    data = tmp_path / "not" / "there"
    secret = identity.load_secret(data)
    assert len(secret) == 32
    assert identity.load_secret(data) == secret
    assert [path.name for path in data.iterdir()] == ["secret"]


def test_two_folders_have_two_secrets(tmp_path: Path) -> None:
    assert identity.load_secret(tmp_path / "a") != identity.load_secret(tmp_path / "b")


def test_only_its_owner_reads_a_secret(tmp_path: Path) -> None:
    identity.load_secret(tmp_path)
    path = tmp_path / "secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    identity.load_secret(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(identity.SecretError, match="damaged; delete it") as raised:
        identity.load_secret(tmp_path)
    assert str(tmp_path / "secret") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_first_of_two_processes_makes_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def overtaken(draft: Path, path: Path) -> None:
        path.write_bytes(SECRET)
        link(draft, path)

    monkeypatch.setattr(os, "link", overtaken)
    assert identity.load_secret(tmp_path) == SECRET
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_secret_is_made_on_a_file_system_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(draft: Path, path: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    assert identity.load_secret(tmp_path) == identity.load_secret(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_each_purpose_has_its_own_key() -> None:
    keys = {identity.derive(secret, use) for secret in (SECRET, OTHER) for use in ("a", "b")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


# --- the cookie


async def who(request: web.Request) -> web.Response:
    user = await identity.guest(request)
    if name := request.query.get("name"):
        await identity.remember_name(request, name)
    return web.json_response({"user": user, "name": await identity.remembered_name(request)})


async def on_a_socket(request: web.Request) -> web.Response:
    return web.json_response({"user": await identity.user_of(request)})


@pytest.fixture
def start(aiohttp_client: AiohttpClient) -> Start:
    async def start(secret: bytes = SECRET, secure: bool = False, **config: object) -> Client:
        app = web.Application()
        app[CONFIG] = Config(**config)  # type: ignore[arg-type]
        identity.setup(app, secret, secure)
        app.router.add_get("/", who)
        app.router.add_get("/socket", on_a_socket)
        return await aiohttp_client(app)

    return start


async def ask(client: Client, path: str = "/", **headers: str) -> dict[str, str]:
    async with client.get(path, headers=headers) as response:
        assert response.status == 200
        answer: dict[str, str] = await response.json()
        return answer


async def given_cookie(client: Client) -> Morsel[str]:
    async with client.get("/") as response:
        (cookie,) = response.cookies.values()
        return cookie


async def test_a_guest_stays_the_same(start: Start) -> None:
    client = await start()
    first = await ask(client)
    assert len(first["user"]) >= 20
    assert first["name"] == ""
    async with client.get("/") as again:
        assert await again.json() == first
        assert not again.cookies, "a cookie that is not new is not sent again"


async def test_two_browsers_are_two_guests(start: Start) -> None:
    one, other = await start(), await start()
    assert (await ask(one))["user"] != (await ask(other))["user"]


async def test_a_name_is_remembered(start: Start) -> None:
    client = await start()
    user = (await ask(client))["user"]
    await ask(client, "/?name=Zo%C3%AB")
    assert await ask(client) == {"user": user, "name": "Zoë"}


async def test_the_cookie_is_out_of_reach(start: Start) -> None:
    cookie = await given_cookie(await start())
    assert cookie.key == COOKIE
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) >= 365 * 86_400
    assert not cookie["secure"]
    assert not cookie["domain"]


async def test_under_tls_the_cookie_goes_over_tls_alone(start: Start) -> None:
    cookie = await given_cookie(await start(secure=True))
    assert cookie["secure"]
    assert cookie.key.startswith("__Host-")
    assert cookie["path"] == "/"
    assert not cookie["domain"]


async def test_the_cookie_can_be_read_by_the_server_alone(start: Start) -> None:
    client = await start()
    user = (await ask(client, "/?name=Zacharias"))["user"]
    (cookie,) = (morsel.value for morsel in client.session.cookie_jar)
    assert user not in cookie
    assert "Zacharias" not in cookie


def encrypted(content: bytes, secret: bytes = SECRET, at: float | None = None) -> str:
    key = base64.urlsafe_b64encode(identity.derive(secret, "cookie"))
    return Fernet(key).encrypt_at_time(content, int(at or time.time())).decode()


GOOD = b'{"created": %d, "session": {"user": "u-1", "name": "Ann"}}' % time.time()


async def test_a_good_cookie_is_read(start: Start) -> None:
    client = await start()
    answer = await ask(client, Cookie=f"{COOKIE}={encrypted(GOOD)}")
    assert answer == {"user": "u-1", "name": "Ann"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        "a.b.c",
        "=" * 50,
        "ä",
        "\udcff\udcfe",
        encrypted(GOOD)[:-5],
        "A" + encrypted(GOOD)[1:],
        encrypted(GOOD, secret=OTHER),
        encrypted(GOOD, at=time.time() - 2 * identity.COOKIE_AGE),
        encrypted(b"not json"),
        encrypted(b"\xff"),
        encrypted(b"{}"),
        encrypted(b'{"created": 1}'),
        encrypted(b'{"created": %d, "session": {"user": 7}}' % time.time()),
        encrypted(b'{"created": %d, "session": {"user": "u", "name": []}}' % time.time()),
        encrypted(b'{"created": %d, "session": {"user": ""}}' % time.time()),
    ],
    # What is encrypted differs each time; tests must be called the same in every process.
    ids=range(17),
)
async def test_any_other_cookie_makes_a_new_guest(start: Start, value: str) -> None:
    client = await start()
    answer = await ask(client, Cookie=f"{COOKIE}={value}")
    assert len(answer["user"]) >= 20
    assert answer["name"] == ""
    # And the new one is good: the old one, still shown, is replaced.
    assert (await ask(client))["user"] == answer["user"]


async def test_a_socket_after_a_damaged_cookie_has_no_guest(start: Start) -> None:
    client = await start()
    ours = str(client.make_url("/")).rstrip("/")
    for value in ("garbage", encrypted(b'{"created": 1, "session": {"user": ""}}')):
        answer = await ask(client, "/socket", Origin=ours, Cookie=f"{COOKIE}={value}")
        assert answer["user"] is None


async def test_another_ringback_on_this_host_does_not_disturb_the_cookie(start: Start) -> None:
    one, other = await start(), await start(secret=OTHER)
    cookie = await given_cookie(one)
    foreign = await given_cookie(other)
    assert cookie.key != foreign.key
    both = f"{foreign.key}={foreign.value}; {cookie.key}={cookie.value}"
    assert await ask(one, Cookie=both) == await ask(one)


async def test_a_cookie_in_use_is_renewed(start: Start) -> None:
    client = await start()
    month_ago = int(time.time()) - 31 * 86_400
    old = encrypted(b'{"created": %d, "session": {"user": "u-1"}}' % month_ago, at=month_ago)
    async with client.get("/", headers={"Cookie": f"{COOKIE}={old}"}) as response:
        assert (await response.json())["user"] == "u-1"
        assert response.cookies[COOKIE].value != old


# --- on a socket


async def test_a_socket_of_our_page_has_its_guest(start: Start) -> None:
    client = await start()
    user = (await ask(client))["user"]
    ours = str(client.make_url("/")).rstrip("/")
    assert (await ask(client, "/socket", Origin=ours))["user"] == user


async def test_a_socket_without_a_page_has_no_guest(start: Start) -> None:
    client = await start()
    await ask(client)
    assert (await ask(client, "/socket"))["user"] is None


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_socket_of_another_page_has_no_guest(start: Start, origin: str) -> None:
    client = await start()
    await ask(client)
    assert (await ask(client, "/socket", Origin=origin))["user"] is None


async def test_a_socket_of_a_page_we_allow_has_its_guest(start: Start) -> None:
    client = await start(origins=("https://friend.example",))
    user = (await ask(client))["user"]
    assert (await ask(client, "/socket", Origin="https://friend.example"))["user"] == user


async def test_a_socket_without_a_cookie_has_no_guest(start: Start) -> None:
    client = await start()
    ours = str(client.make_url("/")).rstrip("/")
    assert (await ask(client, "/socket", Origin=ours))["user"] is None


# --- origins


def allowed(origin: str | None, host: str = "phone.example", *more: str) -> bool:
    headers = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    return identity.origin_allowed(
        make_mocked_request("GET", "/ws", headers=headers), Config(origins=more)
    )


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "phone.example"),
        ("http://phone.example", "phone.example"),
        ("https://phone.example", "phone.example"),
        ("https://phone.example", "phone.example:443"),
        ("http://phone.example:80", "phone.example"),
        ("https://Phone.Example", "phone.EXAMPLE"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_our_own_origin_is_allowed(origin: str | None, host: str) -> None:
    assert allowed(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "phone.example"),
        ("https://phone.example.evil.example", "phone.example"),
        ("https://evilphone.example", "phone.example"),
        ("https://phone.example:8443", "phone.example"),
        ("http://phone.example", "phone.example:8000"),
        ("http://phone.example", "phone.example:443"),
        ("https://phone.example@evil.example", "phone.example"),
        ("https://evil.example@phone.example", "phone.example"),
        ("https://evil.example/phone.example", "phone.example"),
        ("https://phone.example/", "phone.example"),
        ("https://phone.example?", "phone.example"),
        ("ftp://phone.example", "phone.example"),
        ("file://", "phone.example"),
        ("null", "phone.example"),
        ("null", "null"),
        ("", "phone.example"),
        ("phone.example", "phone.example"),
        ("http://", ""),
        ("http://phone.example", ""),
        ("http://phone.example:port", "phone.example:port"),
        ("http://[::1", "[::1"),
    ],
)
def test_other_origins_are_not_allowed(origin: str, host: str) -> None:
    assert not allowed(origin, host)


def test_configured_origins_are_allowed_as_they_are() -> None:
    assert allowed("https://friend.example", "phone.example", "https://friend.example")
    assert not allowed("http://friend.example", "phone.example", "https://friend.example")


def test_two_origins_are_none() -> None:
    request = make_mocked_request("GET", "/ws", headers={"Host": "phone.example"})
    doubled = request.headers.copy()
    doubled.add("Origin", "https://phone.example")
    doubled.add("Origin", "https://phone.example")
    request = make_mocked_request("GET", "/ws", headers=doubled)
    assert not identity.origin_allowed(request, Config())


@given(st.text(), st.text())
def test_no_origin_and_no_host_upset_the_check(origin: str, host: str) -> None:
    assert not identity._same_host(origin, host) or "://" in origin


# --- tokens


def test_a_token_stands_for_its_bot() -> None:
    token = identity.mint_bot_token(SECRET, "echo", 60)
    assert identity.read_token(SECRET, token) == identity.Token("bot:echo", "echo", True)


def forged(**changes: object) -> str:
    now = int(time.time())
    claims: dict[str, object] = {"iss": "ringback", "aud": "ringback", "sub": "bot:echo"}
    claims |= {"name": "echo", "bot": True, "iat": now, "exp": now + 60} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, identity.derive(SECRET, "token"), algorithm="HS256")


def test_the_forger_of_these_tests_can_make_a_good_one() -> None:
    assert identity.read_token(SECRET, forged()).name == "echo"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "not a token",
        "é.é.é",
        "\ud800",
        identity.mint_bot_token(OTHER, "echo", 60),
        identity.mint_bot_token(SECRET, "echo", -1),
        identity.mint_bot_token(SECRET, "echo", 60)[:-3],
        jwt.encode({"sub": "bot:echo", "name": "echo", "bot": True}, SECRET),
        jwt.encode({"sub": "bot:echo", "name": "echo", "bot": True}, "", algorithm="none"),
        forged(exp=None),
        forged(sub=None),
        forged(iat=None),
        forged(aud="somebody else"),
        forged(iss="somebody else"),
        forged(name=None),
        forged(name=7),
        forged(bot="yes"),
        forged(sub=7),
    ],
)
def test_no_other_token_is_taken(token: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        identity.read_token(SECRET, token)
    assert raised.value.code is ErrorCode.BAD_TOKEN


def test_the_same_claims_under_another_algorithm_are_refused() -> None:
    claims = jwt.decode(forged(), options={"verify_signature": False})
    token = jwt.encode(claims, identity.derive(SECRET, "token") * 2, algorithm="HS512")
    with pytest.raises(ProtocolError):
        identity.read_token(SECRET, token)
