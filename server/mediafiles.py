"""Files with sound and pictures in the data folder, sent to those who may have them.

Who may is decided by the caller, for every request anew; here it is only seen to that nothing
but a plain file of a known kind goes out, in ranges where asked for (RFC 9110, section 14).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

TYPES = {
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
    ".jpg": "image/jpeg",
}
"""The kinds of files there are, and what they are called on the way (RFC 6838)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.[a-z0-9]{1,8})\Z")


def safe(name: str) -> bool:
    """Whether a name is that of a file of a known kind, and leads nowhere else."""
    found = _NAME.match(name)
    return found is not None and found[1] in TYPES


def size(path: Path) -> int | None:
    """The bytes of a plain file; None if it is none. A link is none."""
    try:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def answer(path: Path, *, sound: bool = False, save_as: str = "") -> web.FileResponse:
    """The file at `path`, whose name is `safe`. `sound`: it holds no picture; `save_as`: to
    be kept under this name, which gets the file's ending.

    Raises 404 where there is no such file.
    """
    if size(path) is None:
        raise web.HTTPNotFound
    kind = TYPES[path.suffix]
    headers = {
        "Content-Type": kind.replace("video/", "audio/") if sound else kind,
        # Neither a proxy nor the next person at this browser is to find it.
        "Cache-Control": "private, no-store",
    }
    if save_as:
        headers["Content-Disposition"] = _attachment(f"{save_as}{path.suffix}")
    return web.FileResponse(path, headers=headers)


def _attachment(name: str) -> str:
    """RFC 6266: the plain letters for old browsers, all of them for the others."""
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
