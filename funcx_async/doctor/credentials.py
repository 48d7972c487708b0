"""Which credentials requests carry, and how to renew them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from funcx_async._net.environment import SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.auth.login import LOGIN_COMMAND

_LOCAL = "`python -m funcx_async local`"


class Credentials(NamedTuple):
    """The credentials that requests carry.

    Attributes:
        name: which they are.
        renewal: what to do if the service rejects them.
        kind: a bearer token, client credentials, the stored login of a person, or none.
    """

    name: str
    renewal: str
    kind: Literal["token", "client", "login", "none"]


def credentials_in_use(
    service_url: str, variables: Mapping[str, str], *, globus: bool
) -> Credentials:
    """Return which credentials requests carry, in the order in which they are looked up.

    Args:
        service_url: the root URL of the service.
        variables: the environment variables of the process.
        globus: whether the service belongs to Globus.

    Example:
        >>> credentials_in_use("http://x", {"FUNCX_ASYNC_SERVICE_URL": "http://x",
        ...     "FUNCX_ASYNC_TOKEN": "secret"}, globus=False).name
        'the token in FUNCX_ASYNC_TOKEN'
    """
    named = variables.get(SERVICE_URL_VARIABLE, "").rstrip("/") == service_url
    if named and variables.get(TOKEN_VARIABLE):
        renewal = (
            f"Set {TOKEN_VARIABLE} to a new token, or unset it and run `{LOGIN_COMMAND}`."
            if globus
            else f"Export the variables that {_LOCAL} prints again. For any other service, ask "
            "its operator for a token."
        )
        return Credentials(f"the token in {TOKEN_VARIABLE}", renewal, "token")
    if not globus:
        renewal = f"Set {SERVICE_URL_VARIABLE} and {TOKEN_VARIABLE} as {_LOCAL} prints them."
        return Credentials("requests without credentials", renewal, "none")
    if variables.get("GLOBUS_COMPUTE_CLIENT_ID"):
        return Credentials(
            "the client credentials in GLOBUS_COMPUTE_CLIENT_ID",
            "Create a new secret for this client at https://app.globus.org/settings/developers "
            "and set GLOBUS_COMPUTE_CLIENT_SECRET to it.",
            "client",
        )
    return Credentials(
        "the stored login of the official tools",
        f"Log in again: `{LOGIN_COMMAND} --force`.",
        "login",
    )
