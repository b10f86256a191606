"""Headers, posts from elsewhere, and what errors look like."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp_jinja2
import jinja2
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from yarl import URL

from ringback.server import security
from ringback.server.config import Config
from ringback.server.engine.base import EngineError
from ringback.server.keys import CONFIG

Client = TestClient[web.Request, web.Application]
Start = Callable[..., Awaitable[Client]]

ERROR_PAGE = "<h1>{{ status }} {{ title }}</h1><p>{{ text }}</p>"


async def fine(request: web.Request) -> web.Response:
    return web.Response(text="fine")


async def takes_little(request: web.Request) -> web.Response:
    await request.post()
    return web.Response(text="taken")


async def moves(request: web.Request) -> web.Response:
    raise web.HTTPFound("/")


async def breaks(request: web.Request) -> web.Response:
    raise RuntimeError("the details are nobody's business")


async def store_breaks(request: web.Request) -> web.Response:
    raise EngineError("disk full")


async def answers_503(request: web.Request) -> web.Response:
    return web.json_response({"status": "failing"}, status=503)


async def teapot(request: web.Request) -> web.Response:
    raise web.HTTPUnavailableForLegalReasons(link=None)


async def socket(request: web.Request) -> web.WebSocketResponse:
    line = web.WebSocketResponse()
    await line.prepare(request)
    await line.send_str("hello")
    await line.close()
    return line


async def refusing_socket(request: web.Request) -> web.WebSocketResponse:
    raise web.HTTPForbidden(text="not you")


@pytest.fixture
def start(aiohttp_client: AiohttpClient) -> Start:
    async def start(page: str = ERROR_PAGE, config: Config | None = None) -> Client:
        app = web.Application(client_max_size=1000)
        app[CONFIG] = config or Config()
        aiohttp_jinja2.setup(app, loader=jinja2.DictLoader({"error.html": page}))
        security.setup(app, app[CONFIG])
        for path in ("/", "/room/a/b/", "/call/", "/callous/"):
            app.router.add_get(path, fine)
        app.router.add_post("/post", takes_little)
        app.router.add_put("/post", takes_little)
        app.router.add_get("/moves", moves)
        app.router.add_get("/breaks", breaks)
        app.router.add_get("/breaks/{how}", breaks)
        app.router.add_get("/store", store_breaks)
        app.router.add_get("/503", answers_503)
        app.router.add_get("/451", teapot)
        app.router.add_get("/ws", socket)
        app.router.add_get("/ws/no", refusing_socket)
        return await aiohttp_client(app)

    return start


# --- headers


@pytest.mark.parametrize("path", ["/", "/nothing", "/moves", "/breaks", "/503", "/post"])
async def test_every_answer_is_protected(start: Start, path: str) -> None:
    client = await start()
    async with client.get(path, allow_redirects=False) as response:
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["Server"] == "Ringback"
        assert "Permissions-Policy" in response.headers
        assert "Strict-Transport-Security" not in response.headers
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/room/a/b/", True),
        ("/call/", True),
        ("/voicemail/", True),
        ("/", False),
        ("/callous/", False),
        ("/no", False),
    ],
)
async def test_camera_and_microphone_are_for_calls(start: Start, path: str, allowed: bool) -> None:
    client = await start()
    async with client.get(path) as response:
        features = dict(
            part.split("=") for part in response.headers["Permissions-Policy"].split(", ")
        )
    assert features["camera"] == features["microphone"] == ("(self)" if allowed else "()")
    assert features["geolocation"] == features["payment"] == features["usb"] == "()"


async def test_a_websocket_is_left_as_it_is(start: Start) -> None:
    client = await start()
    async with client.ws_connect("/ws") as line:
        assert line._response.status == 101
        assert "Content-Security-Policy" not in line._response.headers
        assert await line.receive_str() == "hello"


async def test_a_refused_websocket_is_told_so_without_a_page(start: Start) -> None:
    client = await start()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    async with client.get("/ws/no", headers=headers) as response:
        assert response.status == 403
        assert await response.text() == "not you"


# --- https for ever


def certificate(folder: Path, issuer: str, subject: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "cert.pem"
    path.write_bytes(cert.public_bytes(Encoding.PEM))
    return path


async def test_with_a_real_certificate_browsers_insist_on_https(
    start: Start, tmp_path: Path
) -> None:
    cert = certificate(tmp_path, "Some authority", "phone.example")
    client = await start(config=Config(tls=(cert, tmp_path / "key.pem")))
    async with client.get("/") as response:
        age = response.headers["Strict-Transport-Security"].removeprefix("max-age=")
        assert int(age) >= 180 * 86_400


@pytest.mark.parametrize("made_here", [True, False])
def test_with_a_certificate_signed_by_itself_they_must_not(tmp_path: Path, made_here: bool) -> None:
    cert = certificate(tmp_path, "phone.example", "phone.example")
    tls = "self-signed" if made_here else (cert, tmp_path / "key.pem")
    assert not security.trusted(Config(tls=tls))  # type: ignore[arg-type]


def test_a_certificate_that_cannot_be_read_is_no_surprise_later(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    with pytest.raises(OSError, match="No such file"):
        security.trusted(Config(tls=(cert, cert)))
    cert.write_text("nonsense")
    with pytest.raises(ValueError, match="PEM"):
        security.trusted(Config(tls=(cert, cert)))


# --- posts


async def post(client: Client, method: str = "POST", **headers: str) -> int:
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, "/post", data={"a": "b"}, headers=renamed) as response:
        return response.status


async def test_our_own_pages_post(start: Start) -> None:
    client = await start()
    ours = str(client.make_url("/")).rstrip("/")
    assert await post(client, Origin=ours) == 200
    assert await post(client, Origin=ours, Sec_Fetch_Site="same-origin") == 200
    assert await post(client, Sec_Fetch_Site="none") == 200


async def test_programs_that_are_no_browsers_post(start: Start) -> None:
    assert await post(await start()) == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "anything"},
    ],
)
async def test_other_pages_do_not_post(start: Start, method: str, headers: dict[str, str]) -> None:
    assert await post(await start(), method, **headers) == 403


async def test_other_pages_may_link_to_us(start: Start) -> None:
    client = await start()
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    async with client.get("/", headers=headers) as response:
        assert response.status == 200


async def test_pages_that_we_allow_post(start: Start) -> None:
    client = await start(config=Config(origins=("https://friend.example",)))
    friend = "https://friend.example"
    assert await post(client, Origin=friend, Sec_Fetch_Site="cross-site") == 200
    assert await post(client, Sec_Fetch_Site="cross-site") == 403


# --- errors


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/post", 405), ("/breaks", 500), ("/store", 503), ("/451", 451)],
)
async def test_errors_are_pages(start: Start, path: str, status: int) -> None:
    client = await start()
    async with client.get(path) as response:
        assert response.status == status
        assert response.content_type == "text/html"
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    assert text.startswith(f"<h1>{status} ")
    assert "." in text
    assert "nobody" not in text
    assert "disk full" not in text
    assert "Traceback" not in text


async def test_every_error_that_we_know_has_its_words(start: Start) -> None:
    client = await start()
    sentences = set()
    for path in ("/nothing", "/post", "/breaks", "/store", "/451"):
        async with client.get(path) as response:
            sentences.add((await response.text()).partition("<p>")[2])
    assert len(sentences) == 5


async def test_a_405_says_what_can_be_done(start: Start) -> None:
    client = await start()
    async with client.get("/post") as response:
        assert response.headers["Allow"] == "POST,PUT"


async def test_too_much_is_said_so(start: Start) -> None:
    client = await start()
    async with client.post("/post", data={"a": "b" * 2000}) as response:
        assert response.status == 413
        assert (await response.text()).startswith("<h1>413 ")


async def test_what_is_our_fault_is_logged_whole(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start()
    async with client.get("/breaks"):
        pass
    (record,) = (r for r in caplog.records if r.name == security.__name__)
    assert record.levelno == logging.ERROR
    assert "GET /breaks" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)


async def test_an_address_cannot_write_lines_of_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start()
    async with client.get(URL("/breaks/a%0A%1B%5B31mERROR%20forged", encoded=True)) as response:
        assert response.status == 500
    (record,) = (r for r in caplog.records if r.name == security.__name__)
    assert record.getMessage().isprintable()


async def test_what_is_not_our_fault_is_not_logged(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start()
    for path in ("/nothing", "/post"):
        async with client.get(path):
            pass
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_redirects_and_answers_pass(start: Start) -> None:
    client = await start()
    async with client.get("/moves", allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"] == "/"
    async with client.get("/503") as response:
        assert await response.json() == {"status": "failing"}


@pytest.mark.parametrize("page", ["{% broken", "{{ status.nothing.at.all }}"])
async def test_an_error_page_that_fails_is_plain_text(
    start: Start, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start(page=page)
    async with client.get("/nothing") as response:
        assert response.status == 404
        assert response.content_type == "text/plain"
        assert (await response.text()).startswith("Nothing here. ")
    assert "error page itself failed" in caplog.text


async def test_only_the_head_of_an_error(start: Start) -> None:
    client = await start()
    async with client.head("/nothing") as response:
        assert response.status == 404
        assert await response.read() == b""
