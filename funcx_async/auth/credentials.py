"""Client credentials: how a program logs in, by an id and a secret of its own."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import msgspec
from anyio import to_thread

from funcx_async._net.environment import AUTH_URL_VARIABLE, checked_auth_url
from funcx_async._net.http import (
    ResponseTooLong,
    proxy_refusal,
    read_body,
    retry_after,
    web_proxy,
    web_transport,
)
from funcx_async._net.proxies import Proxy
from funcx_async.auth.bearer import RenewingAuth
from funcx_async.auth.storage import StoredToken, TokenFile, TokenKey
from funcx_async.auth.tokens import SCOPE, Token, issued_token
from funcx_async.errors import AuthenticationFailed, FuncXError, ServiceUnavailable

TIMEOUT = 30.0
"""Seconds that a request for a token may take."""

MAX_ANSWER_BYTES = 1024 * 1024
"""Bytes of the answer of a token endpoint."""

_WORD = re.compile("[a-z_]{1,40}")
_ID_REFUSED = ("invalid_client", "unauthorized_client", "invalid_grant")


class ClientCredentials(RenewingAuth):
    """Exchanges a client's id and secret for tokens, as OAuth 2 has it, and renews them in time.

    Give it to ``FuncXClient(auth=...)``; it may be shared by clients of several event loops. The
    token is kept in memory, and in a file where one is given; the secret only in memory.

    Args:
        client_id: the client's id, a UUID with Globus.
        client_secret: its secret.
        scope: what the token shall be good for; by default everything that Globus Compute offers.
        auth_url: where tokens are issued, https or on this very machine.
        storage: a file for the token, to be shared by processes and to outlive them; by default
            it is kept in memory alone.
        clock: gives the time in Unix seconds.
        transport: stands in for the network, in tests.

    Raises:
        ValueError: for an empty id or secret, or an ``auth_url`` that must not see a secret.

    Example:
        >>> ClientCredentials("4cf29807-cf21-49ec-9443-ff9a3fb9f81c", "a secret")
        <ClientCredentials 4cf29807-cf21-49ec-9443-ff9a3fb9f81c>
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        scope: str = SCOPE,
        auth_url: str = "https://auth.globus.org",
        storage: TokenFile | Path | None = None,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(clock)
        if not client_id or not client_secret:
            raise ValueError("Client credentials are an id and a secret; one of them is empty.")
        self._key = TokenKey(client_id, scope, checked_auth_url(auth_url, "auth_url"))
        self._basic = httpx.BasicAuth(client_id, client_secret)
        self._storage = TokenFile(storage) if isinstance(storage, Path) else storage
        self._transport = transport

    def __repr__(self) -> str:
        return f"<ClientCredentials {self._key.client_id}>"

    async def fetch(self, refused: str | None) -> Token:
        """Take the stored token, unless it is due or refused; else ask for one."""
        stored = await self._stored(refused)
        now = self._clock()
        if stored is not None and not stored.is_due(now):
            return stored
        try:
            issued = await self._issued()
        except ServiceUnavailable:
            if stored is not None and not stored.is_expired(now):
                return stored
            raise
        if self._storage is not None:
            await to_thread.run_sync(self._storage.store, self._key, issued)
        return _with_chance(issued)

    async def _stored(self, refused: str | None) -> Token | None:
        if self._storage is None:
            return None
        if refused is not None:
            await to_thread.run_sync(self._storage.drop, self._key, refused)
        stored = await to_thread.run_sync(self._storage.load, self._key)
        return None if stored is None else _with_chance(stored)

    async def _issued(self) -> StoredToken:
        """Ask for a token."""
        now, url = self._clock(), f"{self._key.auth_url}/v2/oauth2/token"
        proxy, http = self._way()
        try:
            request = http.stream(
                "POST",
                url,
                auth=self._basic,
                data={"grant_type": "client_credentials", "scope": self._key.scope},
                headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate"},
            )
            async with asyncio.timeout(TIMEOUT), http, request as response:
                body = await read_body(response, MAX_ANSWER_BYTES)
        except ResponseTooLong as error:
            raise self._unusable(url, error) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if proxy is not None and isinstance(error, httpx.ProxyError):
                raise proxy_refusal(proxy, httpx.URL(url), str(error)) from error
            way = "" if proxy is None else f" through {proxy}"
            raise ServiceUnavailable(
                f"{self._key.auth_url} gives no token for the client {self._key.client_id} now"
                f"{way} ({type(error).__name__}). Check the network, the proxy and "
                f"{AUTH_URL_VARIABLE}."
            ) from error
        if response.status_code != 200:
            raise self._refusal(response, body)
        try:
            text, expires_at = issued_token(body, self._key.scope, now)
        except ValueError as error:
            raise self._unusable(url, error) from error
        return StoredToken(text, now, expires_at)

    def _unusable(self, url: str, error: Exception) -> FuncXError:
        return AuthenticationFailed(
            f"The answer of {url} cannot be used: {error}. Check {AUTH_URL_VARIABLE} and the scope "
            f"{self._key.scope}."
        )

    def _way(self) -> tuple[Proxy | None, httpx.AsyncClient]:
        """Find through which proxy tokens are asked for, and make what asks."""
        url, proxy, transport = self._key.auth_url, None, self._transport
        try:
            if transport is None:
                proxy = web_proxy(url)
                transport = web_transport(url, proxy)
        except ValueError as error:  # a variable that holds no proxy, or no certificates
            raise ServiceUnavailable(f"There is no way to {url}: {error}") from None
        return proxy, httpx.AsyncClient(timeout=TIMEOUT, transport=transport)

    def _refusal(self, response: httpx.Response, body: bytes) -> FuncXError:
        """Return the error for an answer other than 200."""
        status, code = response.status_code, _error_code(body)
        told = f"{status} {code}" if code else str(status)
        client_id, auth_url = self._key.client_id, self._key.auth_url
        if status == 429 or status >= 500:
            return ServiceUnavailable(
                f"{auth_url} gives no token for the client {client_id} now ({told}). Try again "
                "later.",
                retry_after=retry_after(response.headers.get("retry-after"), datetime.now(UTC)),
            )
        refused = partial(AuthenticationFailed, status=401, code=code or None)
        if code in _ID_REFUSED or (status == 401 and not code):
            return refused(
                f"{auth_url} does not accept the secret of the client {client_id} ({told}): it is "
                "wrong, or was revoked. Make a new secret for this client at "
                "https://app.globus.org/settings/developers and give that."
            )
        return refused(
            f"{auth_url} gives the client {client_id} no token ({told}). Check the scope "
            f"{self._key.scope}, and that {AUTH_URL_VARIABLE} names a service of Globus Auth."
        )


def _with_chance(stored: StoredToken) -> Token:
    return Token.issued(*stored, chance=random.random())  # noqa: S311 - spreads load, no secret


def _error_code(body: bytes) -> str:
    """The answer's word for what is wrong, if it is a word; never a sentence that might quote."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    code = document.get("error") if isinstance(document, dict) else None
    return code if isinstance(code, str) and _WORD.fullmatch(code) else ""
