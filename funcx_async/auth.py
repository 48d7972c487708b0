"""Who is asking: bearer tokens, from wherever they come.

A token never appears in a ``repr``, a log line or an exception.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

import httpx

from funcx_async.cancellation import cancel_requests, is_cancelled
from funcx_async.environments import SERVICE_URL_VARIABLE, TOKEN_VARIABLE
from funcx_async.errors import AuthenticationFailed

TokenSource: TypeAlias = Callable[[], str | Awaitable[str]]
Auth: TypeAlias = str | httpx.Auth | TokenSource


class BearerAuth(httpx.Auth):
    """Send the token that ``source`` gives; ask it once more where the service refuses the token.

    Args:
        source: gives a token whenever it is called; plain or async.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def __repr__(self) -> str:
        return "<BearerAuth>"

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Put the token into the request (httpx calls this)."""
        token = await self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != 401:
            return
        renewed = await self._token()
        if renewed != token:
            request.headers["Authorization"] = f"Bearer {renewed}"
            yield request

    async def _token(self) -> str:
        token: object = self._source()
        before = cancel_requests()
        try:
            if inspect.isawaitable(token):
                token = await token
        except asyncio.CancelledError as error:
            if is_cancelled(before):
                raise
            raise AuthenticationFailed(
                "The source of tokens was cancelled before it gave one.", status=401
            ) from error
        if not isinstance(token, str) or not token.isprintable() or " " in token or not token:
            raise AuthenticationFailed(
                "The source of tokens gave something that is not a bearer token "
                f"(a {type(token).__name__}).",
                status=401,
            )
        return token


def resolve_auth(auth: Auth | None, service_url: str, variables: Mapping[str, str]) -> httpx.Auth:
    """Make of what the user gave what httpx takes.

    Args:
        auth: a token, a callable that gives one, an ``httpx.Auth``, or None: then the token of the
            environment, but only for the service that the environment names.
        service_url: where the requests go.
        variables: the process's environment.

    Raises:
        TypeError: for anything else.
    """
    if auth is None:
        token = variables.get(TOKEN_VARIABLE)
        if token and variables.get(SERVICE_URL_VARIABLE, "").rstrip("/") == service_url:
            return BearerAuth(lambda: token)
        return BearerAuth(partial(_no_token, service_url))
    if isinstance(auth, httpx.Auth):
        return auth
    if isinstance(auth, str):
        fixed = auth
        return BearerAuth(lambda: fixed)
    if callable(auth):
        return BearerAuth(auth)
    raise TypeError(
        f"auth must be a token, a callable that gives one, or an httpx.Auth, not a "
        f"{type(auth).__name__}."
    )


def _no_token(service_url: str) -> str:
    """Fail the first request, not the construction: importing and wiring needs no login."""
    raise AuthenticationFailed(
        f"There are no credentials for {service_url}. Give FuncXClient(auth=...) a token or a "
        f"callable that gives one, or set {SERVICE_URL_VARIABLE} and {TOKEN_VARIABLE} as `python "
        "-m funcx_async local` prints them.",
        status=401,
    )
