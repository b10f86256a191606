"""A call test that is over: what was seen, its figures, and the verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .figures import Figures, figures
from .observed import Observed
from .thresholds import Threshold, effective
from .verdict import Verdict, judge

# The file types of pictures in a report, by how their bytes begin.
_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class Still:
    """A received picture for the report: PNG or JPEG, of which direction (its name), and what it
    shows, like `first picture` or `least like what was sent (0.71)`. Raises `ValueError` for
    other bytes."""

    direction: str
    caption: str
    data: bytes

    def __post_init__(self) -> None:
        if not any(self.data.startswith(magic) for magic in _TYPES):
            raise ValueError("a still is a PNG or a JPEG")

    @property
    def type(self) -> str:
        """Its media type."""
        return next(kind for magic, kind in _TYPES.items() if self.data.startswith(magic))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call test with everything that reports say of it. `rules`: the thresholds that were in
    force; `log`: lines, in order."""

    observed: Observed
    figures: tuple[Figures, ...]
    verdict: Verdict
    rules: tuple[Threshold, ...] = ()
    stills: tuple[Still, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Like `echo at https://example.org, network 4g, seed 7`."""
        more = [
            f"network {self.observed.network}" if self.observed.network else "",
            f"seed {self.observed.seed}" if self.observed.seed is not None else "",
        ]
        return ", ".join([f"{self.observed.to} at {self.observed.url}", *filter(None, more)])


def conclude(
    observed: Observed,
    thresholds: Iterable[Threshold] = (),
    stills: Iterable[Still] = (),
    log: Iterable[str] = (),
) -> Outcome:
    """Work out the figures of each direction and judge them. `thresholds`: people's own."""
    own = list(thresholds)
    found = tuple(figures(direction, observed) for direction in observed.directions)
    return Outcome(
        observed,
        found,
        judge(observed, found, own),
        tuple(effective(own, shaped=observed.network is not None)),
        tuple(stills),
        tuple(log),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Several call tests together: how many passed, failed and stayed unproven, and how often
    each reason was given (by calls)."""

    passed: int = 0
    failed: int = 0
    unproven: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """1 if one failed, else 2 if one stayed unproven or there was none, else 0."""
        if self.failed:
            return 1
        return 2 if self.unproven or not self.passed else 0

    @property
    def sentence(self) -> str:
        """All in one line."""
        whole = self.passed + self.failed + self.unproven
        parts = [f"{self.passed} of {whole} calls passed"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.unproven} stayed unproven"] if self.unproven else []
        return ", ".join(parts) + "."


def tally(outcomes: Iterable[Outcome]) -> Tally:
    """Count verdicts."""
    states = {"passed": 0, "failed": 0, "unproven": 0}
    reasons = dict[str, int]()
    for outcome in outcomes:
        states[outcome.verdict.state] += 1
        for code in outcome.verdict.codes:
            reasons[code.value] = reasons.get(code.value, 0) + 1
    return Tally(**states, reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])))
