"""The commands `ringback recordings`: look at recordings, finish them, make films of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from .arguments import refuse

if TYPE_CHECKING:
    from .library import Found
    from .media.sidecar import Sidecar

FAILED = 1

Command = Callable[..., None]


def _data(command: Command) -> Command:
    option = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("data"),
        envvar="RINGBACK_DATA",
        show_default=True,
        help="The data folder of the exchange. [RINGBACK_DATA]",
    )
    return option(command)


@click.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print what is known of each as JSON.")
def list_(data: Path, as_json: bool) -> None:
    """List all recordings, the newest last."""
    # Imported late, so that --help answers at once.
    from .library import find

    try:
        found = find(data)
    except OSError as error:
        refuse(f"{data} cannot be read: {error.strerror}.")
    if as_json:
        _print_json([one.about for one in found if one.about is not None])
    elif not found:
        click.echo(f"There is no recording in {data}.")
    else:
        from .listing import listed

        _print(listed(found))


@click.command()
@click.argument("id")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print its recording.json.")
def show(id: str, data: Path, as_json: bool) -> None:
    """Show a recording: who agreed, each part, and what is missing in it.

    ID may be the beginning of one, or the path of a folder.
    """
    found, about = _one(data, id)
    if as_json:
        _print_json(about)
    else:
        from .listing import shown

        _print(shown(found, about))


@click.command()
@click.argument("id")
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False), required=False)
@_data
@click.option("--force", is_flag=True, help="Replace OUTPUT if it is there.")
def compose(id: str, output: Path | None, data: Path, force: bool) -> None:
    """Put a recording together into one film: everybody side by side, their sound together.

    OUTPUT is an MP4 file (H.264 and AAC), ID.mp4 in the current folder if not given.
    """
    found, about = _one(data, id)
    if about.ended is None:
        words = "is still being recorded" if found.running() else "was not finished: repair it"
        refuse(f"The recording {found.id} {words}.")
    output = output or Path(f"{found.id}.mp4")
    if output.suffix.lower() != ".mp4":
        refuse(f"{output}: a film ends in .mp4.")
    if output.exists() and not force:
        refuse(f"{output} is there already; --force replaces it.")
    _compose(found, about, output)
    click.echo(f"{output} is ready.")


def _compose(found: Found, about: Sidecar, output: Path) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from .media.compose import CannotCompose
    from .media.compose import compose as put_together

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Composing", total=None)
        try:
            put_together(
                found.folder, about, output,
                lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        except CannotCompose as error:
            bar.stop()
            _fail(str(error))


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_data
def repair(ids: tuple[str, ...], data: Path) -> None:
    """Finish recordings whose process died, all there are or those named.

    The bots do this themselves when they start. What is being recorded is left alone. Ends
    with 1 when something could not be finished.
    """
    from .library import find

    try:
        found = [_found(data, id) for id in ids] or find(data)
    except OSError as error:
        refuse(f"{data} cannot be read: {error.strerror}.")
    done = [_repair(one, named=bool(ids)) for one in found]
    if not any(done) and not ids:
        click.echo("There is nothing to finish.")
    if "failed" in done:
        sys.exit(FAILED)


def _repair(found: Found, *, named: bool) -> str:
    """Finish one, if it is to be; what came of it ("" when there was nothing to do)."""
    from .library import length_ms
    from .listing import clock, size
    from .media import repair as repairing

    if found.about is not None and found.about.ended is not None:
        if named:
            click.echo(f"{found.id}: is finished already.")
        return ""
    if found.running():
        click.echo(f"{found.id}: is being recorded, and left alone.")
        return "running"
    try:
        about = repairing.repair(found.folder)
    except (OSError, ValueError) as error:
        click.echo(f"{found.id}: cannot be finished: {found.problem or error}", err=True)
        return "failed"
    total = size(sum(part.bytes for part in about.participants))
    click.echo(f"{found.id}: finished, {clock(length_ms(about))}, {total}.")
    return "finished"


def _found(data: Path, id: str) -> Found:
    from .library import NoSuchRecording, one

    try:
        return one(data, id)
    except NoSuchRecording as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{data} cannot be read: {error.strerror}.")


def _one(data: Path, id: str) -> tuple[Found, Sidecar]:
    found = _found(data, id)
    if found.about is None:
        _fail(f"The recording {found.id} cannot be read: {found.problem}.")
    return found, found.about


def _print(what: object) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        # Into a pipe goes every line whole.
        console = Console(highlight=False, width=200)
    console.print(what)


def _print_json(what: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(what), indent=1).decode())


def _fail(line: str) -> NoReturn:
    click.echo(f"ringback: {line}", err=True)
    sys.exit(FAILED)
