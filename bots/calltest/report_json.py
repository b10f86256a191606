"""A call test as JSON, for programs. The form is versioned; docs/call-tests.md tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ringback import __version__

from .outcome import Outcome, tally
from .rows import measured

VERSION = 1
"""Grows when a field goes or changes its meaning; new fields may come without."""


class ReasonEntry(msgspec.Struct, frozen=True):
    """Why a call did not pass: a code of the closed list, words, the direction if it is one's."""

    code: str
    sentence: str
    direction: str | None


class DirectionEntry(msgspec.Struct, frozen=True):
    """One way of a call. `figures`: by name with dots; seconds, fractions, bits a second; what
    was not measured is not there."""

    name: str
    sender: str
    receiver: str
    kinds: list[str]
    round_trip: bool
    figures: dict[str, int | float | str]


class StepEntry(msgspec.Struct, frozen=True):
    """Something that happened, `at` seconds of that side's clock."""

    at: float
    side: str
    name: str
    detail: str


class CallEntry(msgspec.Struct, frozen=True):
    """One call test."""

    url: str
    to: str
    started: str
    seconds: float
    state: str
    exit_code: int
    sentence: str
    reasons: list[ReasonEntry]
    thresholds: list[str]
    directions: list[DirectionEntry]
    steps: list[StepEntry]
    pairs: dict[str, str]
    restarts: int
    lag: float
    ending: str
    ending_reason: str
    network: str | None
    seed: int | None
    files: dict[str, str]


class Document(msgspec.Struct, frozen=True):
    """All call tests of one run."""

    format: str
    version: int
    ringback: str
    exit_code: int
    passed: int
    failed: int
    unproven: int
    calls: list[CallEntry]


def document(outcomes: Sequence[Outcome]) -> Document:
    """Several call tests as one document."""
    counted = tally(outcomes)
    return Document(
        format="ringback-check",
        version=VERSION,
        ringback=__version__,
        exit_code=counted.exit_code,
        passed=counted.passed,
        failed=counted.failed,
        unproven=counted.unproven,
        calls=[entry(outcome) for outcome in outcomes],
    )


def dumps(outcomes: Sequence[Outcome]) -> bytes:
    """The document as indented UTF-8."""
    return msgspec.json.format(msgspec.json.encode(document(outcomes)), indent=2) + b"\n"


def entry(outcome: Outcome) -> CallEntry:
    """One call test."""
    seen, verdict = outcome.observed, outcome.verdict
    return CallEntry(
        url=seen.url,
        to=seen.to,
        started=datetime.fromtimestamp(seen.started, UTC).isoformat(timespec="milliseconds"),
        seconds=seen.seconds,
        state=verdict.state,
        exit_code=verdict.exit_code,
        sentence=verdict.sentence,
        reasons=[ReasonEntry(r.code.value, r.sentence, r.direction) for r in verdict.reasons],
        thresholds=[rule.text for rule in outcome.rules],
        directions=[
            DirectionEntry(f.name, f.sender, f.receiver, list(f.kinds), f.round_trip, measured(f))
            for f in outcome.figures
        ],
        steps=[StepEntry(s.at, s.side, s.name, s.detail) for s in seen.steps],
        pairs=dict(seen.pairs),
        restarts=seen.restarts,
        lag=seen.lag,
        ending=seen.ending,
        ending_reason=seen.reason,
        network=seen.network,
        seed=seen.seed,
        files=dict(seen.files),
    )
