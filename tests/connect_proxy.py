"""An HTTP proxy for tests: it connects by ``CONNECT``, and passes on what is asked for by full URL.

It alone knows the names of what it leads to, so whoever arrives there came through it.

Example::

    async with ConnectProxy({"service.test:443": ("127.0.0.1", port)}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from funcx_async.local.broker import EmbeddedBroker
from funcx_async.local.injection import AwaitableCounter

Place = tuple[str, int]

REASONS = {
    403: "Forbidden",
    407: "Proxy Authentication Required",
    502: "Bad Gateway",
}


class ConnectProxy:
    """Listens on loopback, on a port of its own, while it is entered.

    Args:
        places: what is at each ``host:port`` that may be asked for; others are answered with 502.
        login: name and password that it wants; None: none.
        context: the certificate to speak TLS with; None: it speaks plainly.
        listening: a socket to listen on, instead of one of its own.

    Attributes:
        refusals: the status to answer instead, for a ``host:port``.
        answer: what to answer instead of a yes, before it hangs up; None: a yes.
        silent: whether it answers nothing.
        asked: each ``host:port`` that was asked for, in order.
        seen: counts what was ``asked`` and ``tunnelled``, to wait for.
    """

    def __init__(
        self,
        places: dict[str, Place],
        *,
        login: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        listening: socket.socket | None = None,
    ) -> None:
        self.places = places
        self.login = login
        self.refusals: dict[str, int] = {}
        self.answer: bytes | None = None
        self.silent = False
        self.asked: list[str] = []
        self.seen = AwaitableCounter(("asked", "tunnelled"))
        self._context = context
        self._socket = listening or socket.create_server(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def url_for(self, login: tuple[str, str] | None) -> str:
        """What a variable is to hold, for a client with this login."""
        scheme = "http" if self._context is None else "https"
        before = "" if login is None else ":".join(quote(word, safe="") for word in login) + "@"
        return f"{scheme}://{before}{self.address}"

    @property
    def url(self) -> str:
        """What a variable is to hold, with the right login."""
        return self.url_for(self.login)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def tunnels(self) -> int:
        """How many connections it holds."""
        return len(self._serving)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, sock=self._socket, ssl=self._context
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.die()

    async def die(self) -> None:
        """Stop listening and cut every connection, as a process does that is killed."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def rise(self) -> None:
        """Listen again, on the same port."""
        self._socket = socket.create_server(("127.0.0.1", self._port))
        await self.__aenter__()

    async def cut(self) -> None:
        """Cut every connection; new ones are taken."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, EOFError):
                await self._talk(reader, writer)
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, wanted, _ = head.split(b"\r\n")[0].decode().split(" ")
        target = wanted if method == "CONNECT" else _target_of(wanted)
        self.asked.append(target)
        self.seen.add("asked")
        if self.silent:
            await reader.read()
            return
        status = self.refusals.get(target) or self._status(head, target)
        if self.answer is not None or status != 200:
            writer.write(self.answer or _refusal(status))
            await writer.drain()
            return
        there, there_writer = await asyncio.open_connection(*self.places[target])
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there_writer.write(head)
            self.seen.add("tunnelled")
            await _pump_both((reader, there_writer), (there, writer))
        finally:
            there_writer.transport.abort()

    def _status(self, head: bytes, target: str) -> int:
        if self.login is not None:
            word = b64encode(":".join(self.login).encode())
            if b"Proxy-Authorization: Basic " + word not in head:
                return 407
        return 200 if target in self.places else 502


def _target_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 80}"


def _refusal(status: int) -> bytes:
    line = f"HTTP/1.1 {status} {REASONS[status]}\r\n"
    return f"{line}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


async def _pump_both(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Carry bytes both ways until one side ends."""
    pumps = [asyncio.create_task(_pump(*way)) for way in ways]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while received := await reader.read(65_536):
            writer.write(received)
            await writer.drain()


def place_of(broker: EmbeddedBroker) -> Place:
    """Where a broker listens."""
    parts = urlsplit(broker.url("u", "p"))
    return parts.hostname or "", parts.port or 0


@asynccontextmanager
async def tls_before(place: Place, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port where TLS ends, and what comes out goes to ``place``."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(OSError):
            there, there_writer = await asyncio.open_connection(*place)
            try:
                await _pump_both((reader, there_writer), (there, writer))
            finally:
                there_writer.close()
                writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def new_login() -> tuple[str, str]:
    """A name with a password that URLs and HTTP have to encode."""
    return "jane@example.org", f"{secrets.token_urlsafe(16)}:/@%"
