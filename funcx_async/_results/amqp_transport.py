"""A transport for aiormq that takes deliveries out of the stream of bytes.

aiormq makes objects of every frame and a task of every delivery, which costs more than all the rest
of a result's way. So this transport gives it a stream reader without the deliveries. Handshake,
heartbeats, and opening and closing channels remain aiormq's own.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, SupportsIndex

import aiormq
from yarl import URL

from funcx_async._net.proxies import Proxy
from funcx_async._net.tunnel import connect
from funcx_async._results.amqp_parser import MAX_MESSAGE_BYTES, DeliveryParser
from funcx_async.models import Delivery

HEARTBEAT_INTERVAL = 1.0
"""Seconds between two heartbeats that aiormq gets while all that comes are deliveries, or while
reading is paused: else it would take the connection for lost."""

MAX_UNPARSED_BYTES = MAX_MESSAGE_BYTES + 16 * 1024 * 1024
"""Bytes that aiormq may get without making a message of them: it would keep any number."""

_HEARTBEAT: Final = bytes.fromhex("08 0000 00000000 ce")
_LIMIT: Final = 64 * 1024
"""Bytes that the stream reader keeps before it slows the broker down, as asyncio's own."""


class DeliveryReader(asyncio.StreamReader):
    """A stream of bytes without the deliveries that were in it; it can be paused.

    Args:
        take: is called with deliveries as they are found; None: they are left in the stream.
        clock: returns the time, in seconds.
    """

    def __init__(
        self, take: Callable[[Sequence[Delivery]], None] | None, clock: Callable[[], float]
    ) -> None:
        super().__init__(limit=_LIMIT, loop=asyncio.get_running_loop())
        self._take = take
        self._clock = clock
        self._parser = DeliveryParser()
        self._last_heartbeat = clock()
        self._connection: asyncio.Transport | None = None
        self._is_paused = False
        self._unparsed_bytes = 0
        self._kept: list[bytes] = []
        self._heartbeat: asyncio.TimerHandle | None = None

    @property
    def desynchronised(self) -> bool:
        """Whether the stream was not understood, so that nothing is taken out any more."""
        return self._parser.desynchronised

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection (asyncio calls this)."""
        super().set_transport(transport)
        if isinstance(transport, asyncio.Transport):
            self._connection = transport

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Parse what was received (asyncio calls this)."""
        if self._take is None or self._parser.desynchronised:
            self._feed_unparsed(bytes(data))
            return
        deliveries, others = self._parser.feed(bytes(data))
        if deliveries:
            self._take(deliveries)
            # aiormq, which waits for heartbeats, sees none of these.
            if not others and self._clock() - self._last_heartbeat > HEARTBEAT_INTERVAL:
                self._last_heartbeat = self._clock()
                others = _HEARTBEAT
        if others:
            super().feed_data(others)

    def feed_eof(self) -> None:
        """End the stream (asyncio calls this)."""
        self.resume_reading()
        if rest := self._parser.end():
            super().feed_data(rest)
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """End the stream with an error (asyncio calls this)."""
        self.resume_reading()
        super().set_exception(exc)

    def pause_reading(self) -> None:
        """Pause reading, so that the broker has to wait."""
        if self._connection is not None:
            self._connection.pause_reading()
        if not self._is_paused:
            self._is_paused = True
            self._send_heartbeat_later()

    def resume_reading(self) -> None:
        """Read on; harmless if it is not paused, or the connection is gone."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        if kept := b"".join(self._kept):
            self._kept = []
            super().feed_data(kept)
        if self._connection is not None:
            self._connection.resume_reading()

    def message_taken(self) -> None:
        """Begin to count the bytes of the next message, where aiormq takes them."""
        self._unparsed_bytes = 0

    def _feed_unparsed(self, data: bytes) -> None:
        self._unparsed_bytes += len(data)
        if self._unparsed_bytes > MAX_UNPARSED_BYTES:
            self.set_exception(ConnectionError("the broker sends a message that is too large"))
            if self._connection is not None:
                self._connection.abort()
            return
        if not self._is_paused:
            super().feed_data(data)
            return
        self._kept.append(data)  # the stream itself has resumed the connection, being empty
        self.pause_reading()

    def _send_heartbeat_later(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(
            HEARTBEAT_INTERVAL, self._send_heartbeat
        )

    def _send_heartbeat(self) -> None:
        if self._take is not None and not self._parser.desynchronised:
            super().feed_data(_HEARTBEAT)  # in a stream that is not parsed it might cut a frame
            self._send_heartbeat_later()


class DeliveryTransport(aiormq.TransportFactory):
    """Connects aiormq to a broker, through a proxy or directly, without its deliveries.

    Args:
        take: is called with deliveries as they are found; None: they are left in the stream.
        proxy: through which the broker is reached; None: directly.

    Attributes:
        reader: the stream, once the broker was reached; None before.
    """

    def __init__(
        self, take: Callable[[Sequence[Delivery]], None] | None, proxy: Proxy | None = None
    ) -> None:
        self._take = take
        self._proxy = proxy
        self.reader: DeliveryReader | None = None

    @property
    def desynchronised(self) -> bool:
        """Whether the stream was not understood, so that nothing is taken out any more."""
        return self.reader is not None and self.reader.desynchronised

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect (aiormq calls this)."""
        contexts = options.pop("ssl_context_provider", None)
        context = None
        if url.scheme == "amqps" and contexts is not None:
            context = await contexts.get_context()
        elif url.scheme == "amqps":  # never without TLS, whatever aiormq passes
            context = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        reader = DeliveryReader(self._take, loop.time)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport = await connect(
            protocol,
            url.raw_host or "localhost",
            url.port or 0,
            context=context,
            proxy=self._proxy,
            options=options,
        )
        self.reader = reader
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def takes_transport() -> bool:
    """Return whether this aiormq accepts transports from others."""
    try:
        return "transport_factory" in inspect.signature(aiormq.Connection).parameters
    except (TypeError, ValueError):
        return False
