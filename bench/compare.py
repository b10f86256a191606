"""Two ways to do the same, measured in turns: medians, spreads, ratios."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from msgspec import Struct

Tell = Callable[[str], None]
"""Called before each measurement with what it is."""


class Plan(Struct, frozen=True):
    """How long and how often. `rounds` of each, `chat` and `call` seconds a measurement."""

    rounds: int = 5
    chat: float = 3.0
    call: float = 5.0
    sockets: tuple[int, ...] = (100, 500)
    calls: tuple[int, ...] = (1, 4)

    @property
    def talks(self) -> int:
        """Measurements of chat; in each round Ringback's and the other's."""
        return 2 * self.rounds * len(self.sockets)

    @property
    def places(self) -> int:
        """Measurements of calls."""
        return 2 * self.rounds * len(self.calls)


QUICK = Plan(rounds=2, chat=1.0, call=2.0)


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


def turns(rounds: int) -> list[tuple[bool, bool]]:
    """Who is measured first and second in each round (true: Ringback); they take turns, so
    that neither always runs after the other."""
    return [(True, False) if number % 2 == 0 else (False, True) for number in range(rounds)]
