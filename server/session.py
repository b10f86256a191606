"""A session: what one client is to the exchange, with or without a socket.

A session outlives its socket. While a client is being brought up to date, what is told to
it meanwhile is held back and follows in order, without what it was given already.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from typing import Protocol

import msgspec

from ringback.server.engine.base import Engine, StoredSession, Unsubscribe
from ringback.server.limiter import Bucket
from ringback.server.protocol import CloseCode, Event, Limits, encode

HELD = 1024


class Line(Protocol):
    """The way to a client: a socket's outbox."""

    def send(self, payload: bytes) -> None:
        """Send one encoded message; never blocks and never raises."""

    def close(self, code: int, words: str) -> None:
        """Close the socket, after what was sent."""


class _Place(msgspec.Struct):
    type: str = ""
    room: str = ""
    seq: int = 0
    n: int = 0


_place = msgspec.json.Decoder(_Place)


def new_key() -> str:
    """A secret that only this client will know."""
    return secrets.token_urlsafe(24)


def hash_key(key: str) -> str:
    """What is kept of a resume key (SHA-256, hex)."""
    return hashlib.sha256(key.encode()).hexdigest()


class Session:
    """One client: who it is, what it watches, and the line to it."""

    # A delivery touches every listener's objects, mostly cold: slots keep each in one place.
    __slots__ = (
        "_held", "calls", "chats", "key_before", "line", "rooms", "stored", "topics", "turn",
    )  # fmt: skip

    def __init__(self, stored: StoredSession, limits: Limits, now: float) -> None:
        self.stored = stored
        self.line: Line | None = None
        self.key_before = ""
        self.rooms: dict[str, Unsubscribe] = {}
        self.topics: dict[str, Unsubscribe] = {}
        self.turn = asyncio.Lock()
        """Held by what is done for the client: a request, or taking the session up again."""
        self._held: list[bytes] | None = None
        self.chats = Bucket(limits.chats_per_second, limits.chats_burst, now)
        self.calls = Bucket(limits.calls_per_minute / 60, limits.calls_per_minute, now)

    @property
    def id(self) -> str:
        """The session's id."""
        return self.stored.id

    @property
    def name(self) -> str:
        """The name it said hello with, empty if none."""
        return self.stored.name or ""

    @property
    def key(self) -> str:
        """The folded name, empty if none."""
        return self.stored.name_key or ""

    def update(self, **changes: object) -> StoredSession:
        """Change what is kept of it; returns that."""
        self.stored = msgspec.structs.replace(self.stored, **changes)
        return self.stored

    def deliver(self, payload: bytes) -> None:
        """Give the client an encoded message, or hold it back for the moment."""
        if self._held is None:
            if self.line is not None:
                self.line.send(payload)
        elif len(self._held) < HELD:
            self._held.append(payload)
        elif self.line is not None:
            self.line.close(CloseCode.SLOW_READER, "Too much was said while you came back.")

    def tell(self, event: Event) -> None:
        """Give the client a message at once, past what is held back."""
        if self.line is not None:
            self.line.send(encode(event))

    def hold(self) -> None:
        """Hold back what is delivered from now on."""
        if self._held is None:
            self._held = []

    def go_on(self, seen: Mapping[str, int], n: int = 0) -> None:
        """Deliver what was held back and go on, without what the client has already: chat up
        to `seen[room]`, directed messages up to `n`."""
        held, self._held = self._held or [], None
        for payload in held:
            place = _place.decode(payload)
            if place.n and place.n <= n:
                continue
            if place.type == "chat" and place.seq <= seen.get(place.room, 0):
                continue
            self.deliver(payload)

    def watch(self, topic: str, engine: Engine, on: bool) -> None:
        """Hear what is told to a topic from now on, or no longer."""
        if (stop := self.topics.pop(topic, None)) is not None:
            stop()
        if on:
            self.topics[topic] = engine.subscribe(topic, self.deliver)

    def drop_subscriptions(self) -> None:
        """Hear nothing any more."""
        for unsubscribe in (*self.rooms.values(), *self.topics.values()):
            unsubscribe()
        self.rooms.clear()
        self.topics.clear()
        self._held = None


def last_number(payloads: list[bytes], otherwise: int) -> int:
    """The `n` of the last of some directed messages."""
    return _place.decode(payloads[-1]).n if payloads else otherwise
