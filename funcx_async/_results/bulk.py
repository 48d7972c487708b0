"""A transport for aiormq that keeps deliveries to itself.

aiormq makes objects of every frame and a task of every delivery, which costs more than all the rest
of a result's way. So its transport factory, which it offers for other kinds of connections, gives
it a stream reader from which deliveries were taken out: handshake, heartbeats, channels and their
ends remain its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol, SupportsIndex

import aiormq
from yarl import URL

from funcx_async._net.proxies import Proxy
from funcx_async._results.dialling import connect
from funcx_async._results.sifter import Sifter
from funcx_async.models import Delivery

SIGN_INTERVAL = 1.0
"""Seconds between two heartbeats that aiormq is shown while all that comes are deliveries, or while
nothing is read: else it would take the connection for lost."""

_HEARTBEAT: Final = bytes.fromhex("08 0000 00000000 ce")
_LIMIT: Final = 64 * 1024
"""Bytes that the stream reader keeps before it slows the broker down, as asyncio's own."""


class _ContextProvider(Protocol):
    async def get_context(self) -> Any: ...


class SiftedReader(asyncio.StreamReader):
    """A stream of bytes without the deliveries that were in it; it can be paused.

    Args:
        take: is called with deliveries as they are found; None: they are left in the stream.
        clock: gives the time, in seconds.
    """

    def __init__(
        self, take: Callable[[Sequence[Delivery]], None] | None, clock: Callable[[], float]
    ) -> None:
        super().__init__(limit=_LIMIT, loop=asyncio.get_running_loop())
        self._take = take
        self._clock = clock
        self._sifter = Sifter()
        self._last_sign = clock()
        self._connection: asyncio.Transport | None = None
        self._is_paused = False
        self._kept: list[bytes] = []
        self._sign: asyncio.TimerHandle | None = None

    @property
    def met_something_strange(self) -> bool:
        """Whether there was something in the stream that looked like no delivery should."""
        return self._sifter.met_something_strange

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection (asyncio calls this)."""
        super().set_transport(transport)
        if isinstance(transport, asyncio.Transport):
            self._connection = transport

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take in what was received (asyncio calls this)."""
        if self._take is None or self._sifter.met_something_strange:
            self._feed_unsifted(bytes(data))
            return
        deliveries, others = self._sifter.feed(bytes(data))
        if deliveries:
            self._take(deliveries)
            # Whoever watches for signs of life sees none of these.
            if not others and self._clock() - self._last_sign > SIGN_INTERVAL:
                self._last_sign = self._clock()
                others = _HEARTBEAT
        if others:
            super().feed_data(others)

    def feed_eof(self) -> None:
        """Take in the end of the stream (asyncio calls this)."""
        self.resume_reading()
        if rest := self._sifter.end():
            super().feed_data(rest)
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """Take in the loss of the connection (asyncio calls this)."""
        self.resume_reading()
        super().set_exception(exc)

    def pause_reading(self) -> None:
        """Leave what comes to the network, so that the broker has to wait."""
        if self._connection is not None:
            self._connection.pause_reading()
        if not self._is_paused:
            self._is_paused = True
            self._show_sign_later()

    def resume_reading(self) -> None:
        """Read on; harmless if it is not paused, or the connection is gone."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._sign is not None:
            self._sign.cancel()
            self._sign = None
        if kept := b"".join(self._kept):
            self._kept = []
            super().feed_data(kept)
        if self._connection is not None:
            self._connection.resume_reading()

    def _feed_unsifted(self, data: bytes) -> None:
        if not self._is_paused:
            super().feed_data(data)
            return
        self._kept.append(data)  # the stream itself has resumed the connection, being empty
        self.pause_reading()

    def _show_sign_later(self) -> None:
        self._sign = asyncio.get_running_loop().call_later(SIGN_INTERVAL, self._show_sign)

    def _show_sign(self) -> None:
        if self._take is not None and not self._sifter.met_something_strange:
            super().feed_data(_HEARTBEAT)  # in a stream that is not sifted it might cut a frame
            self._show_sign_later()


class SiftingTransport(aiormq.TransportFactory):
    """Makes connections from whose streams deliveries are taken out, through a proxy or without.

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
        self.reader: SiftedReader | None = None

    @property
    def met_something_strange(self) -> bool:
        """Whether there was something in the stream that looked like no delivery should."""
        return self.reader is not None and self.reader.met_something_strange

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect (aiormq calls this)."""
        contexts: _ContextProvider | None = options.pop("ssl_context_provider", None)
        secure = url.scheme == "amqps" and contexts is not None
        context = await contexts.get_context() if secure and contexts else None
        loop = asyncio.get_running_loop()
        reader = SiftedReader(self._take, loop.time)
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


def can_sift() -> bool:
    """Whether this aiormq takes transports from others."""
    try:
        return "transport_factory" in inspect.signature(aiormq.Connection).parameters
    except (TypeError, ValueError):
        return False
