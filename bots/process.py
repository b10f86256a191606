"""What every process of bots needs: an event loop, its log, an end."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable

TOKEN_REFUSED = 3
LOG_LEVELS = ("debug", "info", "warning")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle() -> None:
    """Let the garbage collector pass over all there is: modules, and what lives as long as the
    process. While calls come and go it would look through that again and again."""
    gc.collect()
    gc.freeze()


def log_to_stderr(level: str) -> None:
    """Log from a level on; what aioice and aiortc say of every candidate is left out."""
    logging.basicConfig(level=level.upper(), stream=sys.stderr)
    for name in ("aioice", "aiortc"):
        logging.getLogger(name).setLevel(logging.WARNING)


def ready(name: str) -> None:
    """Say on standard output that a bot is on the line, for whoever started the process."""
    say(f"ready {name}")


def say(line: str) -> None:
    """Say something to whoever started the process."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def on_signals(act: Callable[[], None]) -> None:
    """Do something at each SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


def on_end_of_input(act: Callable[[], None]) -> None:
    """Do something once standard input ends, where it is a pipe: whoever held it is gone."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            act()

    loop.add_reader(0, read)


def socket_url(url: str) -> str:
    """The address of an exchange's socket, from that of its pages or its socket.

    Raises `ValueError` with a sentence.
    """
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    scheme, slashes, rest = url.strip().partition("://")
    if not slashes or scheme.lower() not in schemes or not rest.strip("/"):
        raise ValueError(f"{url!r} is no address: write it like https://example.org:8000.")
    rest = rest.rstrip("/").removesuffix("/ws")
    return f"{schemes[scheme.lower()]}://{rest}/ws"
