"""Two ways to do the same, measured in turns: medians, spreads, ratios."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from msgspec import Struct

Tell = Callable[[str], None]
"""Called before each measurement with what it is."""


class Plan(Struct, frozen=True):
    """How long and how often: `rounds` of chat and `turns` of calls, `chat` and `call` seconds
    a measurement, for so many `sockets` and `calls` at once (`codec_calls` where codecs run).
    `several`: calls for memory; `set_ups`: calls made for what making one costs; `fit` and
    `codec_fit`: the steps in which it is tried how many calls one core holds. Of call tests:
    `proofs` in a row, with `browsers`, how many are checked for false `alarms`; `own_fit` and
    `shared_fit`: the steps for peers of one core."""

    rounds: int = 5
    chat: float = 3.0
    sockets: tuple[int, ...] = (100, 500)
    turns: int = 3
    call: float = 4.0
    warm: float = 1.2
    calls: tuple[int, ...] = (1, 4, 16)
    codec_calls: tuple[int, ...] = (1, 4)
    several: int = 16
    set_ups: int = 20
    fit: tuple[int, ...] = (16, 50, 60, 80)
    codec_fit: tuple[int, ...] = (1, 2, 3)
    proofs: int = 100
    browsers: int = 10
    alarms: int = 200
    own_fit: tuple[int, ...] = (4, 8, 12, 16, 20, 24, 30)
    shared_fit: tuple[int, ...] = (8, 12, 16, 20, 26, 32, 40, 50, 60)

    @property
    def talks(self) -> int:
        """Measurements of chat; in each round Ringback's and the other's."""
        return 2 * self.rounds * len(self.sockets)


QUICK = Plan(
    rounds=2, chat=1.0, turns=1, call=2.0, calls=(1, 4), codec_calls=(1,), several=4, set_ups=5,
    fit=(), codec_fit=(), proofs=5, browsers=1, alarms=4, own_fit=(2, 4), shared_fit=(2, 4),
)  # fmt: skip


class Comparison(Struct):
    """Ringback beside something else. `ours` and `theirs` have one value a round, in `unit`.

    `aim`: the ratio of ours to theirs that is to be kept. `proof` says what was counted here,
    `other_proof` what was counted there.
    """

    what: str
    other: str
    unit: str
    aim: float
    ours: list[float] = []
    theirs: list[float] = []
    proof: str = ""
    other_proof: str = ""

    def add(self, ringback: bool, value: float) -> None:
        """One more measurement."""
        (self.ours if ringback else self.theirs).append(value)

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, round by round: what disturbed a round disturbed both."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)

    @property
    def kept(self) -> bool:
        """Whether the aim is reached."""
        return self.ratio <= self.aim


class Line(Struct):
    """One thing measured at several servers; `values` by their names, each a list of one value
    a measurement, in `unit`. `aim`: what Ringback's is to be, `at_least` or at most."""

    what: str
    unit: str
    values: dict[str, list[float]]
    aim: float | None = None
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether Ringback reaches the aim, if there is one."""
        own = self.values.get("Ringback")
        if self.aim is None or not own:
            return True
        return median(own) >= self.aim if self.at_least else median(own) <= self.aim


class Results(Struct):
    """All that a part of the bench has found. `proofs`: what was counted; `notes`: what was
    left out, and why."""

    comparisons: list[Comparison] = []
    lines: list[Line] = []
    proofs: list[str] = []
    notes: list[str] = []

    def add(self, other: Results) -> None:
        """Take in what another part has found."""
        self.comparisons += other.comparisons
        self.lines += other.lines
        self.proofs += other.proofs
        self.notes += other.notes


def turns(rounds: int) -> list[tuple[bool, bool]]:
    """Who is measured first and second in each round (true: Ringback); they take turns, so
    that neither always runs after the other."""
    return [(True, False) if number % 2 == 0 else (False, True) for number in range(rounds)]
