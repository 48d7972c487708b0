"""How one request is made: to which service, as whom, how often, and what becomes of failures.

Everything that touches httpx is here and in ``auth``. What the requests are is in ``routes``.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec

from funcx_async.answers import read
from funcx_async.auth import AWAITS_TOKEN
from funcx_async.cancellation import cancel_requests, is_cancelled
from funcx_async.core.budget import RequestBudget
from funcx_async.environments import is_loopback
from funcx_async.errors import (
    AnswerLost,
    RequestRefused,
    SerializationError,
    ServiceUnavailable,
    VersionMismatch,
)
from funcx_async.refusals import refusal

A = TypeVar("A")

_NOT_WRITTEN = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""What httpx raises before a byte of the request is on the wire."""


class Rest:
    """Asks one service, from one event loop at a time; binds to the loop that first uses it.

    Args:
        base_url: the service's root.
        auth: puts the credentials into requests.
        user_agent: what the client calls itself.
        timeout: seconds that one request may take; None: any time.
        verify: whether certificates are checked, or what they are checked by.
        transport: stands in for the network.

    Attributes:
        mismatch: what is too old for the service, once that is known; refusals tell it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: httpx.Auth,
        user_agent: str,
        timeout: float | None,
        verify: bool | ssl.SSLContext = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self._auth = auth
        self._user_agent = user_agent
        self._timeout = timeout
        self._verify = verify
        self._transport = transport
        self.mismatch: VersionMismatch | None = None
        self._budget = None if is_loopback(base_url) else RequestBudget()
        self._http: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(
        self, method: str, path: str, shape: type[A], what: str, body: object = None
    ) -> A:
        """Make a request and read its answer as ``shape``.

        Raises:
            AnswerNotUnderstood: if it is something else.
            FuncXError: as :meth:`ask`.
        """
        return read(await self.ask(method, path, what, body), shape, what)

    async def ask(self, method: str, path: str, what: str, body: object = None) -> bytes:
        """Make a request and give the body of its answer.

        Args:
            method: such as ``GET``.
            path: from the service's root.
            what: the request in words, for errors, such as ``registering a function``.
            body: is sent as JSON, unless it is None.

        Raises:
            SerializationError: if JSON cannot carry the body.
            RequestRefused: if the service says no.
            ServiceUnavailable: if it certainly did nothing.
            AnswerLost: if nobody can know what it did.
            RuntimeError: on a second event loop while the first is open.
        """
        await self._within_limits()
        content, before = _encoded(body, what), cancel_requests()
        headers = {} if body is None else {"Content-Type": "application/json"}
        http = self._session()
        request = http.build_request(method, path, content=content, headers=headers)
        try:
            async with asyncio.timeout(self._timeout):
                response = await http.send(request)
        except _NOT_WRITTEN as error:
            raise ServiceUnavailable(
                f"{self.base_url} cannot be reached for {what} ({_in_words(error)}). Check the "
                "address, the network and the proxy."
            ) from error
        except asyncio.CancelledError as error:
            if is_cancelled(before):
                raise
            raise AnswerLost(f"Something underneath was cancelled at {what}.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            if AWAITS_TOKEN in request.extensions:
                raise ServiceUnavailable(
                    f"There was no token in time for {what} ({_in_words(error)})."
                ) from error
            raise AnswerLost(f"The service did not answer {what} ({_in_words(error)}).") from error
        if response.is_success:
            return response.content
        refused = refusal(
            what, response.status_code, response.headers, response.content, datetime.now(UTC)
        )
        if self.mismatch is not None and isinstance(refused, RequestRefused):
            refused.version_mismatch = self.mismatch
            refused.add_note(str(self.mismatch))
        raise refused

    async def within_budget(self, share: float = 1.0) -> None:
        """Wait until the hosted service allows one more request; others have no such limit.

        Args:
            share: the part of the budget that requests of this kind may use up.
        """
        if self._budget is not None:
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._budget.delay(now, share=share))

    async def aclose(self) -> None:
        """Close the connections; the next request makes new ones."""
        http, self._http, self._loop = self._http, None, None
        if http is not None:
            await http.aclose()

    async def _within_limits(self) -> None:
        if self._budget is not None:
            now = asyncio.get_running_loop().time()
            delay = self._budget.delay(now)
            self._budget.spend(now + delay)
            await asyncio.sleep(delay)

    def _session(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._http is None or self._loop is None or self._loop.is_closed():
            self._loop = loop
            half = None if self._timeout is None else self._timeout / 2
            self._http = httpx.AsyncClient(
                base_url=self.base_url,
                auth=self._auth,
                timeout=httpx.Timeout(self._timeout, connect=half, pool=half),
                verify=self._verify,
                transport=self._transport,
                headers={"Accept": "application/json", "User-Agent": self._user_agent},
                trust_env=not is_loopback(self.base_url),
            )
        if self._loop is not loop:
            raise RuntimeError(
                "This FuncXClient belongs to another event loop that is still open: make one "
                "client for each loop."
            )
        return self._http


def _encoded(body: object, what: str) -> bytes | None:
    try:
        return None if body is None else msgspec.json.encode(body)
    except (TypeError, ValueError) as error:
        raise SerializationError(f"{what}: {error}, which JSON cannot carry.") from error


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
