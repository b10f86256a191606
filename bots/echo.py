"""The echo bot: repeats what it hears and sees, for as many callers at once as it is given."""

from __future__ import annotations

from .call import BotCall
from .client import Client
from .host import Host
from .service import Service

NAME = "echo"
ABOUT = "Repeats what it hears and sees."


async def handle(call: BotCall) -> None:
    """Answer; what comes is returned packet by packet until the caller hangs up."""
    await call.answer()
    await call.over()


def service(client: Client, host: Host | None = None) -> Service:
    """The bot on the line of a client."""
    return Service(client, handle, host=host)
