"""A recording of a call: who agreed to what, and what may happen to it.

Rules that others rely on:

1. Nobody is recorded who has not agreed: until everybody has, the state is `asked`.
2. A recording that is off never changes its state again.
3. As in `calls`: no clock, no socket, no store. The answer is a new `Recording`, or
   `ProtocolError`. Times are whole milliseconds since 1970.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ringback.server.protocol import (
    Consent,
    ErrorCode,
    ProtocolError,
    RecordingEnd,
    RecordingInfo,
    RecordingOrder,
    RecordingState,
    recording_sentence,
)

RECORDER = "recorder"
"""The name of the bot that records."""

VERSION = "1"
"""The version of the two texts below; it changes whenever one of them does."""

TEXT = (
    "Your sound and picture are recorded while it says so here, and kept on this server. Only"
    " the two of you can play and delete the recording. You can stop it at any time."
)
SOLO_TEXT = (
    "Calling the recorder records your sound and picture from the moment it answers, and keeps"
    " them on this server. Only you can play and delete the recording. It stops when you hang up."
)

ANSWER_WITHIN = 30.0
"""Seconds somebody may take to agree."""
BEGIN_WITHIN = 30.0
"""Seconds a recording may be without anything that reaches the recorder."""


class Person(Struct, frozen=True, omit_defaults=True):
    """Somebody recorded. `key`: the folded name; `session`: the one that is in the call;
    `leg`: the call that carries their media to the recorder; `listed`: whether they kept the
    recording in their list."""

    user: str
    name: str
    key: str
    session: str
    leg: str = ""
    consent: Consent | None = None
    listed: bool = True


class Recording(Struct, frozen=True, omit_defaults=True):
    """A recording, at one version of itself. `asker` and `by` are folded names: who asked for
    it, who brought its state about. `deadline`: when the clock acts."""

    id: str
    call: str
    people: tuple[Person, ...]
    asker: str
    asked: int
    state: RecordingState = "asked"
    version: int = 0
    deadline: int | None = None
    started: int | None = None
    ended: int | None = None
    reason: RecordingEnd | None = None
    by: str = ""

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state != "off"

    @property
    def agreed(self) -> bool:
        """Whether everybody agreed."""
        return all(person.consent is not None for person in self.people)

    @property
    def listed(self) -> bool:
        """Whether it stands in anybody's list."""
        return any(person.listed for person in self.people)

    @property
    def solo(self) -> bool:
        """Whether it is of one person, who called the recorder."""
        return len(self.people) == 1

    @property
    def text(self) -> str:
        """What is agreed to."""
        return SOLO_TEXT if self.solo else TEXT

    def person(self, key: str) -> Person:
        """Who is meant by a folded name. Raises `ProtocolError` (`NOT_YOUR_CALL`)."""
        for person in self.people:
            if person.key == key:
                return person
        raise ProtocolError(ErrorCode.NOT_YOUR_CALL)


def check_version(version: str | None) -> None:
    """Raise `ProtocolError` (`OLD_TEXT`) unless `version` is the text of now; None is."""
    if version not in (None, VERSION):
        raise ProtocolError(ErrorCode.OLD_TEXT)


def begin(id: str, call: str, people: tuple[Person, ...], asker: str, now: int) -> Recording:
    """A new recording that `asker` (a folded name) agrees to by asking for it."""
    asked = Recording(
        id=id, call=call, people=people, asker=asker, asked=now, by=asker,
        deadline=now + round(ANSWER_WITHIN * 1000),
    )  # fmt: skip
    begun = replace(agree(asked, asker, now), version=0)
    # Alone with the recorder the call is the leg, and has timers of its own.
    return replace(begun, deadline=None) if begun.solo else begun


def agree(recording: Recording, key: str, now: int) -> Recording:
    """Somebody agrees to the text of now. Once everybody has, it is `starting`."""
    _only(recording, "asked")
    person = recording.person(key)
    consent = Consent(name=person.name, time=now, version=VERSION)
    after = _with(recording, replace(person, consent=consent))
    if not after.agreed:
        return after
    return replace(after, state="starting", by=key, deadline=now + round(BEGIN_WITHIN * 1000))


def begun(recording: Recording, now: int) -> Recording:
    """Media reached the recorder."""
    _only(recording, "starting", "on", "paused")
    started = recording.started if recording.started is not None else now
    state: RecordingState = "paused" if recording.state == "paused" else "on"
    if state == recording.state and recording.started is not None:
        return recording
    return _next(replace(recording, state=state, started=started))


def pause(recording: Recording, key: str) -> Recording:
    """Somebody wants nothing kept until they or another say `go_on`."""
    _only(recording, "starting", "on")
    return _next(replace(recording, state="paused", by=key))


def go_on(recording: Recording, key: str) -> Recording:
    """Somebody ends a pause."""
    _only(recording, "paused")
    state: RecordingState = "starting" if recording.started is None else "on"
    return _next(replace(recording, state=state, by=key))


def finish(recording: Recording, reason: RecordingEnd, by: str, now: int) -> Recording:
    """It is over. `by`: the folded name of who ended it, empty for anybody else."""
    if not recording.live:
        raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
    return _next(replace(recording, state="off", reason=reason, by=by, ended=now, deadline=None))


def expire(recording: Recording, now: int) -> Recording:
    """Its time is up, if that is so: the question was not answered, or no leg was placed."""
    if recording.deadline is None or now < recording.deadline:
        return recording
    if recording.state != "asked":
        return finish(recording, RecordingEnd.FAILED, "", now)
    silent = next(person.key for person in recording.people if person.consent is None)
    return finish(recording, RecordingEnd.NO_ANSWER, silent, now)


def refusal(recording: Recording, key: str) -> RecordingEnd:
    """What it means that somebody takes their consent back, or gives none."""
    if recording.state != "asked":
        return RecordingEnd.WITHDRAWN
    return RecordingEnd.CANCELLED if key == recording.asker else RecordingEnd.DECLINED


def place_leg(recording: Recording, key: str, call: str) -> Recording:
    """The call `call` carries somebody's media to the recorder from now on.

    Raises `ProtocolError`: `NO_CONSENT` before everybody agreed, `NO_SUCH_RECORDING` after
    the end, `NOT_YOUR_CALL` to strangers.
    """
    person = recording.person(key)
    if not recording.live:
        raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
    if not recording.agreed:
        raise ProtocolError(ErrorCode.NO_CONSENT)
    return replace(_with(recording, replace(person, leg=call)), deadline=None)


def unreached(recording: Recording, now: int) -> Recording:
    """No leg leads to the recorder any more: it ends unless that changes in time."""
    if not recording.live:
        raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
    return _next(replace(recording, deadline=now + round(BEGIN_WITHIN * 1000)))


def unlist(recording: Recording, user: str) -> Recording:
    """Take it off a user's list, whatever names they had in the call. Raises `ProtocolError`
    (`WRONG_STATE`) while it runs."""
    if recording.live:
        raise ProtocolError(ErrorCode.WRONG_STATE, "Stop the recording first.")
    people = tuple(replace(p, listed=p.listed and p.user != user) for p in recording.people)
    return _next(replace(recording, people=people))


def order(recording: Recording, key: str) -> RecordingOrder:
    """What the recorder is told when somebody's leg rings there."""
    return RecordingOrder(
        id=recording.id,
        call=recording.call,
        name=recording.person(key).name,
        participants=[p.consent for p in recording.people if p.consent is not None],
        paused=recording.state == "paused",
    )


def words(recording: Recording, key: str) -> str:
    """How it is, for one of the people."""
    own = recording.by == key
    others = [person.name for person in recording.people if person.key != key]
    peer = others[0] if others else RECORDER
    match recording.state:
        case "asked":
            return f"Waiting for {peer} to agree." if own else f"{peer} asks to record this call."
        case "starting":
            return "The recording is about to begin."
        case "on":
            return "You are being recorded." if recording.solo else "This call is being recorded."
        case "paused":
            return "You paused the recording." if own else f"{peer} paused the recording."
    return recording_sentence(recording.reason or RecordingEnd.FAILED, peer, own)


def info(recording: Recording, key: str) -> RecordingInfo:
    """A live recording as one of its people is told of it on coming back."""
    return RecordingInfo(
        state=recording.state,
        message=words(recording, key),
        from_=recording.person(recording.asker).name,
        version=VERSION,
        text=recording.text,
        recording=recording.id if recording.agreed else None,
    )


def _only(recording: Recording, *states: RecordingState) -> None:
    if not recording.live:
        raise ProtocolError(ErrorCode.NO_SUCH_RECORDING)
    if recording.state not in states:
        raise ProtocolError(ErrorCode.WRONG_STATE)


def _next(recording: Recording) -> Recording:
    return replace(recording, version=recording.version + 1)


def _with(recording: Recording, person: Person) -> Recording:
    people = tuple(person if p.key == person.key else p for p in recording.people)
    return _next(replace(recording, people=people))
