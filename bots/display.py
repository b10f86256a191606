"""What a terminal shows of something that goes on: a picture kept up to date, or lines where none
can be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table


class Display(ABC):
    """Shows on standard error while entered; gone when left. Nothing is `shown` if so said."""

    def __init__(self, *, shown: bool = True, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, quiet=not shown)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._draw, refresh_per_second=8,
                transient=True,
            )  # fmt: skip
            self._live.start()
        else:
            self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @abstractmethod
    def _begin(self) -> None:
        """Say, in a line, what begins, where nothing can be kept up to date."""

    @abstractmethod
    def _draw(self) -> Table:
        """What there is to show now."""
