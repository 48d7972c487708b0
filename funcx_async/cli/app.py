"""The commands, put together."""

from __future__ import annotations

import typer

from funcx_async.cli.account import login, logout, whoami
from funcx_async.cli.doctor import doctor
from funcx_async.cli.endpoints import endpoints
from funcx_async.cli.local import local
from funcx_async.cli.run import run
from funcx_async.cli.tasks import results, status
from funcx_async.cli.watch import watch

app = typer.Typer(
    help="An asyncio-native client for funcX / Globus Compute.",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
"""The program; each module beside this one has a part of it."""

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
