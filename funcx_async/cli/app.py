"""The program and its commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from funcx_async._versions import __version__
from funcx_async.cli.account import login, logout, whoami
from funcx_async.cli.doctor import doctor
from funcx_async.cli.local import local
from funcx_async.cli.queries import endpoints, results, status
from funcx_async.cli.run import run
from funcx_async.cli.watch import watch


def _without_types_of_flags(parameters: list[Any]) -> list[Any]:
    """Keep ``<bool>`` out of the help of options that take no value."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))


class _Program(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_flags(super().get_params(ctx))


app = typer.Typer(
    cls=_Program,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
"""The program."""


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


app.command(cls=_Command, context_settings={"ignore_unknown_options": True})(run)  # allows -1
app.command(cls=_Command)(status)
app.command(cls=_Command)(results)
app.command(cls=_Command)(watch)
app.command(cls=_Command)(endpoints)
app.command(cls=_Command, rich_help_panel="Account")(login)
app.command(cls=_Command, rich_help_panel="Account")(logout)
app.command(cls=_Command, rich_help_panel="Account")(whoami)
app.command(cls=_Command, rich_help_panel="Services")(doctor)
app.command(cls=_Command, rich_help_panel="Services")(local)
