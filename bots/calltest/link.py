"""One direction of a network that is made up: what becomes of each packet, and when. Pure.

Nothing here knows a clock, a socket or chance: the time and the seed come in, so the same packets
at the same times meet the same fates. What chance decides of the n-th packet depends on the seed
and n alone; what the queue and the windows of silence decide, on when it came as well.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

from .packetlog import is_media, payload_type

MAX_HELD = 4096
"""Packets that may be under way in one direction; more are lost (`overflow`)."""
MAX_DELAY = 30.0
"""Seconds that a packet may be delayed at most, by each of the ways to delay it."""
QUEUE = 0.3
"""Seconds that a queue holds where nothing is said (RFC 8868: nominal)."""
DEEP = 10.0
"""Seconds that a queue holds at most where it is measured in bytes."""

Word = Literal["passed", "lost", "burst", "queue", "blackout", "overflow"]
Send = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Link:
    """One direction. Shares are between 0 and 1, times in seconds.

    `loss`: of the packets, each for itself. `burst`: of the packets that fall into bursts of
    `burst_length` packets in the mean, of which `burst_loss` are lost (Gilbert-Elliott: the state
    is bad for `burst_length` packets in the mean, and for `burst` of all packets).
    `duplicate` come twice; those of `reorder` come `late` after their time, and are overtaken.
    `delay` for all, and up to `jitter` more, evenly spread; only with `overtake` may a packet
    overtake another one by that (RFC 8868: RBPDV, else NR-BPDV).
    `rate`: bits a second, headers of IP and UDP included; 0 knows no end. What does not fit waits,
    for at most `queue_time` and in at most `queue_bytes` (`QUEUE` if neither is said); beyond
    that the packet that comes is lost (drop-tail). `blackout`: windows, in seconds since the
    first media, in which all is lost. Raises `ValueError` in words.
    """

    loss: float = 0.0
    burst: float = 0.0
    burst_length: float = 5.0
    burst_loss: float = 1.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.015
    delay: float = 0.0
    jitter: float = 0.0
    overtake: bool = False
    rate: float = 0.0
    queue_time: float | None = None
    queue_bytes: int | None = None
    blackout: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("loss", "burst", "burst_loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, between 0 % and 100 %.")
        for name in ("late", "delay", "jitter", "queue_time"):
            if not 0 <= (getattr(self, name) or 0) <= MAX_DELAY:
                raise ValueError(f"{name} is a time of at most {MAX_DELAY:g} seconds.")
        if self.rate and not 1000 <= self.rate <= 1e10:
            raise ValueError("rate is between 1 kbit and 10 Gbit a second, or 0 for no end.")
        if self.queue_bytes is not None and self.queue_bytes < 1500:
            raise ValueError("A queue holds at least one packet: 1500 bytes.")
        if self.burst_length < 1 or self.burst == 1 or self._entering > 1:
            raise ValueError(
                f"Bursts of {self.burst_length:g} packets cannot be {self.burst:.0%} of them."
            )
        for start, end in self.blackout:
            if not 0 <= start < end:
                raise ValueError("A blackout begins at 0 seconds or later and ends after that.")

    @property
    def _entering(self) -> float:
        """How likely a burst begins at a packet."""
        return self.burst / (1 - self.burst) / self.burst_length

    def bad(self, was: bool, thrown: float) -> bool:
        """Whether a packet falls into a burst, where the one before did or did not."""
        return thrown >= 1 / self.burst_length if was else thrown < self._entering

    def waits(self, backlog: float, size: int) -> float | None:
        """Seconds that a packet of `size` bytes takes to pass, behind a queue that needs
        `backlog` seconds; None where it does not fit into that queue."""
        if not self.rate:
            return 0.0
        deepest = self.queue_time
        if deepest is None:
            deepest = QUEUE if self.queue_bytes is None else DEEP
        held = backlog * self.rate / 8
        if backlog > deepest or (self.queue_bytes is not None and held > self.queue_bytes - size):
            return None
        return backlog + size * 8 / self.rate

    def silent(self, at: float) -> bool:
        """Whether everything is lost that comes at this second."""
        return any(start <= at < end for start, end in self.blackout)

    def differs(self) -> dict[str, object]:
        """What is otherwise than on a link that does nothing."""
        plain = Link()
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in found if value != getattr(plain, name)}


class Fate(NamedTuple):
    """What becomes of a packet: `word`; and of one that passed, when it arrives, how many
    copies of it, and whether out of order (`moved`)."""

    word: Word
    due: float = 0.0
    copies: int = 0
    moved: bool = False


class Lane:
    """Carries packets over a link, which `changes` at seconds since the first media.

    `put` each packet as it comes; `take` those whose time has come; `next` says when to ask.
    All times are of one clock, which never runs backwards. `counts`: packets by fate, `doubled`,
    `moved`; `media` (RTP) that came and `media lost`, the latter by payload type in
    `lost_types`.
    """

    def __init__(
        self, link: Link, seed: int | str, changes: Sequence[tuple[float, Link]] = ()
    ) -> None:
        self.link = link
        self.began: float | None = None
        """When the first media came, by the clock of the packets."""
        self.counts: Counter[str] = Counter()
        self.lost_types: Counter[int] = Counter()
        self._changes = sorted(changes, key=lambda change: change[0])
        self._dice = random.Random(seed)
        self._bad = False
        self._free = 0.0
        self._last = -math.inf
        self._held: list[tuple[float, int, bytes, Send]] = []
        self._number = 0

    def use(self, link: Link) -> None:
        """Be this link from now on; changes that were planned are off."""
        self.link = link
        self._changes.clear()

    def put(self, data: bytes, send: Send, now: float, headers: int = 28) -> Fate:
        """Decide about a packet; `headers`: bytes of IP and UDP that go with it."""
        at = now - self.began if self.began is not None else -1.0
        while self._changes and self._changes[0][0] <= at:
            self.link = self._changes.pop(0)[1]
        fate = self._decide(len(data) + headers, now, at)
        self.counts[fate.word] += 1
        self.counts["doubled"] += max(0, fate.copies - 1)
        self.counts["moved"] += fate.moved
        if is_media(data):
            self.counts["media"] += 1
            if not fate.copies:
                self.counts["media lost"] += 1
                self.lost_types[payload_type(data)] += 1
        for _ in range(fate.copies):
            self._number += 1
            heapq.heappush(self._held, (fate.due, self._number, data, send))
        return fate

    def _decide(self, size: int, now: float, at: float) -> Fate:
        link = self.link
        # The same throws for every packet: a change of one share moves no other fate.
        turned, hit, lost, doubled, moved, extra = (self._dice.random() for _ in range(6))
        self._bad = link.bad(self._bad, turned)
        if link.silent(at):
            return Fate("blackout")
        if lost < link.loss:
            return Fate("lost")
        if self._bad and hit < link.burst_loss:
            return Fate("burst")
        waits = link.waits(max(0.0, self._free - now), size)
        if waits is None:
            return Fate("queue")
        if len(self._held) >= MAX_HELD:
            return Fate("overflow")
        self._free = now + waits
        due = now + waits + link.delay + link.jitter * extra
        if moved < link.reorder:
            due += link.late
        elif link.overtake:
            self._last = max(self._last, due)
        else:
            due = self._last = max(self._last, due)
        return Fate("passed", due, 2 if doubled < link.duplicate else 1, moved < link.reorder)

    def next(self) -> float:
        """When the next packet arrives; never (infinity) when none is under way."""
        return self._held[0][0] if self._held else math.inf

    def take(self, now: float) -> list[tuple[float, bytes, Send]]:
        """The packets that have arrived by now, in order, each with its time."""
        taken = []
        while self._held and self._held[0][0] <= now:
            due, _, data, send = heapq.heappop(self._held)
            taken.append((due, data, send))
        return taken

    def drop(self) -> None:
        """Let nothing arrive that is under way."""
        self._held.clear()
