"""The HTTP server: uvicorn's protocol in the caller's event loop.

``uvicorn.Server`` is left out: it takes over signal handlers and logs like the program that it
usually is. Here it is a guest in someone else's program.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

KEEP_ALIVE: Final = 300
"""Seconds that an idle connection stays open; longer than clients keep theirs, so that none is
closed just as it is used again."""
GRACE: Final = 1.0
"""Seconds for requests to finish when the server closes."""


class Connection(H11Protocol):
    """One client's connection, which can be found by its address."""

    def __init__(self, *args: Any, by_address: dict[Any, asyncio.Transport], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
        self._by_address = by_address

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has connected."""
        super().connection_made(transport)
        self._by_address[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._by_address.pop(self.client, None)
        super().connection_lost(exc)


class HttpServer:
    """Serves an ASGI application.

    Args:
        host: the address to listen on.
        port: the port; 0 is any that is free.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._state = ServerState()
        self._transports: dict[Any, asyncio.Transport] = {}

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    async def start(self, app: ASGIApp) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        config = uvicorn.Config(
            accepting_absolute_targets(app),
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        config.load()
        connection = partial(
            Connection,
            config=config,
            server_state=self._state,
            app_state={},
            by_address=self._transports,
        )
        loop = asyncio.get_running_loop()
        # Not on a socket of our own: asyncio would not know that it is TCP, and leave Nagle's
        # algorithm on, which costs 40 ms an answer.
        self._server = await loop.create_server(connection, self._host, self._port, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening, let requests finish for a second, and close every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=GRACE)
            for transport in list(self._transports.values()):
                transport.abort()
            if late:
                await asyncio.wait(late, timeout=GRACE)
        for transport in list(self._transports.values()):
            transport.abort()
        await self._server.wait_closed()

    def cut(self, scope: Scope) -> None:
        """Close the connection of a request without another byte."""
        transport = self._transports.get(scope["client"])
        if transport is not None:
            transport.abort()


def accepting_absolute_targets(app: ASGIApp) -> ASGIApp:
    """Serve ``GET http://host/path`` like ``GET /path``, as RFC 9112, 3.2.2 asks of every server.

    Clients whose base URL cannot be set reach the service this way, by taking it for their proxy.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        """Take the host out of the target."""
        raw: bytes = scope.get("raw_path", b"")
        if raw.startswith((b"http://", b"https://")):
            path = urlsplit(raw.decode("ascii")).path or "/"
            scope = {**scope, "path": unquote(path), "raw_path": path.encode("ascii")}
        await app(scope, receive, send)

    return serve
