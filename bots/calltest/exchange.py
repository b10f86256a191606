"""A Ringback of one's own for call tests: `ringback serve` in a process, with a folder that is
thrown away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .options import CannotCheck

START = 60.0
STOP = 30.0
KEPT_LINES = 1000
_URL = re.compile(r"https?://\S+:\d+/")
_READY = "Bots on the line:"


class Exchange:
    """Enter it; then `url` is where it is, and its bots are on the line, which take calls however
    busy this machine is: a test judges that for itself. `arguments` are more ones of `ringback
    serve`. `log` is the last of what it said. Entering raises `CannotCheck`
    when it does not start."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.url = ""
        self._arguments = tuple(arguments)
        self._folder = tempfile.TemporaryDirectory(prefix="ringback-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._ready = False
        self._over = threading.Event()

    @property
    def log(self) -> str:
        """What the process has said, the last thousand lines of it."""
        return "".join(list(self._lines))

    def __enter__(self) -> Self:
        # Settings of the surroundings are for somebody else's Ringback.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RINGBACK_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ringback.server", "serve", "--port", "0",
             "--data", self._folder.name, "--bot-load", "1000", *self._arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=kept, text=True, errors="replace",
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, name="exchange", daemon=True)
        self._reader.start()
        self._over.wait(START)
        found = _URL.search(self.log)
        if not self._ready or found is None:
            self.stop()
            raise CannotCheck("unreachable", f"Ringback did not start:\n{self.log}".rstrip())
        self.url = found[0].rstrip("/")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if line.startswith(_READY):
                self._ready = True
                self._over.set()
        # It has ended; who waits need not wait longer.
        self._over.set()

    def stop(self) -> None:
        """End it, at once if it takes too long; once more does nothing."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert self._reader is not None
        assert process.stdout is not None
        self._reader.join(STOP)
        process.stdout.close()
        self._process = None
        self._folder.cleanup()
