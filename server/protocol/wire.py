"""Messages as text, and the error that says what is wrong with one. Pure."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from msgspec import Struct

from .codes import ERRORS, ErrorCode
from .events import Error, Event, ServerMessage
from .requests import ClientMessage, Request

CLIENT_TYPES: dict[str, type[Request]] = {
    m.__struct_config__.tag: m for m in get_args(ClientMessage)
}

SERVER_TYPES: dict[str, type[Event]] = {m.__struct_config__.tag: m for m in get_args(ServerMessage)}


class ProtocolError(Exception):
    """A request that cannot be done, whose fault is the client's.

    `code` is stable, `str()` is the sentence for people, `re` the request's id if known.
    """

    def __init__(self, code: ErrorCode, message: str | None = None, re: str | None = None) -> None:
        super().__init__(message or ERRORS[code])
        self.code = code
        self.re = re

    def as_message(self, re: str | None = None) -> Error:
        """The error as it goes over the wire, in reply to `re`."""
        return Error(code=self.code, message=str(self), re=self.re or re)


_client = msgspec.json.Decoder(ClientMessage)

_server = msgspec.json.Decoder(ServerMessage)

_encoder = msgspec.json.Encoder()


class _Head(Struct):
    type: Any = None
    id: Any = None


_head = msgspec.json.Decoder(_Head)


def decode(text: str | bytes) -> ClientMessage:
    """What a client said.

    Raises `ProtocolError` with `BAD_JSON`, `UNKNOWN_TYPE` or `BAD_MESSAGE`; its `re` is
    the request's id wherever that could still be read.
    """
    try:
        message: ClientMessage = _client.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _explain(text, error) from error
    return message


def _explain(text: str | bytes, error: Exception) -> ProtocolError:
    if isinstance(error, UnicodeError):
        return ProtocolError(ErrorCode.BAD_JSON)
    try:
        head = _head.decode(text)
    except msgspec.ValidationError:
        return ProtocolError(ErrorCode.BAD_MESSAGE, "A message is a JSON object.")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return ProtocolError(ErrorCode.BAD_JSON)
    re = head.id if isinstance(head.id, str) and 0 < len(head.id) <= 64 else None
    if isinstance(head.type, str) and head.type not in CLIENT_TYPES:
        return ProtocolError(ErrorCode.UNKNOWN_TYPE, re=re)
    return ProtocolError(
        ErrorCode.BAD_MESSAGE, f"The message is not of the agreed form: {error}", re
    )


def encode(message: Event | Request) -> bytes:
    """A message as it goes over the wire (UTF-8 JSON)."""
    return _encoder.encode(message)


def decode_server(text: str | bytes) -> ServerMessage:
    """What the server said, for clients written in Python.

    Raises `msgspec.DecodeError` when it is nothing this version knows.
    """
    message: ServerMessage = _server.decode(text)
    return message
