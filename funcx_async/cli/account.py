"""``login``, ``logout`` and ``whoami``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from funcx_async._net.environments import COMPUTE
from funcx_async.auth.login import AUTHORIZATION_PARAMETERS, option_of, parameters_of
from funcx_async.cli import ExtraMissing

if TYPE_CHECKING:
    from funcx_async.auth.login import SharedLogin

PANEL = "What a service may ask a further login to bring"


def _asked(name: str) -> Any:
    words = AUTHORIZATION_PARAMETERS[name][1]
    return typer.Option(option_of(name), help=f"{words}.", rich_help_panel=PANEL)


def login(
    force: Annotated[
        bool, typer.Option("--force", help="Log in even if there is a login.")
    ] = False,
    session_required_mfa: Annotated[bool, _asked("session_required_mfa")] = False,
    session_required_identities: Annotated[str, _asked("session_required_identities")] = "",
    session_required_single_domain: Annotated[str, _asked("session_required_single_domain")] = "",
    session_required_policies: Annotated[str, _asked("session_required_policies")] = "",
    required_scopes: Annotated[str, _asked("required_scopes")] = "",
    session_message: Annotated[str, _asked("session_message")] = "",
    prompt: Annotated[str, _asked("prompt")] = "",
) -> None:
    """Log in to Globus Compute, for the official tools as well.

    Prints an address to log in at and takes the code that it shows. Where a service asks for a
    further login, its error names the options.
    """
    told = {
        "session_required_mfa": session_required_mfa,
        "session_required_identities": session_required_identities,
        "session_required_single_domain": session_required_single_domain,
        "session_required_policies": session_required_policies,
        "required_scopes": required_scopes,
        "session_message": session_message,
        "prompt": prompt,
    }
    from funcx_async.auth.login import log_in

    place = _place()
    log_in(place, parameters_of(told), force=force)
    typer.echo(f"Logged in; the login is kept in {place.file}.")


def logout() -> None:
    """End that login: revoke its tokens and remove them."""
    from funcx_async.auth.login import log_out

    log_out(_place())
    typer.echo("Logged out, for the official tools as well.")


def whoami() -> None:
    """Say who is logged in."""
    from funcx_async.auth.login import who_is

    typer.echo(who_is(_place()))


def _place() -> SharedLogin:
    if find_spec("globus_sdk") is None:
        raise ExtraMissing(
            "A person's login needs its extra: pip install 'funcx-async[globus]'. Programs use "
            "client credentials, which do not."
        )
    from funcx_async.auth.login import shared_login

    return shared_login(os.environ.get(COMPUTE.variable) or "production", os.environ)
