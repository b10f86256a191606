"""The call: its states and what may happen in each, as one table.

Rules that others rely on:

1. `ROWS` is the whole truth; what is not in it is refused with `Refused`.
2. An ended call never changes again.
3. Nothing here knows a clock, a socket or a store: the time is an argument, the answer
   is a new `Call`. Whoever keeps calls replaces one version by the next or not at all.
4. Times of record are whole milliseconds since 1970, so that JSON keeps them exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ringback.server.protocol import (
    Candidate,
    Description,
    ErrorCode,
    Media,
    MessageOrder,
    Part,
    Reason,
    Record,
    RecordingOrder,
)


class State(StrEnum):
    """Where a call is. `calling`: no telephone of the callee rings yet."""

    CALLING = "calling"
    RINGING = "ringing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class What(StrEnum):
    """What can happen to a call."""

    DELIVERED = "delivered"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    GLARE = "glare"
    ANSWER = "answer"
    DECLINE = "decline"
    HANGUP = "hangup"
    PROGRESS = "progress"
    CONNECT = "connect"
    INTERRUPT = "interrupt"
    FAIL = "fail"
    TIMEOUT = "timeout"
    GONE = "gone"


class Who(StrEnum):
    """Who brings it about: a party, or the exchange itself (its clock included)."""

    CALLER = "caller"
    CALLEE = "callee"
    EXCHANGE = "exchange"


class Row(Struct, frozen=True):
    """One line of the table: in `state`, `what` done by `who` leads to `then`."""

    state: State
    what: What
    who: Who
    then: State
    reason: Reason | None = None


def _rows() -> Iterable[Row]:
    S, W, by = State, What, Who  # noqa: N806 - a table is read by its columns
    for before in (S.CALLING, S.RINGING):
        yield Row(before, W.DELIVERED, by.EXCHANGE, S.RINGING)
        yield Row(before, W.UNAVAILABLE, by.EXCHANGE, S.ENDED, Reason.UNAVAILABLE)
        yield Row(before, W.GLARE, by.EXCHANGE, S.ENDED, Reason.GLARE)
        yield Row(before, W.HANGUP, by.CALLER, S.ENDED, Reason.CANCELLED)
        yield Row(before, W.FAIL, by.CALLER, S.ENDED, Reason.FAILED)
        yield Row(before, W.GONE, by.CALLER, S.ENDED, Reason.LOST)
        yield Row(before, W.GONE, by.CALLEE, S.ENDED, Reason.UNAVAILABLE)
    yield Row(S.CALLING, W.BUSY, by.EXCHANGE, S.ENDED, Reason.BUSY)
    yield Row(S.CALLING, W.TIMEOUT, by.EXCHANGE, S.ENDED, Reason.UNAVAILABLE)
    yield Row(S.RINGING, W.ANSWER, by.CALLEE, S.CONNECTING)
    yield Row(S.RINGING, W.DECLINE, by.CALLEE, S.ENDED, Reason.DECLINED)
    yield Row(S.RINGING, W.HANGUP, by.CALLEE, S.ENDED, Reason.DECLINED)
    yield Row(S.RINGING, W.BUSY, by.CALLEE, S.ENDED, Reason.BUSY)
    yield Row(S.RINGING, W.FAIL, by.CALLEE, S.ENDED, Reason.FAILED)
    yield Row(S.RINGING, W.TIMEOUT, by.EXCHANGE, S.ENDED, Reason.NO_ANSWER)
    for party in (by.CALLER, by.CALLEE):
        for state in (S.CONNECTING, S.CONNECTED, S.RECONNECTING):
            broken = Reason.FAILED if state is S.CONNECTING else Reason.LOST
            yield Row(state, W.PROGRESS, party, state)
            yield Row(state, W.CONNECT, party, S.CONNECTED)
            yield Row(state, W.HANGUP, party, S.ENDED, Reason.HANGUP)
            yield Row(state, W.FAIL, party, S.ENDED, broken)
            yield Row(state, W.GONE, party, S.ENDED, Reason.LOST)
        yield Row(S.CONNECTED, W.INTERRUPT, party, S.RECONNECTING)
        yield Row(S.RECONNECTING, W.INTERRUPT, party, S.RECONNECTING)
    yield Row(S.CONNECTING, W.TIMEOUT, by.EXCHANGE, S.ENDED, Reason.FAILED)
    yield Row(S.RECONNECTING, W.TIMEOUT, by.EXCHANGE, S.ENDED, Reason.LOST)


ROWS: tuple[Row, ...] = tuple(_rows())
_TABLE: dict[tuple[State, What, Who], Row] = {(r.state, r.what, r.who): r for r in ROWS}


class Timings(Struct, frozen=True):
    """How long a call may stay in a state, in seconds."""

    ring: float = 45.0
    connect: float = 15.0
    reconnect: float = 30.0

    def of(self, state: State) -> float | None:
        """Seconds a call may stay in `state`; None where there is no limit."""
        match state:
            case State.CALLING | State.RINGING:
                return self.ring
            case State.CONNECTING:
                return self.connect
            case State.RECONNECTING:
                return self.reconnect
        return None


class Quality(Struct, frozen=True, omit_defaults=True):
    """What one side measured. Times in ms, loss as a fraction of 1."""

    first_media_ms: int | None = None
    pair: str | None = None
    restarts: int = 0
    loss: float | None = None
    round_trip_ms: int | None = None


class Party(Struct, frozen=True, omit_defaults=True):
    """One side, known by `key`, its folded name: two windows of one browser, with one `user`
    and two names, can call each other. The callee's `session` is empty until one answers."""

    user: str
    name: str
    key: str
    session: str = ""
    bot: bool = False
    quality: Quality = Quality()


class Call(Struct, frozen=True, omit_defaults=True):
    """A call, at one version. `deadline`: when the clock acts, in ms since 1970.

    A bot's call rings at one of its sessions, `at` (empty: none is here yet); `passed` are
    those that had it before. With `recording` it goes to the recorder, as a `leg` of another
    call or by itself.
    """

    id: str
    caller: Party
    callee: Party
    media: Media
    placed: int
    offer: Description | None = None
    candidates: tuple[Candidate | None, ...] = ()
    state: State = State.CALLING
    version: int = 0
    waiting: bool = False
    deadline: int | None = None
    rung: int | None = None
    answered: int | None = None
    connected: int | None = None
    ended: int | None = None
    reason: Reason | None = None
    ended_by: Literal["caller", "callee", "exchange"] | None = None
    part: Part | None = None
    at: str = ""
    passed: tuple[str, ...] = ()
    recording: RecordingOrder | None = None
    leg: bool = False
    voicemail: MessageOrder | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state is not State.ENDED

    @property
    def keys(self) -> tuple[str, str]:
        """The folded names of caller and callee."""
        return self.caller.key, self.callee.key

    def party(self, who: Who) -> Party:
        """The caller or the callee."""
        return self.caller if who is Who.CALLER else self.callee

    def other(self, who: Who) -> Party:
        """The side that is not `who`."""
        return self.callee if who is Who.CALLER else self.caller


class Refused(Exception):
    """What was asked is not possible for this call. `code` says why, for the client."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.value)
        self.code = code


def place(
    call: str, caller: Party, callee: Party, media: Media, offer: Description, now: int,
    timings: Timings,
) -> Call:  # fmt: skip
    """A new call, in its first state. `now` in ms since 1970."""
    return Call(
        id=call, caller=caller, callee=callee, media=media, offer=offer, placed=now,
        deadline=now + round(timings.ring * 1000),
    )  # fmt: skip


def role(call: Call, key: str, session: str) -> Who:
    """Which side a session, whose folded name is `key`, is of a call.

    Until the call is answered every session of the callee may act for it (of a bot the one
    that it rings at), afterwards only the one that answered. Raises `Refused`
    (`NOT_YOUR_CALL`) for everybody else.
    """
    if session == call.caller.session:
        return Who.CALLER
    rings = session == call.at if call.callee.bot else key == call.callee.key
    if session == call.callee.session or (not call.callee.session and rings):
        return Who.CALLEE
    raise Refused(ErrorCode.NOT_YOUR_CALL)


def step(
    call: Call, what: What, who: Who, now: int, timings: Timings,
    *, session: str = "", part: Part | None = None,
) -> Call:  # fmt: skip
    """The call after `what` was done by `who` at `now` (ms since 1970).

    `session` is the one that answers (needed for `ANSWER`), `part` what had been reached or
    what failed. A timeout before the deadline is refused. Raises `Refused`: `NO_SUCH_CALL` when
    it has ended, else `WRONG_STATE`.
    """
    if not call.live:
        raise Refused(ErrorCode.NO_SUCH_CALL)
    row = _TABLE.get((call.state, what, who))
    early = what is What.TIMEOUT and (call.deadline is None or now < call.deadline)
    if row is None or early:
        raise Refused(ErrorCode.WRONG_STATE)
    after = replace(call, state=row.then, version=call.version + 1, part=part or call.part)
    match row.then:
        case State.ENDED:
            return replace(
                after, ended=now, reason=row.reason, deadline=None, ended_by=who.value, offer=None,
                candidates=(),
            )  # fmt: skip
        case State.RINGING:
            return replace(after, rung=call.rung if call.rung is not None else now)
        case State.CONNECTING if what is What.ANSWER:
            callee = replace(call.callee, session=session)
            after = replace(after, answered=now, callee=callee, offer=None, candidates=())
        case State.CONNECTED if call.connected is None:
            after = replace(after, connected=now)
    if row.then is call.state:
        return after
    seconds = timings.of(row.then)
    return replace(after, deadline=None if seconds is None else now + round(seconds * 1000))


def move(call: Call, at: str, to: str) -> Call:
    """An unanswered call of a bot, to ring at session `to` and no more at `at`.

    Raises `Refused` (`WRONG_STATE`) when it does not ring there any more.
    """
    if not call.live or call.answered is not None or call.at != at:
        raise Refused(ErrorCode.WRONG_STATE)
    passed = (*call.passed, at) if at else call.passed
    return replace(call, at=to, passed=passed, version=call.version + 1)


def record(call: Call, key: str) -> Record:
    """An ended call as the side whose folded name is `key` remembers it."""
    who = Who.CALLER if call.caller.key == key else Who.CALLEE
    own, other = call.party(who), call.other(who)
    return Record(
        call=call.id,
        peer=other.name,
        outgoing=who is Who.CALLER,
        reason=call.reason or Reason.FAILED,
        placed=call.placed,
        ended=call.ended or call.placed,
        answered=call.answered,
        connected=call.connected,
        video=call.media.video,
        first_media_ms=own.quality.first_media_ms,
        pair=own.quality.pair,
        restarts=own.quality.restarts,
        loss=own.quality.loss,
        round_trip_ms=own.quality.round_trip_ms,
    )
