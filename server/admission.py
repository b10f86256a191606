"""Whether a new call rings, and at which of a bot's sessions. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from enum import StrEnum

from msgspec import Struct

from ringback.server.calls import Call


class Admission(StrEnum):
    """What happens to a new call given the live ones."""

    RING = "ring"
    WAITING = "waiting"
    BUSY = "busy"
    GLARE_WON = "glare_won"
    GLARE_LOST = "glare_lost"


def admit(new: Call, live: Iterable[Call], call_waiting: bool) -> tuple[Admission, Call | None]:
    """Whether `new` rings, among the `live` calls of its two parties.

    Two people who call each other at once have one call: the one with the smaller id, the
    other being returned (glare). Otherwise two people have at most one live call. A callee
    who is in a call hears a softer ring, or the caller hears busy if the callee does not
    want that or is being rung already. Bots say themselves when they are busy.
    """
    others = [c for c in live if c.live and c.id != new.id]
    for other in others:
        if set(other.keys) == set(new.keys):
            if other.caller.key == new.caller.key or other.answered is not None:
                return Admission.BUSY, other
            won = new.id < other.id
            return (Admission.GLARE_WON if won else Admission.GLARE_LOST), other
    if new.callee.bot:
        return Admission.RING, None
    theirs = [c for c in others if new.callee.key in c.keys]
    rung = any(c.callee.key == new.callee.key and c.answered is None for c in theirs)
    if rung or (theirs and not call_waiting):
        return Admission.BUSY, None
    return (Admission.WAITING if theirs else Admission.RING), None


class Instance(Struct, frozen=True):
    """A session that serves a bot's name. `max_calls`: None where it has not said."""

    session: str
    max_calls: int | None = None
    accepting: bool = True


UNSAID = 200
"""The calls that an instance takes at once which has not said how many."""


def recorded_at(leg: Call, live: Iterable[Call]) -> str:
    """The session at which another live leg of the same recording is; empty if there is none."""
    for other in live:
        if other.id == leg.id or other.recording is None or leg.recording is None:
            continue
        if other.recording.id == leg.recording.id:
            return other.callee.session or other.at
    return ""


def least_loaded(
    instances: Iterable[Instance], live: Iterable[Call], passed: Container[str] = ()
) -> str | None:
    """The session that is to get a new call: of those that accept and have room the one that
    uses the smallest part of what it takes, the first of equals. None: all are full.

    `live` are the calls of the bot, `passed` sessions that are not to have it.
    """
    taken = Counter(call.callee.session or call.at for call in live if call.live)
    best: tuple[float, str] | None = None
    for instance in instances:
        most = UNSAID if instance.max_calls is None else instance.max_calls
        load = taken[instance.session] / most
        free = load < 1 and instance.accepting and instance.session not in passed
        if free and (best is None or load < best[0]):
            best = load, instance.session
    return None if best is None else best[1]
