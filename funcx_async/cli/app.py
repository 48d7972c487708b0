"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from funcx_async._versions import __version__
from funcx_async.cli.account import login, logout, whoami
from funcx_async.cli.doctor import doctor
from funcx_async.cli.endpoints import endpoints
from funcx_async.cli.local import local
from funcx_async.cli.run import run
from funcx_async.cli.tasks import results, status
from funcx_async.cli.watch import watch

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
"""The program; each module beside this one has a part of it."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"funcx-async {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """An asyncio-native client for funcX / Globus Compute."""


app.command(context_settings={"ignore_unknown_options": True})(run)  # -1 is an argument
app.command()(status)
app.command()(results)
app.command()(watch)
app.command()(endpoints)
app.command(rich_help_panel="Who you are")(login)
app.command(rich_help_panel="Who you are")(logout)
app.command(rich_help_panel="Who you are")(whoami)
app.command(rich_help_panel="Services")(doctor)
app.command(rich_help_panel="Services")(local)
