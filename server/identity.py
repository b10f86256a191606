"""Who somebody is: guests by a cookie, bots by a token.

A guest is a random user id in an encrypted cookie; the browser keeps it, the server keeps
nothing. What they call themselves is theirs for as long as the exchange says so.

A socket may use a cookie only from a page of an allowed origin: browsers send cookies along
with sockets that any other page opens (cross-site WebSocket hijacking).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import jwt
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import Session
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from msgspec import Struct

from .config import Config
from .keys import CONFIG
from .protocol import ErrorCode, ProtocolError

SECRET_BYTES = 32
COOKIE_AGE = 365 * 86_400
# A cookie in use is renewed after this long, so that it lapses only when nobody comes.
_RENEW = 30 * 86_400
_ISSUER = "ringback"
_PORTS = {"http": 80, "https": 443}


class SecretError(Exception):
    """The secret in the data folder cannot be used; `str()` is one line that says why."""


class Token(Struct, frozen=True):
    """Whom a token stands for."""

    user: str
    name: str
    bot: bool


# --- the secret


def load_secret(data: Path) -> bytes:
    """The secret of the Ringback that keeps its things in `data`: 32 bytes, made once.

    The file is readable by its owner alone. Raises `SecretError` when it is damaged and
    `OSError` when it cannot be read or made.
    """
    path = data / "secret"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        _make_secret(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise SecretError(f"{path} is damaged; delete it, and everybody becomes a new guest.")
    return secret


def _make_secret(path: Path) -> None:
    draft = path.with_name(f".secret.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces what another process made meanwhile.
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def derive(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, so that no two uses share one (HKDF in one step)."""
    return hmac.digest(secret, purpose.encode(), "sha256")


# --- guests


class _Cookie(EncryptedCookieStorage):
    """The cookie; one that is damaged, foreign or of another shape is no cookie."""

    async def load_session(self, request: web.Request) -> Session:
        try:
            session = await super().load_session(request)
        except ValueError:  # not even text
            return await self.new_session()
        if not all(isinstance(session.get(field, ""), str) for field in ("user", "name")):
            return await self.new_session()
        return session


_STORAGE: web.AppKey[_Cookie] = web.AppKey("COOKIE")
_SESSION: web.RequestKey[Session] = web.RequestKey("SESSION")
_CHANGED: web.RequestKey[bool] = web.RequestKey("CHANGED")


def cookie_name(secret: bytes, secure: bool) -> str:
    """The name of the guests' cookie.

    Browsers share cookies among all ports of a host, so two Ringbacks on one machine need
    different names. The prefix makes browsers refuse it from anybody but this very host
    over TLS (RFC 6265bis, 4.1.3.2).
    """
    mark = hashlib.sha256(derive(secret, "cookie name")).hexdigest()[:8]
    return f"{'__Host-' if secure else ''}ringback-{mark}"


def setup(app: web.Application, secret: bytes, secure: bool) -> None:
    """Give every request of `app` its guest; `secure` where the server speaks TLS."""
    app[_STORAGE] = _Cookie(
        derive(secret, "cookie"),
        cookie_name=cookie_name(secret, secure),
        max_age=COOKIE_AGE,
        secure=secure,
        httponly=True,
        samesite="Lax",
    )
    app.middlewares.append(_keep_cookie)


# In place of the library's own middleware, which uses untyped keys: aiohttp warns of them.
@web.middleware
async def _keep_cookie(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        await _save(request, error)
        raise
    await _save(request, response)
    return response


async def _save(request: web.Request, response: web.StreamResponse) -> None:
    if request.get(_CHANGED) and not response.prepared:
        storage = request.config_dict[_STORAGE]
        await storage.save_session(request, response, request[_SESSION])


async def _session(request: web.Request) -> Session:
    """What the cookie of a request holds, decrypted where somebody asks for it."""
    if _SESSION not in request:
        request[_SESSION] = await request.config_dict[_STORAGE].load_session(request)
    return request[_SESSION]


async def guest(request: web.Request) -> str:
    """The user id of who asks for a page; a new one for somebody who has none yet."""
    session = await _session(request)
    user: str = session.get("user", "")
    if not user or time.time() - session.created > _RENEW:
        user = session["user"] = user or secrets.token_urlsafe(16)
        request[_CHANGED] = True
    return user


async def remembered_name(request: web.Request) -> str:
    """The name a guest used last; empty if none."""
    name: str = (await _session(request)).get("name", "")
    return name


async def remember_name(request: web.Request, name: str) -> None:
    """Keep a name for a guest's next visit."""
    session = await _session(request)
    if session.get("name") != name:
        session["name"] = name
        request[_CHANGED] = True


async def user_of(request: web.Request) -> str | None:
    """The guest's user id on a socket.

    None without a cookie, and for everybody who does not come from an allowed page: without
    an `Origin` it is no browser, with a foreign one it is not the guest's own wish.
    """
    if "Origin" not in request.headers:
        return None
    if not origin_allowed(request, request.config_dict[CONFIG]):
        return None
    user: str | None = (await _session(request)).get("user")
    return user or None


def origin_allowed(request: web.Request, config: Config) -> bool:
    """Whether the page that made this request (RFC 6454) may use this server.

    Its origin is the host the request came to, or one of `config.origins`. No `Origin`, as
    programs send it that are no browsers, is allowed.
    """
    origins = request.headers.getall("Origin", [])
    if not origins:
        return True
    if len(origins) > 1:
        return False
    if origins[0] in config.origins:
        return True
    return _same_host(origins[0], request.headers.get("Host", ""))


def _same_host(origin: str, host: str) -> bool:
    # The scheme is not compared: behind a proxy that ends TLS it differs from ours.
    page = _split(origin)
    if page is None or page.scheme not in _PORTS:
        return False
    ours = _split(f"{page.scheme}://{host}")
    if ours is None or not page.hostname:
        return False
    port = _PORTS[page.scheme]
    return (page.hostname, page.port or port) == (ours.hostname, ours.port or port)


def _split(url: str) -> SplitResult | None:
    """A URL of nothing but scheme, host and port; None for anything else."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    bare = f"{parts.scheme}://{parts.netloc}".lower() == url.lower() and "@" not in parts.netloc
    return parts if bare else None


# --- bots


def mint_bot_token(secret: bytes, name: str, seconds: float) -> str:
    """A token (JWT, RFC 7519) with which a bot may be called `name` for so many seconds."""
    now = time.time()
    claims = {
        "iss": _ISSUER,
        "aud": _ISSUER,
        "sub": f"bot:{name}",
        "name": name,
        "bot": True,
        "iat": int(now),
        "exp": int(now + seconds),
    }
    return jwt.encode(claims, derive(secret, "token"), algorithm="HS256")


def read_token(secret: bytes, token: str) -> Token:
    """Whom a token stands for.

    Raises `ProtocolError` (`BAD_TOKEN`) when it is not ours, was changed, or has expired.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            derive(secret, "token"),
            algorithms=["HS256"],
            audience=_ISSUER,
            issuer=_ISSUER,
            options={"require": ["exp", "iat", "sub"]},
        )
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise ProtocolError(ErrorCode.BAD_TOKEN) from error
    user, name, bot = claims["sub"], claims.get("name"), claims.get("bot")
    if not isinstance(name, str) or not isinstance(bot, bool):
        raise ProtocolError(ErrorCode.BAD_TOKEN)
    return Token(user, name, bot)
