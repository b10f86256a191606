"""Whether a bot takes one more call: how many it has, how busy its process is. Mostly pure."""

from __future__ import annotations

import os
import time
from pathlib import Path

# New calls are taken again only well below the limit, or they would come and go with each one.
EASE = 0.8
SMOOTH = 0.5
SCHEDULED = Path("/proc/thread-self/schedstat")


class LoadMeter:
    """How busy this process was since it was asked last: 1 is as much as it can be.

    The event loop, which has one thread, or all threads on all cores, whichever is nearer to
    its limit. Time in which the loop could have worked and had to wait for a core counts as
    work: where others use the machine up there is no room for more, either. To be asked from
    the event loop's thread.
    """

    def __init__(self) -> None:
        self._cores = _cores()
        self._before = self._now()

    def __call__(self) -> float:
        """The load since the last call, or since it was made."""
        before, self._before = self._before, self._now()
        wall, process, thread = (b - a for a, b in zip(before, self._before, strict=True))
        return max(thread, process / self._cores) / wall if wall > 0 else 0.0

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), time.process_time(), time.thread_time() + _waited()


def _waited() -> float:
    """Seconds that this thread has waited for a core until now; 0 where the system does not
    say (Linux does, in `proc_pid_schedstat`)."""
    try:
        return int(SCHEDULED.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Admission:
    """Takes calls up to `max_calls`, and while the load stays below `max_load` (None: any).

    Feed it with `measure`; `draining` stops new calls for good.
    """

    def __init__(self, max_calls: int, max_load: float | None = None) -> None:
        self.max_calls = max_calls
        self.max_load = max_load
        self.draining = False
        self.load = 0.0
        self._overloaded = False

    @property
    def accepting(self) -> bool:
        """Whether new calls are taken as far as load and draining go."""
        return not (self.draining or self._overloaded)

    def takes(self, calls: int) -> bool:
        """Whether one more call is taken when there are so many."""
        return self.accepting and calls < self.max_calls

    def measure(self, load: float) -> None:
        """Take note of the load of the last while; single peaks count half."""
        self.load += SMOOTH * (load - self.load)
        if self.max_load is not None:
            limit = self.max_load * (EASE if self._overloaded else 1)
            self._overloaded = self.load > limit
