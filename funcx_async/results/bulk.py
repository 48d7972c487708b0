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

from funcx_async.models import Delivery
from funcx_async.proxies import Proxy
from funcx_async.results.dialling import connect
from funcx_async.results.sifter import Sifter

_HEARTBEAT: Final = bytes.fromhex("08 0000 00000000 ce")
_LIMIT: Final = 64 * 1024
"""Bytes that the stream reader keeps before it slows the broker down, as asyncio's own."""


class _ContextProvider(Protocol):
    async def get_context(self) -> Any: ...


class SiftedReader(asyncio.StreamReader):
    """A stream of bytes without the deliveries that were in it.

    Args:
        take: is called with deliveries as they are found.
        clock: gives the time, in seconds.
    """

    def __init__(
        self, take: Callable[[Sequence[Delivery]], None], clock: Callable[[], float]
    ) -> None:
        super().__init__(limit=_LIMIT, loop=asyncio.get_running_loop())
        self._take = take
        self._clock = clock
        self._sifter = Sifter()
        self._last_sign = clock()

    @property
    def met_something_strange(self) -> bool:
        """Whether there was something in the stream that looked like no delivery should."""
        return self._sifter.met_something_strange

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take in what was received (asyncio calls this)."""
        deliveries, others = self._sifter.feed(bytes(data))
        if deliveries:
            self._take(deliveries)
            # Whoever watches for signs of life sees none of these.
            if not others and self._clock() - self._last_sign > 1:
                self._last_sign = self._clock()
                others = _HEARTBEAT
        if others:
            super().feed_data(others)

    def feed_eof(self) -> None:
        """Take in the end of the stream (asyncio calls this)."""
        if rest := self._sifter.end():
            super().feed_data(rest)
        super().feed_eof()


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
        self.reader: asyncio.StreamReader | None = None

    @property
    def met_something_strange(self) -> bool:
        """Whether there was something in the stream that looked like no delivery should."""
        return isinstance(self.reader, SiftedReader) and self.reader.met_something_strange

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect (aiormq calls this)."""
        contexts: _ContextProvider | None = options.pop("ssl_context_provider", None)
        secure = url.scheme == "amqps" and contexts is not None
        context = await contexts.get_context() if secure and contexts else None
        loop = asyncio.get_running_loop()
        reader = self._new_reader(loop)
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

    def _new_reader(self, loop: asyncio.AbstractEventLoop) -> asyncio.StreamReader:
        if self._take is None:
            return asyncio.StreamReader(limit=_LIMIT, loop=loop)
        return SiftedReader(self._take, loop.time)


def can_sift() -> bool:
    """Whether this aiormq takes transports from others."""
    try:
        return "transport_factory" in inspect.signature(aiormq.Connection).parameters
    except (TypeError, ValueError):
        return False
