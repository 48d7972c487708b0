"""Credentials, from the argument of the caller or from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, Union

import httpx

from funcx_async._net.environment import (
    CLASSIC,
    COMPUTE,
    SERVICE_URL_VARIABLE,
    TOKEN_VARIABLE,
    auth_url,
    environment_of,
    is_globus,
)
from funcx_async.auth.bearer import GivenToken, TokenSource
from funcx_async.auth.credentials import ClientCredentials
from funcx_async.auth.login import (
    LOGIN_COMMAND,
    AuthorizerAuth,
    GlobusAppAuth,
    SharedLoginAuth,
    is_globus_app,
    is_globus_authorizer,
    shared_login,
)
from funcx_async.auth.storage import token_file
from funcx_async.auth.tokens import SCOPE, is_token
from funcx_async.errors import AuthenticationFailed

if TYPE_CHECKING:
    import globus_sdk

Auth: TypeAlias = Union[
    str,
    httpx.Auth,
    TokenSource,
    "globus_sdk.GlobusApp",
    "globus_sdk.authorizers.GlobusAuthorizer",
]


def resolve_auth(
    auth: Auth | None, service_url: str, variables: Mapping[str, str], *, classic: bool = False
) -> httpx.Auth:
    """Return the credentials for a service, as httpx takes them.

    Args:
        auth: a token, a callable that returns one, an ``httpx.Auth``, an app or authorizer of
            ``globus_sdk``, or None. None means the token of the environment for the service that
            ``FUNCX_ASYNC_SERVICE_URL`` names; and, for services of Globus only, the environment's
            client credentials, else the login of the official tools.
        service_url: where the requests go.
        variables: the process's environment.
        classic: the service is that of ``funcx`` 1.x, which had variables of its own.

    Raises:
        TypeError: for anything else. What is missing or wrong in the environment fails the first
            request instead: importing and wiring needs no login.
    """
    if auth is None:
        return _of_environment(service_url, variables, classic=classic)
    if isinstance(auth, httpx.Auth):
        return auth
    if isinstance(auth, str):
        given = auth
        return GivenToken(lambda: given)
    if is_globus_app(auth):
        return GlobusAppAuth(auth)
    if is_globus_authorizer(auth):
        return AuthorizerAuth(auth)
    if callable(auth):
        return GivenToken(auth)
    raise TypeError(
        "auth must be a token, a callable that returns one, an httpx.Auth, or an app or authorizer "
        f"of globus_sdk, not a {type(auth).__name__}."
    )


def _of_environment(service_url: str, variables: Mapping[str, str], *, classic: bool) -> httpx.Auth:
    token = variables.get(TOKEN_VARIABLE)
    if token and variables.get(SERVICE_URL_VARIABLE, "").rstrip("/") == service_url:
        if not is_token(token):
            return _failing(
                f"{TOKEN_VARIABLE} does not hold a token: something in it can stand in none, such "
                "as a blank, the end of a line or an accent. Export it again, as "
                "`python -m funcx_async local` or its owner printed it."
            )
        return GivenToken(lambda: token)
    if not is_globus(service_url):
        return _failing(
            f"There are no credentials for {service_url}. Set {SERVICE_URL_VARIABLE} and "
            f"{TOKEN_VARIABLE} as `python -m funcx_async local` prints them; a program may give "
            "FuncXClient(auth=...) a token or a callable that gives one. A login or client "
            "credentials of Globus are only sent to services of Globus, unless given as auth=."
        )
    environment = environment_of(service_url, variables, CLASSIC if classic else COMPUTE)
    try:
        credentials = credentials_of(environment, variables, classic=classic)
    except ValueError as error:
        return _failing(str(error))
    return credentials or SharedLoginAuth(shared_login(environment, variables, classic=classic))


def credentials_of(
    environment: str, variables: Mapping[str, str], *, classic: bool = False
) -> ClientCredentials | None:
    """Return the client credentials of the process's environment, or None.

    Args:
        environment: the name of a Globus environment.
        variables: the process's environment.
        classic: look for the variables of ``funcx`` 1.x.

    Raises:
        ValueError: if it has only one of id and secret, or names no place for a secret.
    """
    prefix, scope_name = (
        ("FUNCX_SDK", "FUNCX_SCOPE") if classic else ("GLOBUS_COMPUTE", "GLOBUS_COMPUTE_SCOPE")
    )
    id_name, secret_name = f"{prefix}_CLIENT_ID", f"{prefix}_CLIENT_SECRET"
    client_id, secret = variables.get(id_name), variables.get(secret_name)
    if not client_id and not secret:
        return None
    if not client_id or not secret:
        there, missing = (id_name, secret_name) if client_id else (secret_name, id_name)
        raise ValueError(
            f"{there} is set, but {missing} is not: client credentials need both. For a person's "
            f"login unset it and run `{LOGIN_COMMAND}`."
        )
    return ClientCredentials(
        client_id,
        secret,
        scope=variables.get(scope_name) or SCOPE,
        auth_url=auth_url(environment, variables),
        storage=token_file(variables),
    )


def _failing(sentence: str) -> httpx.Auth:
    """Credentials that fail each request with ``sentence``."""

    def fail() -> str:
        raise AuthenticationFailed(sentence)

    return GivenToken(fail)
