"""Files under addresses that change with their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from aiohttp.test_utils import TestClient
from yarl import URL

from ringback.server import assets
from ringback.server.keys import ASSETS

Client = TestClient[web.Request, web.Application]
SCRIPT = 'import "./wire.js";\n' + "// a line that repeats\n" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    for name, content in {
        "js/room.js": SCRIPT,
        "js/wire.js": "export {};\n",
        "css/style.css": "body {}\n",
        "img/icon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>\n",
        "vendor/base/LICENSE": "Free.\n",
        "js/.hidden.js": "hidden\n",
        ".git/config": "hidden\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "secret").write_text("outside")
    return folder


@pytest.fixture
async def client(folder: Path, aiohttp_client: AiohttpClient) -> Client:
    app = web.Application()
    assets.setup(app, folder)
    return await aiohttp_client(app)


# --- versions


def test_an_address_names_the_version(folder: Path) -> None:
    files = assets.Assets(folder)
    assert files.url("js/room.js") == f"/static/{files.version}/js/room.js"
    assert len(files.version) == 12


def test_the_same_content_is_the_same_version(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert assets.Assets(copy).version == assets.Assets(folder).version


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "js/wire.js").write_text("export const one = 1;\n"),
        lambda folder: (folder / "js/more.js").write_text("export {};\n"),
        lambda folder: (folder / "js/wire.js").unlink(),
        lambda folder: (folder / "js/wire.js").rename(folder / "js/line.js"),
    ],
)
def test_any_change_makes_another_version(folder: Path, change: Callable[[Path], object]) -> None:
    files = assets.Assets(folder)
    before = files.version
    change(folder)
    assert files.version != before
    assert f"/{files.version}/" in files.url("js/room.js")


def test_a_file_saved_unchanged_keeps_the_version(folder: Path) -> None:
    files = assets.Assets(folder)
    before = files.version
    (folder / "js/wire.js").write_text("export {};\n")
    assert files.version == before


@pytest.mark.parametrize("path", ["js/none.js", "js", "", "../secret", "js/.hidden.js"])
def test_a_template_cannot_name_what_is_not_there(folder: Path, path: str) -> None:
    with pytest.raises(KeyError, match="there is no file"):
        assets.Assets(folder).url(path)


def test_our_own_files_are_found_wherever_we_are_installed() -> None:
    assert assets.data_folder("static").is_dir()
    assert assets.data_folder("templates").is_dir()


# --- over HTTP


async def test_a_file_of_this_version_is_kept_for_ever(client: Client) -> None:
    async with client.get(client.app[ASSETS].url("js/room.js")) as response:
        assert response.status == 200
        assert await response.text() == SCRIPT
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/static/js/room.js", "/static/0123456789ab/js/room.js"])
async def test_a_file_of_no_or_another_version_is_asked_for_again(
    client: Client, path: str
) -> None:
    async with client.get(path) as response:
        assert await response.text() == SCRIPT
        assert response.headers["Cache-Control"] == "no-cache"
        tag = response.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": tag}) as again:
        assert again.status == 304
        assert await again.read() == b""
    async with client.get(path, headers={"If-None-Match": '"older"'}) as changed:
        assert await changed.text() == SCRIPT


async def test_an_old_version_is_not_kept_after_a_change(client: Client, folder: Path) -> None:
    old = client.app[ASSETS].url("js/room.js")
    (folder / "js/wire.js").write_text("export const changed = true;\n")
    async with client.get(old) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("js/room.js", "text/javascript; charset=utf-8"),
        ("css/style.css", "text/css; charset=utf-8"),
        ("img/icon.svg", "image/svg+xml"),
        ("vendor/base/LICENSE", "application/octet-stream"),
    ],
)
async def test_files_say_what_they_are(client: Client, path: str, kind: str) -> None:
    async with client.get(client.app[ASSETS].url(path)) as response:
        assert response.headers["Content-Type"] == kind


async def test_texts_are_compressed_for_who_can_read_that(client: Client) -> None:
    url = client.app[ASSETS].url("js/room.js")
    async with client.get(url, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert response.headers["Vary"] == "Accept-Encoding"
        assert await response.text() == SCRIPT
    async with client.get(url, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.text() == SCRIPT


async def test_a_part_of_a_file_is_that_part(client: Client) -> None:
    headers = {"Range": "bytes=0-5", "Accept-Encoding": "gzip"}
    async with client.get(client.app[ASSETS].url("js/room.js"), headers=headers) as response:
        assert response.status == 206
        assert await response.text() == SCRIPT[:6]


async def test_only_the_head_of_a_file(client: Client) -> None:
    async with client.head(client.app[ASSETS].url("js/room.js")) as response:
        assert response.status == 200
        assert await response.read() == b""


@pytest.mark.parametrize(
    "path",
    [
        "/static/none.js",
        "/static/js",
        "/static/js/",
        "/static/",
        "/static/js/.hidden.js",
        "/static/.git/config",
        "/static/%2e%2e/secret",
        "/static/js/%2e%2e/%2e%2e/secret",
        "/static/..%2Fsecret",
        "/static//etc/passwd",
        "/static/%2Fetc%2Fpasswd",
        "/static/js/room.js%00",
    ],
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    async with client.get(URL(path, encoded=True)) as response:
        assert response.status == 404
