"""How one request is made: to which service, as whom, how often, and what becomes of failures.

Everything that touches httpx is here and in ``auth``. What the requests are is in ``routes``. Its
transports are used without its client, which would look for redirects, cookies and hooks that
there are none of here, at a quarter of the cost of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from bisect import insort
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import count
from typing import TypeVar

import httpx
import msgspec

from funcx_async._core.budget import RequestBudget
from funcx_async._net.cancellation import cancel_requests, is_cancelled
from funcx_async._net.environment import is_loopback
from funcx_async._net.http import ResponseTooLong, Written, proxy_refusal, read_body, web_transport
from funcx_async._net.proxies import Proxy
from funcx_async._process import CONNECTIONS, confined
from funcx_async._service.answers import read
from funcx_async._service.refusals import refusal
from funcx_async.auth import AWAITS_TOKEN
from funcx_async.errors import (
    FuncXError,
    RequestRefused,
    ResponseLost,
    ResponseNotUnderstood,
    SerializationError,
    ServiceUnavailable,
    VersionMismatch,
)

A = TypeVar("A")

PARSED_URLS = 16
"""So many URLs are kept parsed, of requests with a body: those go to very few, while a request
without one mostly names a task, an endpoint or a function of its own."""

READ_SHARE = 0.75
"""The share of the request budget that reads may use; the rest is left for submits."""

_share = ContextVar("funcx_async request budget share", default=1.0)

MAX_REFUSAL_BYTES = 1024 * 1024
"""Bytes of the body of a response that is no success; a longer one is not looked at."""

_NOT_WRITTEN = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""What httpx raises before a byte of the request is on the wire."""


@contextmanager
def budget_share(share: float) -> Iterator[None]:
    """Limit the requests within the context to a share of the request budget.

    Args:
        share: the share, from 0 to 1. Requests with a larger share go first.
    """
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


class Admission:
    """Admits requests when the budget allows them: larger shares first, else in order.

    Nothing is spent before a request is admitted, so a cancelled one costs nothing.

    Args:
        budget: the budget.
    """

    def __init__(self, budget: RequestBudget) -> None:
        self._budget = budget
        self._waiting: list[tuple[float, int, asyncio.Event]] = []
        self._numbers = count()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def wait(self, share: float, *, spend: bool) -> None:
        """Wait until one more request may go.

        Args:
            share: the share of the budget that requests of this kind may use.
            spend: whether the request goes now; False only waits.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # nobody waits on a loop that was closed
            self._loop = loop
            self._waiting.clear()
        changed = asyncio.Event()
        waiter = (-share, next(self._numbers), changed)
        insort(self._waiting, waiter, key=lambda each: each[:2])
        try:
            while True:
                delay = None
                if self._waiting[0] is waiter:
                    delay = self._budget.delay(loop.time(), share=share)
                    if delay <= 0:
                        break
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await changed.wait()
                changed.clear()
            if spend:
                self._budget.spend(loop.time())
        finally:
            self._waiting.remove(waiter)
            if self._waiting:
                self._waiting[0][2].set()


@confined(CONNECTIONS)
class Rest:
    """Asks one service, from one event loop at a time; binds to the loop that first uses it.

    Args:
        base_url: the service's root.
        auth: puts the credentials into requests.
        user_agent: what the client calls itself.
        timeout: seconds that one request may take; None: any time.
        verify: whether certificates are checked, or what they are checked by.
        proxy: through which the service is reached; None: directly.
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
        proxy: Proxy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self._auth = auth
        self._timeout = timeout
        self._verify = verify
        self._proxy = proxy
        self._transport = transport
        self.mismatch: VersionMismatch | None = None
        self._admission = None if is_loopback(base_url) else Admission(RequestBudget())
        self._carrier: httpx.AsyncBaseTransport | None = None
        self._url = partial(_url, base_url.rstrip("/"))
        self._url_kept = lru_cache(PARSED_URLS)(self._url)
        self._headers = _headers(user_agent)
        self._headers_of_json = _headers(user_agent, {"Content-Type": "application/json"})
        # Reading and writing are within the time of the whole request, which `ask` keeps.
        half = None if timeout is None else timeout / 2
        self._timeouts = httpx.Timeout(None, connect=half, pool=half).as_dict()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(
        self, method: str, path: str, shape: type[A], what: str, body: object = None
    ) -> A:
        """Make a request and read its answer as ``shape``.

        Raises:
            ResponseNotUnderstood: if it is something else.
            FuncXError: as :meth:`ask`.
        """
        return read(await self.ask(method, path, what, body), shape, what)

    async def ask(self, method: str, path: str, what: str, body: object = None) -> bytes:
        """Make a request and return the body of its answer.

        Args:
            method: such as ``GET``.
            path: from the service's root.
            what: the request, for errors, such as ``registering a function``.
            body: is sent as JSON, unless it is None.

        Raises:
            SerializationError: if JSON cannot carry the body.
            RequestRefused: if the service, or a proxy on the way, refuses it.
            ServiceUnavailable: if the service certainly did nothing.
            ResponseLost: if it is unknown what the service did.
            ResponseNotUnderstood: if the answer is longer than any that is expected.
            RuntimeError: on a second event loop while the first is open.
        """
        if self._admission is not None:
            is_read = method == "GET" or path.endswith("batch_status")
            await self._admission.wait(
                min(_share.get(), READ_SHARE if is_read else 1.0), spend=True
            )
        content, before = _encoded(body, what), cancel_requests()
        carrier = self._bound()
        request = self._request(method, path, content)
        try:
            async with asyncio.timeout(self._timeout):
                response, answer = await self._exchange(request, carrier)
        except _NOT_WRITTEN as error:
            raise self._unreached(what, request, error) from error
        except asyncio.CancelledError as error:
            if is_cancelled(before):
                raise
            raise ResponseLost(f"Something underneath was cancelled at {what}.") from error
        except (httpx.HTTPError, TimeoutError) as error:
            if AWAITS_TOKEN in request.extensions:
                raise ServiceUnavailable(
                    f"There was no token in time for {what} ({_in_words(error)})."
                ) from error
            written = request.extensions.get("trace")
            if isinstance(written, Written) and not written.begun:
                raise self._unreached(what, request, error) from error
            raise ResponseLost(
                f"The service did not answer {what} ({_in_words(error)})."
            ) from error
        except ResponseTooLong as error:
            raise ResponseNotUnderstood(
                f"The service's answer to {what} was not read: {error}. Ask for less at once."
            ) from error
        if response.is_success:
            return answer
        raise self._refused(what, request, response, answer)

    async def within_budget(self, share: float = 1.0) -> None:
        """Wait until the hosted service allows one more request; other services have no limit.

        Args:
            share: the share of the budget that requests of this kind may use.
        """
        if self._admission is not None:
            await self._admission.wait(share, spend=False)

    async def aclose(self) -> None:
        """Close the connections; the next request makes new ones."""
        carrier, self._carrier, self._loop = self._carrier, None, None
        if carrier is not None:
            await carrier.aclose()

    def _unreached(self, what: str, request: httpx.Request, error: Exception) -> FuncXError:
        if self._proxy is not None and isinstance(error, httpx.ProxyError):
            return proxy_refusal(self._proxy, request.url, str(error))
        way = "" if self._proxy is None else f" through {self._proxy}"
        return ServiceUnavailable(
            f"{self.base_url} cannot be reached{way} for {what} ({_in_words(error)}). Check the "
            "address, the network and the proxy."
        )

    def _refused(
        self, what: str, request: httpx.Request, response: httpx.Response, answer: bytes
    ) -> FuncXError:
        if self._proxy is not None and response.status_code == 407:
            return proxy_refusal(self._proxy, request.url, f"407 {response.reason_phrase}")
        refused = refusal(what, response.status_code, response.headers, answer, datetime.now(UTC))
        if self.mismatch is not None and isinstance(refused, RequestRefused):
            refused.version_mismatch = self.mismatch
            refused.add_note(str(self.mismatch))
        return refused

    async def _exchange(
        self, request: httpx.Request, carrier: httpx.AsyncBaseTransport
    ) -> tuple[httpx.Response, bytes]:
        """Send a request, again if its credentials want that; return the answer and its body."""
        steps = self._auth.async_auth_flow(request)
        try:
            following = await anext(steps)
            while True:
                response = await carrier.handle_async_request(following)
                response.request = following
                try:
                    body = await _body(response)
                finally:
                    await response.aclose()
                try:
                    following = await steps.asend(self._for_auth(response, body))
                except StopAsyncIteration:
                    return response, body
        finally:
            await steps.aclose()

    def _for_auth(self, response: httpx.Response, body: bytes) -> httpx.Response:
        """Return the response as the credentials read it."""
        if not self._auth.requires_response_body:
            return response
        encodings = ("content-encoding", "content-length", "transfer-encoding")
        headers = [each for each in response.headers.multi_items() if each[0] not in encodings]
        return httpx.Response(
            response.status_code, headers=headers, content=body, request=response.request
        )

    def _request(self, method: str, path: str, content: bytes | None) -> httpx.Request:
        has_body = content is not None
        extensions: dict[str, object] = {"timeout": self._timeouts}
        if self._proxy is not None:
            extensions["trace"] = Written()
        return httpx.Request(
            method,
            self._url_kept(path) if has_body else self._url(path),
            headers=self._headers_of_json if has_body else self._headers,
            content=content,
            extensions=extensions,
        )

    def _bound(self) -> httpx.AsyncBaseTransport:
        """Return the transport of the running loop."""
        loop = asyncio.get_running_loop()
        if self._carrier is None or self._loop is None or self._loop.is_closed():
            self._loop = loop
            self._carrier = self._transport or web_transport(
                self.base_url, self._proxy, self._verify
            )
        if self._loop is not loop:
            raise RuntimeError(
                "This FuncXClient belongs to another event loop that is still open: make one "
                "client for each loop."
            )
        return self._carrier


async def _body(response: httpx.Response) -> bytes:
    if response.is_success:
        return await read_body(response)
    try:
        return await read_body(response, MAX_REFUSAL_BYTES)
    except ResponseTooLong:  # the status says enough
        return b""


def _url(root: str, path: str) -> httpx.URL:
    return httpx.URL(root + path)


def _headers(user_agent: str, more: Mapping[str, str] | None = None) -> httpx.Headers:
    return httpx.Headers(
        {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Connection": "keep-alive",
            "User-Agent": user_agent,
            **(more or {}),
        }
    )


def _encoded(body: object, what: str) -> bytes | None:
    try:
        return None if body is None else msgspec.json.encode(body)
    except (TypeError, ValueError) as error:
        raise SerializationError(f"{what}: {error}, which JSON cannot carry.") from error


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
