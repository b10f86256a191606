"""What every answer carries against misuse, who may post, and how errors look.

Headers are set where a response is about to be sent, so that errors, files and redirects have
them too. A WebSocket's handshake is left as it is: there is no page in it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp_jinja2
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from cryptography import x509

from .config import Config
from .engine.base import EngineError
from .identity import origin_allowed

log = logging.getLogger(__name__)

# https://www.w3.org/TR/CSP3/ ('self' in connect-src stands for our WebSockets too)
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
# https://www.w3.org/TR/permissions-policy/
_NEVER = ("accelerometer", "geolocation", "gyroscope", "hid", "magnetometer", "midi",
          "payment", "serial", "usb", "xr-spatial-tracking")  # fmt: skip
_IN_CALLS = ("camera", "microphone", "display-capture", "autoplay", "fullscreen",
             "picture-in-picture", "screen-wake-lock", "speaker-selection")  # fmt: skip
_CALL_PAGES = ("/room/", "/call/", "/voicemail/")
_HSTS = "max-age=31536000"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_ERRORS = {
    400: ("This could not be read", "The address or the form is not of the form we know."),
    403: ("Not from here", "This came from another site, so it was not done. Try it on our pages."),
    404: ("Nothing here", "There is no page at this address. It may have been mistyped."),
    405: ("Not possible here", "This address does not do what was asked of it."),
    413: ("Too much at once", "What was sent is larger than we take. Make it shorter."),
    415: ("This could not be read", "The form was sent in a way that we do not read."),
    500: (
        "Something went wrong",
        "It is our fault, and it has been logged. Try again in a moment.",
    ),
    503: ("Out of order", "We cannot reach what we have stored. Try again in a moment."),
}
_OTHER = ("This did not work", "Try again, or go back to the start.")


def setup(app: web.Application, config: Config) -> None:
    """Protect `app`: headers, error pages, and no posts from other sites."""
    app.on_response_prepare.append(_Headers(config))
    app.middlewares.append(errors)
    app.middlewares.append(own_posts(config))


class _Headers:
    """Puts the headers on a response that is about to be sent."""

    def __init__(self, config: Config) -> None:
        self._always = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            # Which program in which version answers is nobody's business.
            "Server": "Ringback",
        }
        if trusted(config):
            self._always["Strict-Transport-Security"] = _HSTS

    async def __call__(self, request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 101:
            return
        response.headers.update(self._always)
        response.headers["Permissions-Policy"] = permissions(request.path)


def permissions(path: str) -> str:
    """What the page at `path` may ask its reader for."""
    allowed = "(self)" if path.startswith(_CALL_PAGES) else "()"
    return ", ".join(
        [f"{name}={allowed}" for name in _IN_CALLS] + [f"{name}=()" for name in _NEVER]
    )


def trusted(config: Config) -> bool:
    """Whether the server shows a certificate that browsers trust by themselves.

    Only then may they be told to insist on https (RFC 6797): with one that is signed by
    itself they would lock their users out. Raises `OSError` or `ValueError` when the
    certificate cannot be read.
    """
    if isinstance(config.tls, str):
        return False
    cert = x509.load_pem_x509_certificate(Path(config.tls[0]).read_bytes())
    return cert.issuer != cert.subject


# --- posts


def own_posts(config: Config) -> Middleware:
    """Refuses what other sites make a browser send, whatever it carries (403)."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in _SAFE_METHODS and _cross_site(request, config):
            raise web.HTTPForbidden
        return await handler(request)

    return middleware


def _cross_site(request: web.Request, config: Config) -> bool:
    if not origin_allowed(request, config):
        return True
    # https://www.w3.org/TR/fetch-metadata/: sent by the browser, out of reach of scripts.
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site in ("same-origin", "none"):
        return False
    return request.headers.get("Origin") not in config.origins


# --- errors


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Shows whatever goes wrong as a page in the same dress; logs what is our fault."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return error_page(request, error.status, kept)
    except EngineError:
        log.exception("The store failed for %s %s", request.method, request.rel_url.raw_path)
        return error_page(request, 503, {"Retry-After": "5"})
    except Exception:
        log.exception("A page failed: %s %s", request.method, request.rel_url.raw_path)
        return error_page(request, 500)


def error_page(
    request: web.Request, status: int, headers: dict[str, str] | None = None
) -> web.Response:
    """The page that says what went wrong; plain text if even that cannot be made."""
    title, text = _ERRORS.get(status, _OTHER)
    context = {"status": status, "title": title, "text": text}
    try:
        response = aiohttp_jinja2.render_template("error.html", request, context, status=status)
    except Exception:
        log.exception("The error page itself failed")
        response = web.Response(text=f"{title}. {text}\n", status=status)
    response.headers.update(headers or {})
    response.headers["Cache-Control"] = "no-store"
    return response
