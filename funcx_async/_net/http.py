"""How httpx reaches a web service: directly, or through the proxy of the environment."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import Any

import httpx

from funcx_async._net.environment import TOO_MANY_FILES, is_loopback
from funcx_async._net.proxies import Proxy, proxy_for, refusal_of_status
from funcx_async.errors import FuncXError, RequestRefused, ServiceUnavailable

LONGEST_WAIT = 3600.0
"""Seconds: a longer Retry-After is taken for a mistake."""

MAX_BODY_BYTES = 256 * 1024 * 1024
"""Bytes of a response's body, after decompression; a single task's result has up to 10 MB."""

_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
"""The content encodings that requests accept. A chunk of these grows a thousandfold at most, while
several at once, such as ``gzip, gzip``, could turn a few kilobytes into gigabytes."""


class ResponseTooLong(Exception):
    """The body of a response exceeds its limit, or could not be read within it."""


async def read_body(response: httpx.Response, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read and decompress the body of a response.

    Args:
        response: a response whose body has not been read.
        limit: bytes of the body, after decompression.

    Raises:
        ResponseTooLong: if the body is longer, or has an encoding that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise ResponseTooLong(f"it has the content encoding {encoding[:40]!r}")
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise ResponseTooLong(f"it has more than {limit:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class Written:
    """Whether a request was written to a service, and not merely a proxy asked for the way to it.

    Give one to each request as the extension ``trace``, which httpx's transport calls.

    Attributes:
        begun: whether.
    """

    def __init__(self) -> None:
        self.begun = False

    async def __call__(self, event: str, about: Mapping[str, Any]) -> None:
        """Record what the transport does."""
        if event.endswith("send_request_headers.started"):
            self.begun |= about["request"].method != b"CONNECT"


def web_proxy(url: str) -> Proxy | None:
    """Find the proxy for ``url``, as :func:`proxy_for` does, that httpx can use.

    Raises:
        ValueError: if a variable does not hold a proxy's URL, or a package is missing for it.
    """
    proxy = proxy_for(url)
    if proxy is not None and not proxy.tunnels and find_spec("socksio") is None:
        raise ValueError(
            f"{proxy.source} names a SOCKS proxy, for which a package is missing: "
            "pip install 'httpx[socks]'. Or give an HTTP proxy in HTTPS_PROXY."
        )
    return proxy


def web_transport(
    url: str, proxy: Proxy | None, verify: bool | ssl.SSLContext = True
) -> httpx.AsyncHTTPTransport:
    """Make what carries requests to ``url``.

    Args:
        url: the service's.
        proxy: through which; None: directly.
        verify: whether the service's certificate is checked, or what it is checked by.

    Raises:
        ValueError: as :func:`certificate_check`.
    """
    return httpx.AsyncHTTPTransport(
        verify=certificate_check(url, verify),
        proxy=None if proxy is None else _for_httpx(proxy),
        trust_env=False,
    )


def certificate_check(url: str, verify: bool | ssl.SSLContext = True) -> ssl.SSLContext:
    """Make what the certificate of the service at ``url`` is checked by.

    Args:
        url: the service's; for one on this very machine the environment does not count.
        verify: whether it is checked, or what it is checked by.

    Raises:
        ValueError: if ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names no certificates.
        ServiceUnavailable: if too many files are open to read them now.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        return httpx.create_ssl_context(verify, trust_env=not is_loopback(url))
    except OSError as error:
        if error.errno in TOO_MANY_FILES:
            raise ServiceUnavailable(
                f"{url} cannot be reached: {error.strerror}, so its certificate cannot be checked. "
                "Close files or connections, or raise the limit (ulimit -n)."
            ) from error
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        raise ValueError(
            f"{name} must name certificates in PEM, not {os.environ.get(name)!r} ({error}). "
            "Correct it; or unset it, and those that most programs know count."
        ) from None


def proxy_refusal(proxy: Proxy, url: httpx.URL, told: str) -> FuncXError:
    """Make the error for a proxy's answer that is not a service's.

    Args:
        proxy: whose answer it is.
        url: what was asked for through it.
        told: the status with its words, such as ``403 Forbidden``.
    """
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    words = str(refusal_of_status(proxy, f"{url.host}:{port}", told))
    status = int(told[:3]) if told[:3].isdigit() else 0
    if 400 <= status < 500:
        return RequestRefused(words, status=status)
    return ServiceUnavailable(words)


def _for_httpx(proxy: Proxy) -> httpx.Proxy:
    login = (proxy.username, proxy.password) if proxy.authorization else None
    context = ssl.create_default_context() if proxy.scheme == "https" else None
    return httpx.Proxy(proxy.address, auth=login, ssl_context=context)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which holds seconds or a date, or None."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
