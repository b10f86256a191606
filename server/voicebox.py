"""Voicemail: whose it is, what is in it, and when there is room. Pure.

Rules that others rely on:

1. A message is for the user who last held the name that was called, under that name: whoever
   takes the name later never sees it.
2. Nothing is removed to make room before its owner was shown that it would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from ringback.server.calls import Call
from ringback.server.protocol import Reason

VOICEMAIL = "voicemail"
"""The name of the bot that takes messages."""

LONGEST = 180.0
"""Seconds of one message."""
LONGEST_GREETING = 30.0
AFTER = 600.0
"""Seconds after a call within which its caller may leave a message."""
UNDER_WAY = 3_600.0
"""Seconds for which one that is not complete takes a place among those that may be at once."""
GIVEN_UP = 7 * 86_400.0
"""Seconds after which one that is not complete is given up: so long its bot may be away."""
NEARLY = 0.8
"""The part of the room that is taken when its owner is warned."""

_REASONS = {Reason.NO_ANSWER, Reason.DECLINED, Reason.BUSY, Reason.UNAVAILABLE}


class Holder(Struct, frozen=True):
    """Who last held a name; `at` in ms since 1970."""

    key: str
    name: str
    user: str
    at: int


class Voicebox(Struct, frozen=True, omit_defaults=True):
    """How one user wants voicemail under one folded name. `greeting`: the id of their own.
    `warned`: when they were shown that it is nearly full (ms since 1970), None if they were
    not since it was."""

    user: str
    key: str
    on: bool = True
    greeting: str | None = None
    warned: int | None = None


class VoiceMessage(Struct, frozen=True, omit_defaults=True):
    """A message for `user` under `key`, or a greeting of theirs. `after`: the call that was not
    answered; `call`: the one to voicemail. `left` is None until it is complete; `cut`: it breaks
    off, as what recorded it did. Times in ms since 1970."""

    id: str
    kind: Literal["message", "greeting"]
    user: str
    key: str
    name: str
    from_name: str
    call: str
    after: str
    begun: int
    left: int | None = None
    seconds: float = 0.0
    heard: bool = False
    cut: bool = False


class Room(Struct, frozen=True):
    """How much one person may have."""

    messages: int
    minutes: float

    def used(self, messages: Sequence[VoiceMessage]) -> float:
        """The part of the room that is taken, 1 for all of it."""
        minutes = sum(message.seconds for message in messages) / 60
        return max(len(messages) / self.messages, minutes / self.minutes)

    def nearly_full(self, messages: Sequence[VoiceMessage]) -> bool:
        """Whether its owner is to be warned."""
        return self.used(messages) >= NEARLY

    def full(self, messages: Sequence[VoiceMessage]) -> bool:
        """Whether another message needs an old one to go."""
        return self.used(messages) >= 1

    def surplus(self, messages: Sequence[VoiceMessage]) -> list[VoiceMessage]:
        """What has to go: heard ones first, the oldest first; the newest one never."""
        newest = max(messages, key=_age, default=None)
        kept, gone = list(messages), []
        for message in sorted(messages, key=lambda m: (not m.heard, *_age(m))):
            if self.used(kept) <= 1:
                break
            if message is newest:
                continue
            kept.remove(message)
            gone.append(message)
        return gone


def left(messages: Iterable[VoiceMessage], key: str) -> list[VoiceMessage]:
    """Of a user's messages those that were left under a folded name."""
    return [m for m in messages if m.key == key and m.kind == "message" and m.left is not None]


def _age(message: VoiceMessage) -> tuple[int, str]:
    return message.left or message.begun, message.id


def may_follow(call: Call) -> bool:
    """Whether a call ended in a way after which its caller may leave a message."""
    people = not (call.caller.bot or call.callee.bot or call.leg)
    return people and not call.live and call.answered is None and call.reason in _REASONS
