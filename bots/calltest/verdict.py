"""Whether a call passed. Pure.

It passed only on proof: in each direction enough of what was promised was identified, of the
right stream, by the codec that was asked for, and no threshold was passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from . import proof
from .faults import sentence
from .figures import Figures
from .observed import Direction, Observed
from .reasons import Code, Reason
from .thresholds import Threshold, effective
from .units import show

State = Literal["passed", "failed", "unproven"]
# Above this, times and freezes may be the judge's own.
MOST_LAG = 0.5
LEAST_SKEWS = 3
"""Sounds that must have been compared with their pictures before skew fails a call."""
_ORDER = {code: place for place, code in enumerate(Code)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a call test, and why if not passed; the most telling reason first."""

    state: State
    sentence: str
    reasons: tuple[Reason, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 unproven: the test itself could not judge."""
        return {"passed": 0, "failed": 1, "unproven": 2}[self.state]

    @property
    def codes(self) -> tuple[Code, ...]:
        """The codes of the reasons, each once."""
        return tuple(dict.fromkeys(reason.code for reason in self.reasons))


def judge(
    observed: Observed, figures: Sequence[Figures], thresholds: Iterable[Threshold] = ()
) -> Verdict:
    """`figures`: of each of `observed.directions`, in that order. `thresholds`: people's own, in
    place of the defaults about the same figure (`thresholds.DEFAULTS`, or `SHAPED` where a
    network profile made the way worse). `observed.lag` above `MOST_LAG`, or `observed.troubles`, is
    never a verdict; `observed.slow` above it never one against the media."""
    if len(figures) != len(observed.directions):
        raise ValueError(
            f"there are {len(observed.directions)} directions, but figures of {len(figures)}"
        )
    if (unproven := _unproven(observed)) is not None:
        return Verdict("unproven", f"Unproven. {unproven.sentence}", (unproven,))
    reasons = list(_call(observed))
    if observed.ending not in _NO_CALL:
        media = list(_media(observed, figures, list(thresholds)))
        if observed.slow <= MOST_LAG:
            reasons += media
        elif media and not reasons:
            slow = Reason(Code.LAGGED, _too_busy("it took", observed.slow, "for one picture"))
            return Verdict("unproven", f"Unproven. {slow.sentence}", (slow,))
    reasons = sorted(dict.fromkeys(reasons), key=lambda reason: _ORDER[reason.code])
    if not reasons:
        return Verdict("passed", _passed(observed, figures))
    more = len(reasons) - 1
    also = f" And {more} more reason{'s' if more > 1 else ''}." if more else ""
    where = f"{reasons[0].direction}: " if reasons[0].direction else ""
    return Verdict("failed", f"Failed. {where}{reasons[0].sentence}{also}", tuple(reasons))


_NO_CALL = ("never answered", "no relay", "never connected")


def _unproven(observed: Observed) -> Reason | None:
    if observed.lag > MOST_LAG:
        return Reason(Code.LAGGED, _too_busy("its event loop was", observed.lag, "late"))
    if observed.troubles:
        return Reason(Code.LAGGED, " ".join(observed.troubles))
    if not observed.directions or not any(d.kinds for d in observed.directions):
        because = f": {observed.reason}" if observed.reason else ""
        return Reason(Code.NOT_RUN, f"There was nothing to judge{because}.")
    return None


def _too_busy(what: str, seconds: float, how: str) -> str:
    return (
        f"This machine was too busy to judge: {what} {show(seconds, 'time')} {how}, and more than "
        f"{show(MOST_LAG, 'time')} is too much."
    )


def _call(observed: Observed) -> Iterator[Reason]:
    """What went wrong with the call as such."""
    because = f" ({observed.reason})" if observed.reason else ""
    reached = {step.name for step in observed.steps}
    match observed.ending:
        case "never answered" if reached & {"ringing", "answered", "ended"}:
            yield Reason(Code.NEVER_ANSWERED, f"{observed.to} never answered{because}.")
        case "never answered":
            yield Reason(
                Code.NOTHING_RELAYED,
                f"The server took the call to {observed.to}, but passed nothing on: it never "
                f"rang{because}.",
            )
        case "no relay":
            words = f"Only a relay was allowed, and there was none: {observed.reason}"
            yield Reason(Code.RELAY_REFUSED, words)
        case "never connected" if "answered" in reached:
            yield Reason(
                Code.NEVER_CONNECTED,
                f"The call was answered, but its sides never reached each other{because}.",
            )
        case "never connected" if (wanted := _nothing_in_common(observed)) is not None:
            yield Reason(Code.CODEC, f"{wanted}, so {observed.to} could not answer{because}.")
        case "never connected":
            yield Reason(
                Code.NEVER_CONNECTED, f"The call to {observed.to} did not come about{because}."
            )
        case "ended early":
            yield Reason(
                Code.ENDED_EARLY,
                f"The other side hung up after {show(observed.seconds, 'time')}, before the time "
                f"was over{because}.",
            )
        case "failed":
            yield Reason(
                Code.BROKE_OFF,
                f"The call broke off after {show(observed.seconds, 'time')}{because}.",
            )


def _nothing_in_common(observed: Observed) -> str | None:
    """What the two sides ask for, where that is not the same codec."""
    match observed.directions:
        case [there, back]:
            for kind, wanted in there.wanted.items():
                if (other := back.wanted.get(kind, wanted)) != wanted:
                    return f"{there.sender} takes {wanted} alone, {back.sender} {other}"
    return None


def _media(
    observed: Observed, figures: Sequence[Figures], thresholds: Sequence[Threshold]
) -> Iterator[Reason]:
    ways = list(zip(figures, observed.directions, strict=True))
    quiet = [f for f in figures if proof.dead(f)]
    if len(quiet) == len(figures):
        yield Reason(
            Code.NOTHING_RELAYED,
            f"The call was answered, but in {show(observed.seconds, 'time')} not one packet of "
            "picture or sound arrived anywhere.",
        )
        return
    rules = effective(thresholds, shaped=observed.network is not None)
    for f, direction in ways:
        others = [other for other in figures if other is not f]
        reasons = list(_direction(f, direction, observed, others, rules))
        # Where nothing else is wrong: what nobody measured is no reason to pass.
        yield from reasons or _unmeasured(f, thresholds)
    for rule in thresholds:
        if not any(rule.applies(f) for f in figures):
            words = f"'{rule.text}' is about nothing that this call promised."
            yield Reason(Code.UNMEASURED, words)


def _direction(
    f: Figures,
    direction: Direction,
    observed: Observed,
    others: Sequence[Figures],
    rules: Iterable[Threshold],
) -> Iterator[Reason]:
    if proof.dead(f):
        words = f"Nothing of {f.sender} arrived at {f.receiver}: no packet, no picture, no sound."
        yield Reason(Code.DEAD_DIRECTION, words, f.name)
        return
    told = [
        *proof.identities(f, direction, observed.directions),
        *proof.circles(f),
        *proof.pictures(f, direction, others),
        *proof.sounds(f, others),
        *proof.speech(f, direction),
        *proof.codecs(f, others),
        *proof.clocks(f),
    ]
    yield from told
    said = {reason.code for reason in told} | _explained(f)
    for rule in rules:
        if rule.code not in said and rule.applies(f) and rule.fails(f):
            yield Reason(rule.code, sentence(rule, f), f.name)


def _explained(f: Figures) -> set[Code]:
    """What is said better, or follows from what is said, apart from thresholds."""
    # Whose pictures and sounds they were.
    codes = {Code.WRONG_STREAM}
    if not f.frames.identified:
        codes |= {Code.LOST, Code.FROZEN}
    if not f.sound.identified:
        codes.add(Code.LOST_SOUND)
    if f.skew.count < LEAST_SKEWS:
        # One late packet would tell.
        codes |= {Code.LATE_SOUND, Code.EARLY_SOUND}
    if f.clock.jump is not None:
        codes |= {Code.FROZEN, Code.LATE_SOUND, Code.EARLY_SOUND}
    return codes


def _unmeasured(f: Figures, thresholds: Iterable[Threshold]) -> Iterator[Reason]:
    for rule in thresholds:
        if rule.applies(f) and rule.fails(f) is None:
            words = f"{rule.name} could not be measured, so '{rule.text}' is not disproved."
            yield Reason(Code.UNMEASURED, words, f.name)


def _passed(observed: Observed, figures: Sequence[Figures]) -> str:
    parts = []
    for f in figures:
        amounts = []
        if "video" in f.kinds:
            amounts.append(f"{f.frames.identified} pictures")
        if "audio" in f.kinds:
            amounts.append(f"{f.sound.identified} sounds")
        where = (
            f"came back to {f.sender}" if f.round_trip else f"of {f.sender} reached {f.receiver}"
        )
        parts.append(f"{' and '.join(amounts)} {where}")
    took = show(observed.seconds, "time")
    return f"Passed. {', '.join(parts)}, identified one by one in {took}."
