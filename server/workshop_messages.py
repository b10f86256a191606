"""What is said on the workshop's two plain sockets."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field

from ringback.server import protocol as p
from ringback.server.protocol import ErrorCode, ProtocolError


class RoomMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """Something said in a room."""

    message: p.Text


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """Who one is."""

    name: p.Word


class PlaceCall(Struct, frozen=True, forbid_unknown_fields=True):
    """Calls somebody."""

    name: p.Word
    description: p.Description = field(name="rtcMessage")


class AnswerCall(Struct, frozen=True, forbid_unknown_fields=True):
    """Picks up."""

    caller: p.Word
    description: p.Description = field(name="rtcMessage")


class IceMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate, as the workshop's pages write it."""

    label: p.Count | None
    id: p.Word | None
    candidate: str


class IceCandidate(Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate for whom one speaks with."""

    user: p.Word
    ice: IceMessage = field(name="rtcMessage")


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """What all messages of the call socket are; `data` is read by its type."""

    type: str
    data: msgspec.Raw


DATA: dict[str, type[Struct]] = {
    "login": Login,
    "call": PlaceCall,
    "answer_call": AnswerCall,
    "ICEcandidate": IceCandidate,
}


def say(type_: str, **data: object) -> bytes:
    """A message to the call socket, as it goes out."""
    return msgspec.json.encode({"type": type_, "data": data})


def explain(error: ProtocolError) -> bytes:
    """What was wrong, in a form that the workshop's pages ignore."""
    return say("error", code=error.code, message=str(error))


def read(payload: bytes, kind: type[Any]) -> Any:
    """A message of this kind. Raises `BAD_MESSAGE` or `BAD_JSON`."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(ErrorCode.BAD_MESSAGE, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ProtocolError(ErrorCode.BAD_JSON) from error
