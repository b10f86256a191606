"""The time line that all participants of a recording share: seconds kept so far. Pure."""

from __future__ import annotations


class TimeLine:
    """Begins at `start` on a steady clock (seconds); paused time is left out."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._pauses: list[tuple[float, float]] = []
        self._paused_at: float | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing is kept just now."""
        return self._paused_at is not None

    def pause(self, now: float) -> None:
        """Keep nothing from `now` on."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Keep things again."""
        if self._paused_at is not None:
            self._pauses.append((self._paused_at, max(now, self._paused_at)))
            self._paused_at = None

    def position(self, moment: float) -> float | None:
        """Where a moment lies (seconds, at least 0); None within a pause."""
        left_out = 0.0
        for begin, end in self._pauses:
            if moment < begin:
                break
            if moment < end:
                return None
            left_out += end - begin
        if self._paused_at is not None and moment >= self._paused_at:
            return None
        return max(0.0, moment - self._start - left_out)

    def length(self, now: float) -> float:
        """How much has been kept until `now` (seconds)."""
        until = self._paused_at if self._paused_at is not None else now
        return max(0.0, until - self._start - sum(end - begin for begin, end in self._pauses))

    def pauses(self) -> list[tuple[int, int]]:
        """Each pause: where on the line it lies and how long it was, in ms."""
        found, left_out = [], 0.0
        for begin, end in self._pauses:
            at = begin - self._start - left_out
            found.append((round(at * 1000), round((end - begin) * 1000)))
            left_out += end - begin
        return found
