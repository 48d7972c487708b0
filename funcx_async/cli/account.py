"""``login``, ``logout`` and ``whoami``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from funcx_async._net.environment import COMPUTE, is_globus
from funcx_async.auth.login import (
    AUTHORIZATION_PARAMETERS,
    SharedLogin,
    log_in,
    log_out,
    option_of,
    parameters_of,
    shared_login,
    who_is,
)
from funcx_async.cli import USAGE_ERROR, CommandEnded
from funcx_async.cli.options import Service, service_root
from funcx_async.doctor.credentials import credentials_in_use

PANEL = "Re-authentication options"


def _parameter(name: str) -> Any:
    text = AUTHORIZATION_PARAMETERS[name][1]
    text = text[:1].upper() + text[1:]
    return typer.Option(option_of(name), help=f"{text}.", rich_help_panel=PANEL)


def login(
    force: Annotated[
        bool, typer.Option("--force", help="Log in even if there is a stored login.")
    ] = False,
    session_required_mfa: Annotated[bool, _parameter("session_required_mfa")] = False,
    session_required_identities: Annotated[str, _parameter("session_required_identities")] = "",
    session_required_single_domain: Annotated[
        str, _parameter("session_required_single_domain")
    ] = "",
    session_required_policies: Annotated[str, _parameter("session_required_policies")] = "",
    required_scopes: Annotated[str, _parameter("required_scopes")] = "",
    session_message: Annotated[str, _parameter("session_message")] = "",
    prompt: Annotated[str, _parameter("prompt")] = "",
) -> None:
    """Log in to Globus Compute. The official tools share this login.

    Prints the URL of a login page and asks for the code that the page shows. If a service requires
    another login, its error message names the re-authentication options to use.
    """
    options = {
        "session_required_mfa": session_required_mfa,
        "session_required_identities": session_required_identities,
        "session_required_single_domain": session_required_single_domain,
        "session_required_policies": session_required_policies,
        "required_scopes": required_scopes,
        "session_message": session_message,
        "prompt": prompt,
    }
    stored = _stored_login()
    log_in(stored, parameters_of(options), force=force)
    typer.echo(f"Logged in. The login is stored in {stored.file}.")


def logout() -> None:
    """Log out: revoke the tokens of the stored login and delete them."""
    stored = _stored_login()
    if log_out(stored):
        typer.echo("Logged out. The official tools are logged out as well.")
    else:
        typer.echo(f"There was no login to end: {stored.file} holds none.")


def whoami(service: Service = None) -> None:
    """Show which credentials are in use, and the user of a stored login."""
    url = service_root(service)
    credentials = credentials_in_use(url, os.environ, globus=is_globus(url))
    if credentials.kind == "login":
        typer.echo(who_is(_stored_login()))
        return
    if credentials.kind == "none":
        typer.echo(f"There are no credentials for {url}. {credentials.renewal}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Requests to {url} use {credentials.name}, not a login.")


def _stored_login() -> SharedLogin:
    if find_spec("globus_sdk") is None:
        raise CommandEnded(
            "A login needs an extra: pip install 'funcx-async[globus]'. Programs can use client "
            "credentials, which do not need it.",
            USAGE_ERROR,
        )
    return shared_login(os.environ.get(COMPUTE.variable) or "production", os.environ)
