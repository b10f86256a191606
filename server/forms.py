"""Forms: each is for the guest it was shown to, and is read with bounds.

A form carries a token made from its guest's user id, which only the guest's encrypted cookie
holds: another site can make a browser send a form, but cannot know what to write in it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web

from .identity import derive, guest
from .keys import SECRET

MAX_BYTES = 16 * 1024
_TYPE = "application/x-www-form-urlencoded"


def token_for(secret: bytes, user: str) -> str:
    """What a form shown to a guest carries, so that only that guest can send it."""
    return hmac.digest(derive(secret, "form"), user.encode(), "sha256").hex()


def matches(secret: bytes, user: str, shown: str) -> bool:
    """Whether a token is the one that we gave this guest (in constant time)."""
    expected = token_for(secret, user).encode()
    return hmac.compare_digest(expected, shown.encode("utf-8", "surrogatepass"))


async def token(request: web.Request) -> str:
    """The token for the forms of this page."""
    return token_for(request.config_dict[SECRET], await guest(request))


async def sent_by_guest(request: web.Request, form: Mapping[str, str]) -> bool:
    """Whether a form was shown to who sent it (field `csrf`)."""
    return matches(request.config_dict[SECRET], await guest(request), form.get("csrf", ""))


async def read(request: web.Request) -> dict[str, str]:
    """The fields of a form, the first of each name.

    Raises 415 for another content type, 400 for what cannot be decoded, 413 for too much.
    """
    if request.content_type != _TYPE:
        raise web.HTTPUnsupportedMediaType
    try:
        fields = await request.post()
    except (ValueError, LookupError, ConnectionError) as error:
        # Not in the encoding it claims to be in, or the sender is gone.
        raise web.HTTPBadRequest from error
    texts: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, str):  # as everything is in this content type
            texts.setdefault(name, value)
    return texts
