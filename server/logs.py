"""What is logged: our own faults with their traceback, strangers' nonsense in one line."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Strangers(logging.Filter):
    """Takes the traceback off what aiohttp reports when a request is no HTTP.

    Anybody can send such a thing at any time; it is no fault of the server's.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Make such a record short and less loud; keep every other."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg = f"{record.getMessage()}: {error.message}"
            record.args = ()
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            return logging.getLogger(record.name).isEnabledFor(logging.INFO)
        return True


def setup(level: str) -> None:
    """Log to standard error from `level` (a name of `config.LOG_LEVELS`) on."""
    logging.basicConfig(level=level.upper(), format=FORMAT)
    logging.getLogger("aiohttp.server").addFilter(Strangers())
