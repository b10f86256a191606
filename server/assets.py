"""The files of the pages, under addresses that change when any of them changes.

The version, a hash over all files, is part of the path: scripts and styles that name each
other relatively stay within one version, and each file may be cached for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from .keys import ASSETS

PREFIX = "/static"
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
# Said here, since what a machine's own table says of these differs from machine to machine.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_COMPRESSED = frozenset({".css", ".js", ".json", ".md", ".svg", ".txt", ".webmanifest"})

_Stamp = tuple[int, int]


def data_folder(name: str) -> Path:
    """A folder of Ringback's data (`static`, `templates`), wherever it is installed."""
    return Path(str(files("ringback") / name))


class Assets:
    """The files below one folder. Hidden ones are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamps: dict[str, _Stamp] = {}
        self._version = ""

    @property
    def version(self) -> str:
        """Twelve hex digits that change with the content of any file.

        Looked up anew each time, at the price of a `stat` per file, so that who edits a
        script while the server runs never sees an old one.
        """
        stamps = {name: _stamp(path) for name, path in self._walk()}
        if stamps != self._stamps or not self._version:
            self._version = self._hash(sorted(stamps))
            self._stamps = stamps
        return self._version

    def url(self, path: str) -> str:
        """The address of a file, for templates. Raises `KeyError` for one that is not there."""
        version = self.version
        if path not in self._stamps:
            raise KeyError(f"there is no file static/{path}")
        return f"{PREFIX}/{version}/{path}"

    def find(self, path: str) -> Path | None:
        """The file behind an address; None for what is none of ours, wherever it points."""
        return self._folder / path if path in self._stamps else None

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder).as_posix()
            if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
                yield name, path

    def _hash(self, names: list[str]) -> str:
        digest = hashlib.sha256()
        for name in names:
            content = hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
            digest.update(f"{name}\0{content}\n".encode())
        return digest.hexdigest()[:12]


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


async def serve(request: web.Request) -> web.StreamResponse:
    """One file: for ever where the address names its version, else to be asked for again."""
    assets = request.config_dict[ASSETS]
    current = assets.version
    path = request.match_info["path"]
    file = assets.find(path)
    if file is None:
        raise web.HTTPNotFound
    fresh = request.match_info.get("version") == current
    response = web.FileResponse(file)
    response.headers["Cache-Control"] = _FOR_EVER if fresh else _ASK_AGAIN
    if file.suffix in _TYPES:
        response.headers["Content-Type"] = _TYPES[file.suffix]
    if file.suffix in _COMPRESSED:
        response.headers["Vary"] = "Accept-Encoding"
        if _whole(request):
            response.enable_compression()
    return response


def _whole(request: web.Request) -> bool:
    """Whether the answer is surely a whole file.

    A part of one is a part of what is stored, not of what is compressed; and aiohttp ends a
    compressed answer that has no body (304, HEAD) with bytes the client takes for the next.
    """
    conditional = any(name.lower().startswith(("if-", "range")) for name in request.headers)
    return request.method == "GET" and not conditional


def setup(app: web.Application, folder: Path | None = None) -> None:
    """Serve the files of `folder` (by default Ringback's own) below `PREFIX`."""
    app[ASSETS] = Assets(folder or data_folder("static"))
    app.router.add_get(PREFIX + "/{version:[0-9a-f]{12}}/{path:.+}", serve)
    app.router.add_get(PREFIX + "/{path:.+}", serve)
