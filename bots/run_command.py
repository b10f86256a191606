"""The command `ringback bot run`: puts a bot of one's own on the line of any exchange."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import click

from .arguments import ca_option, existing, log_level_option, refuse


@click.command()
@click.argument("file", metavar="FILE[:NAME]")
@click.option(
    "--server",
    required=True,
    metavar="URL",
    help="The exchange: http(s):// or ws(s)://. [RINGBACK_SERVER]",
    envvar="RINGBACK_SERVER",
)
@click.option(
    "--token",
    required=True,
    metavar="TOKEN",
    envvar="RINGBACK_BOT_TOKEN",
    help="From `ringback bot token`. [RINGBACK_BOT_TOKEN]",
)
@ca_option
@click.option(
    "--max-calls",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Calls at once in each process; the bot's own number where not given.",
)
@click.option(
    "--max-load",
    type=click.FloatRange(0, min_open=True),
    default=0.9,
    show_default=True,
    metavar="X",
    help="No new calls while the process is busier; 1 is as busy as can be.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes, to use more cores.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long calls may go on after SIGTERM or Ctrl-C.",
)
@click.option("--media-ports", metavar="LOW-HIGH", help="UDP ports for media; any where not given.")
@click.option(
    "--public-address",
    multiple=True,
    metavar="ADDRESS",
    help="Where this machine is reached from outside (NAT); several are allowed.",
)
@click.option(
    "--allow-peers",
    multiple=True,
    metavar="RANGE|private|local-names",
    help="Private networks that callers may name; several are allowed.",
)
@log_level_option("info")
@click.option("--with-parent", is_flag=True, hidden=True)
def run(
    file: str, server: str, token: str, ca: Path | None, max_calls: int | None, max_load: float,
    workers: int, drain: float, media_ports: str | None, public_address: tuple[str, ...],
    allow_peers: tuple[str, ...], log_level: str, with_parent: bool,
) -> None:  # fmt: skip
    """Put the bot in FILE on the line, until SIGTERM or Ctrl-C.

    NAME chooses among several bots in the file. It may run on any machine that reaches the
    exchange, and any number of times: a call goes to the least loaded. After SIGTERM it takes
    no new calls and ends when its calls have; a second signal ends it at once.

    Exit codes: 0 when told to end, 1 when it cannot go on, 2 when it cannot begin, 3 when its
    token is refused.
    """
    # Imported late, so that --help answers at once.
    from . import keep, process
    from . import workers as many
    from .loading import CannotLoad, load
    from .media.network import read_network

    process.log_to_stderr(log_level)
    try:
        url = process.socket_url(server)
        existing(ca)
        network = read_network(media_ports, public_address, allow_peers)
        # Also where workers will run it: what is wrong with it is then said once.
        bot = load(file)
    except (ValueError, CannotLoad) as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        refuse(str(error))
    options = keep.Options(url, token, ca, max_calls, max_load, drain, network)
    if workers > 1:
        again = many.flags(media_ports, public_address, allow_peers)
        code = many.run(workers, file, options, [*again, "--log-level", log_level])
    else:
        code = keep.run(bot, options, with_parent=with_parent)
    sys.exit(code)
