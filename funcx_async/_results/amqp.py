"""Deliveries over AMQP 0-9-1, by aio-pika, directly or through a proxy.

A plain connection, not aio-pika's robust one: that would reconnect with the old credentials and
declare queues, while this service issues new credentials for each connection and owns its queues.
The consumer opens the source again after a loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import aio_pika
import aiormq.abc
from yarl import URL

from funcx_async._core.acks import Ack
from funcx_async._net.cancellation import cancel_requests, is_cancelled
from funcx_async._net.environment import is_globus
from funcx_async._net.proxies import Proxy, proxy_for
from funcx_async._net.tunnel import BrokerUnreachable, broker_url
from funcx_async._results.amqp_transport import DeliveryReader, DeliveryTransport, takes_transport
from funcx_async._results.source import SourceLost
from funcx_async.models import Delivery, ResultQueueAddress

_log = logging.getLogger("funcx_async.results")

# A lost connection is logged by this package, once and in a sentence. Without a handler, Python
# would print aiormq's records beside it, tracebacks included, where logging is not configured.
logging.getLogger("aiormq").addHandler(logging.NullHandler())

PREFETCH = 2_000
"""Deliveries that are on the way or unacknowledged at most."""

MAX_UNSETTLED_BYTES = 128 * 1024 * 1024
"""Bytes of results that were read and are not acknowledged yet; over this the connection is not
read until some are. The broker bounds their number alone. It is more than the results that may wait
for the receipt of their submit (64 MiB), which no reading brings."""

COUNTED_BYTES = 16 * 1024
"""Bytes from which on a result counts: the prefetch bounds smaller ones, and most are small."""

CONNECT_TIMEOUT = 30.0
"""Seconds to connect, log in and begin to consume."""

HEARTBEAT = 10
"""Seconds between two heartbeats from each side, where the service's address says nothing else.
After about three missed ones the connection is lost. With aiormq's own interval that takes three
minutes, for which a half-open connection brings nothing."""

_STANDARD_PORT = 5671
_OTHER_PORTS = {443: 5671, 5671: 443}

CLOSE_TIMEOUT = 5.0
"""Seconds to close a connection."""


class AmqpSource:
    """Consumes the queue of a task group.

    Args:
        address: returns where the queue is, with fresh credentials; called before each connection.
        service_url: the root of the service that names the queue.
        port: returns the port to connect to instead of the service's choice, or None.
        in_bulk: take deliveries out of the stream of bytes, many at a time, where aiormq allows
            that; else each comes by way of aiormq, at many times the cost.
    """

    def __init__(
        self,
        address: Callable[[], Awaitable[ResultQueueAddress]],
        *,
        service_url: str = "",
        port: Callable[[], int | None] = lambda: None,
        in_bulk: bool = True,
    ) -> None:
        self._address = address
        self._service_url = service_url
        self._port = port
        self._gives_transport = takes_transport()
        self._in_bulk = in_bulk and self._gives_transport
        self._unreached = 0

    @asynccontextmanager
    async def open(self, task_group_id: str) -> AsyncIterator[AmqpDeliveries]:
        """Connect and consume, as :class:`funcx_async._results.source.ResultSource`."""
        address = await self._address()
        try:
            ways = _ways(broker_url(address.connection_url, self._service_url), self._port())
        except BrokerUnreachable as error:
            raise SourceLost(str(error)) from None
        url = ways[self._unreached % len(ways)]
        proxy = self._proxy(url)
        deliveries = AmqpDeliveries()
        connection = aio_pika.Connection(url)  # here, so that it is closed in whatever state
        transport = DeliveryTransport(deliveries.found if self._in_bulk else None, proxy)
        if self._gives_transport:
            connection.kwargs["transport_factory"] = transport
        try:
            with _raising_source_lost(url):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await connection.connect()
                    queue = address.queue_prefix + task_group_id
                    await deliveries.begin(connection, queue, transport.reader)
            yield deliveries
        finally:
            if transport.reader is None and self._gives_transport:
                self._unreached += 1
            if transport.desynchronised:
                self._in_bulk = False
                _log.info(
                    "the broker's stream is not understood; deliveries are read one by one from "
                    "now on",
                    extra={"task_group_id": task_group_id},
                )
            await _close(connection)

    def _proxy(self, url: URL) -> Proxy | None:
        try:
            proxy = proxy_for(str(url))
        except ValueError as error:
            raise SourceLost(f"{url.host}: {error}") from None
        if proxy is not None and not self._gives_transport:
            raise SourceLost(f"{url.host}: this version of aiormq knows no way through {proxy}")
        return proxy


def _ways(url: URL, port: int | None) -> Sequence[URL]:
    """Return the places to connect to in turn: firewalls let one port through and not the other.

    Globus's brokers listen on two ports; of others nothing is known.
    """
    url = url if port is None else url.with_port(port)
    url = url if "heartbeat" in url.query else url.update_query(heartbeat=HEARTBEAT)
    other = _OTHER_PORTS.get(url.port or _STANDARD_PORT)
    if port is None and other and url.scheme == "amqps" and is_globus(f"https://{url.host}"):
        return (url, url.with_port(other))
    return (url,)


class AmqpDeliveries:
    """The deliveries of one channel.

    Attributes:
        in_bulk: how many of them were taken out of the stream of bytes.
    """

    def __init__(self) -> None:
        self.in_bulk = 0
        self._burst: list[Delivery] = []
        self._lost: str | None = None
        self._unsettled = UnsettledBytes()
        self._reader: DeliveryReader | None = None
        self._changed = asyncio.Event()
        self._channel: aiormq.abc.AbstractChannel | None = None

    async def begin(
        self,
        connection: aio_pika.abc.AbstractConnection,
        queue: str,
        reader: DeliveryReader | None,
    ) -> None:
        """Open a channel on ``connection``, and consume ``queue``.

        Args:
            connection: to the broker.
            queue: its name.
            reader: of the connection, paused while too much is unsettled; None if unknown.
        """
        self._reader = reader
        channel = await connection.channel(publisher_confirms=False)
        await channel.set_qos(prefetch_count=PREFETCH)
        connection.close_callbacks.add(self._closed)
        channel.close_callbacks.add(self._closed)
        self._channel = underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._cancelled)
        await underlay.basic_consume(queue, self._delivered)

    async def next_burst(self) -> Sequence[Delivery]:
        """Wait for deliveries, as :class:`funcx_async._results.source.Deliveries`."""
        while not self._burst:
            if self._lost is not None:
                raise SourceLost(self._lost)
            self._changed.clear()
            await self._changed.wait()
        burst, self._burst = self._burst, []
        return burst

    async def acknowledge(self, acks: Sequence[Ack]) -> None:
        """Send acknowledgements, as :class:`funcx_async._results.source.Deliveries`."""
        if self._channel is None or self._lost is not None:
            raise SourceLost(self._lost or "not connected")
        with _raising_source_lost():
            for ack in acks:
                await self._channel.basic_ack(ack.tag, multiple=ack.multiple)
        self._unsettled.acknowledged(acks)
        if self._reader is not None and self._unsettled.total <= MAX_UNSETTLED_BYTES:
            self._reader.resume_reading()

    def found(self, deliveries: Sequence[Delivery]) -> None:
        """Keep deliveries that were parsed out of the stream of bytes."""
        self.in_bulk += len(deliveries)
        self._keep(deliveries)

    async def _delivered(self, message: aiormq.abc.DeliveredMessage) -> None:
        if self._reader is not None:
            self._reader.message_taken()
        properties = message.header.properties
        timestamp = properties.timestamp
        headers = properties.headers or {}
        delivery = Delivery(
            tag=message.delivery_tag or 0,
            body=message.body,
            timestamp=None if timestamp is None else int(timestamp.timestamp()),
            high_assurance=headers.get("high_assurance") is True,
            redelivered=bool(message.redelivered),
        )
        self._keep([delivery])

    def _keep(self, deliveries: Sequence[Delivery]) -> None:
        self._burst += deliveries
        self._changed.set()
        self._unsettled.delivered(deliveries)
        if self._reader is not None and self._unsettled.total > MAX_UNSETTLED_BYTES:
            self._reader.pause_reading()

    def _closed(self, _: object, error: BaseException | None) -> None:
        self._lose(_description(error) if error is not None else "the connection was closed")

    def _cancelled(self, *_: object) -> None:
        self._lose("the broker cancelled the consumer; is the queue gone?")

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
        self._changed.set()


class UnsettledBytes:
    """The sizes of the larger deliveries that are not acknowledged yet.

    Attributes:
        total: of them all, in bytes.
    """

    def __init__(self) -> None:
        self.total = 0
        self._sizes: dict[int, int] = {}

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Count deliveries."""
        large = [each for each in deliveries if len(each.body) >= COUNTED_BYTES]
        for delivery in large:
            self._sizes[delivery.tag] = len(delivery.body)
            self.total += len(delivery.body)

    def acknowledged(self, acks: Sequence[Ack]) -> None:
        """Stop counting deliveries that are acknowledged."""
        for ack in acks if self._sizes else ():
            tags = [tag for tag in self._sizes if tag <= ack.tag] if ack.multiple else [ack.tag]
            for tag in tags:
                self.total -= self._sizes.pop(tag, 0)


async def _close(connection: aio_pika.abc.AbstractConnection) -> None:
    """Close a connection, whatever state it is in."""
    try:
        with _raising_source_lost():
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await connection.close()
    except SourceLost as error:  # a broken connection may fail to close in many ways
        _log.debug("closing the connection: %s", error)


@contextmanager
def _raising_source_lost(url: URL | None = None) -> Iterator[None]:
    """Turn whatever fails underneath into SourceLost, and let a cancellation of ours through."""
    before = cancel_requests()
    try:
        yield
    except (asyncio.CancelledError, Exception) as error:  # aio-pika lets out many
        if not is_cancelled(before):
            host = "" if url is None else f"{url.host}: "
            raise SourceLost(host + _description(error, url)) from None
    if is_cancelled(before):
        raise asyncio.CancelledError


def _description(error: BaseException, url: URL | None = None) -> str:
    """Return what happened in words, without the password."""
    if isinstance(error, BrokerUnreachable):
        return str(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if url is not None and url.password:
        text = text.replace(url.password, "***")
    return text
