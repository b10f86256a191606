"""One source's packets put into order, and which of them to ask for again (RFC 4585).

Pure: time comes in as an argument. Nothing is kept for a packet that arrives in its turn. A
packet that arrives before its turn waits until those before it have come or been given up:
after `patience` seconds, or when `MOST` packets wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

MOST = 512
MAX_LOST = 512
MAX_NACK = 128
RETRY_LEAST, RETRY_MOST = 0.02, 0.25
TICK = 0.02
# RFC 3550, appendix A.1: how far back a packet may be without the source having begun anew.
MISORDER = 1000

T = TypeVar("T")


class Hole(Enum):
    """Stands among packets for what is missing."""

    LOST = "lost"
    RESTART = "restart"


@dataclass(slots=True)
class _Missing:
    since: float
    asked: float = -1.0
    tries: int = 0


@dataclass(slots=True)
class Arrivals:
    """What arrived out of order. `repaired`: after having been asked for; `late`: too late."""

    lost: int = 0
    repaired: int = 0
    reordered: int = 0
    duplicates: int = 0
    late: int = 0


class Reorder(Generic[T]):
    """Takes packets as they arrive and gives them in order, from the sequence number `first`.

    `next` is the number expected next, counted on over wraps; `top` the highest that came.
    """

    def __init__(self, first: int, patience: float) -> None:
        self.patience = patience
        self.counts = Arrivals()
        # Room below, so that numbers before the first are no trouble.
        self.next = first + 0x10000
        self.top = self.next - 1
        self.round_trip = 0.05
        self._waiting: dict[int, T] = {}
        self._missing: dict[int, _Missing] = {}
        self._lost: dict[int, None] = {}
        self._jump = -1

    @property
    def pending(self) -> bool:
        """Whether packets wait for others: `poll` and `nacks` are then due every `TICK`."""
        return bool(self._missing)

    def wants(self, sequence: int) -> bool:
        """Whether this packet is missing."""
        return self.next + ((sequence - self.next) & 0xFFFF) in self._missing

    def in_turn(self, sequence: int) -> bool:
        """A packet has come: whether it is in order as it is. If not, `put` it."""
        if self._waiting or sequence != self.next & 0xFFFF:
            return False
        self.top = self.next
        self.next += 1
        return True

    def put(self, sequence: int, item: T, now: float) -> Sequence[T | Hole]:
        """A packet has come: what is now in order, with holes where something is missing."""
        if self.in_turn(sequence):
            return (item,)
        ahead = (sequence - self.next) & 0xFFFF
        if ahead >= 0x8000:
            return self._behind(sequence, ahead - 0x10000, item)
        number = self.next + ahead
        if ahead <= MOST:
            return self._ahead(number, item, now)
        if number - self.top > MOST:
            return self._far(sequence, number, item, Hole.LOST)
        released: list[T | Hole] = []
        while number - self.next > MOST:
            released += self._give_up()
        return [*released, *self._ahead(number, item, now)]

    def _ahead(self, number: int, item: T, now: float) -> Sequence[T | Hole]:
        if number in self._waiting:
            self.counts.duplicates += 1
            return ()
        self._waiting[number] = item
        if number > self.top:
            for between in range(max(self.top + 1, self.next), number):
                self._missing[between] = _Missing(now)
            self.top = number
        else:
            self._arrived(number, now)
        if number == self.next:
            return self._run()
        return ()

    def _arrived(self, number: int, now: float) -> None:
        missing = self._missing.pop(number)
        if missing.tries:
            self.counts.repaired += 1
            if missing.tries == 1:
                # Asked for twice, nobody knows which of the two was answered (Karn).
                self.round_trip += (now - missing.asked - self.round_trip) / 4
        else:
            self.counts.reordered += 1

    def _run(self) -> list[T | Hole]:
        released: list[T | Hole] = []
        while self.next in self._waiting:
            released.append(self._waiting.pop(self.next))
            self.next += 1
        return released

    def _behind(self, sequence: int, back: int, item: T) -> Sequence[T | Hole]:
        if back < -MISORDER:
            return self._far(sequence, self.next + back + 0x10000, item, Hole.RESTART)
        number = self.next + back
        if number in self._lost:
            del self._lost[number]
            self.counts.late += 1
        else:
            self.counts.duplicates += 1
        return ()

    def _far(self, sequence: int, number: int, item: T, hole: Hole) -> Sequence[T | Hole]:
        """A packet from elsewhere is believed when the one after it comes, too."""
        expected, self._jump = self._jump, (sequence + 1) & 0xFFFF
        if expected != sequence:
            return ()
        self._jump = -1
        released = self.flush()
        self.counts.lost += max(0, number - self.next) if hole is Hole.LOST else 0
        self.top, self.next = number, number + 1
        return [*released, hole, item]

    def flush(self) -> list[T | Hole]:
        """Give up everything that is missing: what is now in order."""
        released: list[T | Hole] = []
        while self._waiting:
            released += self._give_up()
        return released

    def _give_up(self) -> list[T | Hole]:
        """Go on without the packets before the first that waits."""
        while self.next not in self._waiting:
            del self._missing[self.next]
            self._lost[self.next] = None
            self.counts.lost += 1
            self.next += 1
        while len(self._lost) > MAX_LOST:
            del self._lost[next(iter(self._lost))]
        return [Hole.LOST, *self._run()]

    def poll(self, now: float) -> list[T | Hole]:
        """Give up what has been missing for too long: what is now in order."""
        released: list[T | Hole] = []
        while self._missing and now - self._missing[self.next].since >= self.patience:
            released += self._give_up()
        return released

    def nacks(self, now: float) -> list[int]:
        """The sequence numbers to ask for now: each at once, and again until it comes."""
        retry = min(RETRY_MOST, max(RETRY_LEAST, self.round_trip * 1.25))
        due: list[int] = []
        for number, missing in self._missing.items():
            if missing.tries and now - missing.asked < retry:
                continue
            missing.asked = now
            missing.tries += 1
            due.append(number & 0xFFFF)
            if len(due) == MAX_NACK:
                break
        return due
