"""A bearer token in each request; another one, once, where the service refuses it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias

import httpx

from funcx_async._net.cancellation import cancel_requests, is_cancelled
from funcx_async.errors import AuthenticationFailed, FuncXError, ServiceUnavailable
from funcx_async.errors.confined import CREDENTIALS, confined

TokenSource: TypeAlias = Callable[[], str | Awaitable[str]]

AWAITS_TOKEN = "funcx_async.awaits_token"  # noqa: S105 - the name of a mark, not a token
"""Marks, in a request's extensions, that it waits for its token: it is certainly not sent."""


@confined(CREDENTIALS)
class BearerAuth(httpx.Auth):
    """What all kinds of credentials share; they differ in :meth:`token`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def token(self, refused: str | None = None) -> str:
        """Give the token to send.

        Args:
            refused: the token that the service has just refused: another one is wanted.
        """
        raise NotImplementedError

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Put the token into the request (httpx calls this)."""
        token = await self._put_token(request)
        response = yield request
        if response.status_code == 401 and await self._put_token(request, token) != token:
            yield request

    async def _put_token(self, request: httpx.Request, refused: str | None = None) -> str:
        request.extensions[AWAITS_TOKEN] = True
        token = await self.token(refused)
        del request.extensions[AWAITS_TOKEN]
        if not is_token(token):
            raise AuthenticationFailed(
                "The source of tokens gave something that is not a bearer token "
                f"(a {type(token).__name__})."
            )
        request.headers["Authorization"] = f"Bearer {token}"
        return token


class GivenToken(BearerAuth):
    """Send the token that ``source`` gives.

    Args:
        source: gives a token whenever it is called; plain or async.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def token(self, refused: str | None = None) -> str:
        """Ask the source; it knows by itself when to give another token.

        Raises:
            ServiceUnavailable: if it could not reach what it asks.
            AuthenticationFailed: if it fails otherwise.
        """
        before = cancel_requests()
        try:
            token = self._source()
            return await token if inspect.isawaitable(token) else token
        except asyncio.CancelledError as error:
            if is_cancelled(before):
                raise
            raise AuthenticationFailed(
                "The source of tokens was cancelled before it gave one."
            ) from error
        except FuncXError:
            raise
        except (OSError, httpx.HTTPError) as error:
            raise ServiceUnavailable(
                f"The source of tokens could not get one now ({type(error).__name__})."
            ) from error
        except Exception as error:  # the source is the caller's code: it may raise anything
            raise AuthenticationFailed(
                f"The source of tokens failed ({type(error).__name__}); its own error is attached "
                "as the cause."
            ) from error


def is_token(token: object) -> bool:
    """Whether ``token`` can stand in a header.

    Example:
        >>> is_token("abc.def"), is_token("two words"), is_token(None)
        (True, False, False)
    """
    return (
        isinstance(token, str)
        and all("!" <= character <= "~" for character in token)
        and token != ""
    )
