"""The echo bot: repeats what it hears and sees, for as many callers at once as it is given."""

from __future__ import annotations

from .call import BotCall
from .client import Client
from .host import Host
from .service import MAX_CALLS, Service

NAME = "echo"
ABOUT = "Repeats what it hears and sees."


async def handle(call: BotCall) -> None:
    """Answer; what comes is returned packet by packet until the caller hangs up."""
    await call.answer()
    await call.over()


def service(
    client: Client, host: Host | None = None, *,
    max_calls: int = MAX_CALLS, max_load: float | None = None,
) -> Service:  # fmt: skip
    """The bot on the line of a client; `max_calls`, `max_load`: see `Service`."""
    return Service(client, handle, max_calls=max_calls, max_load=max_load, host=host)
