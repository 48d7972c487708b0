"""A bearer token in each request, renewed ahead of its end and once where it is refused."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

from funcx_async._net.cancellation import cancel_requests, is_cancelled
from funcx_async._process import CREDENTIALS, confined
from funcx_async.auth.tokens import Token, is_token
from funcx_async.errors import AuthenticationFailed, FuncXError, ServiceUnavailable

TokenSource: TypeAlias = Callable[[], str | Awaitable[str]]

AWAITS_TOKEN = "funcx_async.awaits_token"  # noqa: S105 - the name of a mark, not a token
"""Marks, in the extensions of a request, that it waits for its token and is certainly not sent."""


@confined(CREDENTIALS)
class BearerAuth(httpx.Auth):
    """The base of all kinds of credentials, which differ in :meth:`token`."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def token(self, refused: str | None = None) -> str:
        """Return the token to send.

        Args:
            refused: the token that the service has just refused; another one is needed.
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
                "The source of tokens returned something that is not a bearer token "
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
        """Return the token of the source, which decides when to return another one.

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
                "The source of tokens was cancelled before it returned one."
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


# Tokens that are renewed

T = TypeVar("T")

TAKEOVER_SECONDS = 90.0
"""Seconds until a waiting caller takes over a run whose loop has stopped, or was lost by a fork."""


class _Lost(Exception):
    """The loop that ran it has ended; another caller runs it again."""


class SingleFlight(Generic[T]):
    """Runs ``work`` once for all callers that ask while it runs.

    It runs in its own task on the loop of the first caller, so a caller that is cancelled does not
    affect the others. Callers may be on different loops.

    Args:
        work: what to run; it must have its own time limit.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._flight: Future[T] | None = None
        self._task: asyncio.Task[T] | None = None

    def start(self) -> Future[T]:
        """Start a run on the running loop, unless there is one; return its future."""
        with self._lock:
            if self._flight is None or self._flight.done() or self._is_stranded():
                flight: Future[T] = Future()
                flight.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
                self._flight = flight
                self._task = asyncio.get_running_loop().create_task(self._work())
                self._task.add_done_callback(lambda task: _settle(flight, task))
            return self._flight

    async def join(self) -> T:
        """Wait for the current run, or start one.

        Raises:
            Exception: a copy of what the run raised.
        """
        while True:
            flight = self.start()
            waiter = asyncio.wrap_future(flight)
            try:
                await asyncio.wait([waiter], timeout=TAKEOVER_SECONDS)
                if waiter.done():
                    return waiter.result()
                self._give_up(flight)
            except _Lost:
                continue
            except Exception as error:
                raise copy.copy(error) from error  # each has its own, with its own traceback
            finally:
                waiter.cancel()

    def _is_stranded(self) -> bool:
        return self._task is not None and self._task.get_loop().is_closed()

    def _give_up(self, flight: Future[T]) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None


def _settle(flight: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        flight.set_exception(_Lost())
    elif (error := task.exception()) is not None:
        flight.set_exception(error)
    else:
        flight.set_result(task.result())


_log = logging.getLogger("funcx_async.auth")

PAUSE = 15.0
"""Seconds between two attempts to replace a token that is still good."""


class RenewingAuth(BearerAuth):
    """Keeps a token and renews it; kinds of credentials differ in how they :meth:`fetch` one.

    A token that is due is replaced in the background while requests use it; only an expired one
    makes them wait. May be shared by clients of several event loops.

    Args:
        clock: gives the time in Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: Token | None = None
        self._refused: str | None = None
        self._next_attempt = 0.0
        self._flight: SingleFlight[Token] = SingleFlight(self._renew)

    async def fetch(self, refused: str | None) -> Token:
        """Return a token from where this kind of credentials has it.

        Args:
            refused: a token that the service refuses although it has not expired.
        """
        raise NotImplementedError

    async def token(self, refused: str | None = None) -> str:
        """Return a valid token.

        Raises:
            AuthenticationFailed: if the credentials are not accepted.
            ServiceUnavailable: if they cannot be checked now.
        """
        if refused is not None:
            self._refused = refused
        kept, now = self._kept, self._clock()
        if kept is None or kept.text == self._refused or kept.is_expired(now):
            kept = await self._flight.join()
            if kept.text == refused:  # that run had begun before the token was refused
                kept = await self._flight.join()
        elif kept.is_due(now) and now >= self._next_attempt:
            self._next_attempt = now + PAUSE
            self._flight.start()
        return kept.text

    async def _renew(self) -> Token:
        try:
            self._kept = token = await self.fetch(self._refused)
        except FuncXError as error:
            _log.debug("no new token: %s", error)
            raise
        return token
