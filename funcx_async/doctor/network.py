"""Probes of names, ports, certificates and brokers; each makes one attempt."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import aio_pika
import httpx
from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from funcx_async._net.http import web_transport
from funcx_async._net.proxies import Proxy, Refusal, refusal
from funcx_async._net.tunnel import BrokerUnreachable, connect
from funcx_async._results.amqp_transport import DeliveryTransport, takes_transport

BROKER_CLOSE_TIMEOUT = 0.2
"""Seconds to wait for a broker's answer to the closing of a connection."""

Kind = Literal[
    "dns",
    "refused",
    "timeout",
    "unreachable",
    "certificate",
    "tls",
    "proxy",
    "login",
    "lost",
]

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


@dataclass(frozen=True, slots=True)
class ConnectFailure:
    """Why a connection could not be made.

    Attributes:
        kind: ``dns``: the name has no address; ``refused``: nothing listens on the port;
            ``timeout``: no answer in time; ``unreachable``: no route; ``certificate``: it was
            rejected; ``tls``: the handshake failed; ``proxy``: the proxy did not connect;
            ``login``: the broker rejected the login; ``lost``: the connection was closed.
        reason: the message of the operating system or of the library.
        code: OpenSSL's number for what is wrong with a certificate.
        refusal: what a proxy answered, with the remedy; None if no proxy was the cause.
    """

    kind: Kind
    reason: str
    code: int = 0
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response of a web service.

    Attributes:
        status: the HTTP status.
        body: the body.
        date: the ``Date`` header.
        received_at: when it arrived, in Unix seconds.
    """

    status: int
    body: bytes
    date: str | None
    received_at: float


def classify(error: BaseException) -> ConnectFailure:
    """Return what a network error means.

    Example:
        >>> classify(ConnectionRefusedError(111, "Connection refused"))
        ConnectFailure(kind='refused', reason='connection refused', code=0, refusal=None)
    """
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailure("certificate", error.verify_message.rstrip("."), error.verify_code)
    if isinstance(error, BrokerUnreachable):
        kind: Kind = "timeout" if error.refusal is None else "proxy"
        return ConnectFailure(kind, reason, 0, error.refusal)
    if isinstance(error, socket.gaierror):
        return ConnectFailure("dns", reason)
    if isinstance(error, TimeoutError):
        return ConnectFailure("timeout", "timed out")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return ConnectFailure("tls", error.reason or reason)
    # asyncio joins the errors of several addresses of one name into one text.
    numbers = {int(number) for number in re.findall(r"Errno (\d+)", str(error))}
    if isinstance(error, ConnectionRefusedError) or errno.ECONNREFUSED in numbers:
        return ConnectFailure("refused", "connection refused")
    if numbers & _UNREACHABLE:
        return ConnectFailure("unreachable", reason)
    return ConnectFailure("lost", reason)


async def count_addresses(host: str) -> int:
    """Return how many addresses DNS has for a name.

    Raises:
        OSError: if the lookup fails.
    """
    # The lookup runs in a daemon thread of its own: a resolver may take minutes, and asyncio waits
    # for the threads of its pool at exit.
    loop = asyncio.get_running_loop()
    counted: asyncio.Future[int] = loop.create_future()

    def settle(count: int, error: OSError | None) -> None:
        if not counted.done():
            counted.set_result(count) if error is None else counted.set_exception(error)

    def look_up() -> None:
        """Resolve the name and hand the result to the event loop, if it still runs."""
        count, failure = 0, None
        try:
            count = len({entry[4][0] for entry in socket.getaddrinfo(host, None)})
        except OSError as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, count, failure)

    threading.Thread(target=look_up, name="funcx:doctor", daemon=True).start()
    return await counted


async def open_and_close(
    host: str, port: int, proxy: Proxy | None, context: ssl.SSLContext | None = None
) -> tuple[ConnectFailure | None, float | None]:
    """Open a connection and close it again.

    Args:
        host: the name of the server.
        port: its port.
        proxy: the proxy to use; None connects directly.
        context: the settings of TLS; None connects without TLS.

    Returns:
        Why it failed, and when the certificate expires in Unix seconds, if it was verified.
    """
    try:
        transport = await connect(
            asyncio.Protocol(), host, port, context=context, proxy=proxy, options={}
        )
    except OSError as error:
        return classify(error), None
    certificate = transport.get_extra_info("peercert") if context is not None else None
    transport.abort()
    expires = certificate and certificate.get("notAfter")
    return None, ssl.cert_time_to_seconds(expires) if expires else None


async def probe_port(
    host: str, port: int, proxy: Proxy | None, timeout: float
) -> ConnectFailure | None:
    """Open a TCP connection and close it again; return why it failed, if it did.

    Args:
        host: the name of the server.
        port: its port.
        proxy: the proxy to use; None connects directly.
        timeout: seconds to connect.
    """
    try:
        async with asyncio.timeout(timeout):
            return (await open_and_close(host, port, proxy))[0]
    except TimeoutError as error:
        failure = classify(error)
        if proxy is None:
            return failure
        target = f"{host}:{port}"
        return replace(failure, refusal=refusal(proxy, target, "silent", f"{timeout:g} s"))


async def get(url: str, proxy: Proxy | None, context: ssl.SSLContext | bool) -> Response | str:
    """Send a GET request without credentials; return the response, or why there is none.

    Args:
        url: the URL.
        proxy: the proxy to use; None connects directly.
        context: the settings of TLS.
    """
    transport = web_transport(url, proxy, context)
    try:
        async with httpx.AsyncClient(transport=transport, timeout=None) as http:  # noqa: S113
            response = await http.get(url, headers={"Accept": "application/json"})
    except httpx.HTTPError as error:
        return _message(error)
    date = response.headers.get("date")
    return Response(response.status_code, response.content, date, time.time())


async def log_in_to_broker(url: URL, proxy: Proxy | None, timeout: float) -> ConnectFailure | None:
    """Log in to a broker and disconnect.

    Args:
        url: the URL of the broker, with name and password.
        proxy: the proxy to use; None connects directly.
        timeout: seconds to connect and log in.

    Returns:
        Why it failed, without the password; None if it succeeded.
    """
    connection = aio_pika.Connection(url)
    if takes_transport():
        connection.kwargs["transport_factory"] = DeliveryTransport(None, proxy)
    task, failure = asyncio.current_task(), None
    try:
        async with asyncio.timeout(timeout):
            await connection.connect()
    except (Exception, asyncio.CancelledError) as error:  # aio-pika lets many kinds out
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        failure = _login_failure(error, url.password)
    with suppress(Exception):
        async with asyncio.timeout(BROKER_CLOSE_TIMEOUT):
            await connection.close()
    return failure


def _login_failure(error: BaseException, password: str | None) -> ConnectFailure:
    message = _message(error)
    message = message.replace(password, "***") if password else message
    if isinstance(error, (AuthenticationError, ProbableAuthenticationError)):
        return ConnectFailure("login", message)
    failure = classify(error)
    return failure if failure.kind != "lost" else ConnectFailure("lost", message)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")
