"""Looking: names, ports, certificates and answers, each in one try."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import aio_pika
import httpx
from aiormq.exceptions import AuthenticationError, ProbableAuthenticationError
from yarl import URL

from funcx_async._net.proxies import Proxy, refusal
from funcx_async._net.transports import web_transport
from funcx_async._net.tunnel import connect
from funcx_async._results.amqp_transport import DeliveryTransport, takes_transport
from funcx_async.doctor.troubles import Trouble, trouble_of

LEAVING = 0.2
"""Seconds to say good-bye to a broker."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a web service answers.

    Attributes:
        status: the HTTP status.
        body: the body.
        date: its ``Date`` header.
        came_at: when it came, in Unix seconds.
    """

    status: int
    body: bytes
    date: str | None
    came_at: float


async def addresses_of(host: str) -> int:
    """Count the addresses of a name.

    Raises:
        OSError: if it has none.
    """
    # In a thread that nobody waits for: a resolver may take minutes, and asyncio's own threads
    # would be waited for at the end.
    loop = asyncio.get_running_loop()
    found: asyncio.Future[int] = loop.create_future()

    def tell(count: int, error: OSError | None) -> None:
        if not found.done():
            found.set_result(count) if error is None else found.set_exception(error)

    def look() -> None:
        """Ask the resolver, and tell the event loop if it is still there."""
        count, failure = 0, None
        try:
            count = len({entry[4][0] for entry in socket.getaddrinfo(host, None)})
        except OSError as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, count, failure)

    threading.Thread(target=look, name="funcx:doctor", daemon=True).start()
    return await found


async def reach(
    host: str, port: int, proxy: Proxy | None, context: ssl.SSLContext | None = None
) -> tuple[Trouble | None, float | None]:
    """Connect, and close again.

    Args:
        host: the server's name.
        port: its port.
        proxy: through which; None: directly.
        context: what its certificate is checked by; None: without TLS.

    Returns:
        Why it did not work, and when the certificate ends in Unix seconds, as far as it is checked.
    """
    try:
        end = await connect(
            asyncio.Protocol(), host, port, context=context, proxy=proxy, options={}
        )
    except OSError as error:
        return trouble_of(error), None
    certificate = end.get_extra_info("peercert") if context is not None else None
    end.abort()
    expires = certificate and certificate.get("notAfter")
    return None, ssl.cert_time_to_seconds(expires) if expires else None


async def trouble_reaching(
    host: str, port: int, proxy: Proxy | None, limit: float
) -> Trouble | None:
    """Connect, and close again; gives why it did not work.

    Args:
        host: the server's name.
        port: its port.
        proxy: through which; None: directly.
        limit: seconds to connect.
    """
    try:
        async with asyncio.timeout(limit):
            return (await reach(host, port, proxy))[0]
    except TimeoutError as error:
        trouble = trouble_of(error)
        if proxy is None:
            return trouble
        return replace(trouble, refusal=refusal(proxy, f"{host}:{port}", "silent", f"{limit:g} s"))


async def ask(url: str, proxy: Proxy | None, context: ssl.SSLContext | bool) -> Answer | str:
    """Ask for ``url``, as nobody; words for why there is no answer.

    Args:
        url: what is asked for.
        proxy: through which; None: directly.
        context: what the certificate is checked by.
    """
    transport = web_transport(url, proxy, context)
    try:
        async with httpx.AsyncClient(transport=transport, timeout=None) as http:  # noqa: S113
            answer = await http.get(url, headers={"Accept": "application/json"})
    except httpx.HTTPError as error:
        return _in_words(error)
    date = answer.headers.get("date")
    return Answer(answer.status_code, answer.content, date, time.time())


async def log_in_to_broker(url: URL, proxy: Proxy | None, limit: float) -> Trouble | None:
    """Log in to a broker, and leave again, without waiting long for its good-bye.

    Args:
        url: the broker's, with name and password.
        proxy: through which; None: directly.
        limit: seconds to connect and log in.

    Returns:
        Why it did not work, without the password.
    """
    connection = aio_pika.Connection(url)
    if takes_transport():
        connection.kwargs["transport_factory"] = DeliveryTransport(None, proxy)
    task, trouble = asyncio.current_task(), None
    try:
        async with asyncio.timeout(limit):
            await connection.connect()
    except (Exception, asyncio.CancelledError) as error:  # aio-pika lets out what it trips over
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        trouble = _trouble_of_login(error, url.password)
    with suppress(Exception):
        async with asyncio.timeout(LEAVING):
            await connection.close()
    return trouble


def _trouble_of_login(error: BaseException, password: str | None) -> Trouble:
    text = _in_words(error)
    text = text.replace(password, "***") if password else text
    if isinstance(error, (AuthenticationError, ProbableAuthenticationError)):
        return Trouble("login", text)
    trouble = trouble_of(error)
    return trouble if trouble.kind != "lost" else Trouble("lost", text)


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")
