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
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from funcx_async.local.listener import Listener, connection_limit

KEEP_ALIVE_S: Final = 300
"""Seconds that an idle connection stays open; longer than clients keep theirs, so that none is
closed just as it is used again."""
AUTHENTICATE_WITHIN_S: Final = 30.0
"""Seconds from connecting to the first request with a valid token."""
GRACE_S: Final = 1.0
"""Seconds for requests to finish when the server closes."""


class Connection(H11Protocol):
    """One client's connection, found by the client's address.

    A connection that has never brought a valid token is closed after ``AUTHENTICATE_WITHIN_S``,
    as soon as it has no request under way.
    """

    def __init__(
        self, *args: Any, by_address: dict[Any, Connection], within: float, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
        self.trusted = False
        self._by_address = by_address
        self._within = within
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register a client that has connected."""
        super().connection_made(transport)
        self._by_address[self.client] = self
        self._deadline = self.loop.call_later(self._within, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client that is gone."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._by_address.pop(self.client, None)
        super().connection_lost(exc)

    def trust(self) -> None:
        """Keep the connection: it has sent a valid token."""
        self.trusted = True
        if self._deadline is not None:
            self._deadline.cancel()

    def abort(self) -> None:
        """Close the connection without another byte."""
        self.transport.abort()

    def _give_up(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._deadline = self.loop.call_later(self._within, self._give_up)
        else:
            self.transport.close()


class HttpServer:
    """Serves an ASGI application.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        authenticate_within: seconds that a connection may be open without a valid token.
        most_connections: how many connections may be open; beyond it one without a valid token is
            closed for a new one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        authenticate_within: float = AUTHENTICATE_WITHIN_S,
        most_connections: int | None = None,
    ) -> None:
        self._listener = Listener(host, port, self._admit)
        self._authenticate_within = authenticate_within
        self._most_connections = most_connections or connection_limit()
        self._state = ServerState()
        self._connections: dict[Any, Connection] = {}

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    async def start(self, app: ASGIApp) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        config = uvicorn.Config(
            accepting_absolute_targets(app),
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        self._new_connection = partial(
            Connection,
            config=config,
            server_state=self._state,
            app_state={},
            by_address=self._connections,
            within=self._authenticate_within,
        )
        await self._listener.start()

    async def aclose(self) -> None:
        """Stop listening, let requests finish for a second, and close every connection."""
        await self._listener.aclose()
        for connection in list(self._connections.values()):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=GRACE_S)
            self._abort_all()
            if late:
                await asyncio.wait(late, timeout=GRACE_S)
        self._abort_all()

    def trust(self, scope: Scope) -> None:
        """Keep the connection of a request, which has a valid token."""
        if (connection := self._connections.get(scope["client"])) is not None:
            connection.trust()

    def cut(self, scope: Scope) -> None:
        """Close the connection of a request without another byte."""
        if (connection := self._connections.get(scope["client"])) is not None:
            connection.abort()

    def _admit(self) -> Connection | None:
        if len(self._connections) >= self._most_connections:
            strangers = (each for each in self._connections.values() if not each.trusted)
            if (oldest := next(strangers, None)) is None:
                return None
            oldest.abort()
        return self._new_connection()

    def _abort_all(self) -> None:
        for connection in list(self._connections.values()):
            connection.abort()


def accepting_absolute_targets(app: ASGIApp) -> ASGIApp:
    """Serve ``GET http://host/path`` like ``GET /path``, as RFC 9112, 3.2.2 asks of every server.

    Clients whose base URL cannot be set reach the service this way, by taking it for their proxy.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        """Remove the host from the target."""
        raw: bytes = scope.get("raw_path", b"")
        if raw.startswith((b"http://", b"https://")):
            try:
                path = urlsplit(raw.decode("ascii")).path or "/"
            except ValueError:
                await PlainTextResponse("the target is not a URL\n", 400)(scope, receive, send)
                return
            scope = {**scope, "path": unquote(path), "raw_path": path.encode("ascii")}
        await app(scope, receive, send)

    return serve
