"""Which credentials requests carry from here, and how one gets others of the kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from funcx_async._net.environments import SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.auth.login import LOGIN_COMMAND

_LOCAL = "`python -m funcx_async local`"


class Credentials(NamedTuple):
    """What requests carry.

    Attributes:
        words: which they are.
        renewal: what to do where they are refused.
    """

    words: str
    renewal: str


def credentials_here(
    service_url: str, variables: Mapping[str, str], *, globus: bool
) -> Credentials:
    """Say which credentials requests carry, in the order in which they are looked for.

    Args:
        service_url: the service's root.
        variables: the process's environment.
        globus: whether the service is one of Globus.

    Example:
        >>> credentials_here("http://x", {"FUNCX_ASYNC_SERVICE_URL": "http://x",
        ...     "FUNCX_ASYNC_TOKEN": "secret"}, globus=False).words
        'the token of FUNCX_ASYNC_TOKEN'
    """
    meant = variables.get(SERVICE_URL_VARIABLE, "").rstrip("/") == service_url
    if meant and variables.get(TOKEN_VARIABLE):
        renewal = (
            f"Give a fresh {TOKEN_VARIABLE}; or unset it, and log in: `{LOGIN_COMMAND}`."
            if globus
            else f"Export again what {_LOCAL} prints; for another service, ask who runs it for a "
            "token."
        )
        return Credentials(f"the token of {TOKEN_VARIABLE}", renewal)
    if not globus:
        renewal = f"Set {SERVICE_URL_VARIABLE} and {TOKEN_VARIABLE} as {_LOCAL} prints them."
        return Credentials("no credentials", renewal)
    if variables.get("GLOBUS_COMPUTE_CLIENT_ID"):
        return Credentials(
            "the client credentials of GLOBUS_COMPUTE_CLIENT_ID",
            "Make a new secret for this client at https://app.globus.org/settings/developers, and "
            "set GLOBUS_COMPUTE_CLIENT_SECRET to it.",
        )
    return Credentials(
        "the login of the official tools", f"Log in anew: `{LOGIN_COMMAND} --force`."
    )
