"""Connecting to a broker: directly, or through a proxy by HTTP ``CONNECT``.

The proxy is asked for a connection to the broker and relays bytes from then on. TLS is spoken with
the broker inside of that connection, so the proxy reads nothing of it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

from yarl import URL

from funcx_async._net.environment import is_loopback
from funcx_async._net.proxies import Proxy, Refusal, RefusalKind, refusal, refusal_of_status

REACH_TIMEOUT: Final = 15.0
"""Seconds to reach the broker, TLS and a proxy's answer included: firewalls that drop packets make
a try as long as this."""

LONGEST_ANSWER: Final = 64 * 1024
"""Bytes of a proxy's answer; what is longer is none."""

_NOT_UNDERSTOOD = "the service's address of the queue is not understood"

_BEGIN = b"HTTP/1."
_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3} ?[ -~]{0,100})[^\r\n]*\r?\n")


class BrokerUnreachable(OSError):
    """There is no way to the broker; the message says where it ends.

    Attributes:
        refusal: why the proxy on the way does not connect; None: there is no proxy, and the broker
            does not answer in time.
    """

    def __init__(self, why: Refusal | str) -> None:
        super().__init__(str(why))
        self.refusal = why if isinstance(why, Refusal) else None


def broker_url(address: str, service_url: str = "") -> URL:
    """Return the URL of a broker, as far as the service may choose it.

    Of its query the interval of heartbeats alone counts: other options of the AMQP library name
    local files, or switch the check of certificates off.

    Args:
        address: the AMQP URL that the service gives.
        service_url: the service's own root; if it is encrypted, the broker has to be.

    Raises:
        BrokerUnreachable: if it is no such URL.

    Example:
        >>> print(broker_url("amqps://u@broker.org/?heartbeat=5&no_verify_ssl=1"))
        amqps://u@broker.org/?heartbeat=5
    """
    try:
        url = URL(address)
        known = {name: url.query[name] for name in ("heartbeat",) if name in url.query}
        checked = url.with_query(known)
    except ValueError:
        raise BrokerUnreachable(_NOT_UNDERSTOOD) from None
    if url.scheme not in ("amqp", "amqps") or not url.host:
        raise BrokerUnreachable(_NOT_UNDERSTOOD)
    encrypted = service_url.lower().startswith("https:") and not is_loopback(service_url)
    if url.scheme == "amqp" and encrypted:
        raise BrokerUnreachable(
            f"the service is reached by https, but names a broker without TLS, {url.host}: "
            "passwords and results could be read on the way. Ask its operators for an amqps URL"
        )
    return checked


async def connect(
    protocol: asyncio.Protocol,
    host: str,
    port: int,
    *,
    context: ssl.SSLContext | None,
    proxy: Proxy | None,
    options: Mapping[str, Any],
) -> asyncio.Transport:
    """Connect ``protocol`` to a broker.

    Args:
        protocol: receives the connection and all that comes.
        host: the broker's name or address, which its certificate is for.
        port: its port.
        context: what its certificate is checked by; None: without TLS.
        proxy: through which; None: directly.
        options: go to asyncio's own way to connect directly.

    Raises:
        BrokerUnreachable: if the proxy cannot be reached, or does not connect.
        OSError: if the broker cannot be reached, or has another's certificate.
    """
    try:
        async with asyncio.timeout(REACH_TIMEOUT):
            if proxy is None:
                return await _directly(protocol, host, port, context, options)
            return await _through(proxy, protocol, host, port, context)
    except TimeoutError:
        limit = f"{REACH_TIMEOUT:g} s"
        if proxy is None:
            raise BrokerUnreachable(f"port {port} does not answer in {limit}") from None
        raise BrokerUnreachable(refusal(proxy, _target(host, port), "silent", limit)) from None


async def _directly(
    protocol: asyncio.Protocol,
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    options: Mapping[str, Any],
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: protocol, host, port, ssl=context, **options
    )
    return transport


async def _through(
    proxy: Proxy, protocol: asyncio.Protocol, host: str, port: int, context: ssl.SSLContext | None
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    target = _target(host, port)
    tunnel = await _tunnel(proxy, target)
    end: asyncio.Transport | None = tunnel
    try:
        if context is None:
            tunnel.set_protocol(protocol)
        elif not tunnel.is_closing():
            end = await loop.start_tls(tunnel, protocol, context, server_hostname=host)
        if end is None or end.is_closing():
            raise BrokerUnreachable(refusal(proxy, target, "unreachable", "it hung up at once"))
    except BaseException:  # cancelled as well: nothing is left open
        tunnel.abort()
        raise
    protocol.connection_made(end)  # asyncio tells only who connects without a tunnel
    return end


async def _tunnel(proxy: Proxy, target: str) -> asyncio.Transport:
    """Ask a proxy for a connection to ``target``, and return it."""
    if not proxy.tunnels:
        raise BrokerUnreachable(_no_tunnel(proxy))
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if proxy.scheme == "https" else None
    try:
        transport, answer = await loop.create_connection(
            lambda: _Answer(loop), proxy.host, proxy.port, ssl=context
        )
    except OSError as error:
        told = f"{type(error).__name__}: {error}"
        raise BrokerUnreachable(refusal(proxy, target, _kind(error), told)) from error
    try:
        transport.write(_request(proxy, target))
        told = await answer.told
    except BaseException:  # cancelled as well: nothing is left open
        transport.abort()
        raise
    if told.startswith("2"):
        return transport
    transport.abort()
    if not told:
        raise BrokerUnreachable(refusal(proxy, target, "no proxy"))
    raise BrokerUnreachable(refusal_of_status(proxy, target, told))


def _no_tunnel(proxy: Proxy) -> Refusal:
    return Refusal(
        "no proxy",
        f"{proxy} is not an HTTP proxy, and results come through no other",
        "To have AMQP pass, give an HTTP proxy in HTTPS_PROXY.",
    )


def _kind(error: OSError) -> RefusalKind:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    return "no proxy" if isinstance(error, ssl.SSLError) else "down"


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class _Answer(asyncio.Protocol):
    """What a proxy answers.

    Attributes:
        told: the status with its words, such as ``200 OK``; empty if the answer is no answer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told: asyncio.Future[str] = loop.create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Read the head of the answer, once it is whole."""
        self._received += data
        while not self.told.done():
            answer = _ANSWER.match(self._received)
            end = re.search(rb"\r?\n\r?\n", self._received)
            if end is None:
                # What begins otherwise is another protocol, whose server may never answer.
                begins = self._received[: len(_BEGIN)] == _BEGIN[: len(self._received)]
                if not begins or len(self._received) > LONGEST_ANSWER:
                    self.told.set_result("")
                return
            rest = self._received[end.end() :]
            if answer is not None and answer[1].startswith(b"1"):  # it goes on: 100 Continue
                self._received = rest
                continue
            # Nobody speaks in the tunnel before we do: what follows a yes is not the broker's.
            talks_on = rest and answer and answer[1].startswith(b"2")
            self.told.set_result("" if answer is None or talks_on else answer[1].decode().strip())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.told.done():
            self.told.set_result("")
